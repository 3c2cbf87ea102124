// OpenAI's SDK in front of each recorded provider.
import assert from 'node:assert/strict';

import { BASE_URL, KEY, OpenAI, run, throws } from './cases.mjs';
import { TOOLS, matrix, toolOf } from './matrix.mjs';

const client = new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: KEY, maxRetries: 0 });
const HI = [{ role: 'user', content: 'hi' }];
const FUNCTIONS = TOOLS.map(({ name, description, schema }) => ({ type: 'function', function: { name, description, parameters: schema } }));

const ask = (model, messages, more) => client.chat.completions.create({ model, messages, ...more });
const chat = async (model) => (await ask(model, HI)).choices[0].message.content;

async function* stream(model) {
  for await (const { choices } of await ask(model, HI, { stream: true })) yield choices[0]?.delta.content ?? '';
}

async function tools(model) {
  const messages = [...HI];
  for (;;) {
    const { message } = (await ask(model, messages, { tools: FUNCTIONS })).choices[0];
    if (!message.tool_calls?.length) return message.content;
    messages.push(message);
    for (const { id, function: { name, arguments: given } } of message.tool_calls) {
      messages.push({ role: 'tool', tool_call_id: id, content: toolOf(name).call(JSON.parse(given)) });
    }
  }
}

async function error(model) {
  assert.equal((await throws(OpenAI.RateLimitError, () => chat(model))).status, 429);
}

matrix({ chat, stream, tools, error });
await run();
