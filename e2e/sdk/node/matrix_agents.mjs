// OpenAI's Agents SDK for JavaScript, by chat and by its own default, Responses.
import assert from 'node:assert/strict';

import { BASE_URL, KEY, OpenAI, require, run, throws } from './cases.mjs';
import { TOOLS, matrix } from './matrix.mjs';

const { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, run: ask, setTracingDisabled, tool } = require('@openai/agents');

setTracingDisabled(true);
const client = new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: KEY, maxRetries: 0 });
const offered = TOOLS.map(({ name, description, schema, call }) =>
  tool({ name, description, parameters: schema, strict: false, execute: (given) => call(typeof given === 'string' ? JSON.parse(given) : given) }),
);

function agent(model, tools = []) {
  const Model = ['from-openai', 'from-cohere'].includes(model) ? OpenAIChatCompletionsModel : OpenAIResponsesModel;
  return new Agent({ name: 'weatherman', model: new Model(client, model), tools });
}

const chat = async (model) => (await ask(agent(model), 'hi')).finalOutput;
const stream = async function* (model) {
  yield* (await ask(agent(model), 'hi', { stream: true })).toTextStream();
};
const tools = async (model) => (await ask(agent(model, offered), 'hi')).finalOutput;

async function error(model) {
  assert.equal((await throws(OpenAI.RateLimitError, () => chat(model))).status, 429);
}

matrix({ chat, stream, tools, error });
await run();
