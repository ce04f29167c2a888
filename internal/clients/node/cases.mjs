// What the scripts have in common: where the router is, what providers answer,
// and how a case is reported.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

export const base = process.env.ROUTER;
export const key = "sk-client";

// What the providers answer, as question_test.go has it.
export const greeting = "Grüße from the provider, 世界 👋.";
export const toolArguments = { city: "Tromsø", days: 3 };
export const structured = { city: "Tromsø", degrees: -4, sky: ["clear", "dark"] };
export const toolSays = "The tool says: ";

// run tries all cases, one after the other, and prints a line for each.
export async function run(cases) {
  for (const [name, attempt] of Object.entries(cases)) {
    let error = "";
    try {
      await attempt();
    } catch (e) {
      error = String(e?.stack ?? e) + (e?.cause ? `\ncause: ${e.cause}` : "");
    }
    console.log(JSON.stringify({ case: name, error }));
  }
  process.exit(0); // a connection that is kept alive would keep the process
}

// always makes a case of something that has to hold however the first deployment
// fails: it is done once for each of its turns.
export function always(attempt) {
  return async () => {
    for (let i = 0; i < Number(process.env.TURNS); i++) {
      await attempt(i);
    }
  };
}

// bytes are content for files and images, of all values.
export function bytes(n) {
  return Uint8Array.from({ length: n }, (_, i) => (i * 31) % 256);
}

// fingerprint is what a provider says of bytes that have arrived.
export function fingerprint(content) {
  return `${content.length} bytes, sha256 ${createHash("sha256").update(content).digest("hex")}`;
}

// watched is a fetch that keeps what came of each request: its status, the
// router's attempts, and when it was made.
export function watched() {
  const seen = [];
  const fetch = async (...args) => {
    const at = performance.now();
    const response = await globalThis.fetch(...args);
    seen.push({ at, status: response.status, attempts: Number(response.headers.get("X-LLM-Attempts")) });
    return response;
  };
  return { fetch, seen, attempts: () => seen.map((s) => s.attempts) };
}

// waited checks that a second request was made, a second after the first had been
// answered 429.
export function waited(seen) {
  assert.deepEqual(seen.map((s) => s.status), [429, 200]);
  const gap = seen[1].at - seen[0].at;
  assert.ok(gap >= 950, `asked again after ${gap} ms, want the second that it was told`);
}

// failure is the error that something ends with.
export async function failure(attempt) {
  try {
    await attempt();
  } catch (e) {
    return e;
  }
  assert.fail("got an answer, want an error");
}

// fields checks some fields of an object.
export function fields(got, want) {
  for (const [name, value] of Object.entries(want)) {
    assert.deepEqual(got?.[name], value, `${name} of ${got}`);
  }
}
