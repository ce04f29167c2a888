// The official Anthropic client for Node.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import * as c from "./cases.mjs";

const connect = (options) => new Anthropic({ baseURL: c.base, apiKey: c.key, maxRetries: 0, ...options });
const client = connect();
const ask = { model: "claude", max_tokens: 100, messages: [{ role: "user", content: "Hi" }] };
const forecast = z.object({ city: z.string(), degrees: z.number(), sky: z.array(z.string()) });
const tools = [{
  name: "forecast",
  input_schema: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
}];

const textOf = (message) => message.content.map((block) => block.text).join("");

// asksOnce checks that a client that would retry asks once.
async function asksOnce(model) {
  const { fetch, seen } = c.watched();
  await c.failure(() => connect({ fetch, maxRetries: 2 }).messages.create({ ...ask, model }));
  assert.equal(seen.length, 1, model);
}

await c.run({
  "chat": c.always(async () => {
    const answer = await client.messages.create(ask);
    assert.equal(textOf(answer), c.greeting);
    assert.equal(answer.stop_reason, "end_turn");
    assert.equal(answer.usage.output_tokens, 5);
    assert.equal((await client.messages.countTokens({ model: "claude", messages: ask.messages })).input_tokens, 7);
  }),

  "streaming": c.always(async () => {
    const stream = client.messages.stream(ask);
    let text = "";
    stream.on("text", (piece) => (text += piece));
    const end = await stream.finalMessage();
    assert.equal(text, c.greeting);
    assert.equal(textOf(end), c.greeting);
    assert.equal(end.usage.output_tokens, 5);
  }),

  "tool calls": c.always(async () => {
    const answer = await client.messages.create({ ...ask, tools });
    const [call] = answer.content;
    assert.equal(answer.stop_reason, "tool_use");
    assert.equal(call.name, "forecast");
    assert.deepEqual(call.input, c.toolArguments);
    const end = await client.messages.create({
      ...ask, tools,
      messages: [
        ...ask.messages,
        { role: "assistant", content: answer.content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "snow" }] },
      ],
    });
    assert.equal(textOf(end), c.toolSays + "snow");
  }),

  "tool calls, streamed": c.always(async () => {
    const end = await client.messages.stream({ ...ask, tools }).finalMessage();
    assert.deepEqual(end.content[0].input, c.toolArguments);
  }),

  "structured output": c.always(async () => {
    const answer = await client.messages.parse({ ...ask, output_config: { format: zodOutputFormat(forecast) } });
    assert.deepEqual(answer.parsed_output, c.structured);
  }),

  "image input": c.always(async (i) => {
    const image = c.bytes(100_000 + i);
    const source = { type: "base64", media_type: "image/png", data: Buffer.from(image).toString("base64") };
    const content = [{ type: "image", source }, { type: "text", text: "What is this?" }];
    const answer = await client.messages.create({ ...ask, messages: [{ role: "user", content }] });
    assert.equal(textOf(answer), c.fingerprint(image));
  }),

  "list of models": async () => {
    const ids = [];
    for await (const model of client.models.list()) {
      assert.equal(model.type, "model");
      ids.push(model.id);
    }
    assert.deepEqual(ids.slice(0, 4), ["gpt-4o", "chatgpt", "claude", "org/embed"]);
    assert.equal((await client.models.retrieve("claude")).id, "claude");
  },

  "abort in mid-stream": async () => {
    const stream = await client.messages.create({ ...ask, model: "endless", stream: true });
    for await (const event of stream) {
      if (event.type === "content_block_delta") {
        assert.equal(event.delta.text, "Grüße ");
        break; // which aborts
      }
    }
    assert.ok(stream.controller.signal.aborted);

    const other = client.messages.stream({ ...ask, model: "endless" });
    other.on("text", () => other.abort());
    const error = await c.failure(() => other.finalMessage());
    assert.ok(error instanceof Anthropic.APIUserAbortError, `got ${error}`);
  },

  "cut stream": async () => {
    const error = await c.failure(() => client.messages.stream({ ...ask, model: "cut" }).finalMessage());
    assert.ok(error instanceof Anthropic.APIError, `got ${error}`);
    assert.match(error.message, /lost before its answer was complete/);
  },

  "resumed stream": async () => {
    assert.equal(await client.messages.stream({ ...ask, model: "resumed" }).finalText(), c.greeting);
  },

  "typed errors": async () => {
    for (const [model, type, status, kind] of [
      ["answers-400", Anthropic.BadRequestError, 400, "invalid_request_error"],
      ["answers-403", Anthropic.PermissionDeniedError, 403, "permission_error"],
      ["answers-404", Anthropic.NotFoundError, 404, "invalid_request_error"],
      ["answers-422", Anthropic.UnprocessableEntityError, 422, "invalid_request_error"],
      ["answers-429", Anthropic.RateLimitError, 429, "rate_limit_error"],
      ["answers-500", Anthropic.InternalServerError, 500, "api_error"],
      ["nobody-knows-it", Anthropic.NotFoundError, 404, "not_found_error"],
    ]) {
      for (const stream of [false, true]) {
        const error = await c.failure(() => client.messages.create({ ...ask, model, stream }));
        assert.ok(error instanceof type, `${model}: got ${error?.constructor.name}, want ${type.name}`);
        c.fields(error, { status });
        assert.equal(error.error.error.type, kind);
        if (model.startsWith("answers")) {
          c.fields(error, { requestID: "req_of_provider" });
        }
        if (status === 429) {
          assert.equal(error.headers.get("retry-after"), "7");
        }
      }
    }
  },

  "the client's own key": async () => {
    assert.equal(textOf(await client.messages.create({ ...ask, model: "own-key" })), c.greeting);
    const { fetch, seen } = c.watched();
    const error = await c.failure(() => connect({ fetch, apiKey: "sk-wrong", maxRetries: 2 }).messages.create({ ...ask, model: "own-key" }));
    assert.ok(error instanceof Anthropic.AuthenticationError, `got ${error}`);
    assert.equal(seen.length, 1);
  },

  "retries not multiplied": async () => {
    const { fetch, attempts } = c.watched();
    await c.failure(() => connect({ fetch, maxRetries: 2 }).messages.create({ ...ask, model: "down" }));
    assert.deepEqual(attempts(), [3, 1, 1]); // the router's own two come with the first
  },

  "bad requests not retried": async () => {
    await asksOnce("answers-400");
    await asksOnce("nobody-knows-it");
  },

  "no quota, no retries": () => asksOnce("answers-quota"),

  "Retry-After waited for": async () => {
    const { fetch, seen } = c.watched();
    assert.equal(textOf(await connect({ fetch, maxRetries: 2 }).messages.create({ ...ask, model: "limited" })), c.greeting);
    c.waited(seen);
  },

  "time limit kept": async () => {
    const { fetch, attempts } = c.watched();
    const answer = await connect({ fetch, timeout: 2000 }).messages.create({ ...ask, model: "slow" });
    assert.equal(textOf(answer), c.greeting);
    assert.deepEqual(attempts(), [2]);
  },
});
