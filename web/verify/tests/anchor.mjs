// Anchors a checkpoint on a chain of this machine (anvil) with contracts/src/anchor, and prints what a bundle
// says of it.   node anchor.mjs ORIGIN SIZE ROOT
import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { artifact, chain } from '../../../contracts/scripts/chain.mjs'

const [origin, size, root] = process.argv.slice(2)
const { ask, send, stop } = await chain('cancun')
try {
  const { contractAddress } = await send(null, artifact('Anchor').bytecode.object)
  const selector = bytesToHex(keccak_256(utf8ToBytes('anchor(bytes32,uint64,bytes32)'))).slice(0, 8)
  const words = [bytesToHex(sha256(utf8ToBytes(origin))), BigInt(size).toString(16).padStart(64, '0'), root.slice(2)]
  const { transactionHash, blockNumber } = await send(contractAddress, `0x${selector}${words.join('')}`)
  const number = (hex) => BigInt(hex).toString()
  console.log(JSON.stringify({
    chain_id: number(await ask('eth_chainId', [])), block: number(blockNumber), contract: contractAddress,
    transaction: transactionHash, size, root,
  }))
} finally {
  stop()
}
