// The official OpenAI client against a gateway: node openai_client.mjs BASE_URL MODEL.
// Prints "ok NAME" or "FAIL NAME: why" for each check; exit status 1 if one failed.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "unused", maxRetries: 0, timeout: 60_000 });
const question = [{ role: "user", content: "What is 27 + 48?" }];
let failed = 0;

async function check(name, body) {
  try {
    await body();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.message.split("\n")[0]}`);
  }
}
function expect(condition, message) {
  if (!condition) throw new Error(message);
}
async function refused(promise, status, needle) {
  try {
    await promise;
  } catch (error) {
    expect(error instanceof OpenAI.APIError, `not an API error: ${error}`);
    expect(error.status === status, `status ${error.status}, expected ${status}: ${error.message}`);
    expect(JSON.stringify(error.error).includes(needle), `${JSON.stringify(error.error)} does not name ${needle}`);
    return;
  }
  throw new Error(`was accepted, expected ${status}`);
}

await check("chat_completion", async () => {
  const reply = await client.chat.completions.create({ model, messages: question, temperature: 0 });
  expect(reply.object === "chat.completion" && reply.id && reply.created > 1.7e9, "envelope");
  expect(reply.choices.length === 1 && reply.choices[0].message.role === "assistant", "choices");
  expect(reply.choices[0].message.content.includes("75"), `answer: ${reply.choices[0].message.content}`);
  expect(reply.choices[0].finish_reason === "stop", `finish_reason ${reply.choices[0].finish_reason}`);
  const u = reply.usage;
  expect(u.prompt_tokens > 0 && u.total_tokens === u.prompt_tokens + u.completion_tokens, "usage");
  expect(/^0x[0-9a-f]{64}$/.test(reply.assay.receipt), `receipt id ${reply.assay?.receipt}`);
});

await check("chat_streaming_equals_whole", async () => {
  const ask = { model, messages: [{ role: "user", content: "Tell me a short story about a fox." }], seed: 11,
    temperature: 0.7, top_p: 0.9, max_tokens: 60 };
  const whole = await client.chat.completions.create(ask);
  let text = "", chunks = 0, usage = null, finish = null;
  const stream = await client.chat.completions.create(
    { ...ask, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    expect(chunk.object === "chat.completion.chunk", "chunk object");
    text += chunk.choices[0]?.delta?.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
    chunks += 1;
  }
  expect(chunks > 3, `${chunks} chunks`);
  expect(text === whole.choices[0].message.content, `streamed ${JSON.stringify(text)}, whole ${JSON.stringify(whole.choices[0].message.content)}`);
  expect(finish === whole.choices[0].finish_reason, "finish_reason");
  expect(usage?.completion_tokens === whole.usage.completion_tokens, "usage in the stream");
});

await check("max_tokens_is_length", async () => {
  const reply = await client.chat.completions.create({ model, messages: question, temperature: 0, max_tokens: 2 });
  expect(reply.choices[0].finish_reason === "length" && reply.usage.completion_tokens === 2, "two tokens");
});

await check("stop_strings", async () => {
  const reply = await client.chat.completions.create({ model, messages: question, temperature: 0, stop: ["="] });
  expect(!reply.choices[0].message.content.includes("="), reply.choices[0].message.content);
  expect(reply.choices[0].finish_reason === "stop", "finish_reason");
});

await check("same_seed_same_answer", async () => {
  const ask = { model, messages: [{ role: "user", content: "Tell me a story." }], temperature: 1, seed: 5, max_tokens: 30 };
  const first = await client.chat.completions.create(ask);
  const second = await client.chat.completions.create(ask);
  expect(first.choices[0].message.content === second.choices[0].message.content, "answers differ");
});

await check("completions", async () => {
  const reply = await client.completions.create({ model, prompt: "The capital of", max_tokens: 8, temperature: 0 });
  expect(reply.object === "text_completion" && reply.choices[0].text.length > 0, "text");
  let text = "";
  for await (const chunk of await client.completions.create(
    { model, prompt: "The capital of", max_tokens: 8, temperature: 0, stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  expect(text === reply.choices[0].text, "streamed text differs");
});

await check("models", async () => {
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  expect(ids.includes(model), `models: ${ids}`);
  expect((await client.models.retrieve(model)).object === "model", "retrieve");
});

await check("refusals_are_typed", async () => {
  await refused(client.chat.completions.create({ model: "no-such-model", messages: question }), 404, "no-such-model");
  await refused(client.chat.completions.create({ model, messages: question, n: 2 }), 400, "n");
  await refused(client.chat.completions.create({ model, messages: question, temperature: -1 }), 400, "temperature");
  await refused(client.chat.completions.create({ model, messages: [] }), 400, "messages");
  await refused(client.chat.completions.create({ model, messages: question, tools: [{ type: "function",
    function: { name: "f", parameters: {} } }] }), 400, "tools");
  await refused(client.embeddings.create({ model, input: "x" }), 404, "embeddings");
});

await check("no_provider_fits_says_why", async () => {
  await refused(client.chat.completions.create({ model, messages: question, provider: { max_price: { prompt: 0, completion: 0 } } }), 503, "price");
});

await check("abort_mid_stream", async () => {
  const stream = await client.chat.completions.create({ model, stream: true, max_tokens: 200, temperature: 1, seed: 3,
    messages: [{ role: "user", content: "Tell me a story." }] });
  for await (const _ of stream) { stream.controller.abort(); break; }
  const reply = await client.chat.completions.create({ model, messages: question, temperature: 0 });
  expect(reply.choices[0].message.content.includes("75"), "the gateway works after an abort");
});

process.exit(failed ? 1 : 0);
