// Next-token logits of llama.cpp, an implementation we did not write, through node-llama-cpp.
//
//   node logits.mjs < jobs.json
//
// jobs.json is a list of {model, tokens, out}: the token ids are evaluated from an empty context as
// they are (no BOS is added; a full context would be shifted, so it is larger), and the logits of every position are written to the file `out` as
// little-endian float32, [position][vocabulary].
import { readFileSync, writeFileSync } from "node:fs";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const llama = await getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error });
let model, loaded;
for (const { model: path, tokens, out } of JSON.parse(readFileSync(0, "utf8"))) {
  if (path !== loaded) {
    await model?.dispose();
    model = await llama.loadModel({ modelPath: path });
    loaded = path;
  }
  const context = await model.createContext({ contextSize: tokens.length + 64, threads: 1 });
  const sequence = context.getSequence();
  const outputs = await sequence.controlledEvaluate(
    tokens.map((token) => [token, { generateNext: { logits: true, options: { temperature: 1, topK: 0, topP: 1, minP: 0 } } }]));
  const vocabulary = outputs[0].next.logits.size;
  const logits = new Float32Array(tokens.length * vocabulary);
  outputs.forEach((output, position) => {
    for (const [token, logit] of output.next.logits) logits[position * vocabulary + token] = logit;
  });
  writeFileSync(out, Buffer.from(logits.buffer));
  await context.dispose();
}
await llama.dispose();
process.exit(0);
