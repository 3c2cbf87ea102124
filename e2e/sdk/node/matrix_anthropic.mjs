// Anthropic's SDK in front of each recorded provider.
import assert from 'node:assert/strict';

import { BASE_URL, KEY, require, run, throws } from './cases.mjs';
import { TOOLS, matrix, toolOf } from './matrix.mjs';

const { default: Anthropic } = require('@anthropic-ai/sdk');
const client = new Anthropic({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0 });
const HI = [{ role: 'user', content: 'hi' }];
const FUNCTIONS = TOOLS.map(({ name, description, schema }) => ({ name, description, input_schema: schema }));

const ask = (model, messages, more) => client.messages.create({ model, messages, max_tokens: 1000, ...more });
const text = ({ content }) => content.filter(({ type }) => type === 'text').map((block) => block.text).join('');
const chat = async (model) => text(await ask(model, HI));

async function* stream(model) {
  for await (const event of await ask(model, HI, { stream: true })) {
    if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') yield event.delta.text;
  }
}

async function tools(model) {
  const messages = [...HI];
  for (;;) {
    const message = await ask(model, messages, { tools: FUNCTIONS });
    const calls = message.content.filter(({ type }) => type === 'tool_use');
    if (calls.length === 0) return text(message);
    const results = calls.map(({ id, name, input }) => ({ type: 'tool_result', tool_use_id: id, content: toolOf(name).call(input) }));
    messages.push({ role: 'assistant', content: message.content }, { role: 'user', content: results });
  }
}

async function error(model) {
  assert.equal((await throws(Anthropic.RateLimitError, () => chat(model))).status, 429);
}

matrix({ chat, stream, tools, error });
await run();
