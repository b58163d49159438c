// Chat Completions and Responses through the openai package.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { AWKWARD, BASE, CLOCK, DIRECT, FAULT, KEY, PERSON, PNG_BASE64, STRANGER, TIMEOUT_MS, WEATHER, collect, eachModel, includes, isClock, isPerson, isWeather, nonce, refusal, sawImage, throughGateway } from './manners.mjs';

const connect = (apiKey) => new OpenAI({ baseURL: `${BASE}/v1`, apiKey, maxRetries: 0, timeout: TIMEOUT_MS });
const client = connect(KEY);
const thinker = new OpenAI({ baseURL: process.env.THINKS_BASE, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT_MS });
const PNG_URL = `data:image/png;base64,${PNG_BASE64}`;

const chatTool = ({ name, description, schema }) => ({ type: 'function', function: { name, description, parameters: schema } });
const flatTool = ({ name, description, schema }) => ({ type: 'function', name, description, parameters: schema, strict: false });
const CHAT_TOOLS = [chatTool(WEATHER), chatTool(CLOCK)];
const FLAT_TOOLS = [flatTool(WEATHER), flatTool(CLOCK)];
const ask = (content) => [{ role: 'user', content }];
const both = () => `Use both get_weather and get_time for Paris ${nonce()}`;

const chat = (name, run, choice) => eachModel('openai-chat', `chat: ${name}`, run, choice);
const responses = (name, run, choice) => eachModel('openai-responses', `responses: ${name}`, run, choice);

chat('plain and stream agree', async ({ name: model }) => {
  const messages = ask(`Say ${nonce()} ${AWKWARD} end`);
  const whole = await client.chat.completions.create({ model, messages });
  includes(whole.choices[0].message.content, AWKWARD);
  assert.equal(whole.choices[0].finish_reason, 'stop');
  assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
  const chunks = await collect(await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), whole.choices[0].message.content);
  const usages = chunks.filter((chunk) => chunk.usage);
  assert.equal(usages.length, 1);
  assert.equal(usages[0].usage.total_tokens, whole.usage.total_tokens);
});

chat('parallel calls and their results', async ({ name: model }) => {
  const messages = ask(both());
  const stream = client.chat.completions.stream({ model, messages, tools: CHAT_TOOLS });
  const { message, finish_reason: reason } = (await stream.finalChatCompletion()).choices[0];
  assert.equal(reason, 'tool_calls');
  assert.deepEqual(message.tool_calls.map((call) => call.function.name), ['get_weather', 'get_time']);
  isWeather(JSON.parse(message.tool_calls[0].function.arguments));
  isClock(JSON.parse(message.tool_calls[1].function.arguments));
  const words = [nonce(), nonce()];
  messages.push({ role: 'assistant', content: message.content, tool_calls: message.tool_calls.map(({ id, type, function: { name, arguments: text } }) => ({ id, type, function: { name, arguments: text } })) });
  message.tool_calls.forEach((call, n) => messages.push({ role: 'tool', tool_call_id: call.id, content: words[n] }));
  const answer = await client.chat.completions.create({ model, messages, tools: CHAT_TOOLS });
  for (const word of words) includes(answer.choices[0].message.content, word);
});

chat('structured output', async ({ name: model }) => {
  const form = { type: 'json_schema', json_schema: { name: 'person', schema: PERSON, strict: true } };
  const answer = await client.chat.completions.parse({ model, messages: ask(`A person ${nonce()}`), response_format: form });
  isPerson(answer.choices[0].message.parsed);
});

chat('image', async ({ name: model }) => {
  const answer = await client.chat.completions.create({ model, messages: ask([{ type: 'text', text: 'Describe' }, { type: 'image_url', image_url: { url: PNG_URL } }]) });
  sawImage(answer.choices[0].message.content);
});

chat('thinking is shown and replayed', async ({ thinks: model, dialect }) => {
  const asked = { model, tools: CHAT_TOOLS, reasoning_effort: 'high', max_completion_tokens: 20000 };
  const messages = ask(`Call get_weather for Paris ${nonce()}`);
  const { message } = (await thinker.chat.completions.create({ ...asked, messages })).choices[0];
  assert.ok(message.reasoning_content || dialect === 'openai-responses'); // which shows a summary only on Responses
  const word = nonce();
  messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: word });
  includes((await thinker.chat.completions.create({ ...asked, messages })).choices[0].message.content, word);
});

responses('plain and stream agree', async ({ name: model }) => {
  const input = `Say ${nonce()} ${AWKWARD} end`;
  const whole = await client.responses.create({ model, input });
  includes(whole.output_text, AWKWARD);
  assert.equal(whole.status, 'completed');
  const stream = client.responses.stream({ model, input });
  const events = await collect(stream);
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, n) => events[0].sequence_number + n));
  assert.equal((await stream.finalResponse()).output_text, whole.output_text);
});

responses('parallel calls, their results, an image in one', async ({ name: model }) => {
  const input = ask(both());
  const stream = client.responses.stream({ model, input, tools: FLAT_TOOLS });
  const first = await stream.finalResponse();
  const calls = first.output.filter((item) => item.type === 'function_call');
  assert.deepEqual(calls.map((call) => call.name), ['get_weather', 'get_time']);
  isWeather(JSON.parse(calls[0].arguments));
  isClock(JSON.parse(calls[1].arguments));
  const words = [nonce(), nonce()];
  input.push(...first.output.map(({ parsed_arguments: _, ...item }) => item));
  input.push({ type: 'function_call_output', call_id: calls[0].call_id, output: words[0] });
  input.push({ type: 'function_call_output', call_id: calls[1].call_id, output: [{ type: 'input_text', text: words[1] }, { type: 'input_image', image_url: PNG_URL, detail: 'auto' }] });
  const answer = await client.responses.create({ model, input, tools: FLAT_TOOLS });
  for (const word of words) includes(answer.output_text, word);
  sawImage(answer.output_text);
});

responses('structured output', async ({ name: model }) => {
  const format = { type: 'json_schema', name: 'person', schema: PERSON, strict: true };
  const answer = await client.responses.parse({ model, input: `A person ${nonce()}`, text: { format } });
  isPerson(answer.output_parsed);
});

responses('image', async ({ name: model }) => {
  const answer = await client.responses.create({ model, input: ask([{ type: 'input_text', text: 'Describe' }, { type: 'input_image', image_url: PNG_URL, detail: 'auto' }]) });
  sawImage(answer.output_text);
});

responses('thinking is sealed and replayed', async ({ thinks: model }) => {
  const asked = { model, tools: FLAT_TOOLS, reasoning: { effort: 'high', summary: 'auto' }, include: ['reasoning.encrypted_content'], store: false };
  const input = ask(`Call get_weather for Paris ${nonce()}`);
  const first = await client.responses.create({ ...asked, input });
  assert.ok(first.output.some((item) => item.type === 'reasoning'));
  const call = first.output.find((item) => item.type === 'function_call');
  const word = nonce();
  input.push(...first.output, { type: 'function_call_output', call_id: call.call_id, output: word });
  includes((await client.responses.create({ ...asked, input })).output_text, word);
});

eachModel('openai-chat', 'embeddings', async ({ embeds: model }) => {
  const answer = await client.embeddings.create({ model, input: ['one', 'two'] });
  assert.equal(answer.data.length, 2);
  assert.notDeepEqual(answer.data[0].embedding, answer.data[1].embedding);
  assert.equal(typeof answer.data[0].embedding[0], 'number');
}, { only: ['openai-chat', 'gemini', 'sandbox'] });

eachModel('openai-chat', 'models', async ({ name }) => {
  assert.ok((await collect(client.models.list())).some((entry) => entry.id === name));
  assert.equal((await client.models.retrieve(name)).id, name);
});

test('wrong key', async () => {
  const refused = await refusal(() => connect(STRANGER).chat.completions.create({ model: 'chat-model', messages: ask('hello') }));
  assert.ok(refused instanceof OpenAI.AuthenticationError, String(refused));
  assert.ok(refused.requestID);
});

throughGateway('unknown model', async () => {
  const refused = await refusal(() => client.chat.completions.create({ model: 'chat-modle', messages: ask('hello') }));
  assert.ok(refused instanceof OpenAI.NotFoundError, String(refused));
  includes(refused.message, 'chat-model');
  assert.equal(refused.code, 'model_not_found');
});

chat('bad request', async ({ name: model }) => {
  const refused = await refusal(() => client.chat.completions.create({ model, messages: [{ role: 'user', content: 7 }] }));
  assert.ok(refused instanceof OpenAI.BadRequestError, String(refused));
  assert.ok(refused.requestID);
});

if (!DIRECT) {
  chat('upstream faults', async ({ faulty: model }) => {
    const call = (content) => refusal(() => client.chat.completions.create({ model, messages: ask(content) }));
    assert.ok((await call(FAULT.BUSY)) instanceof OpenAI.RateLimitError);
    for (const fault of [FAULT.BROKEN, FAULT.DEAD_KEY, ...FAULT.RUBBISH]) {
      const refused = await call(fault);
      assert.ok(refused instanceof OpenAI.InternalServerError, `${fault}: ${refused}`);
    }
  }, { without: ['sandbox'] });

  chat('broken streams raise', async ({ faulty: model }) => {
    for (const fault of FAULT.STREAMS) {
      const refused = await refusal(async () => collect(await client.chat.completions.create({ model, messages: ask(fault), stream: true })));
      assert.ok(refused instanceof OpenAI.APIError, `${fault}: ${refused}`);
    }
  }, { without: ['sandbox'] });
}
