// What every SDK and framework is tried with, in front of each recorded provider, and the tools that the recordings call.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { test } from './cases.mjs';

export const LIMITED = 'limited';
const RESULT = 'nineteen degrees';
const BACKS = JSON.parse(readFileSync(process.env.PORTOLAN_BACKS, 'utf8'));

let called = [];

const described = [
  ['weather', 'Gets current weather for a location.', ['latitude', 'longitude']],
  ['get_weather', 'Gets the weather in a city.', ['city']],
  ['get_temperature', 'Gets the temperature in a city.', ['city']],
  ['get_user_country', 'Gets the country of the user.', []],
  ['get_country', 'Gets the country.', []],
  ['get_product_name', 'Gets the name of the product.', []],
  ['best_language_to_learn', 'Gets the best language to learn.', []],
  ['currentTime', 'Gets the time.', []],
];

/** Name, description, parameters by name and as a JSON schema, and the function itself. */
export const TOOLS = described.map(([name, description, parameters]) => ({
  name,
  description,
  parameters,
  schema: {
    type: 'object',
    properties: Object.fromEntries(parameters.map((parameter) => [parameter, { type: 'string' }])),
    required: parameters,
    additionalProperties: false,
  },
  call(given) {
    called.push([name, given ?? {}]);
    return RESULT;
  },
}));

export const toolOf = (name) => TOOLS.find((tool) => tool.name === name);

const sorted = (calls) => calls.map((call) => JSON.stringify(call)).sort();
const read = (text, expected) => assert.equal(text.trim(), expected.trim());

/** A case for each provider: `chat(model)` gives a text, `stream(model)` its pieces, `tools(model)` the answer after the tools
 * were called, `error(model)` looks at what is thrown. */
export function matrix({ chat, stream, tools, error }) {
  for (const { model, whole, stream: streamed } of BACKS) {
    test(`chat ${model}`, async () => read(await chat(model), whole.text));
    test(`stream ${model}`, async () => {
      let text = '';
      for await (const piece of stream(model)) text += piece;
      read(text, streamed.text);
    });
    test(`tools ${model}`, async () => {
      called = [];
      const answer = await tools(model);
      assert.deepEqual(sorted(called), sorted(whole.calls.map(([name, given]) => [name, given ?? {}])));
      read(answer, whole.answer);
    });
  }
  test(`error ${LIMITED}`, () => error(LIMITED));
}
