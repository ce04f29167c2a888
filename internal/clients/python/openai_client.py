"""The official OpenAI client for Python."""

import base64
import json

import openai
from openai import OpenAI
from pydantic import BaseModel

import cases as c
from cases import case, equal

client = OpenAI(base_url=f"{c.BASE}/v1", api_key=c.KEY, max_retries=0)
MODEL = "gpt-4o"
MESSAGES = [{"role": "user", "content": "Hi"}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "forecast", "parameters": PARAMETERS, "strict": True}}]


class Forecast(BaseModel):
    city: str
    degrees: int
    sky: list[str]


def watching(**options):
    """A client with the retries that it has by default, and what it does."""
    watched = c.Watched()
    http = openai.DefaultHttpxClient(event_hooks={"request": [watched.request], "response": [watched.response]})
    return OpenAI(**{"base_url": f"{c.BASE}/v1", "api_key": c.KEY, "http_client": http, **options}), watched


def joined(stream):
    text, finish, usage = "", None, None
    for chunk in stream:
        if chunk.usage:
            usage = chunk.usage.total_tokens
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = finish or choice.finish_reason
    return text, finish, usage


@case("chat", always=True)
def _():
    answer = client.chat.completions.create(model="chatgpt", messages=MESSAGES)
    equal(answer.choices[0].message.content, c.GREETING)
    equal(answer.choices[0].finish_reason, "stop")
    equal(answer.usage.total_tokens, 8)


@case("streaming", always=True)
def _():
    stream = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    equal(joined(stream), (c.GREETING, "stop", 8))


@case("tool calls", always=True)
def _():
    message = client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=TOOLS).choices[0].message
    call = message.tool_calls[0]
    equal(call.function.name, "forecast")
    equal(json.loads(call.function.arguments), c.ARGUMENTS)
    end = client.chat.completions.create(
        model=MODEL,
        tools=TOOLS,
        messages=[*MESSAGES, message, {"role": "tool", "tool_call_id": call.id, "content": "snow"}],
    )
    equal(end.choices[0].message.content, c.TOOL_SAYS + "snow")


@case("tool calls, streamed", always=True)
def _():
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES, tools=TOOLS) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    equal(json.loads(call.function.arguments), c.ARGUMENTS)


@case("structured output", always=True)
def _():
    answer = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Forecast)
    equal(answer.choices[0].message.parsed, Forecast(**c.STRUCTURED))


@case("image input", always=True)
def _():
    image = c.content(100_000)
    url = "data:image/png;base64," + base64.b64encode(image).decode()
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    equal(answer.choices[0].message.content, c.fingerprint(image))


@case("Responses API", always=True)
def _():
    answer = client.responses.create(model=MODEL, input="Hi")
    equal(answer.output_text, c.GREETING)
    equal(answer.usage.total_tokens, 8)

    with client.responses.stream(model=MODEL, input="Hi") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        equal(text, c.GREETING)
        equal(stream.get_final_response().output_text, c.GREETING)

    tool = {"type": "function", "name": "forecast", "parameters": PARAMETERS, "strict": True}
    with client.responses.stream(model=MODEL, input="Hi", tools=[tool]) as stream:
        equal(json.loads(stream.get_final_response().output[0].arguments), c.ARGUMENTS)

    parsed = client.responses.parse(model=MODEL, input="Hi", text_format=Forecast)
    equal(parsed.output_parsed, Forecast(**c.STRUCTURED))


@case("embeddings", always=True)
def _():
    for encoding in (openai.omit, "float"):  # base64 unless told
        answer = client.embeddings.create(model="org/embed", input=["one", "three"], encoding_format=encoding)
        equal([d.embedding for d in answer.data], [[3, 0, 0.5, -0.25], [5, 1, 0.5, -0.25]])


@case("file upload", always=True)
def _():
    audio = c.content(200_000)
    answer = client.audio.transcriptions.create(model=MODEL, file=("speech.wav", audio), language="no")
    equal(answer.text, f"speech.wav in no: {c.fingerprint(audio)}")


@case("list of models")
def _():
    ids = [model.id for model in client.models.list()]
    equal(ids[:4], ["gpt-4o", "chatgpt", "claude", "org/embed"])
    assert not any("*" in name for name in ids), "a wildcard is listed"
    equal(client.models.retrieve("org/embed").id, "org/embed")


@case("abort in mid-stream")
def _():
    with client.chat.completions.create(model="endless", messages=MESSAGES, stream=True) as stream:
        for chunk in stream:
            if chunk.choices[0].delta.content:
                equal(chunk.choices[0].delta.content, "Grüße ")
                break


@case("cut stream")
def _():
    stream = client.chat.completions.create(model="cut", messages=MESSAGES, stream=True)
    error = c.failure(lambda: joined(stream))
    assert isinstance(error, openai.APIError), repr(error)
    equal(error.code, "connection")


@case("resumed stream")
def _():
    stream = client.chat.completions.create(model="resumed", messages=MESSAGES, stream=True)
    equal(joined(stream), (c.GREETING, "stop", None))


@case("typed errors")
def _():
    for model, kind, status, code in (
        ("answers-400", openai.BadRequestError, 400, "unknown_parameter"),
        ("answers-403", openai.PermissionDeniedError, 403, "forbidden"),
        ("answers-404", openai.NotFoundError, 404, "model_not_found"),
        ("answers-422", openai.UnprocessableEntityError, 422, "invalid_value"),
        ("answers-429", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("answers-500", openai.InternalServerError, 500, "internal_error"),
        ("nobody-knows-it", openai.NotFoundError, 404, "model_not_found"),
    ):
        for stream in (False, True):
            error = c.failure(lambda: client.chat.completions.create(model=model, messages=MESSAGES, stream=stream))
            equal((type(error), error.status_code, error.code), (kind, status, code))
            if model.startswith("answers"):
                equal(error.request_id, "req_of_provider")
            if status == 429:
                equal(error.response.headers["retry-after"], "7")
                equal(error.response.headers["x-ratelimit-remaining-requests"], "0")


@case("the client's own key")
def _():
    answer = client.chat.completions.create(model="own-key", messages=MESSAGES)
    equal(answer.choices[0].message.content, c.GREETING)
    wrong, watched = watching(api_key="sk-wrong")
    error = c.failure(lambda: wrong.chat.completions.create(model="own-key", messages=MESSAGES))
    equal((type(error), error.code), (openai.AuthenticationError, "invalid_api_key"))
    equal(watched.statuses, [401])


@case("retries not multiplied")
def _():
    retrying, watched = watching()
    c.failure(lambda: retrying.chat.completions.create(model="down", messages=MESSAGES))
    equal(watched.attempts, [3, 1, 1])  # the router's own two come with the first


def asks_once(model):
    """Check that a client that would retry asks once."""
    retrying, watched = watching()
    c.failure(lambda: retrying.chat.completions.create(model=model, messages=MESSAGES))
    equal(len(watched.statuses), 1)


@case("bad requests not retried")
def _():
    asks_once("answers-400")
    asks_once("nobody-knows-it")


@case("no quota, no retries")
def _():
    asks_once("answers-quota")


@case("Retry-After waited for")
def _():
    retrying, watched = watching()
    answer = retrying.chat.completions.create(model="limited", messages=MESSAGES)
    equal(answer.choices[0].message.content, c.GREETING)
    equal(watched.statuses, [429, 200])
    gap = watched.times[1] - watched.times[0]
    assert gap >= 0.95, f"asked again after {gap} s, want the second that it was told"


@case("time limit kept")
def _():
    hurried, watched = watching(timeout=2, max_retries=0)
    answer = hurried.chat.completions.create(model="slow", messages=MESSAGES)
    equal(answer.choices[0].message.content, c.GREETING)
    equal(watched.attempts, [2])


c.run()
