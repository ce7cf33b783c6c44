// What the automata of spec/vectors/constraint accept, against a JSON parser and a validator we did not
// write (ajv), with the table read and committed to from spec/canon.md and spec/messages.md alone:
//   node constraint.mjs
import Ajv2020 from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const { cases } = JSON.parse(readFileSync(new URL("../../spec/vectors/constraint/schemas.json", import.meta.url)));
const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();
const node = (hashes) => {
  if (hashes.length === 1) return hashes[0];
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  return sha256(Buffer.from([1]), node(hashes.slice(0, half)), node(hashes.slice(half)));
};

function decode(bytes) {
  let at = 2;
  const varint = () => {
    for (let n = 0, shift = 0; ; shift += 7) {
      const b = bytes[at++];
      n |= (b & 0x7f) << shift;
      if (b < 0x80) return n;
    }
  };
  const states = [];
  for (let s = 0; s < bytes.readUInt16LE(0); s += 1) {
    const next = new Uint16Array(256).fill(0xffff), head = varint();
    for (let i = 0, byte = 0; i < head >> 1; i += 1) {
      byte += bytes[at++];
      const last = byte + bytes[at++], z = varint(), to = s + (z % 2 ? -(z + 1) / 2 : z / 2);
      for (; byte <= last; byte += 1) next[byte] = to;
    }
    states.push({ next, accepting: head % 2 === 1 });
  }
  assert.equal(at, bytes.length);
  return states;
}
const row = ({ next, accepting }) => Buffer.concat([Buffer.from(next.buffer), Buffer.from([accepting ? 1 : 0])]);
function accepts(states, text) {
  let state = 0;
  for (const byte of Buffer.from(text)) {
    state = states[state].next[byte];
    if (state === 0xffff) return false;
  }
  return states[state].accepting;
}

const unhex = (text) => Buffer.from(text.slice(2), "hex");
const ajv = new Ajv2020({ strict: false });
let texts = 0, invalid = 0;
for (const c of cases) {
  const states = decode(unhex(c.automaton));
  assert.equal(states.length, c.states);
  const table = node(states.map((s) => sha256(Buffer.from([0]), row(s))));
  assert.equal(table.toString("hex"), c.table_root.slice(2));
  const count = Buffer.alloc(4);
  count.writeUInt32LE(c.states);
  assert.equal(sha256("assay/constraint/v0", table, count, unhex(c.pieces_root)).toString("hex"), c.constraint.slice(2));
  const validate = ajv.compile(c.schema);
  for (const text of c.accepted) {
    assert.ok(accepts(states, text), text);
    assert.ok(validate(JSON.parse(text)), `${text}: ${ajv.errorsText(validate.errors)}`);
    texts += 1;
  }
  for (const text of c.refused) {
    assert.ok(!accepts(states, text), text);
    invalid += 1;
  }
}
assert.ok(texts > 150 && invalid > 150, `${texts} and ${invalid} texts`);
console.log(`ok ${texts} accepted texts parse and validate, ${invalid} others are refused, ${cases.length} tables`);
