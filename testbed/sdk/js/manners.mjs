// What the JavaScript suites share; the counterpart of python/manners.py.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';

export const { BASE, KEY, UPSTREAM } = process.env;
export const DIRECT = Boolean(process.env.DIRECT);
export const TIMEOUT_MS = 20_000;
export const STRANGER = 'tg-not-a-key-of-ours-000000000000';

const MODELS = JSON.parse(process.env.MODELS);

/** Faults that the fake upstream plays on request: the last user text asks for one. */
export const FAULT = JSON.parse(process.env.FAULTS);

/**
 * Registers one case per model. `own` is the dialect of the suite's client, the only one it can
 * meet without the gateway; `only` and `without` narrow the upstream dialects.
 */
export function eachModel(own, name, run, { only, without = [] } = {}) {
  for (const model of MODELS) {
    if (only && !only.includes(model.dialect)) continue;
    if (without.includes(model.dialect)) continue;
    if (DIRECT && model.dialect !== own) continue;
    test(`${name} [${model.dialect}]`, { timeout: 2 * TIMEOUT_MS }, () => run(model));
  }
}

/** A case about what only the gateway does. */
export function throughGateway(name, run) {
  test(name, { skip: DIRECT && 'what only the gateway does', timeout: 2 * TIMEOUT_MS }, run);
}

/** A word that no other call uses, so that an answer holding it belongs to this call. */
export const nonce = () => `azurite${randomUUID().replaceAll('-', '').slice(0, 10)}`;

/** Separators that a line splitter by Unicode rules would cut at, and characters of 1 to 4 bytes. */
export const AWKWARD = 'a\u2028b\u2029c\u0085d é 漢字 🦀 " \\ </s>';

export const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a place.',
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
    required: ['city', 'unit'],
    additionalProperties: false,
  },
};

export const CLOCK = {
  name: 'get_time',
  description: 'The time at a place.',
  schema: {
    type: 'object',
    properties: { zone: { type: 'string' }, hours: { type: 'integer' } },
    required: ['zone', 'hours'],
    additionalProperties: false,
  },
};

export const PERSON = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
};

/** A picture of one pixel. */
export const PNG_BASE64 =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
export const PNG_BYTES = Buffer.from(PNG_BASE64, 'base64').length;

export function isWeather(value) {
  assert.equal(typeof value.city, 'string');
  assert.ok(['celsius', 'fahrenheit'].includes(value.unit), `unit ${value.unit}`);
}

export function isClock(value) {
  assert.equal(typeof value.zone, 'string');
  assert.ok(Number.isInteger(value.hours));
}

export function isPerson(value) {
  assert.equal(typeof value.name, 'string');
  assert.ok(Number.isInteger(value.age));
  assert.deepEqual(Object.keys(value).sort(), ['age', 'name']);
}

export function includes(text, part) {
  assert.ok(text?.includes(part), `${JSON.stringify(text)} does not hold ${JSON.stringify(part)}`);
}

export const sawImage = (text) => includes(text, `${PNG_BYTES} bytes`);

export async function collect(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** The error that a call rejects with. */
export async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  assert.fail('the call went through, though it had to be refused');
}
