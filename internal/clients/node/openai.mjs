// The official OpenAI client for Node.

import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import * as c from "./cases.mjs";

const connect = (options) => new OpenAI({ baseURL: `${c.base}/v1`, apiKey: c.key, maxRetries: 0, ...options });
const client = connect();
const model = "gpt-4o";
const messages = [{ role: "user", content: "Hi" }];
const forecast = z.object({ city: z.string(), degrees: z.number(), sky: z.array(z.string()) });
const parameters = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
const tools = [{ type: "function", function: { name: "forecast", parameters } }];

async function joined(stream) {
  let text = "", finish, usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    finish ??= chunk.choices[0]?.finish_reason ?? undefined;
    usage ??= chunk.usage?.total_tokens;
  }
  return { text, finish, usage };
}

// asksOnce checks that a client that would retry asks once.
async function asksOnce(model) {
  const { fetch, seen } = c.watched();
  await c.failure(() => connect({ fetch, maxRetries: 2 }).chat.completions.create({ model, messages }));
  assert.equal(seen.length, 1, model);
}

await c.run({
  "chat": c.always(async () => {
    const answer = await client.chat.completions.create({ model: "chatgpt", messages });
    assert.equal(answer.choices[0].message.content, c.greeting);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, 8);
  }),

  "streaming": c.always(async () => {
    const got = await joined(await client.chat.completions.create({
      model, messages, stream: true, stream_options: { include_usage: true },
    }));
    assert.deepEqual(got, { text: c.greeting, finish: "stop", usage: 8 });
  }),

  "tool calls": c.always(async () => {
    const answer = await client.chat.completions.create({ model, messages, tools });
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "forecast");
    assert.deepEqual(JSON.parse(call.function.arguments), c.toolArguments);
    const end = await client.chat.completions.create({
      model, tools,
      messages: [...messages, answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "snow" }],
    });
    assert.equal(end.choices[0].message.content, c.toolSays + "snow");
  }),

  "tool calls, streamed": c.always(async () => {
    const runner = client.chat.completions.runTools({
      model, messages, stream: true,
      tools: [{
        type: "function",
        function: { name: "forecast", parameters, parse: JSON.parse, function: (a) => `${a.days} days of snow in ${a.city}` },
      }],
    });
    assert.equal(await runner.finalContent(), c.toolSays + "3 days of snow in Tromsø");
  }),

  "structured output": c.always(async () => {
    const answer = await client.chat.completions.parse({ model, messages, response_format: zodResponseFormat(forecast, "forecast") });
    assert.deepEqual(answer.choices[0].message.parsed, c.structured);
  }),

  "image input": c.always(async (i) => {
    const image = c.bytes(100_000 + i);
    const url = `data:image/png;base64,${Buffer.from(image).toString("base64")}`;
    const answer = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url } }] }],
    });
    assert.equal(answer.choices[0].message.content, c.fingerprint(image));
  }),

  "Responses API": c.always(async () => {
    const answer = await client.responses.create({ model, input: "Hi" });
    assert.equal(answer.output_text, c.greeting);
    assert.equal(answer.usage.total_tokens, 8);

    const stream = client.responses.stream({ model, input: "Hi" });
    let text = "";
    stream.on("response.output_text.delta", (event) => (text += event.delta));
    const end = await stream.finalResponse();
    assert.equal(text, c.greeting);
    assert.equal(end.output_text, c.greeting);

    const called = await client.responses.stream({
      model, input: "Hi", tools: [{ type: "function", name: "forecast", parameters, strict: true }],
    }).finalResponse();
    assert.deepEqual(JSON.parse(called.output[0].arguments), c.toolArguments);

    const parsed = await client.responses.parse({ model, input: "Hi", text: { format: zodTextFormat(forecast, "forecast") } });
    assert.deepEqual(parsed.output_parsed, c.structured);
  }),

  "embeddings": c.always(async () => {
    for (const encoding_format of [undefined, "float"]) { // base64 unless told
      const answer = await client.embeddings.create({ model: "org/embed", input: ["one", "three"], encoding_format });
      assert.deepEqual(answer.data.map((d) => d.embedding), [[3, 0, 0.5, -0.25], [5, 1, 0.5, -0.25]]);
    }
  }),

  "file upload": c.always(async (i) => {
    const audio = c.bytes(200_000 + i);
    const answer = await client.audio.transcriptions.create({ model, file: await toFile(audio, "speech.wav"), language: "no" });
    assert.equal(answer.text, `speech.wav in no: ${c.fingerprint(audio)}`);
  }),

  "list of models": async () => {
    const ids = [];
    for await (const m of client.models.list()) {
      ids.push(m.id);
    }
    assert.deepEqual(ids.slice(0, 4), ["gpt-4o", "chatgpt", "claude", "org/embed"]);
    assert.ok(!ids.some((id) => id.includes("*")), "a wildcard is listed");
    assert.equal((await client.models.retrieve("org/embed")).id, "org/embed");
  },

  "abort in mid-stream": async () => {
    const stream = await client.chat.completions.create({ model: "endless", messages, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0].delta.content) {
        break; // which aborts
      }
    }
    assert.ok(stream.controller.signal.aborted);

    const controller = new AbortController();
    const other = await client.chat.completions.create({ model: "endless", messages, stream: true }, { signal: controller.signal });
    let text = "";
    for await (const chunk of other) {
      text += chunk.choices[0].delta.content ?? "";
      if (text) {
        controller.abort();
      }
    }
    assert.equal(text, "Grüße ");
  },

  "cut stream": async () => {
    const stream = await client.chat.completions.create({ model: "cut", messages, stream: true });
    const error = await c.failure(() => joined(stream));
    assert.ok(error instanceof OpenAI.APIError, `got ${error}`);
    c.fields(error, { code: "connection" });
  },

  "resumed stream": async () => {
    const got = await joined(await client.chat.completions.create({ model: "resumed", messages, stream: true }));
    assert.deepEqual(got, { text: c.greeting, finish: "stop", usage: undefined });
  },

  "typed errors": async () => {
    for (const [what, type, status, code] of [
      ["answers-400", OpenAI.BadRequestError, 400, "unknown_parameter"],
      ["answers-403", OpenAI.PermissionDeniedError, 403, "forbidden"],
      ["answers-404", OpenAI.NotFoundError, 404, "model_not_found"],
      ["answers-422", OpenAI.UnprocessableEntityError, 422, "invalid_value"],
      ["answers-429", OpenAI.RateLimitError, 429, "rate_limit_exceeded"],
      ["answers-500", OpenAI.InternalServerError, 500, "internal_error"],
      ["nobody-knows-it", OpenAI.NotFoundError, 404, "model_not_found"],
    ]) {
      for (const stream of [false, true]) {
        const error = await c.failure(() => client.chat.completions.create({ model: what, messages, stream }));
        assert.ok(error instanceof type, `${what}: got ${error?.constructor.name}, want ${type.name}`);
        c.fields(error, { status, code });
        if (what.startsWith("answers")) {
          c.fields(error, { requestID: "req_of_provider" });
        }
        if (status === 429) {
          assert.equal(error.headers.get("retry-after"), "7");
          assert.equal(error.headers.get("x-ratelimit-remaining-requests"), "0");
        }
      }
    }
  },

  "the client's own key": async () => {
    const answer = await client.chat.completions.create({ model: "own-key", messages });
    assert.equal(answer.choices[0].message.content, c.greeting);
    const { fetch, seen } = c.watched();
    const error = await c.failure(() => connect({ fetch, apiKey: "sk-wrong", maxRetries: 2 }).chat.completions.create({ model: "own-key", messages }));
    assert.ok(error instanceof OpenAI.AuthenticationError, `got ${error}`);
    c.fields(error, { code: "invalid_api_key" });
    assert.equal(seen.length, 1);
  },

  "retries not multiplied": async () => {
    const { fetch, attempts } = c.watched();
    await c.failure(() => connect({ fetch, maxRetries: 2 }).chat.completions.create({ model: "down", messages }));
    assert.deepEqual(attempts(), [3, 1, 1]); // the router's own two come with the first
  },

  "bad requests not retried": async () => {
    await asksOnce("answers-400");
    await asksOnce("nobody-knows-it");
  },

  "no quota, no retries": () => asksOnce("answers-quota"),

  "Retry-After waited for": async () => {
    const { fetch, seen } = c.watched();
    const answer = await connect({ fetch, maxRetries: 2 }).chat.completions.create({ model: "limited", messages });
    assert.equal(answer.choices[0].message.content, c.greeting);
    c.waited(seen);
  },

  "time limit kept": async () => {
    const { fetch, attempts } = c.watched();
    // Of a limit of the whole client it does not tell.
    const answer = await connect({ fetch }).chat.completions.create({ model: "slow", messages }, { timeout: 2000 });
    assert.equal(answer.choices[0].message.content, c.greeting);
    assert.deepEqual(attempts(), [2]);
  },
});
