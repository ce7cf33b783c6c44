// The answers of a gateway against OpenAI's public description of its API:
//   node openapi.mjs openapi.json BASE_URL MODEL     (tools/check/openapi.sh fetches the description)
// Each answer, each event of a stream and each error is held to the schema of its operation and status.
// Prints "ok NAME" or "FAIL NAME: why" for each check; exit status 1 if one failed.
import Ajv2020 from "ajv/dist/2020.js";
import { readFileSync } from "node:fs";
import { check, finish } from "./check.mjs";

const [file, base, model] = process.argv.slice(2);
// "nullable" is a word of OpenAPI 3.0 that the document of 3.1 still says in places.
const description = JSON.parse(readFileSync(file), (_, value) => {
  if (value === null || value.nullable !== true) return value;
  const { nullable, ...schema } = value;
  return { anyOf: [schema, { type: "null" }] };
});
// Formats are words for readers there ("unixtime"); patterns of other engines and keywords of other readers are passed over.
const ajv = new Ajv2020({ strict: false, validateFormats: false, discriminator: false, allErrors: false });
ajv.addSchema({ $id: "openai", components: description.components });
const question = [{ role: "user", content: "What is 27 + 48?" }];
let validated = 0;

function schemaOf(method, path, status, type) {
  const operation = description.paths[path][method];
  // Errors are described once, not at each operation.
  if (status >= 400) return { $ref: "openai#/components/schemas/ErrorResponse" };
  const content = operation.responses[status]?.content?.[type];
  if (!content) throw new Error(`${method} ${path} has no ${status} of ${type} in the description`);
  return rooted(content.schema);
}
// References of the document, from outside it.
function rooted(schema) {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"openai#/components/'));
}
function hold(schema, value, what) {
  const validate = ajv.compile(schema);
  validated += 1;
  if (validate(value)) return;
  const [first] = validate.errors;
  throw new Error(`${what}${first.instancePath} ${first.message}: ${JSON.stringify(value).slice(0, 300)}`);
}
async function call(method, path, body, { params = {}, expected = 200, form } = {}) {
  const target = Object.entries(params).reduce((out, [key, value]) => out.replace(`{${key}}`, value), path);
  const reply = await fetch(`${base}/v1${target}`, {
    method: method.toUpperCase(),
    headers: form || body === undefined ? {} : { "content-type": "application/json" },
    body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
  });
  if (reply.status !== expected) throw new Error(`${method} ${target}: ${reply.status} ${await reply.text()}`);
  const type = reply.headers.get("content-type").split(";")[0];
  if (type === "text/event-stream") {
    const lines = (await reply.text()).split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
    if (lines.pop() !== "[DONE]") throw new Error("the stream has no end");
    const schema = schemaOf(method, path, 200, type);
    const events = lines.map((line) => JSON.parse(line));
    for (const event of events) hold(schema, event, "event");
    return events;
  }
  if (type !== "application/json") return reply.text();
  const value = await reply.json();
  hold(schemaOf(method, path, reply.status, type), value, "answer");
  return value;
}
// What we send is a request of the description too.
async function ask(path, body, options) {
  hold(rooted(description.paths[path].post.requestBody.content["application/json"].schema), body, "request");
  return call("post", path, body, options);
}

const chat = { model, messages: question, temperature: 0 };
await check("chat", () => ask("/chat/completions", chat));
await check("chat_n_logprobs", () => ask("/chat/completions", { ...chat, n: 2, logprobs: true, top_logprobs: 3, max_tokens: 8 }));
await check("chat_stream", async () => {
  const events = await ask("/chat/completions", { ...chat, stream: true, logprobs: true, top_logprobs: 2,
    stream_options: { include_usage: true } });
  if (events.length < 4 || !events.at(-1).usage) throw new Error(`${events.length} events`);
});
await check("chat_structured", () => ask("/chat/completions", { ...chat, max_tokens: 60, response_format: { type: "json_schema",
  json_schema: { name: "n", strict: true, schema: { type: "object", properties: { sum: { type: "integer" } }, required: ["sum"],
    additionalProperties: false } } } }));
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { city: { enum: ["Ostra"] } },
  required: ["city"], additionalProperties: false } } }];
const forced = { ...chat, tools, tool_choice: { type: "function", function: { name: "weather" } }, max_tokens: 120 };
await check("chat_tools", async () => {
  const reply = await ask("/chat/completions", forced);
  if (reply.choices[0].finish_reason !== "tool_calls") throw new Error(JSON.stringify(reply.choices[0]));
});
await check("chat_tools_stream", () => ask("/chat/completions", { ...forced, stream: true }));
await check("completions", () => ask("/completions", { model, prompt: "The capital of", max_tokens: 6, temperature: 0, logprobs: 2 }));
await check("models", () => call("get", "/models"));
await check("model", () => call("get", "/models/{model}", undefined, { params: { model } }));
await check("errors", async () => {
  await call("post", "/chat/completions", { ...chat, model: "no-such-model" }, { expected: 404 });
  await call("post", "/chat/completions", { ...chat, temperature: -1 }, { expected: 400 });
  await call("get", "/models/{model}", undefined, { params: { model: "no-such-model" }, expected: 404 });
  await call("get", "/files/{file_id}", undefined, { params: { file_id: "file-none" }, expected: 404 });
});
await check("files_and_batches", async () => {
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new Blob([JSON.stringify({ custom_id: "a", method: "POST", url: "/v1/chat/completions", body: chat })]), "rows.jsonl");
  const uploaded = await call("post", "/files", undefined, { form });
  await call("get", "/files");
  await call("get", "/files/{file_id}", undefined, { params: { file_id: uploaded.id } });
  let batch = await ask("/batches", { input_file_id: uploaded.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
  for (let i = 0; i < 300 && batch.status !== "completed"; i += 1) {
    await new Promise((done) => setTimeout(done, 100));
    batch = await call("get", "/batches/{batch_id}", undefined, { params: { batch_id: batch.id } });
  }
  if (batch.status !== "completed") throw new Error(JSON.stringify(batch));
  await call("get", "/batches");
  const [line] = (await call("get", "/files/{file_id}/content", undefined, { params: { file_id: batch.output_file_id } })).trim().split("\n");
  hold(rooted({ $ref: "#/components/schemas/CreateChatCompletionResponse" }), JSON.parse(line).response.body, "line");
  await call("delete", "/files/{file_id}", undefined, { params: { file_id: uploaded.id } });
});
console.log(`${validated} documents held to ${description.info.title} ${description.info.version}`);
finish();
