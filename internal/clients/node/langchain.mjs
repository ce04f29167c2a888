// LangChain.js, with its package for OpenAI.

import assert from "node:assert/strict";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import * as c from "./cases.mjs";

const connect = ({ fetch, headers, ...options } = {}) => new ChatOpenAI({
  model: "gpt-4o", apiKey: c.key, maxRetries: 0,
  configuration: { baseURL: `${c.base}/v1`, fetch, defaultHeaders: headers },
  ...options,
});
const model = connect();
const forecast = z.object({ city: z.string(), degrees: z.number(), sky: z.array(z.string()) });
const forecaster = tool(({ city, days }) => `${days} days of snow in ${city}`, {
  name: "forecast", description: "The weather to come.", schema: z.object({ city: z.string(), days: z.number() }),
});

// stream reads a stream to its end.
async function stream(model) {
  let all;
  for await (const chunk of await model.stream("Hi")) {
    all = all ? all.concat(chunk) : chunk;
  }
  return all;
}

// asksOnce checks that a client that would retry asks once.
async function asksOnce(name) {
  const { fetch, seen } = c.watched();
  await c.failure(() => connect({ fetch, model: name, maxRetries: 2 }).invoke("Hi"));
  assert.equal(seen.length, 1, name);
}

await c.run({
  "chat": c.always(async () => {
    const answer = await connect({ model: "chatgpt" }).invoke("Hi");
    assert.equal(answer.text, c.greeting);
    assert.equal(answer.response_metadata.finish_reason, "stop");
    assert.equal(answer.usage_metadata.total_tokens, 8);
  }),

  "streaming": c.always(async () => {
    const answer = await stream(model);
    assert.equal(answer.text, c.greeting);
    assert.equal(answer.usage_metadata.total_tokens, 8);
  }),

  "tool calls": c.always(async () => {
    const answer = await model.bindTools([forecaster]).invoke("Hi");
    const [call] = answer.tool_calls;
    assert.equal(call.name, "forecast");
    assert.deepEqual(call.args, c.toolArguments);
    const result = await forecaster.invoke(call);
    assert.ok(result instanceof ToolMessage);
    const end = await model.bindTools([forecaster]).invoke([new HumanMessage("Hi"), answer, result]);
    assert.equal(end.text, c.toolSays + "3 days of snow in Tromsø");
  }),

  "tool calls, streamed": c.always(async () => {
    assert.deepEqual((await stream(model.bindTools([forecaster]))).tool_calls[0].args, c.toolArguments);
  }),

  "structured output": c.always(async () => {
    assert.deepEqual(await model.withStructuredOutput(forecast, { method: "jsonSchema" }).invoke("Hi"), c.structured);
  }),

  "image input": c.always(async (i) => {
    const image = c.bytes(100_000 + i);
    const url = `data:image/png;base64,${Buffer.from(image).toString("base64")}`;
    const answer = await model.invoke([new HumanMessage({
      content: [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url } }],
    })]);
    assert.equal(answer.text, c.fingerprint(image));
  }),

  "Responses API": c.always(async () => {
    const responses = connect({ useResponsesApi: true });
    assert.equal((await responses.invoke("Hi")).text, c.greeting);
    assert.equal((await stream(responses)).text, c.greeting);
  }),

  "embeddings": c.always(async () => {
    const embeddings = new OpenAIEmbeddings({
      model: "org/embed", apiKey: c.key, maxRetries: 0, configuration: { baseURL: `${c.base}/v1` },
    });
    assert.deepEqual(await embeddings.embedDocuments(["one", "three"]), [[3, 0, 0.5, -0.25], [5, 1, 0.5, -0.25]]);
    assert.deepEqual(await embeddings.embedQuery("three"), [5, 0, 0.5, -0.25]);
  }),

  "abort in mid-stream": async () => {
    const controller = new AbortController();
    let text = "";
    await c.failure(async () => {
      for await (const chunk of await connect({ model: "endless" }).stream("Hi", { signal: controller.signal })) {
        text += chunk.text;
        if (text) {
          controller.abort();
        }
      }
    });
    assert.equal(text, "Grüße ");
  },

  "cut stream": async () => {
    const error = await c.failure(() => stream(connect({ model: "cut" })));
    assert.match(error.message, /lost before its answer was complete/);
  },

  "resumed stream": async () => {
    assert.equal((await stream(connect({ model: "resumed" }))).text, c.greeting);
  },

  "typed errors": async () => {
    for (const [what, status, code] of [
      ["answers-400", 400, "unknown_parameter"],
      ["answers-403", 403, "forbidden"],
      ["answers-404", 404, "model_not_found"],
      ["answers-422", 422, "invalid_value"],
      ["answers-429", 429, "rate_limit_exceeded"],
      ["answers-500", 500, "internal_error"],
      ["nobody-knows-it", 404, "model_not_found"],
    ]) {
      for (const ask of [(m) => m.invoke("Hi"), stream]) {
        const error = await c.failure(() => ask(connect({ model: what })));
        c.fields(error, { status, code });
        if (status === 429) {
          assert.equal(error.headers.get("retry-after"), "7");
        }
      }
    }
  },

  "the client's own key": async () => {
    assert.equal((await connect({ model: "own-key" }).invoke("Hi")).text, c.greeting);
    const { fetch, seen } = c.watched();
    const error = await c.failure(() => connect({ fetch, model: "own-key", apiKey: "sk-wrong", maxRetries: 2 }).invoke("Hi"));
    c.fields(error, { status: 401, code: "invalid_api_key" });
    assert.equal(seen.length, 1);
  },

  // It does not say that a request is a retry, unless it is made to.
  "retries not multiplied": async () => {
    for (const [headers, want] of [[{}, [3, 3]], [{ "X-Stainless-Retry-Count": "1" }, [1, 1]]]) {
      const { fetch, attempts } = c.watched();
      await c.failure(() => connect({ fetch, headers, model: "down", maxRetries: 1 }).invoke("Hi"));
      assert.deepEqual(attempts(), want);
    }
  },

  "bad requests not retried": async () => {
    await asksOnce("answers-400");
    await asksOnce("nobody-knows-it");
  },

  "no quota, no retries": () => asksOnce("answers-quota"),

  "Retry-After waited for": async () => {
    const { fetch, seen } = c.watched();
    assert.equal((await connect({ fetch, model: "limited", maxRetries: 2 }).invoke("Hi")).text, c.greeting);
    c.waited(seen);
  },
});
