// A whole dispute, every move of it on the chain: about the longest trace there is (32,768 positions of a model with the
// shape of Llama 3 70B), down to a segment of a row of the output matrix. What lies beside the disputed path is random;
// the last move, the step itself, is a call of the referee that docs/gas.md has a table of.
import { concat, decodeFunctionResult, encodeAbiParameters, encodeFunctionData, keccak256, numberToHex, sha256, stringToHex,
  toHex } from 'viem';
import { chain, deployReferee } from './chain.mjs';
import { buyer, provider, text, world } from './market_world.mjs';

const le32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return toHex(b); };
const node = (l, r) => sha256(concat(['0x01', l, r]));
const leafHash = (data) => sha256(concat(['0x00', data]));
const split = (n) => { let s = 1; while (2 * s < n) s *= 2; return s; };
const root = (list) => (list.length === 1 ? list[0] : node(root(list.slice(0, split(list.length))), root(list.slice(split(list.length)))));
let seed = 0;
const random = () => keccak256(toHex(++seed));

// The shapes six levels below a node over [first, first + leaves).
function shapes(first, leaves, levels = 6) {
  if (levels === 0 || leaves === 1) return [{ first, leaves }];
  const s = split(leaves);
  return [...shapes(first, s, levels - 1), ...shapes(first + s, leaves - s, levels - 1)];
}
// Siblings of `index`, nearest first.
function path(list, index) {
  if (list.length === 1) return [];
  const s = split(list.length);
  return index < s ? [...path(list.slice(0, s), index), root(list.slice(s))]
    : [...path(list.slice(s), index - s), root(list.slice(0, s))];
}
// The reveals from the root of a tree of `leaves` down to leaf `index` with this hash, and the root.
function descend(leaves, index, hash) {
  const steps = [];
  for (let first = 0, over = leaves; over > 1;) {
    const children = shapes(first, over), choice = children.findIndex((c) => index >= c.first && index < c.first + c.leaves);
    steps.push({ count: children.length, choice });
    ({ first, leaves: over } = children[choice]);
  }
  let at = hash;
  for (const step of steps.reverse()) {
    step.children = Array.from({ length: step.count }, (_, i) => (i === step.choice ? at : random()));
    at = root(step.children);
  }
  return { steps: steps.reverse(), root: at };
}

const SHAPE = { vocabulary: 128256, width: 8192, layers: 80, heads: 64, kv: 8, head: 128, ffn: 28672, context: 32768 };
const string = (s) => concat([le32(s.length), stringToHex(s)]);
function program() {
  const s = SHAPE, types = [12];
  for (let l = 0; l < s.layers; ++l) types.push(0, 12, 12, 12, 12, 0, 12, 12, 12);
  types.push(0, 14);
  return concat([string('assay/program/0'), string('llama'), ...[s.vocabulary, s.width, s.layers, s.heads, s.kv, s.head, s.ffn, s.context]
    .map(le32), '0xacc52737', '0x0024f448', '0x00', text('rope'), text('tokenizer'), le32(types.length), toHex(new Uint8Array(types)), '0x00']);
}

export async function wholeDispute(fork) {
  const on = await chain(fork);
  const rows = [];
  try {
    const { referee, programs } = await deployReferee(on);
    const w = await world(on, referee, programs);
    const bytes = program(), execution = { weights_root: text('weights'), program_hash: sha256(bytes), canon: 0 };
    await w.call(null, programs, 'store', [bytes]);
    await w.deposit(null, buyer, 100_000_000n);
    await w.deposit(null, provider, 20_000_000n);
    await w.signedCall(null, w.market, 'stake', provider, 'Stake', { account: provider.address, amount: 10_000_000n, nonce: w.nonce() });
    const lease = await w.openLease(null, 5_000_000n, execution);

    // The head of the last position; every piece of sampling is on.
    const prompt = 32000, count = 769, positions = prompt + count - 1, position = positions - 1;
    const request = { prompt_count: prompt, max_tokens: 1000, repetition_penalty_bits: 0x3f8ccccd, presence_penalty_bits: 0x3e99999a,
      frequency_penalty_bits: 0x3e99999a, temperature_bits: 0x3f4ccccd, top_k: 40, top_p_bits: 0x3f733333, min_p_bits: 0x3d4ccccd, logprobs: 21,
      constraint: text('automaton') };
    const counts = [[prompt, 0n], [0, 32n], [count, 64n], [1000, 96n], [21, 128n], [1, 160n], [1, 224n]];
    const bits = ['repetition_penalty_bits', 'presence_penalty_bits', 'frequency_penalty_bits', 'temperature_bits', 'top_k', 'top_p_bits', 'min_p_bits'];
    const subject = { program: execution.program_hash, weightsRoot: execution.weights_root, promptRoot: text('prompt'), tapeRoot: text('tape'),
      logprobsRoot: text('numbers'), biasHash: '0x' + '00'.repeat(32), constraint: text('automaton'), counts: counts.reduce((n, [v, at]) => n | BigInt(v) << at, 0n),
      sampling: bits.reduce((n, name, i) => n | BigInt(request[name]) << BigInt(32 * i), 0n) };
    const ask = async (contract, functionName, args) => decodeFunctionResult({ abi: contract.abi, functionName,
      data: await on.ask('eth_call', [{ to: contract.address, data: encodeFunctionData({ abi: contract.abi, functionName, args }) }, 'latest']) });
    const [list] = await ask(referee, 'ops', [subject, position, SHAPE.layers, false]);

    // From the step up: running values, the chunk they end in, the op, the leaf, the position.
    const field = (op, at, width) => Number(op >> BigInt(at) & (1n << BigInt(width)) - 1n);
    const ties = { logits: 4, token: 5, x: 1 };
    const product = list.findIndex((op) => field(op, 13, 3) === ties.logits);
    const chunks = field(list[product], 48, 24), steps = field(list[product], 72, 16), last = chunks - 1;
    const values = toHex(Buffer.from(Array.from({ length: 4 * Math.min(256, SHAPE.vocabulary - last * 256) }, (_, i) => 1 + i * 7 % 255)));
    const running = concat([...Array.from({ length: steps - 1 }, () => random().slice(0, 10)), '0x' + values.slice(2, 10)]);
    const op = descend(chunks, last, leafHash(values));
    const kindOf = (o) => field(o, 0, 8);
    const numbers = random(), x = random(), token = '0x07000000', salt = random();
    const roots = list.map((o, i) => {
      const [kind, tie] = [kindOf(o), field(o, 13, 3)];
      if (i === product) return op.root;
      if (tie === ties.x) return x;
      if (kind === 37 || kind === 39) return numbers; // logprob, its leaf
      if (field(o, 11, 1) === 0) return random();
      if (kind === 30) return '0x01000000'; // threshold_ok
      if (kind === 34 || kind === 35) return token; // best_token, next_token
      const ranks = kind === 29 && kindOf(list[field(o, 128, 16)]) === 38; // running_total of rank_count
      return ranks ? le32(20) : random().slice(0, 10);
    });
    const opsPayload = concat([salt, x, op.root, token, ...roots]);
    const head = leafHash(concat([stringToHex('head'), le32(position), salt, x, op.root, token]));
    const leaves = descend(SHAPE.layers + 1, SHAPE.layers, head);
    const trace = descend(positions, position, leafHash(leaves.root));
    const traceRoot = sha256(concat([stringToHex('assay/trace/v0'), le32(positions), le32(SHAPE.layers), trace.root]));

    const e = await w.evidence(lease, 1n, { request, receipt: { count, finish: 1, trace_root: traceRoot, logprobs_root: text('numbers') } });
    const dispute = { challenger: buyer.address, lease: lease.id, subject: w.idOf('Receipt', e.receipt), bond: 100000n, nonce: w.nonce() };
    const id = w.idOf('Dispute', dispute);
    const about = { subject, traceRoot, saltCommitment: e.request.salt_commitment, layers: SHAPE.layers, amount: e.receipt.amount };
    const add = (label, gas) => rows.push({ label, ...gas });
    const counted = async (...args) => {
      await w.signedCall('row', ...args);
      const { gas, bytes: size, floor } = w.rows.pop();
      return { gas, bytes: size, floor };
    };
    add('announce it', await counted(w.disputes, 'commitDispute', buyer, 'CommitDispute',
      { account: buyer.address, commitment: sha256(id), nonce: w.nonce() }));
    add('file it', await counted(w.disputes, 'fileDispute', buyer, 'Dispute', dispute, lease.terms, w.filing(e, execution)));
    // Terms are read by the move that ends the game.
    const noTerms = Object.fromEntries(Object.entries(lease.terms).map(([k, v]) =>
      [k, typeof v === 'string' ? '0x'.padEnd(v.length, '0') : typeof v === 'bigint' ? 0n : 0]));
    let state = sha256(concat([stringToHex('assay/dispute/v0'), id, dispute.subject])), number = 0;
    const move = async (label, who, payload, earlier = '0x') => {
      const m = { dispute: id, number: number++, state, payload: sha256(payload) };
      add(label, await counted(w.disputes, 'move', who, 'Move', m, noTerms, about, { payload, earlier, biases: '0x' }));
      state = sha256(concat([stringToHex('assay/move/v0'), state, m.payload]));
    };
    const down = async (name, steps_) => {
      for (const [i, s] of steps_.entries()) {
        await move(`${name}, reveal ${s.count} nodes`, provider, concat(s.children));
        await move(`${name}, choose`, buyer, le32(s.choice), concat([s.children[s.choice], ...path(s.children, s.choice)]));
      }
    };
    await down('positions', trace.steps);
    await down('leaves', leaves.steps);
    await move(`ops, reveal ${list.length}`, provider, opsPayload);
    await move('ops, choose', buyer, le32(product), opsPayload);
    await down('chunks', op.steps);
    await move('values, reveal', provider, values);
    await move('values, choose', buyer, le32(0), values);
    await move(`running values, reveal ${steps}`, provider, running);
    await move('running values, choose', buyer, le32(steps - 1), running);
    const game = await ask(w.games, 'game', [w.disputes.address, id]);
    if (game.phase !== 6) throw new Error(`the game is in phase ${game.phase}, not at its step`);
    return rows;
  } finally {
    on.stop();
  }
}
