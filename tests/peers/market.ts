// A market on a chain as viem sees it, through the bindings generated from the contracts (contracts/bindings): the same
// code, parameters, events, leases, claims, stakes and disputes as our own verbs and views tell, and the same signatures.
//
//   node market.ts < {"rpc", "manifest", "status", "events", "board", "receipts"}
// manifest, status, events: JSON of a deployment, `assay chain status`, `assay chain events`; board: a URL whose /ledger
// answers from our own reading of the chain; receipts: receipt files. Type-checked by tsc (tsconfig.json).
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  BaseError, ContractFunctionRevertedError, createPublicClient, decodeEventLog, decodeFunctionData, encodeEventTopics, getAddress, hashTypedData, http, keccak256,
  recoverTypedDataAddress, verifyTypedData, type Abi, type Address, type Hex, type TypedDataDefinition,
} from 'viem'
import {
  anchorAbi, claimingNames, deliveriesAbi, disputesAbi, domainOf, endingNames, leaseStateNames, marketAbi, messageTypes,
  programsAbi, registryAbi, turnNames, whyNames,
} from '../../contracts/bindings/index.ts'

type Words = Record<string, string>
type Contract = { address: Address, code_hash: Hex }
type Manifest = { chain_id: string, first_block: string, market: Address, token: Address, parameters: Words, contracts: Record<string, Contract> }
type Status = Words & { ok: boolean, parameters: Words, contracts: Record<string, Contract & { as_built: boolean }> }
type IndexedEvent = { event: string, block: string, index: string, transaction: Hex, contract: Address, indexed: Hex[], data: Hex, fields?: Words }
type Signed = { message: Record<string, unknown>, signature: Hex }
type ReceiptFile = { domain: Words, offer: Signed, lease: Signed, request: Signed, receipt: Signed }
type Given = { rpc: string, manifest: Manifest, status: Status, events: IndexedEvent[], board: string, receipts: ReceiptFile[] }
type MessageName = keyof typeof messageTypes

const { rpc, manifest, status, events, board, receipts } = JSON.parse(readFileSync(0, 'utf8')) as Given
const snake = (name: string) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)
const client = createPublicClient({ transport: http(rpc) })
const market = { address: manifest.market, abi: marketAbi } as const
const disputes = { address: manifest.contracts.Disputes!.address, abi: disputesAbi } as const
const domain = domainOf(Number(manifest.chain_id), manifest.market)
const abis: Record<string, Abi> = {
  Market: marketAbi, Disputes: disputesAbi, Deliveries: deliveriesAbi, Programs: programsAbi, Anchor: anchorAbi, Registry: registryAbi,
}
const abiAt = new Map(Object.entries(abis).map(([name, abi]) => [manifest.contracts[name]!.address.toLowerCase(), abi]))

async function ours(path: string): Promise<any> {
  const answer = await fetch(board + path)
  assert.equal(answer.status, 200, path)
  return answer.json()
}

// The JSON form of a message (decimal strings) as viem takes it.
function valueOf(name: string, message: Record<string, unknown>): Record<string, unknown> {
  const fields = messageTypes[name as MessageName]
  assert.deepEqual(Object.keys(message), fields.map((f) => f.name), `members of ${name}`)
  return Object.fromEntries(fields.map(({ name: field, type }) => {
    const value = message[field]
    if (type.endsWith('[]')) return [field, (value as Record<string, unknown>[]).map((v) => valueOf(type.slice(0, -2), v))]
    return [field, /^u?int/.test(type) ? BigInt(value as string) : value]
  }))
}

const typed = (primaryType: string, message: Record<string, unknown>) =>
  ({ domain, types: messageTypes, primaryType, message }) as TypedDataDefinition

async function signedBy(signer: unknown, type: string, message: Record<string, unknown>, signature: Hex) {
  const data = typed(type, message)
  assert.ok(await verifyTypedData({ ...data, address: signer as Address, signature }), `${type} is signed by ${signer}`)
  const other = Object.entries(message).find(([, value]) => typeof value === 'bigint' || typeof value === 'number')
  const bytes = Object.entries(message).find(([, value]) => typeof value === 'string' && value.length === 66)
  const changed = other ? { [other[0]]: BigInt(other[1] as bigint) ^ 1n } : { [bytes![0]]: keccak256(bytes![1] as Hex) }
  assert.ok(!await verifyTypedData({ ...typed(type, { ...message, ...changed }), address: signer as Address, signature }),
    `${type} with another figure is not`)
}

// What is deployed: its code, parameters and totals.
async function deployment() {
  assert.equal(await client.getChainId(), Number(manifest.chain_id))
  assert.equal(status.ok, true)
  for (const [name, { address, code_hash }] of Object.entries(manifest.contracts)) {
    const code = await client.getCode({ address })
    assert.equal(keccak256(code!), code_hash, `code of ${name}`)
    if (status.contracts[name]) assert.equal(status.contracts[name].code_hash, code_hash, name)
  }
  const parameters = await client.readContract({ ...market, functionName: 'parameters' })
  const words = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [snake(name), String(value)]))
  assert.deepEqual(words, status.parameters)
  assert.deepEqual(words, manifest.parameters)
  const totals = await client.readContract({ ...market, functionName: 'totals' })
  for (const name of ['deposited', 'withdrawn', 'burned', 'bonds'] as const) assert.equal(String(totals[name]), status[name], name)
  assert.equal(await client.readContract({ ...market, functionName: 'token' }), getAddress(manifest.token))
  const courts = await client.readContract({ ...market, functionName: 'courts' })
  assert.deepEqual(courts, [manifest.contracts.Disputes!, manifest.contracts.Deliveries!].map((c) => getAddress(c.address)))
  // A refusal says why, in the contracts' own words.
  const refused = await client.simulateContract({ ...market, functionName: 'deposit', args: [manifest.market, 0n], account: manifest.market })
    .catch((error: BaseError) => error.walk((e) => e instanceof ContractFunctionRevertedError))
  assert.ok(refused instanceof ContractFunctionRevertedError)
  assert.equal(refused.data?.errorName, 'Invalid')
  assert.equal(whyNames[refused.data.args?.[0] as number], 'Amount')
}

// An event's arguments by the names our index gives them, the members of tuples among them.
function fieldsOf(args: Record<string, unknown>): Words {
  const members = Object.values(args).filter((value) => typeof value === 'object' && value !== null)
  const word = (name: string, value: unknown) => {
    const state = name === 'state' ? leaseStateNames[Number(value)] : name === 'outcome' ? endingNames[Number(value)] : undefined
    return (state === undefined ? String(value) : snake(state).replace(/^_/, '')).toLowerCase()
  }
  return Object.fromEntries(Object.entries(Object.assign({}, ...members, args) as Record<string, unknown>).map(
    ([name, value]) => [snake(name), word(name, value)]))
}

// Every event since the deployment, raw from the node and as our index has it.
async function happened() {
  const logs = await client.getLogs({
    address: [...abiAt.keys()] as Address[], fromBlock: BigInt(manifest.first_block), toBlock: 'latest',
  })
  const theirs = logs.map((log, i) => {
    const abi = abiAt.get(log.address.toLowerCase())!
    const { eventName, args } = decodeEventLog({ abi, data: log.data, topics: log.topics, strict: true })
    assert.deepEqual(encodeEventTopics({ abi, eventName: eventName! })[0], log.topics[0])
    const words = fieldsOf(args as unknown as Record<string, unknown>)
    const fields = Object.entries(events[i]?.fields ?? {})
    assert.ok(fields.length > 0, `${eventName} has no fields`)
    for (const [name, value] of fields) assert.equal(value.toLowerCase(), words[name], `${eventName}.${name}`)
    return { event: eventName!, block: String(log.blockNumber), index: String(log.logIndex), transaction: log.transactionHash,
      contract: getAddress(log.address), indexed: log.topics.slice(1) as Hex[], data: log.data }
  })
  assert.deepEqual(events.map(({ fields: _, ...raw }) => raw), theirs, 'events')
  return logs
}

type Logs = Awaited<ReturnType<typeof happened>>

function named<N extends 'LeaseOpened' | 'Claimed' | 'Settled' | 'Staked'>(logs: Logs, eventName: N) {
  const [topic] = encodeEventTopics({ abi: marketAbi, eventName })
  return logs.filter((log) => log.topics[0] === topic).map((log) => ({
    ...decodeEventLog({ abi: marketAbi, eventName, data: log.data, topics: log.topics, strict: true }),
    transaction: log.transactionHash,
  }))
}

async function accounts(logs: Logs) {
  const people = new Set(named(logs, 'Staked').map((e) => e.args.account))
  for (const { args } of named(logs, 'LeaseOpened')) people.add(args.buyer).add(args.provider)
  let staked = 0
  for (const who of people) {
    const view = await ours(`/ledger/accounts/${who}`)
    const account = await client.readContract({ ...market, functionName: 'account', args: [who] })
    for (const field of ['available', 'stake', 'exposure', 'convictions', 'slashed'] as const)
      assert.equal(String(account[field]), String(view[field]), `${field} of ${who}`)
    assert.equal(account.unbonding, view.unbonding.reduce((sum: bigint, u: Words) => sum + BigInt(u.amount!), 0n))
    const limit = await client.readContract({ ...market, functionName: 'exposureLimit', args: [account.stake] })
    assert.equal(String(limit), view.exposure_limit)
    staked += account.stake > 0n ? 1 : 0
  }
  return { accounts: people.size, staked }
}

async function leases(logs: Logs) {
  const claims = new Map(named(logs, 'Claimed').map((e) => [e.args.id, e.args]))
  let pending = 0
  const opened = named(logs, 'LeaseOpened')
  for (const { args: { id, terms } } of opened) {
    assert.equal(hashTypedData(typed('Lease', terms)), id, 'a lease is its digest')
    const view = await ours(`/ledger/leases/${id}`)
    const lease = await client.readContract({ ...market, functionName: 'lease', args: [id] })
    assert.deepEqual(valueOf('Lease', view.terms), Object.fromEntries(Object.entries(terms).map(([name, value]) =>
      [name, typeof value === 'number' ? BigInt(value) : value])), 'terms')
    assert.equal(leaseStateNames[lease.state]!.toLowerCase(), view.state)
    for (const field of ['escrow', 'paid', 'opened'] as const) assert.equal(String(lease[field]), view[field], `${field} of ${id}`)
    assert.equal(claimingNames[lease.claiming] === 'Barred', !view.may_claim)
    assert.equal(claimingNames[lease.claiming] === 'Pending', view.claim !== null, 'a pending claim')
    if (view.claim === null) continue
    ++pending
    const claim = claims.get(lease.claim)!
    assert.deepEqual({ id: lease.claim, total: String(claim.total), count: String(claim.count), root: claim.root },
      { id: view.claim.id, total: view.claim.total, count: view.claim.count, root: view.claim.root })
    assert.equal(String(lease.until), view.claim.due)
    const message = { lease: id, root: claim.root, total: claim.total, count: Number(claim.count) }
    assert.equal(hashTypedData(typed('Claim', message)), lease.claim)
  }
  return { leases: opened.length, pending }
}

async function verdicts(logs: Logs) {
  const [topic] = encodeEventTopics({ abi: disputesAbi, eventName: 'DisputeFiled' })
  const filed = logs.filter((log) => log.topics[0] === topic)
  const moves: number[] = []
  for (const log of filed) {
    const { args } = decodeEventLog({ abi: disputesAbi, eventName: 'DisputeFiled', data: log.data, topics: log.topics, strict: true })
    const view = await ours(`/ledger/disputes/${args.id}`)
    const record = await client.readContract({ ...disputes, functionName: 'dispute', args: [args.id] })
    assert.equal(record.decided ? 'decided' : 'open', view.state)
    assert.equal(endingNames[record.outcome]!.replace(/[A-Z]/g, (c, i) => (i ? '_' : '') + c.toLowerCase()), view.outcome)
    assert.equal(turnNames[record.turn]!.toLowerCase(), view.turn)
    for (const field of ['lease', 'subject', 'challenger', 'defender', 'bond', 'moves', 'game', 'filed'] as const)
      assert.equal(String(record[field]), String(view[field]), `${field} of dispute ${args.id}`)
    assert.equal(await client.readContract({ ...market, functionName: 'convicted', args: [record.subject] }),
      endingNames[record.outcome] === 'ProviderWrong')
    moves.push(record.moves)
  }
  return { disputes: filed.length, moves }
}

// Who must have signed the first argument of each call.
const signerOf: Record<string, (message: any, rest: readonly any[]) => unknown> = {
  stake: (m) => m.account, openLease: (m) => m.buyer, settle: (_, rest) => rest[0].buyer, claim: (_, rest) => rest[0].provider,
  close: (m) => m.account, finalize: (m) => m.account, commitDispute: (m) => m.account, fileDispute: (m) => m.challenger,
  timeout: (m) => m.account, transfer: (m) => m.account, withdraw: (m) => m.account,
}

async function signatures(logs: Logs) {
  const seen: Record<string, number> = {}
  for (const hash of new Set(logs.map((log) => log.transactionHash))) {
    const { to, input } = await client.getTransaction({ hash })
    const abi = to && abiAt.get(to.toLowerCase())
    if (!abi) continue
    const { functionName, args } = decodeFunctionData({ abi, data: input })
    const signer = signerOf[functionName]
    const [message, signature, ...rest] = (args ?? []) as [any, Hex, ...any[]]
    const entry = abi.find((e) => e.type === 'function' && e.name === functionName)
    const type = entry?.type === 'function' && entry.inputs[0]?.internalType?.match(/^struct (\w+)$/)?.[1]
    if (!type) continue
    if (type === 'Move') {
      const record = await client.readContract({ ...disputes, functionName: 'dispute', args: [message.dispute] })
      const by = await recoverTypedDataAddress({ ...typed(type, message), signature })
      assert.ok([record.challenger, record.defender].includes(by), 'a move is one of the two sides\'')
    } else if (signer) {
      await signedBy(signer(message, rest), type, message, signature)
    } else {
      continue
    }
    seen[type] = (seen[type] ?? 0) + 1
  }
  for (const file of receipts) {
    assert.deepEqual({ ...file.domain, chainId: Number(file.domain.chainId) }, domain, 'domain of a receipt file')
    for (const [part, type, side] of [['offer', 'Offer', 'provider'], ['lease', 'Lease', 'buyer'], ['request', 'Request', 'buyer'],
      ['receipt', 'Receipt', 'provider']] as const) {
      await signedBy(file.lease.message[side], type, valueOf(type, file[part].message), file[part].signature)
      seen[type] = (seen[type] ?? 0) + 1
    }
  }
  return seen
}

await deployment()
const logs = await happened()
const told = { events: logs.length, ...await accounts(logs), ...await leases(logs), ...await verdicts(logs), signatures: await signatures(logs) }
console.log(JSON.stringify(told))
