// OpenAI's SDK for Node reads recorded answers of real providers, of either dialect.
import assert from 'node:assert/strict';

import { OpenAI, client, collected, recordings, run, test, throws } from './cases.mjs';

// What is asked of a provider of the other dialect, which must be told all of it.
const CALL = { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } };
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const ROUND = {
  messages: [
    { role: 'system', content: 'be short' },
    { role: 'user', content: 'how warm is it in Paris?' },
    { role: 'assistant', tool_calls: [CALL] },
    { role: 'tool', tool_call_id: 'call_1', content: 'nineteen degrees' },
  ],
  tools: [{ type: 'function', function: { name: 'get_weather', parameters: PARAMETERS } }],
  max_completion_tokens: 1000,
};

function requestOf({ dialect, request, model, stream }) {
  const crossed = dialect !== 'openai';
  const more = crossed && stream ? { stream_options: { include_usage: true } } : {};
  return { ...(crossed ? ROUND : request), model, stream, ...more };
}

async function read(recording) {
  const answer = await client.chat.completions.create(requestOf(recording));
  if (recording.stream) return collected(answer);
  const { message, finish_reason: finish } = answer.choices[0];
  const calls = (message.tool_calls ?? []).map((call) => ({ id: call.id, ...call.function }));
  return { text: message.content ?? '', finish, usage: answer.usage, calls };
}

async function chat(recording) {
  const { expect } = recording;
  const found = await read(recording);
  const calls = found.calls.map(({ id, name, arguments: text }) => ({ id, name, arguments: JSON.parse(text) }));
  assert.equal(found.text, expect.text);
  assert.deepEqual(calls, expect.tool_calls);
  assert.equal(found.finish, expect.finish_reason);
  const asked = !recording.stream || 'stream_options' in requestOf(recording);
  assert.equal(found.usage != null, asked && expect.usage != null, 'usage is there');
  for (const field of found.usage ? ['prompt_tokens', 'completion_tokens', 'total_tokens'] : []) {
    assert.equal(found.usage[field], expect.usage[field], field);
  }
}

async function error(recording) {
  const { status, response, dialect } = recording;
  const ask = () => client.chat.completions.create({ ...requestOf(recording), stream: false });
  // The provider's refusal of the gateway's credential is no fault of the client.
  if (status === 401) {
    assert.equal((await throws(OpenAI.InternalServerError, ask)).code, 'upstream_auth_failed');
    return;
  }
  const kinds = { 400: OpenAI.BadRequestError, 404: OpenAI.NotFoundError, 429: OpenAI.RateLimitError };
  const thrown = await throws(kinds[status], ask);
  // Passed on as it came, or with whose words it repeats: a model that the provider lacks may be the configuration's.
  const verbatim = dialect === 'openai' && status !== 404;
  const prefix = verbatim ? '' : `provider \`${dialect}\` refused the request: `;
  assert.equal(thrown.error.message, prefix + response.error.message);
  if (verbatim) assert.deepEqual([thrown.code, thrown.param], [response.error.code, response.error.param]);
}

async function responses(recording) {
  const answer = await client.responses.create({ ...recording.request, model: recording.model });
  if (!recording.stream) {
    assert.deepEqual(answer.output.map(({ type }) => type), recording.response.output.map(({ type }) => type));
    assert.equal(answer.usage.total_tokens, recording.response.usage.total_tokens);
    return;
  }
  let text = '';
  let last;
  for await (const event of answer) {
    if (event.type === 'response.output_text.delta') text += event.delta;
    last = event;
  }
  assert.match(last.type, /^response\.(completed|incomplete)$/);
  const parts = last.response.output.flatMap(({ content }) => content ?? []).filter(({ type }) => type === 'output_text');
  assert.equal(text, parts.map((part) => part.text).join(''));
}

async function embeddings({ request, model, response }) {
  const answer = await client.embeddings.create({ encoding_format: 'float', ...request, model });
  assert.deepEqual(answer.data.map(({ embedding }) => embedding), response.data.map(({ embedding }) => embedding));
}

/** The SDK asks for base64 when nothing is said, and decodes it itself. */
async function default_embeddings({ request, model, response }) {
  const { encoding_format: _, ...ask } = request;
  const answer = await client.embeddings.create({ ...ask, model });
  const bytes = Buffer.from(response.data[0].embedding, 'base64');
  const floats = Array.from({ length: bytes.length / 4 }, (__, at) => bytes.readFloatLE(at * 4));
  assert.deepEqual(Array.from(answer.data[0].embedding), floats);
}

const KINDS = { chat, error, responses, embeddings, default_embeddings };
for (const recording of recordings()) {
  test(recording.name, () => KINDS[recording.kind](recording));
}
await run();
