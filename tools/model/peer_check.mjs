// Runs the model in an independent implementation (llama.cpp, through node-llama-cpp).
//
//   npm install --ignore-scripts node-llama-cpp@3.22.1        (outside the repository)
//   node peer_check.mjs --lib DIR MODEL [--generate N] < prompts.json
// (DIR holds node_modules)
//
// prompts.json is a list of raw texts (control tokens such as <|user|> are recognised).
// Prints a list of {tokens, text}: the tokens of each prompt without BOS, and the greedy
// answer after BOS + prompt when N > 0 (stopped by the model's end token).
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import path from "node:path";

const args = process.argv.slice(2);
function option(name, fallback) {
  const at = args.indexOf(name);
  return at < 0 ? fallback : args.splice(at, 2)[1];
}
const lib = path.resolve(option("--lib", "."));
const count = Number(option("--generate", "0"));
const [modelPath] = args;
const entry = path.join(lib, "node_modules", "node-llama-cpp", "dist", "index.js");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry));

const prompts = JSON.parse(readFileSync(0, "utf8"));
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath: path.resolve(modelPath) });
const context = await model.createContext({ contextSize: 512, threads: 1 });
const result = [];
for (const prompt of prompts) {
  const tokens = model.tokenize(prompt, true);
  const out = [];
  if (count > 0) {
    const sequence = context.getSequence();
    for await (const token of sequence.evaluate([model.tokens.bos, ...tokens], { temperature: 0 })) {
      if (model.isEogToken(token) || out.length === count) break;
      out.push(token);
    }
    sequence.dispose();
  }
  result.push({ tokens, text: model.detokenize(out) });
}
console.log(JSON.stringify(result));
await llama.dispose();
process.exit(0);
