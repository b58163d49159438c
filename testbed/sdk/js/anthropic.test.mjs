// Messages through the @anthropic-ai/sdk package.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { AWKWARD, BASE, CLOCK, DIRECT, FAULT, KEY, PERSON, PNG_BASE64, STRANGER, TIMEOUT_MS, WEATHER, collect, eachModel, includes, isClock, isPerson, isWeather, nonce, refusal, sawImage, throughGateway } from './manners.mjs';

const connect = (apiKey) => new Anthropic({ baseURL: BASE, apiKey, maxRetries: 0, timeout: TIMEOUT_MS });
const client = connect(KEY);
const IMAGE = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG_BASE64 } };
const tool = ({ name, description, schema }) => ({ name, description, input_schema: schema });
const TOOLS = [tool(WEATHER), tool(CLOCK)];
const ask = (content) => [{ role: 'user', content }];
const textOf = (message) => message.content.filter((block) => block.type === 'text').map((block) => block.text).join('');
const callsOf = (message) => message.content.filter((block) => block.type === 'tool_use');
const each = (name, run, choice) => eachModel('anthropic', name, run, choice);

each('plain and stream agree', async ({ name: model }) => {
  const asked = { model, max_tokens: 2000, messages: ask(`Say ${nonce()} ${AWKWARD} end`) };
  const whole = await client.messages.create(asked);
  includes(textOf(whole), AWKWARD);
  assert.equal(whole.stop_reason, 'end_turn');
  const final = await client.messages.stream(asked).finalMessage();
  assert.equal(textOf(final), textOf(whole));
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
});

each('parallel calls, their results, an image in one', async ({ name: model }) => {
  const asked = { model, max_tokens: 2000, tools: TOOLS };
  const messages = ask(`Use both get_weather and get_time for Paris ${nonce()}`);
  const first = await client.messages.stream({ ...asked, messages }).finalMessage();
  const calls = callsOf(first);
  assert.equal(first.stop_reason, 'tool_use');
  assert.deepEqual(calls.map((call) => call.name), ['get_weather', 'get_time']);
  isWeather(calls[0].input);
  isClock(calls[1].input);
  const words = [nonce(), nonce()];
  messages.push({ role: 'assistant', content: first.content });
  messages.push({ role: 'user', content: [
    { type: 'tool_result', tool_use_id: calls[0].id, content: words[0] },
    { type: 'tool_result', tool_use_id: calls[1].id, content: [{ type: 'text', text: words[1] }, IMAGE] },
  ] });
  const answer = textOf(await client.messages.create({ ...asked, messages }));
  for (const word of words) includes(answer, word);
  sawImage(answer);
});

each('structured output', async ({ name: model }) => {
  const format = { type: 'json_schema', schema: PERSON };
  const answer = await client.messages.create({ model, max_tokens: 2000, messages: ask(`A person ${nonce()}`), output_config: { format } });
  isPerson(JSON.parse(textOf(answer)));
});

each('image', async ({ name: model }) => {
  sawImage(textOf(await client.messages.create({ model, max_tokens: 2000, messages: ask([IMAGE, { type: 'text', text: 'Describe' }]) })));
});

each('thinking is signed and replayed', async ({ thinks: model }) => {
  const asked = { model, max_tokens: 8000, tools: TOOLS, thinking: { type: 'enabled', budget_tokens: 1024 } };
  const messages = ask(`Call get_weather for Paris ${nonce()}`);
  const first = await client.messages.stream({ ...asked, messages }).finalMessage();
  assert.equal(first.content[0].type, 'thinking');
  assert.ok(first.content[0].thinking);
  const word = nonce();
  messages.push({ role: 'assistant', content: first.content });
  messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: callsOf(first)[0].id, content: word }] });
  includes(textOf(await client.messages.create({ ...asked, messages })), word);
});

each('count of tokens', async ({ name: model }) => {
  assert.ok((await client.messages.countTokens({ model, messages: ask('count this') })).input_tokens > 0);
});

each('models', async ({ name }) => {
  assert.ok((await collect(client.models.list())).some((entry) => entry.id === name));
  assert.equal((await client.models.retrieve(name)).id, name);
});

test('wrong key', async () => {
  const refused = await refusal(() => connect(STRANGER).messages.create({ model: 'claude-model', max_tokens: 100, messages: ask('hello') }));
  assert.ok(refused instanceof Anthropic.AuthenticationError, String(refused));
  assert.ok(refused.requestID);
});

throughGateway('unknown model', async () => {
  const refused = await refusal(() => client.messages.create({ model: 'claude-modle', max_tokens: 100, messages: ask('hello') }));
  assert.ok(refused instanceof Anthropic.NotFoundError, String(refused));
  includes(refused.message, 'claude-model');
});

each('bad request', async ({ name: model }) => {
  const refused = await refusal(() => client.messages.create({ model, max_tokens: 100, messages: [{ role: 'user', content: 7 }] }));
  assert.ok(refused instanceof Anthropic.BadRequestError, String(refused));
});

if (!DIRECT) {
  each('upstream faults', async ({ faulty: model }) => {
    const call = (content) => refusal(() => client.messages.create({ model, max_tokens: 100, messages: ask(content) }));
    assert.ok((await call(FAULT.BUSY)) instanceof Anthropic.RateLimitError);
    for (const fault of [FAULT.BROKEN, FAULT.DEAD_KEY, ...FAULT.RUBBISH]) {
      const refused = await call(fault);
      assert.ok(refused instanceof Anthropic.InternalServerError, `${fault}: ${refused}`);
    }
  }, { without: ['sandbox'] });

  each('broken streams raise', async ({ faulty: model }) => {
    for (const fault of FAULT.STREAMS) {
      const refused = await refusal(() => client.messages.stream({ model, max_tokens: 100, messages: ask(fault) }).finalMessage());
      assert.ok(refused instanceof Anthropic.APIError, `${fault}: ${refused}`);
    }
  }, { without: ['sandbox'] });
}
