// LangChain for JavaScript, by OpenAI's dialect and by Anthropic's: a provider of the one is asked in the other.
import assert from 'node:assert/strict';

import { BASE_URL, KEY, require, run } from './cases.mjs';
import { TOOLS, matrix, toolOf } from './matrix.mjs';

const { ChatOpenAI } = require('@langchain/openai');
const { ChatAnthropic } = require('@langchain/anthropic');
const { HumanMessage, ToolMessage } = require('@langchain/core/messages');
const { tool } = require('@langchain/core/tools');

const offered = TOOLS.map(({ name, description, schema, call }) => tool(call, { name, description, schema }));

function llm(model) {
  if (['from-openai', 'from-gemini'].includes(model)) {
    return new ChatAnthropic({ model, anthropicApiUrl: BASE_URL, apiKey: KEY, maxRetries: 0, maxTokens: 1000 });
  }
  return new ChatOpenAI({ model, configuration: { baseURL: `${BASE_URL}/v1` }, apiKey: KEY, maxRetries: 0 });
}

const chat = async (model) => (await llm(model).invoke('hi')).text;

async function* stream(model) {
  for await (const chunk of await llm(model).stream('hi')) yield chunk.text;
}

async function tools(model) {
  const messages = [new HumanMessage('hi')];
  for (;;) {
    const message = await llm(model).bindTools(offered).invoke(messages);
    if (!message.tool_calls?.length) return message.text;
    messages.push(message);
    for (const { id, name, args } of message.tool_calls) {
      messages.push(new ToolMessage({ tool_call_id: id, content: toolOf(name).call(args) }));
    }
  }
}

async function error(model) {
  const thrown = await chat(model).then(() => assert.fail('nothing was thrown'), (reason) => reason);
  assert.deepEqual([thrown.status, thrown.lc_error_code], [429, 'MODEL_RATE_LIMIT'], `${thrown}`);
}

matrix({ chat, stream, tools, error });
await run();
