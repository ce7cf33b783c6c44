// Tokens per second of llama.cpp through node-llama-cpp (tests/peers/llama), for bench/compare.py.
//
//   node mainline.mjs MODEL (prefill|decode) TOKENS CONTEXT THREADS
//
// The JavaScript layer costs some milliseconds a token in decode: read that column as a lower bound.
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(here, "../tests/peers/llama/package.json"));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(require.resolve("node-llama-cpp")));

const [modelPath, kind, ...numbers] = process.argv.slice(2);
const [tokens, depth, threads] = numbers.map(Number);
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath: path.resolve(modelPath) });
const context = await model.createContext({
  contextSize: depth + tokens + 16, batchSize: 512, threads: { ideal: threads, min: threads },
});
const made_up = (n, seed) => Array.from({ length: n }, (_, i) => (seed * 31 + i * 37 + 5) % 32000);

const warm = context.getSequence();
for await (const _ of warm.evaluate(made_up(8, 3), { temperature: 0 })) break;
warm.dispose();

const sequence = context.getSequence();
let start, seconds;
if (kind === "prefill") {
  start = performance.now();
  for await (const _ of sequence.evaluate(made_up(tokens, 1), { temperature: 0 })) break;
  seconds = (performance.now() - start) / 1000;
} else {
  let n = -1;  // the first token ends the prompt
  for await (const _ of sequence.evaluate(made_up(Math.max(depth, 1), 1), { temperature: 0 })) {
    if (++n === 0) start = performance.now();
    if (n === tokens) break;
  }
  seconds = (performance.now() - start) / 1000;
}
console.log(JSON.stringify({ tokens_per_second: tokens / seconds }));
process.exit(0);
