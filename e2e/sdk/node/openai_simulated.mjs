// OpenAI's SDK for Node in front of the simulated provider.
import assert from 'node:assert/strict';

import { KEY, OpenAI, client, collected, run, test, throws } from './cases.mjs';

const HI = [{ role: 'user', content: 'hi' }];
const ASK_WEATHER = [{ role: 'user', content: 'call get_weather, please' }];
const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};
let leavings = 0;
/** The scripted provider has seen one more of its calls end early: it answers this one not sooner. */
const left = () => chat({ model: `left-${(leavings += 1)}` });
const chat = (more = {}, options = {}) => client.chat.completions.create({ model: 'chat', messages: HI, ...more }, options);

test('chat', async () => {
  const answer = await chat();
  assert.equal(answer.object, 'chat.completion');
  assert.ok(answer.choices[0].message.content);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test('each_answer_names_its_call', async () => {
  const { response, data } = await chat({}, { headers: { 'x-request-id': 'mine-1' } }).withResponse();
  assert.ok(response.headers.get('x-portolan-call-id'));
  assert.equal(response.headers.get('x-request-id'), 'mine-1');
  assert.ok(data.choices);
});

test('stream', async () => {
  const found = await collected(await chat({ stream: true }));
  assert.ok(found.chunks > 5, 'a stream of one piece is no stream');
  assert.ok(found.text);
  assert.equal(found.finish, 'stop');
  assert.equal(found.usage, null, 'usage that was not asked for');
});

test('stream_with_usage', async () => {
  const found = await collected(await chat({ stream: true, stream_options: { include_usage: true } }));
  assert.equal(found.usage.total_tokens, found.usage.prompt_tokens + found.usage.completion_tokens);
});

test('stream_helper', async () => {
  const stream = client.chat.completions.stream({ model: 'chat', messages: HI });
  let text = '';
  stream.on('content', (piece) => (text += piece));
  assert.equal(await stream.finalContent(), text);
});

test('tools_and_their_results', async () => {
  const answer = await chat({ messages: ASK_WEATHER, tools: [WEATHER] });
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
  const result = { role: 'tool', tool_call_id: call.id, content: 'nineteen degrees' };
  const second = await chat({ messages: [...ASK_WEATHER, answer.choices[0].message, result], tools: [WEATHER] });
  assert.equal(second.choices[0].finish_reason, 'stop');
  assert.match(second.choices[0].message.content, /nineteen degrees/);
});

test('streamed_tools', async () => {
  const found = await collected(await chat({ messages: ASK_WEATHER, tools: [WEATHER], stream: true }));
  assert.equal(found.finish, 'tool_calls');
  assert.equal(found.calls.length, 1);
  assert.equal(found.calls[0].name, 'get_weather');
  assert.equal(typeof JSON.parse(found.calls[0].arguments).city, 'string');
});

test('embeddings_of_floats', async () => {
  const answer = await client.embeddings.create({ model: 'embed', input: ['one', 'two'], encoding_format: 'float', dimensions: 8 });
  assert.deepEqual(answer.data.map(({ index, embedding }) => [index, embedding.length]), [[0, 8], [1, 8]]);
});

test('embeddings_as_the_sdk_asks', async () => {
  const ask = { model: 'embed', input: 'one', dimensions: 8 };
  const decoded = (await client.embeddings.create(ask)).data[0].embedding;
  const floats = (await client.embeddings.create({ ...ask, encoding_format: 'float' })).data[0].embedding;
  assert.equal(decoded.length, 8);
  decoded.forEach((value, at) => assert.ok(Math.abs(value - floats[at]) < 1e-6));
});

test('models_are_listed', async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  for (const name of ['chat', 'embed', 'paced']) assert.ok(names.includes(name), names.join());
});

test('a_model_is_retrieved', async () => {
  assert.equal((await client.models.retrieve('chat')).id, 'chat');
  assert.equal((await throws(OpenAI.NotFoundError, () => client.models.retrieve('nobody'))).code, 'model_not_found');
});

test('responses', async () => {
  const answer = await client.responses.create({ model: 'chat', input: 'hi' });
  assert.equal(answer.status, 'completed');
  assert.ok(answer.output_text);
});

test('streamed_responses', async () => {
  let text = '';
  let last;
  for await (const event of await client.responses.create({ model: 'chat', input: 'hi', stream: true })) {
    if (event.type === 'response.output_text.delta') text += event.delta;
    last = event;
  }
  assert.equal(last.type, 'response.completed');
  assert.equal(text, last.response.output[0].content[0].text);
});

test('a_wrong_key', async () => {
  const ask = (apiKey) => () => client.withOptions({ apiKey }).chat.completions.create({ model: 'chat', messages: HI });
  const error = await throws(OpenAI.AuthenticationError, ask('sk-somebody-elses-key-of-another-house'));
  assert.deepEqual([error.status, error.code], [401, 'invalid_api_key']);
  const mistyped = KEY.slice(0, -1) + (KEY.endsWith('a') ? 'b' : 'a');
  assert.equal((await throws(OpenAI.AuthenticationError, ask(mistyped))).code, 'mistyped_api_key');
});

test('an_unknown_model', async () => {
  const error = await throws(OpenAI.NotFoundError, () => chat({ model: 'chatt' }));
  assert.deepEqual([error.status, error.code], [404, 'model_not_found']);
});

test('a_bad_request', async () => {
  const error = await throws(OpenAI.BadRequestError, () => chat({ messages: 'hi' }));
  assert.deepEqual([error.status, error.type], [400, 'invalid_request_error']);
});

test('a_provider_that_has_enough', async () => {
  const error = await throws(OpenAI.RateLimitError, () => chat({ model: 'limited' }));
  assert.deepEqual([error.status, error.code, error.headers.get('retry-after')], [429, 'upstream_rate_limited', '7']);
});

test('a_provider_that_has_enough_for_a_second', async () => {
  const began = performance.now();
  assert.ok((await chat({ model: 'busy' }, { maxRetries: 1 })).choices);
  assert.ok(performance.now() - began > 900, 'it did not wait');
});

test('a_provider_that_is_late', async () => {
  const error = await throws(OpenAI.InternalServerError, () => chat({ model: 'late' }));
  assert.deepEqual([error.status, error.code], [504, 'upstream_timeout']);
});

test('a_client_that_does_not_wait', async () => {
  for (const model of ['patient', 'endless']) await throws(OpenAI.APIConnectionTimeoutError, () => chat({ model }, { timeout: 400 }));
  await left();
});

test('a_stream_that_breaks_off', async () => {
  const stream = await chat({ model: 'dropping', stream: true });
  const error = await throws(OpenAI.APIError, () => collected(stream));
  assert.equal(error.code, 'upstream_stream_broken');
});

test('a_stream_that_is_left', async () => {
  const stream = await chat({ model: 'paced', stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    stream.controller.abort();
    break;
  }
  for await (const _ of await chat({ model: 'endless', stream: true })) break;
  await left();
});

test('a_call_that_is_aborted', async () => {
  const leaving = new AbortController();
  const options = { signal: leaving.signal };
  const streams = [await chat({ model: 'paced', stream: true }, options), await chat({ model: 'endless', stream: true }, options)];
  const reading = streams.map(collected);
  leaving.abort();
  for (const end of reading) await end.catch((error) => assert.equal(error.constructor, OpenAI.APIUserAbortError));
  await left();
});

await run();
