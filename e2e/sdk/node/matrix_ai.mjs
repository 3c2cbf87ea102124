// Vercel's AI SDK: OpenAI's chat and Responses, and Anthropic's messages. A provider of the one is asked in the other.
import assert from 'node:assert/strict';

import { BASE_URL, KEY, require, run, throws } from './cases.mjs';
import { TOOLS, matrix } from './matrix.mjs';

const { APICallError, generateText, jsonSchema, stepCountIs, streamText, tool } = require('ai');
const { createOpenAI } = require('@ai-sdk/openai');
const { createAnthropic } = require('@ai-sdk/anthropic');

const openai = createOpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: KEY });
const anthropic = createAnthropic({ baseURL: `${BASE_URL}/v1`, apiKey: KEY });
const offered = Object.fromEntries(
  TOOLS.map(({ name, description, schema, call }) => [name, tool({ description, inputSchema: jsonSchema(schema), execute: call })]),
);

function modelOf(model) {
  if (['from-openai', 'from-gemini'].includes(model)) return anthropic(model);
  // What it speaks by itself is Responses.
  return model === 'from-anthropic' ? openai(model) : openai.chat(model);
}

const ask = (model) => ({ model: modelOf(model), prompt: 'hi', maxRetries: 0 });
const chat = async (model) => (await generateText(ask(model))).text;
const stream = (model) => streamText(ask(model)).textStream;
const tools = async (model) => (await generateText({ ...ask(model), tools: offered, stopWhen: stepCountIs(3) })).text;

async function error(model) {
  const thrown = await throws(APICallError, () => chat(model));
  assert.deepEqual([thrown.statusCode, thrown.isRetryable], [429, true]);
}

matrix({ chat, stream, tools, error });
await run();
