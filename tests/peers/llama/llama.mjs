// Runs a GGUF in llama.cpp, an implementation we did not write, through node-llama-cpp.
//
//   node llama.mjs MODEL [--generate N] < prompts.json
//
// prompts.json is a list of raw texts (control tokens such as <|user|> are recognised).
// Prints a list of {tokens, text}: the tokens of each prompt without BOS, and the greedy
// answer after BOS + prompt when N > 0 (stopped by the model's end token).
import { readFileSync } from "node:fs";
import path from "node:path";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const [modelPath, , generate] = process.argv.slice(2);
const count = Number(generate ?? "0");

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
