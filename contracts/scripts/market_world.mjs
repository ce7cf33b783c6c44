// The market on anvil with its people, whose messages viem signs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concat, encodeAbiParameters, encodeFunctionData, hashTypedData, keccak256, numberToHex, pad, sha256,
  stringToHex, toHex, zeroHash } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { contracts, deploy, deployMarket } from './chain.mjs';
import { floorOf } from './gas_page.mjs';

// The messages' types, as the vectors that C++ wrote name them.
const types = {};
for (const { type_string } of JSON.parse(readFileSync(join(contracts, '../spec/vectors/messages/signed.json'), 'utf8')))
  for (const [, name, fields] of type_string.matchAll(/(\w+)\(([^)]*)\)/g))
    types[name] = fields.split(',').map((f) => { const [type, field] = f.split(' '); return { name: field, type }; });
types.ExecutionId ??= [['weights_root', 'bytes32'], ['program_hash', 'bytes32'], ['canon', 'uint32']].map(([name, type]) => ({ name, type }));

const parameters = { exposureFactor: 3, unbondingS: 604800n, windowMinS: 3600n, windowMaxS: 604800n, leaseMaxS: 2592000n,
  moveS: 3600n, stakeMin: 1000000n, disputeBond: 100000n, rewardMax: 1000000n, burnedBps: 5000 };
export const [host, buyer, provider, payout, other] = [1, 2, 3, 4, 5].map((n) => privateKeyToAccount(toHex(new Uint8Array(32).fill(n))));
const biasHash = (bias) => keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint32' }, { type: 'uint32' }],
  [keccak256(stringToHex('LogitBias(uint32 token,uint32 bias_bits)')), bias.token, bias.bias_bits]));
// A leaf of a claim, which has the hash of the request's biases in their place (Messages.sol: HashedRequest).
export const leafOf = ({ request, ...rest }) =>
  ({ request: { ...request, logit_bias: keccak256(concat(request.logit_bias.map(biasHash))) }, ...rest });
// Value `round` of the host's beacon, which leads back to value 0.
export const beaconOf = (round) => {
  let value = text('the last value');
  for (let i = 16; i > round; --i) value = sha256(concat([stringToHex('assay/beacon/v0'), value]));
  return value;
};
export const text = (s) => keccak256(stringToHex(s));

// `deployed`: the referee and programs that its games trust.
export async function world(on, referee, programs) {
  const rows = [];
  const token = await deploy(on, 'TestToken', [6]);
  const games = await deploy(on, 'Games', [referee.address, programs.address]);
  const set = await deployMarket(on, token, parameters, { host: host.address, beacon: beaconOf(0), burnedBps: 2000 }, games, programs);
  const { disputes, market } = set;

  let count = 0n;
  const nonce = () => ++count;
  const domain = { name: 'Assay', version: '0', chainId: 31337, verifyingContract: market.address };
  const typed = (primaryType, message) => ({ domain, types, primaryType, message });
  const sign = (who, type, message) => who.signTypedData(typed(type, message));
  const idOf = (type, message) => hashTypedData(typed(type, message));
  // A transaction, whose gas is a row where it has a label.
  const call = async (label, contract, functionName, args) => {
    const data = encodeFunctionData({ abi: contract.abi, functionName, args });
    const receipt = await on.send(contract.address, data);
    if (label) rows.push({ label, gas: Number(receipt.gasUsed), bytes: (data.length - 2) / 2, floor: floorOf(data) });
    return Number(receipt.gasUsed);
  };
  const signedCall = async (label, contract, functionName, who, type, message, ...rest) =>
    call(label, contract, functionName, [message, await sign(who, type, message), ...rest]);
  const now = async () => Number((await on.ask('eth_getBlockByNumber', ['latest', false])).timestamp);
  const wait = async (seconds) => {
    await on.ask('evm_increaseTime', [numberToHex(seconds)]);
    await on.ask('evm_mine', []);
  };
  const deposit = async (label, to, amount) => {
    await call(null, token, 'mint', [on.from, amount]);
    await call(null, token, 'approve', [market.address, amount]);
    await call(label, market, 'deposit', [to.address, amount]);
  };

  const hashed = (m) => ({ ...m, name: text(m.name), quantization: text(m.quantization) });
  const structHash = (type, m) => keccak256(encodeAbiParameters(
    [{ type: 'bytes32' }, ...types[type].map((f) => ({ type: f.type === 'string' ? 'bytes32' : f.type }))],
    [text(`${type}(${types[type].map((f) => `${f.type} ${f.name}`).join(',')})`), ...types[type].map((f) => m[f.name])]));
  const openLease = async (label, escrow, execution) => {
    const model = { name: 'a model', ...execution, file_alias: zeroHash, quantization: 'Q8_0', price_in: 2_000_000n,
      price_out: 4_000_000n, context: 32768 };
    const offer = { provider: provider.address, payout: payout.address, sequence: 1n, endpoint: 'https://provider.example:8443',
      region: 'eu', hardware: 'H100', vram_mib: 81920, slots: 8, first_token_ms: 200, per_token_ms: 20, rebate_ppm: 0, tls_key: text('tls'),
      evidence: zeroHash, expires: BigInt(await now() + 86400), models: [model] };
    const terms = { buyer: buyer.address, provider: provider.address, payout: payout.address, offer: idOf('Offer', offer),
      execution: structHash('ExecutionId', execution), price_in: model.price_in, price_out: model.price_out, escrow,
      audit_chain: text('chain'), disclosure: 1, window: 3600n, expires: BigInt(await now() + 86400), nonce: nonce() };
    const given = { ...offer, endpoint: text(offer.endpoint), region: text(offer.region), hardware: text(offer.hardware),
      models: [structHash('OfferModel', hashed(model))] };
    await call(label, market, 'openLease', [terms, await sign(buyer, 'Lease', terms), given, await sign(provider, 'Offer', offer),
      hashed(model), 0n]);
    return { terms, id: idOf('Lease', terms) };
  };
  // A request of that lease and the receipt it led to; `change` before they are signed.
  const evidence = async (of, sequence, change = {}) => {
    const request = { lease: of.id, sequence, execution: of.terms.execution, prompt_root: text('prompt'), prompt_count: 250,
      continuation: 0, logit_bias: [], repetition_penalty_bits: 0x3f800000, presence_penalty_bits: 0, frequency_penalty_bits: 0,
      temperature_bits: 0, constraint: zeroHash, top_k: 0, top_p_bits: 0x3f800000, min_p_bits: 0, seed: 1n, max_tokens: 1000, logprobs: 0,
      stop_root: sha256('0x'), salt_commitment: sha256(concat([stringToHex('assay/salt/v0'), text('secret')])), cap: 1_000_000n,
      expires: of.terms.expires, ...change.request };
    const count_ = change.receipt?.count ?? 300;
    const receipt = { request: idOf('Request', request), count: count_, finish: 0, tape_root: text('tape'), trace_root: text('trace'),
      logprobs_root: zeroHash, amount: BigInt(2 * request.prompt_count + 4 * count_), key_sequence: sequence, evidence: zeroHash,
      ...change.receipt };
    return { request, receipt, requestSignature: await sign(buyer, 'Request', request),
      receiptSignature: await sign(provider, 'Receipt', receipt) };
  };
  const commit = async (label, who, commitment) => signedCall(label, disputes, 'commitDispute', who, 'CommitDispute',
    { account: who.address, commitment, nonce: nonce() });
  const filing = (e, execution) => ({ evidence: { request: e.request, requestSignature: e.requestSignature,
    statement: { progress: false, figures: e.receipt, signature: e.receiptSignature } },
    execution, moves: [], signatures: [], finish: '0x', withoutGame: false });
  return { on, rows, token, games, ...set, nonce, sign, idOf, call, signedCall, now, wait, deposit, openLease,
    evidence, commit, filing };
}
