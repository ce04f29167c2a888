// The Vercel AI SDK, with its provider for OpenAI-compatible servers.

import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, Output, RetryError, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import * as c from "./cases.mjs";

const connect = (options) => createOpenAICompatible({
  name: "router", baseURL: `${c.base}/v1`, apiKey: c.key, includeUsage: true, supportsStructuredOutputs: true, ...options,
});
const provider = connect();
const model = provider("gpt-4o");
const prompt = "Hi";
const once = { maxRetries: 0 };
const forecast = z.object({ city: z.string(), degrees: z.number(), sky: z.array(z.string()) });
const tools = {
  forecast: tool({
    inputSchema: z.object({ city: z.string(), days: z.number() }),
    execute: ({ city, days }) => `${days} days of snow in ${city}`,
  }),
};

// stream reads a stream to its end, and throws what it reports.
async function stream(options) {
  let failed;
  const result = streamText({ ...once, ...options, onError: ({ error }) => (failed = error) });
  let text = "";
  for await (const piece of result.textStream) {
    text += piece;
  }
  if (failed) {
    throw failed;
  }
  return { text, finish: await result.finishReason, tokens: (await result.usage).totalTokens, steps: await result.steps };
}

// asksOnce checks that a client that would retry asks once.
async function asksOnce(name) {
  const { fetch, seen } = c.watched();
  await c.failure(() => generateText({ model: connect({ fetch })(name), prompt }));
  assert.equal(seen.length, 1, name);
}

await c.run({
  "chat": c.always(async () => {
    const answer = await generateText({ ...once, model: provider("chatgpt"), prompt });
    assert.equal(answer.text, c.greeting);
    assert.equal(answer.finishReason, "stop");
    assert.equal(answer.usage.totalTokens, 8);
  }),

  "streaming": c.always(async () => {
    const got = await stream({ model, prompt });
    assert.equal(got.text, c.greeting);
    assert.equal(got.finish, "stop");
    assert.equal(got.tokens, 8);
  }),

  "tool calls": c.always(async () => {
    const answer = await generateText({ ...once, model, prompt, tools, stopWhen: stepCountIs(2) });
    assert.deepEqual(answer.steps[0].toolCalls[0].input, c.toolArguments);
    assert.equal(answer.text, c.toolSays + "3 days of snow in Tromsø");
  }),

  "tool calls, streamed": c.always(async () => {
    const got = await stream({ model, prompt, tools, stopWhen: stepCountIs(2) });
    assert.deepEqual(got.steps[0].toolCalls[0].input, c.toolArguments);
    assert.equal(got.text, c.toolSays + "3 days of snow in Tromsø");
  }),

  "structured output": c.always(async () => {
    const output = Output.object({ schema: forecast });
    assert.deepEqual((await generateText({ ...once, model, prompt, output })).output, c.structured);

    const result = streamText({ ...once, model, prompt, output });
    let last;
    for await (const partial of result.partialOutputStream) {
      last = partial;
    }
    assert.deepEqual(last, c.structured);
  }),

  "image input": c.always(async (i) => {
    const image = c.bytes(100_000 + i);
    const content = [{ type: "text", text: "What is this?" }, { type: "image", image, mediaType: "image/png" }];
    const answer = await generateText({ ...once, model, messages: [{ role: "user", content }] });
    assert.equal(answer.text, c.fingerprint(image));
  }),

  "embeddings": c.always(async () => {
    const answer = await embedMany({ ...once, model: provider.embeddingModel("org/embed"), values: ["one", "three"] });
    assert.deepEqual(answer.embeddings, [[3, 0, 0.5, -0.25], [5, 1, 0.5, -0.25]]);
  }),

  "abort in mid-stream": async () => {
    const controller = new AbortController();
    let aborted = false;
    const result = streamText({
      ...once, model: provider("endless"), prompt, abortSignal: controller.signal, onAbort: () => (aborted = true),
    });
    let text = "";
    for await (const piece of result.textStream) {
      text += piece;
      controller.abort();
    }
    assert.equal(text, "Grüße ");
    assert.ok(aborted);
  },

  "cut stream": async () => {
    const error = await c.failure(() => stream({ model: provider("cut"), prompt }));
    assert.match(JSON.stringify(error) + error, /lost before its answer was complete/);
  },

  "resumed stream": async () => {
    assert.equal((await stream({ model: provider("resumed"), prompt })).text, c.greeting);
  },

  "typed errors": async () => {
    for (const [what, status, retryable, code] of [
      ["answers-400", 400, false, "unknown_parameter"],
      ["answers-403", 403, false, "forbidden"],
      ["answers-404", 404, false, "model_not_found"],
      ["answers-422", 422, false, "invalid_value"],
      ["answers-429", 429, true, "rate_limit_exceeded"],
      ["answers-500", 500, true, "internal_error"],
      ["nobody-knows-it", 404, false, "model_not_found"],
    ]) {
      for (const ask of [generateText, stream]) {
        const error = await c.failure(() => ask({ ...once, model: provider(what), prompt }));
        assert.ok(APICallError.isInstance(error), `${what}: got ${error}`);
        c.fields(error, { statusCode: status, isRetryable: retryable });
        assert.equal(error.data.error.code, code);
        if (status === 429) {
          assert.equal(error.responseHeaders["retry-after"], "7");
          assert.equal(error.responseHeaders["x-ratelimit-remaining-requests"], "0");
        }
      }
    }
  },

  "the client's own key": async () => {
    assert.equal((await generateText({ ...once, model: provider("own-key"), prompt })).text, c.greeting);
    const { fetch, seen } = c.watched();
    const error = await c.failure(() => generateText({ model: connect({ fetch, apiKey: "sk-wrong" })("own-key"), prompt }));
    c.fields(error, { statusCode: 401 });
    assert.equal(seen.length, 1);
  },

  // It does not say that a request is a retry, unless it is made to.
  "retries not multiplied": async () => {
    for (const [headers, want] of [[{}, [3, 3, 3]], [{ "X-Stainless-Retry-Count": "1" }, [1, 1, 1]]]) {
      const { fetch, attempts } = c.watched();
      const error = await c.failure(() => generateText({ model: connect({ fetch, headers })("down"), prompt }));
      assert.ok(RetryError.isInstance(error), `got ${error}`);
      assert.deepEqual(attempts(), want);
    }
  },

  "bad requests not retried": async () => {
    await asksOnce("answers-400");
    await asksOnce("nobody-knows-it");
  },

  "Retry-After waited for": async () => {
    const { fetch, seen } = c.watched();
    assert.equal((await generateText({ model: connect({ fetch })("limited"), prompt })).text, c.greeting);
    c.waited(seen);
  },
});
