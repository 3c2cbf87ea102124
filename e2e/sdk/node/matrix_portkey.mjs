// Portkey's SDK for JavaScript, which changes its URL and key. The provider is named in each of the ways that it has.
import assert from 'node:assert/strict';

import { BASE_URL, KEY, require, run } from './cases.mjs';
import { TOOLS, matrix, toolOf } from './matrix.mjs';

const { Portkey } = require('portkey-ai');
const HI = [{ role: 'user', content: 'hi' }];
const FUNCTIONS = TOOLS.map(({ name, description, schema }) => ({ type: 'function', function: { name, description, parameters: schema } }));

const client = (more) => new Portkey({ baseURL: `${BASE_URL}/v1`, apiKey: KEY, ...more });

function ask(model, body) {
  const house = `${model.replace('from-', '')}-house`;
  const named = {
    'from-openai': { provider: `@${house}` },
    'from-anthropic': { virtualKey: house, traceID: 'trace-1', metadata: { _user: 'ada' } },
    'from-gemini': { config: { provider: house } },
    'from-cohere': {},
  };
  const name = model === 'from-cohere' ? `@${house}/${model}` : model;
  return client(named[model]).chat.completions.create({ model: name, ...body });
}

const chat = async (model) => (await ask(model, { messages: HI })).choices[0].message.content;

async function* stream(model) {
  for await (const { choices } of await ask(model, { messages: HI, stream: true })) yield choices[0]?.delta?.content ?? '';
}

async function tools(model) {
  const messages = [...HI];
  for (;;) {
    const { message } = (await ask(model, { messages, tools: FUNCTIONS })).choices[0];
    if (!message.tool_calls?.length) return message.content;
    messages.push(message);
    for (const { id, function: { name, arguments: given } } of message.tool_calls) {
      messages.push({ role: 'tool', tool_call_id: id, content: toolOf(name).call(JSON.parse(given)) });
    }
  }
}

const thrown = (call) => call.then(() => assert.fail('nothing was thrown'), (reason) => reason);

async function error(model) {
  assert.equal((await thrown(chat(model))).status, 429);
  const elsewhere = await thrown(client({ customHost: 'http://127.0.0.1:1/v1' }).chat.completions.create({ model: 'm', messages: HI }));
  assert.deepEqual([elsewhere.status, elsewhere.error?.code ?? elsewhere.error?.error?.code], [400, 'unsupported_header']);
}

matrix({ chat, stream, tools, error });
await run();
