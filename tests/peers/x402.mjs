// Recomputes spec/vectors/x402 with viem and the public x402 packages: digests and signatures of both schemes, the id of a
// channel, the nonce of a deposit, calls of the contract by its published signatures; and reads the headers as their clients
// and servers do.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  decodePaymentRequiredHeader, decodePaymentResponseHeader, decodePaymentSignatureHeader, encodePaymentSignatureHeader,
} from '@x402/core/http'
import { computeChannelId } from '@x402/evm/batch-settlement/client'
import { encodeAbiParameters, encodeFunctionData, hashTypedData, keccak256, parseAbi, recoverAddress } from 'viem'

const read = (name) => JSON.parse(readFileSync(new URL(`../../spec/vectors/x402/${name}.json`, import.meta.url), 'utf8'))
const vectors = read('payments')
const fields = (text) => text.split(',').map((f) => ({ type: f.split(' ')[0], name: f.split(' ')[1] }))
const MOVE = 'address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce'
let checked = 0
const same = (actual, expected, what) => { assert.deepEqual(actual, expected, what); ++checked }

// The same members come out as went in, whoever encodes them.
function sameAgain(header) {
  const decoded = decodePaymentSignatureHeader(header)
  same(decodePaymentSignatureHeader(encodePaymentSignatureHeader(decoded)), decoded, 'a header written again')
  same(decoded.x402Version, 2, 'version')
  return decoded
}

for (const one of vectors.exact) {
  const digest = hashTypedData({
    domain: one.domain, types: { TransferWithAuthorization: fields(MOVE) }, primaryType: 'TransferWithAuthorization',
    message: one.authorization,
  })
  same(digest, one.digest, 'digest of an authorization')
  const { accepted, payload, extensions } = sameAgain(one.header)
  same(await recoverAddress({ hash: digest, signature: one.signature }), one.authorization.from, 'payer')
  same(payload, { signature: one.signature, authorization: one.authorization }, 'payload')
  same([accepted.scheme, accepted.amount, accepted.network], ['exact', one.authorization.value, `eip155:${one.domain.chainId}`], 'terms')
  same(extensions?.['payment-identifier']?.info.id ?? null, one.identifier, 'identifier')
}

for (const one of vectors['batch-settlement']) {
  same(computeChannelId(one.config, one.chainId), one.channelId, 'channel id')
  const domain = { name: 'x402 Batch Settlement', version: '1', chainId: one.chainId, verifyingContract: one.contract }
  const voucher = hashTypedData({
    domain, types: { Voucher: fields('bytes32 channelId,uint128 maxClaimableAmount') }, primaryType: 'Voucher',
    message: { channelId: one.channelId, maxClaimableAmount: BigInt(one.maxClaimableAmount) },
  })
  same(voucher, one.voucherDigest, 'digest of a voucher')
  same(await recoverAddress({ hash: voucher, signature: one.voucherSignature }), one.config.payerAuthorizer, 'its signer')
  const { accepted, payload } = sameAgain(one.header)
  same([payload.type, accepted.scheme], [one.type, 'batch-settlement'], 'kind')
  same(payload.channelConfig, one.config, 'config')
  same(payload.voucher, { channelId: one.channelId, maxClaimableAmount: one.maxClaimableAmount, signature: one.voucherSignature }, 'voucher')
  if (!one.deposit) continue
  const { deposit } = one
  const nonce = keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint256' }], [one.channelId, BigInt(deposit.salt)]))
  same(nonce, deposit.nonce, "a deposit's nonce")
  const digest = hashTypedData({
    domain: deposit.domain, types: { ReceiveWithAuthorization: fields(MOVE) }, primaryType: 'ReceiveWithAuthorization',
    message: { from: one.config.payer, to: deposit.collector, value: deposit.amount, validAfter: deposit.validAfter,
      validBefore: deposit.validBefore, nonce },
  })
  same(digest, deposit.digest, 'digest of a deposit')
  same(await recoverAddress({ hash: digest, signature: deposit.signature }), one.config.payer, 'its payer')
  same(payload.deposit.amount, deposit.amount, 'deposited')
}

same(decodePaymentRequiredHeader(vectors.required.header).accepts, vectors.required.accepts, 'what is accepted')
for (const one of vectors.responses) {
  const { success, amount, extra } = decodePaymentResponseHeader(one.header)
  same([success, amount, extra ?? {}], [one.success, one.amount, one.extra], 'a response')
}

const CONTRACT = parseAbi([
  'struct Channel { address payer; address payerAuthorizer; address receiver; address receiverAuthorizer; address token; uint40 withdrawDelay; bytes32 salt; }',
  'struct Voucher { Channel channel; uint128 maxClaimableAmount; }',
  'struct VoucherClaim { Voucher voucher; bytes signature; uint128 totalClaimed; }',
  'function deposit(Channel config, uint128 amount, address collector, bytes collectorData)',
  'function claim(VoucherClaim[] voucherClaims)',
  'function settle(address receiver, address token)',
  'function refund(Channel config, uint128 amount)',
])
for (const { call, arguments: args, collector, data } of read('calls')) {
  if (collector) {
    const { validAfter, validBefore, salt, signature } = collector
    args.push(encodeAbiParameters(['uint256', 'uint256', 'uint256', 'bytes'].map((type) => ({ type })),
      [BigInt(validAfter), BigInt(validBefore), BigInt(salt), signature]))
  }
  same(encodeFunctionData({ abi: CONTRACT, functionName: call, args }), data, `a call of ${call}`)
}
console.log(JSON.stringify({ checked }))
