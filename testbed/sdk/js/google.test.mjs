// generateContent and its kin through the @google/genai package.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai';
import { AWKWARD, BASE, CLOCK, DIRECT, FAULT, KEY, PERSON, PNG_BASE64, STRANGER, TIMEOUT_MS, WEATHER, collect, eachModel, includes, isClock, isPerson, isWeather, nonce, refusal, sawImage, throughGateway } from './manners.mjs';

const connect = (apiKey, apiVersion) => new GoogleGenAI({ apiKey, apiVersion, httpOptions: { baseUrl: BASE, timeout: TIMEOUT_MS } });
const client = connect(KEY);
const IMAGE = { inlineData: { mimeType: 'image/png', data: PNG_BASE64 } };
const declaration = ({ name, description, schema }) => ({ name, description, parametersJsonSchema: schema });
const TOOLS = [{ functionDeclarations: [declaration(WEATHER), declaration(CLOCK)] }];
const partsOf = (answer) => answer.candidates?.[0]?.content?.parts ?? [];
const textOf = (parts) => parts.filter((part) => part.text && !part.thought).map((part) => part.text).join('');
const callsOf = (parts) => parts.filter((part) => part.functionCall).map((part) => part.functionCall);
const user = (...parts) => ({ role: 'user', parts });
const each = (name, run, choice) => eachModel('gemini', name, run, choice);

each('plain and stream agree', async ({ name: model }) => {
  const contents = `Say ${nonce()} ${AWKWARD} end`;
  const whole = await client.models.generateContent({ model, contents });
  includes(whole.text, AWKWARD);
  assert.equal(whole.candidates[0].finishReason, 'STOP');
  const chunks = await collect(await client.models.generateContentStream({ model, contents }));
  assert.equal(textOf(chunks.flatMap(partsOf)), whole.text);
  assert.equal(chunks.at(-1).usageMetadata.totalTokenCount, whole.usageMetadata.totalTokenCount);
});

each('older version of the API', async ({ name: model }) => {
  const word = nonce();
  includes((await connect(KEY, 'v1beta').models.generateContent({ model, contents: `Say ${word}` })).text, word);
});

each('parallel calls, their results, an image in one', async ({ name: model }) => {
  const question = user({ text: `Use both get_weather and get_time for Paris ${nonce()}` });
  const config = { tools: TOOLS };
  const parts = (await collect(await client.models.generateContentStream({ model, contents: [question], config }))).flatMap(partsOf);
  const calls = callsOf(parts);
  assert.deepEqual(calls.map((call) => call.name), ['get_weather', 'get_time']);
  isWeather(calls[0].args);
  isClock(calls[1].args);
  const words = [nonce(), nonce()];
  const results = calls.map(({ id, name }, n) => ({ functionResponse: { id, name, response: { result: words[n] }, ...(n ? { parts: [IMAGE] } : {}) } }));
  const answer = await client.models.generateContent({ model, contents: [question, { role: 'model', parts }, user(...results)], config });
  for (const word of words) includes(answer.text, word);
  sawImage(answer.text);
});

each('choice of tools', async ({ name: model }) => {
  const calls = async (functionCallingConfig) =>
    callsOf(partsOf(await client.models.generateContent({ model, contents: `Say ${nonce()}`, config: { tools: TOOLS, toolConfig: { functionCallingConfig } } }))).map((call) => call.name);
  assert.deepEqual(await calls({ mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['get_time'] }), ['get_time']);
  assert.deepEqual(await calls({ mode: FunctionCallingConfigMode.NONE }), []);
});

each('structured output', async ({ name: model }) => {
  const config = { responseMimeType: 'application/json', responseJsonSchema: PERSON };
  isPerson(JSON.parse((await client.models.generateContent({ model, contents: `A person ${nonce()}`, config })).text));
});

each('image', async ({ name: model }) => {
  sawImage((await client.models.generateContent({ model, contents: [user({ text: 'Describe' }, IMAGE)] })).text);
});

each('thinking is signed and replayed', async ({ thinks: model }) => {
  const question = user({ text: `Call get_weather for Paris ${nonce()}` });
  const config = { tools: TOOLS, thinkingConfig: { includeThoughts: true, thinkingBudget: 2048 }, maxOutputTokens: 8000 };
  const first = await client.models.generateContent({ model, contents: [question], config });
  assert.ok(partsOf(first).some((part) => part.thought && part.text));
  const [{ id, name }] = callsOf(partsOf(first));
  const word = nonce();
  const reply = user({ functionResponse: { id, name, response: { result: word } } });
  const answer = await client.models.generateContent({ model, contents: [question, first.candidates[0].content, reply], config });
  includes(answer.text, word);
});

each('count of tokens', async ({ name: model }) => {
  assert.ok((await client.models.countTokens({ model, contents: 'count this' })).totalTokens > 0);
});

each('embeddings', async ({ embeds: model }) => {
  const { embeddings } = await client.models.embedContent({ model, contents: ['one', 'two'] });
  assert.equal(embeddings.length, 2);
  assert.notDeepEqual(embeddings[0].values, embeddings[1].values);
}, { only: ['gemini', 'openai-chat', 'sandbox'] });

each('models', async ({ name }) => {
  const listed = await collect(await client.models.list());
  assert.ok(listed.some((entry) => entry.name === `models/${name}`));
  assert.equal((await client.models.get({ model: name })).name, `models/${name}`);
});

test('wrong key', async () => {
  const refused = await refusal(() => connect(STRANGER).models.generateContent({ model: 'gemini-model', contents: 'hello' }));
  assert.ok(refused instanceof ApiError, String(refused));
  assert.ok([400, 401].includes(refused.status));
});

throughGateway('unknown model', async () => {
  const refused = await refusal(() => client.models.generateContent({ model: 'gemini-modle', contents: 'hello' }));
  assert.equal(refused.status, 404);
  includes(refused.message, 'gemini-model');
});

if (!DIRECT) {
  each('upstream faults', async ({ faulty: model }) => {
    const call = (contents) => refusal(() => client.models.generateContent({ model, contents }));
    assert.equal((await call(FAULT.BUSY)).status, 429);
    for (const fault of [FAULT.BROKEN, FAULT.DEAD_KEY, ...FAULT.RUBBISH]) {
      const refused = await call(fault);
      assert.ok([502, 503].includes(refused.status), `${fault}: ${refused}`);
    }
  }, { without: ['sandbox'] });

  each('broken streams raise', async ({ faulty: model }) => {
    for (const fault of FAULT.STREAMS) {
      const refused = await refusal(async () => collect(await client.models.generateContentStream({ model, contents: fault })));
      assert.ok(refused instanceof Error, `${fault}: ${refused}`);
    }
  }, { without: ['sandbox'] });
}
