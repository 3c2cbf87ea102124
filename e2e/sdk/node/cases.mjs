// Cases of a test program: each prints `ok NAME` or `not ok NAME: why`, and the next one runs all the same.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

// Packages are installed outside the checkout, where an `import` would not look for them.
export const require = createRequire(`${process.env.PORTOLAN_SDK}/`);
export const { default: OpenAI } = require('openai');

export const BASE_URL = process.env.PORTOLAN_BASE_URL;
export const KEY = process.env.PORTOLAN_KEY;
export const client = new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 30_000 });

const cases = [];

export function test(name, body) {
  cases.push([name, body]);
}

export async function run() {
  for (const [name, body] of cases) {
    try {
      await body();
      console.log(`ok ${name}`);
    } catch (error) {
      const place = (error.stack ?? '').split('\n').filter((line) => line.includes('.mjs')).slice(0, 3).join(' ');
      console.log(`not ok ${name}: ${`${error.constructor.name}: ${error.message} ${place}`.split(/\s+/).join(' ')}`);
    }
  }
}

/** What a call throws; it must be of just this class, of which the SDK's users make their decisions. */
export async function throws(kind, call) {
  let thrown;
  try {
    await call();
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown, `did not throw ${kind.name}`);
  assert.equal(thrown.constructor, kind, `threw ${thrown.constructor.name} and not ${kind.name}: ${thrown.message}`);
  return thrown;
}

/** Recorded answers: name, kind, whether a stream, and from its folder the recorded request and what is to be read. */
export function recordings() {
  const found = JSON.parse(readFileSync(process.env.PORTOLAN_RECORDINGS, 'utf8'));
  for (const recording of found) {
    for (const part of ['request', 'response', 'expect']) {
      const path = `${recording.folder}/${part}.json`;
      if (existsSync(path)) recording[part] = JSON.parse(readFileSync(path, 'utf8'));
    }
  }
  return found;
}

/** Text, reason to finish, usage and calls of tools of a stream's first choice. */
export async function collected(stream) {
  const found = { text: '', finish: null, usage: null, calls: [], chunks: 0 };
  for await (const chunk of stream) {
    found.chunks += 1;
    found.usage = chunk.usage ?? found.usage;
    for (const choice of chunk.choices.filter(({ index }) => index === 0)) {
      found.text += choice.delta.content ?? '';
      found.finish = choice.finish_reason ?? found.finish;
      for (const part of choice.delta.tool_calls ?? []) {
        const call = (found.calls[part.index] ??= { id: null, name: null, arguments: '' });
        call.id = part.id ?? call.id;
        call.name = part.function?.name ?? call.name;
        call.arguments += part.function?.arguments ?? '';
      }
    }
  }
  return found;
}
