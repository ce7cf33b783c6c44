// Tokenizes texts with llama.cpp, an implementation we did not write.
//
//   node tokenize.mjs REQUEST RESULT
//
// REQUEST is a file: {"models": [GGUF, …], "texts": [[text, …], …], "special": true}.
// Writes to RESULT, for each model and each of its texts, the ids without BOS; for a model that llama.cpp does
// not load, null. A vocabulary without a model will do.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const { models, texts, special } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.disabled });
const result = [];
for (const [i, modelPath] of models.entries()) {
  let model;
  try {
    model = await llama.loadModel({ modelPath: path.resolve(modelPath), vocabOnly: true });
  } catch {
    result.push(null);
    continue;
  }
  result.push(texts[i].map((text) => Array.from(model.tokenize(text, special))));
  await model.dispose();
}
writeFileSync(process.argv[3], JSON.stringify(result));
await llama.dispose();
process.exit(0);
