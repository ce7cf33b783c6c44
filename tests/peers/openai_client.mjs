// The official OpenAI client against a gateway: node openai_client.mjs BASE_URL MODEL, a model whose chat
// template shows tools.
// Prints "ok NAME" or "FAIL NAME: why" for each check; exit status 1 if one failed.
import OpenAI from "openai";
import { check, finish } from "./check.mjs";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "unused", maxRetries: 0, timeout: 60_000 });
const question = [{ role: "user", content: "What is 27 + 48?" }];
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

const entryIsSound = (entry, n) => {
  expect(typeof entry.token === "string" && entry.logprob <= 0, `entry ${JSON.stringify(entry)}`);
  expect(entry.bytes === null || Buffer.from(entry.bytes).toString() === entry.token ||
    entry.token.includes("\ufffd"), `bytes ${entry.bytes} of ${JSON.stringify(entry.token)}`);
  expect(entry.top_logprobs.length === n, `${entry.top_logprobs.length} alternatives`);
  for (let i = 1; i < n; i += 1)
    expect(entry.top_logprobs[i - 1].logprob >= entry.top_logprobs[i].logprob, "likeliest first");
  if (n > 0) expect(entry.logprob <= entry.top_logprobs[0].logprob, "nothing is likelier than the likeliest");
};

await check("chat_logprobs", async () => {
  const ask = { model, messages: [{ role: "user", content: "Tell me a short story about a fox." }], seed: 4, temperature: 0.8,
    max_tokens: 24, logprobs: true, top_logprobs: 4 };
  const whole = (await client.chat.completions.create(ask)).choices[0];
  const content = whole.logprobs.content;
  expect(content.length >= 20, `${content.length} tokens`);
  content.forEach((entry) => entryIsSound(entry, 4));
  expect(Buffer.concat(content.map((e) => Buffer.from(e.bytes ?? []))).toString() === whole.message.content,
    "the bytes are the text");
  const streamed = [];
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
    streamed.push(...(chunk.choices[0]?.logprobs?.content ?? []));
  expect(JSON.stringify(streamed) === JSON.stringify(content), "streamed log-probabilities differ");
  const plain = (await client.chat.completions.create({ ...ask, logprobs: false, top_logprobs: undefined })).choices[0];
  expect(plain.logprobs === null && plain.message.content === whole.message.content, "asking changes nothing");
  const greedy = (await client.chat.completions.create({ ...ask, temperature: 0, top_logprobs: 1 })).choices[0];
  for (const entry of greedy.logprobs.content)
    expect(entry.token === entry.top_logprobs[0].token && entry.logprob === entry.top_logprobs[0].logprob, "arg-max");
});

await check("completion_logprobs", async () => {
  const ask = { model, prompt: "The capital of", max_tokens: 8, temperature: 0, logprobs: 3 };
  const whole = (await client.completions.create(ask)).choices[0];
  const { tokens, token_logprobs, top_logprobs, text_offset } = whole.logprobs;
  expect(tokens.length === token_logprobs.length && tokens.length === top_logprobs.length, "lengths");
  expect(tokens.join("") === whole.text && text_offset[0] === 0, `tokens ${tokens}`);
  tokens.forEach((token, i) => {
    expect(top_logprobs[i][token] === token_logprobs[i], "the chosen token is the likeliest");
    expect(whole.text.slice(text_offset[i]).startsWith(token), `offset ${text_offset[i]}`);
  });
  const streamed = [];
  for await (const chunk of await client.completions.create({ ...ask, stream: true }))
    streamed.push(...(chunk.choices[0]?.logprobs?.tokens ?? []));
  expect(JSON.stringify(streamed) === JSON.stringify(tokens), "streamed tokens differ");
});

await check("logit_bias_forces_and_forbids", async () => {
  const ask = { model, prompt: "The capital of", max_tokens: 6, temperature: 1, seed: 9 };
  const forced = (await client.completions.create({ ...ask, logit_bias: { 300: 100 }, logprobs: 0 })).choices[0];
  expect(new Set(forced.logprobs.tokens).size === 1, `forced ${forced.logprobs.tokens}`);
  // One bias against another: what -100 forbids, +100 forces no more.
  const other = (await client.completions.create({ ...ask, logit_bias: { 300: 99, 301: 100 }, logprobs: 0, temperature: 0 })).choices[0];
  expect(!other.logprobs.tokens.includes(forced.logprobs.tokens[0]), "the greater bias wins");
  const forbidden = (await client.completions.create({ ...ask, logit_bias: { 300: -100 }, temperature: 0, logprobs: 1 })).choices[0];
  expect(!forbidden.logprobs.tokens.includes(forced.logprobs.tokens[0]), "a forbidden token came");
});

await check("penalties_and_filters", async () => {
  const ask = { model, messages: [{ role: "user", content: "Tell me a short story about a fox." }], temperature: 2, seed: 21, max_tokens: 60 };
  const text = async (more) => (await client.chat.completions.create({ ...ask, ...more })).choices[0].message.content;
  const plain = await text({});
  for (const more of [{ presence_penalty: 2 }, { frequency_penalty: 2 }, { repetition_penalty: 1.5 }, { repeat_penalty: 1.5 },
    { min_p: 0.9 }, { top_k: 2 }])
    expect((await text(more)) !== plain, `${JSON.stringify(more)} changes nothing`);
  expect((await text({ repetition_penalty: 1.5 })) === (await text({ repeat_penalty: 1.5 })), "two names for one thing");
  const greedy = await text({ temperature: 0 });
  expect((await text({ top_k: 1 })) === greedy, "top_k 1 is temperature 0");
  expect((await text({ min_p: 1 })) === greedy, "min_p 1 is temperature 0");
});

await check("sampling_refusals_name_the_field", async () => {
  const ask = { model, messages: question };
  for (const [more, field] of [[{ presence_penalty: 3 }, "presence_penalty"], [{ frequency_penalty: -3 }, "frequency_penalty"],
    [{ repetition_penalty: 0 }, "repetition_penalty"], [{ min_p: 2 }, "min_p"], [{ top_k: 0.5 }, "top_k"],
    [{ logit_bias: { x: 1 } }, "logit_bias"], [{ logit_bias: { 99999999: 1 } }, "logit_bias"],
    [{ logprobs: true, top_logprobs: 21 }, "top_logprobs"], [{ top_logprobs: 2 }, "top_logprobs"]])
    await refused(client.chat.completions.create({ ...ask, ...more }), 400, field);
});

const town = { type: "object", properties: { city: { type: "string", maxLength: 20 }, population: { type: "integer" },
  kind: { enum: ["port", "hill", "river"] }, tags: { type: "array", items: { type: "boolean" }, maxItems: 3 } },
  required: ["city", "population", "kind", "tags"], additionalProperties: false };
const isTown = (value) => {
  expect(Object.keys(value).join() === "city,population,kind,tags", `members ${Object.keys(value)}`);
  expect(typeof value.city === "string" && Number.isInteger(value.population), JSON.stringify(value));
  expect(["port", "hill", "river"].includes(value.kind) && value.tags.every((t) => typeof t === "boolean"), JSON.stringify(value));
};

await check("structured_outputs", async () => {
  for (const seed of [1, 2, 3]) {
    const ask = { model, messages: [{ role: "user", content: "Tell me about a town." }], seed, temperature: 1, max_tokens: 200,
      response_format: { type: "json_schema", json_schema: { name: "town", strict: true, schema: town } } };
    const whole = await client.chat.completions.parse(ask);
    expect(whole.choices[0].finish_reason === "stop", `finish_reason ${whole.choices[0].finish_reason}`);
    isTown(whole.choices[0].message.parsed);
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
      text += chunk.choices[0]?.delta?.content ?? "";
    expect(text === whole.choices[0].message.content, "the stream differs");
  }
});

await check("json_objects", async () => {
  const reply = await client.chat.completions.create({ model, messages: question, temperature: 0, max_tokens: 200,
    response_format: { type: "json_object" } });
  const { content } = reply.choices[0].message;
  expect(content.startsWith("{"), content);
  if (reply.choices[0].finish_reason === "stop") JSON.parse(content);
});

await check("schemas_that_cannot_be_held_name_the_place", async () => {
  const ask = (schema) => client.chat.completions.create({ model, messages: question,
    response_format: { type: "json_schema", json_schema: { name: "x", schema } } });
  await refused(ask({ type: "object", properties: { age: { type: "integer", minimum: 3 } } }), 400, "/properties/age/minimum");
  await refused(ask({ type: "string", pattern: "a+" }), 400, "unsupported_schema");
  await refused(client.chat.completions.create({ model, messages: question, response_format: { type: "yaml" } }), 400, "response_format.type");
});

const tools = [
  { type: "function", function: { name: "weather", description: "The weather", parameters: { type: "object",
    properties: { city: { enum: ["Ostra", "Belmar"] }, days: { type: "integer" } }, required: ["city", "days"], additionalProperties: false } } },
  { type: "function", function: { name: "now" } }];
const asked = { model, messages: [{ role: "user", content: "What is the weather in Ostra?" }], tools, max_tokens: 120, seed: 4 };
const isWeather = (call) => {
  expect(call.type === "function" && call.id.startsWith("call_") && call.function.name === "weather", JSON.stringify(call));
  const { city, days } = JSON.parse(call.function.arguments);
  expect(["Ostra", "Belmar"].includes(city) && Number.isInteger(days), call.function.arguments);
};

await check("tool_calls", async () => {
  const ask = { ...asked, tool_choice: { type: "function", function: { name: "weather" } } };
  const reply = await client.chat.completions.create(ask);
  const { message, finish_reason } = reply.choices[0];
  expect(finish_reason === "tool_calls" && message.content === null && message.tool_calls.length === 1, JSON.stringify(reply.choices[0]));
  isWeather(message.tool_calls[0]);
  // The client library puts the pieces of the stream together.
  const stream = client.chat.completions.stream(ask);
  const streamed = (await stream.finalChatCompletion()).choices[0];
  expect(streamed.finish_reason === "tool_calls", `finish_reason ${streamed.finish_reason}`);
  isWeather(streamed.message.tool_calls[0]);
  expect(streamed.message.tool_calls[0].function.arguments === message.tool_calls[0].function.arguments, "the stream differs");
  // The result goes back, and the model answers in words.
  const next = await client.chat.completions.create({ ...asked, tool_choice: "none", temperature: 0, max_tokens: 20,
    messages: [...asked.messages, message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" }] });
  expect(next.choices[0].message.tool_calls === undefined && next.choices[0].message.content.length > 0, JSON.stringify(next.choices[0]));
});

await check("tool_choice", async () => {
  const any = await client.chat.completions.create({ ...asked, tool_choice: "required" });
  expect(["weather", "now"].includes(any.choices[0].message.tool_calls[0].function.name), JSON.stringify(any.choices[0]));
  const free = await client.chat.completions.create({ ...asked, temperature: 0, max_tokens: 20 });
  const { message } = free.choices[0];
  expect(message.tool_calls?.length === 1 || message.content.length > 0, JSON.stringify(free.choices[0]));
  await refused(client.chat.completions.create({ ...asked, tool_choice: { type: "function", function: { name: "other" } } }), 400, "tool_choice");
});

await check("models", async () => {
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  expect(ids.includes(model), `models: ${ids}`);
  expect((await client.models.retrieve(model)).object === "model", "retrieve");
});

await check("refusals_are_typed", async () => {
  await refused(client.chat.completions.create({ model: "no-such-model", messages: question }), 404, "no-such-model");
  await refused(client.chat.completions.create({ model, messages: question, n: 17 }), 400, "n");
  await refused(client.chat.completions.create({ model, messages: question, temperature: -1 }), 400, "temperature");
  await refused(client.chat.completions.create({ model, messages: [] }), 400, "messages");
  await refused(client.chat.completions.create({ model, messages: question, tools: [{ type: "function",
    function: { name: "no name", parameters: {} } }] }), 400, "tools[0].function.name");
  await refused(client.embeddings.create({ model, input: "x" }), 404, "embeddings");
});

await check("no_provider_fits_says_why", async () => {
  await refused(client.chat.completions.create({ model, messages: question, provider: { max_price: { prompt: 0, completion: 0 } } }), 503, "price");
});

await check("several_answers", async () => {
  const ask = { model, messages: [{ role: "user", content: "Tell me a story." }], temperature: 1, seed: 5, max_tokens: 20 };
  const reply = await client.chat.completions.create({ ...ask, n: 3 });
  expect(reply.choices.length === 3 && reply.choices[2].index === 2, `${reply.choices.length} choices`);
  const third = await client.chat.completions.create({ ...ask, seed: 7 });
  expect(reply.choices[2].message.content === third.choices[0].message.content, "choice 2 has seed + 2");
  const texts = ["", "", ""];
  for await (const chunk of await client.chat.completions.create({ ...ask, n: 3, stream: true }))
    for (const choice of chunk.choices) texts[choice.index] += choice.delta?.content ?? "";
  texts.forEach((text, i) => expect(text === reply.choices[i].message.content, `stream ${i} differs`));
});

await check("idempotency_key", async () => {
  const ask = { model, messages: [{ role: "user", content: "Tell me a story." }], temperature: 1, max_tokens: 20 };
  const options = { idempotencyKey: "peer-1", headers: { "Idempotency-Key": "peer-1" } };
  const first = await client.chat.completions.create(ask, options);
  const second = await client.chat.completions.create(ask, options);
  expect(JSON.stringify(first) === JSON.stringify(second), "the same key is another answer");
  await refused(client.chat.completions.create({ ...ask, max_tokens: 21 }, options), 409, "Idempotency-Key");
});

await check("files_and_batches", async () => {
  const rows = [0, 1, 2].map((i) => ({ custom_id: `row-${i}`, method: "POST", url: "/v1/chat/completions",
    body: { model, messages: question, temperature: 0, seed: i } }));
  const file = await client.files.create({ purpose: "batch",
    file: await OpenAI.toFile(Buffer.from(rows.map((row) => JSON.stringify(row)).join("\n")), "rows.jsonl") });
  expect(file.object === "file" && (await client.files.retrieve(file.id)).filename === "rows.jsonl", "file");
  let batch = await client.batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h",
    metadata: { who: "peer" } });
  for (let i = 0; i < 600 && !["completed", "failed"].includes(batch.status); i += 1) {
    await new Promise((done) => setTimeout(done, 100));
    batch = await client.batches.retrieve(batch.id);
  }
  expect(batch.status === "completed" && batch.request_counts.completed === 3, JSON.stringify(batch));
  const output = await (await client.files.content(batch.output_file_id)).text();
  const answers = output.trim().split("\n").map((line) => JSON.parse(line));
  expect(answers.length === 3 && answers.every((a) => a.response.body.choices[0].message.content.includes("75")), output);
  const ids = [];
  for await (const entry of client.batches.list()) ids.push(entry.id);
  expect(ids.includes(batch.id), "batch list");
  expect((await client.files.delete(file.id)).deleted === true, "delete");
  await refused(client.files.retrieve(file.id), 404, "no such file");
});

await check("abort_mid_stream", async () => {
  const stream = await client.chat.completions.create({ model, stream: true, max_tokens: 200, temperature: 1, seed: 3,
    messages: [{ role: "user", content: "Tell me a story." }] });
  for await (const _ of stream) { stream.controller.abort(); break; }
  const reply = await client.chat.completions.create({ model, messages: question, temperature: 0 });
  expect(reply.choices[0].message.content.includes("75"), "the gateway works after an abort");
});

finish();
