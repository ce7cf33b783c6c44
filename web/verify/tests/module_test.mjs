// The WebAssembly module against the machine's own build of the same sources (libsecp256k1, OpenSSL), and
// its verdict against the binary's: byte for byte, on whole files and on tampered ones.
//   node module_test.mjs MODULE assay_page_check assay
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ecdsaVerify, ed25519Verify } from '../src/curves.js'
import { Verifier } from '../src/module.js'

const [modulePath, native, assay] = process.argv.slice(2)
const root = new URL('../../../', import.meta.url).pathname
const evidence = (name) => join(root, 'web/verify/tests/evidence', name)
const MODEL = join(root, 'models/tern-q8_0.gguf')
const WORSE = join(root, 'models/tern-worse-q8_0.gguf')
const folder = mkdtempSync(join(tmpdir(), 'assay-page-'))

function test(name, run) {
  try {
    run()
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`FAIL ${name}: ${String(error.message).split('\n').slice(0, 3).join(' ')}`)
    process.exitCode = 1
  }
}

let written = 0
function file(bytes) {
  const path = join(folder, String(++written))
  writeFileSync(path, bytes)
  return path
}

// Whole files: what each case gives, by input.
const vector = (name) => JSON.parse(readFileSync(join(root, 'spec/vectors/export', name), 'utf8'))
const exported = vector('receipt.json')
const vectors = {
  receipt: file(JSON.stringify(exported.receipt)),
  cose: file(Buffer.from(exported.cose.slice(2), 'hex')),
  dsse: file(JSON.stringify(exported.dsse)),
  bundle: join(root, 'spec/vectors/export/bundle.json'),
}
const answer = readFileSync(evidence('answer.txt'), 'utf8')
const bundle = { evidence: evidence('bundle.json') }
const cases = [
  ...Object.values(vectors).map((path) => ({ evidence: path })),
  ...['bundle.json', 'answer.bundle.json', 'receipt.json', 'receipt.cose', 'receipt.dsse'].map((name) => ({ evidence: evidence(name) })),
  { evidence: evidence('receipt.json'), opening: evidence('opening.json') },
  { ...bundle, trusted: evidence('keys.txt') },
  { ...bundle, trusted: evidence('keys.txt'), checkpoint: evidence('checkpoint.txt') },
  { ...bundle, checkpoint: evidence('fork.checkpoint.txt') },
  { ...bundle, trusted: file('nonsense') },
  { ...bundle, model: WORSE, quote: file(answer) },
  { ...bundle, model: evidence('tern.vocabulary.gguf'), quote: file(answer) },
  ...[answer, answer.toUpperCase(), `“${answer.replaceAll(' ', '\u00a0 ')}”`, answer.split(' ').slice(4, 9).join(' '), `${answer.split(' ').slice(0, 4).join(' ')} […] ${answer.split(' ').slice(-3).join(' ')}`,
    answer.replace('fox', 'dog'), '', '…', 'x'.repeat(2000), Buffer.from([0xff, 0x20, 0xc3])].map((quote) => ({ ...bundle, model: MODEL, quote: file(quote) })),
]

// A publisher's signature over the model's files, by a key drawn here.
const publisher = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const publisherPem = publisher.publicKey.export({ type: 'spki', format: 'pem' })
const sha256 = (bytes) => createHash('sha256').update(bytes).digest()
function attestation(digest) {
  const payloadType = 'application/vnd.in-toto+json'
  const payload = Buffer.from(JSON.stringify({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'tern', digest: { sha256: sha256(digest).toString('hex') } }],
    predicateType: 'https://model_signing/signature/v1.0',
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: [] },
      resources: [{ name: 'tern-q8_0.gguf', algorithm: 'sha256', digest: digest.toString('hex') }],
    },
  }))
  const pae = Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `), payload])
  return file(JSON.stringify({
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: sha256(publisherPem).toString('hex') }, tlogEntries: [] },
    dsseEnvelope: { payload: payload.toString('base64'), payloadType, signatures: [{ sig: sign('sha384', pae, publisher.privateKey).toString('base64'), keyid: '' }] },
  }))
}
const trustsPublisher = file(publisherPem)
const signedFile = { ...bundle, trusted: trustsPublisher, attestation: attestation(sha256(readFileSync(MODEL))) }
const signedOther = { ...bundle, trusted: trustsPublisher, attestation: attestation(sha256('another file')) }
cases.push(signedFile, signedOther, { ...signedFile, trusted: evidence('keys.txt') })

// Tampered ones: one byte, drawn from the file's hash so that a run can be repeated. In JSON digits become
// other digits, so that most of what is tampered with still has the form.
const DIGITS = '0123456789'
function tamper(path, count) {
  const bytes = readFileSync(path)
  const out = []
  for (let i = 0; i < count; ++i) {
    const draw = createHash('sha256').update(bytes).update(String(i)).digest()
    const changed = Buffer.from(bytes)
    let at = draw.readUInt32LE(0) % bytes.length
    if (bytes[0] === 0x7b && i % 4 !== 0) {
      while (!DIGITS.includes(String.fromCharCode(bytes[at]))) at = (at + 1) % bytes.length
      changed[at] = DIGITS.charCodeAt((DIGITS.indexOf(String.fromCharCode(bytes[at])) + 1 + draw[4] % 9) % 10)
    } else {
      changed[at] ^= 1 << draw[4] % 8
    }
    out.push(file(changed))
  }
  return out
}
for (const path of [...Object.values(vectors), evidence('bundle.json'), evidence('receipt.cose'), evidence('receipt.dsse')])
  cases.push(...tamper(path, 40).map((changed) => ({ evidence: changed, trusted: evidence('keys.txt') })))
cases.push(...tamper(evidence('checkpoint.txt'), 10).map((checkpoint) => ({ ...bundle, checkpoint })))
cases.push(...tamper(evidence('keys.txt'), 10).map((trusted) => ({ ...bundle, trusted })))
cases.push(...tamper(signedFile.attestation, 20).map((changed) => ({ ...signedFile, attestation: changed })))
for (const bytes of ['', '{', '[]', '{}', '\xd2', 'hello', '{"assay":"bundle/7"}', '{"payloadType":"x"}']) cases.push({ evidence: file(bytes) })

const verifier = await Verifier.load(readFileSync(modulePath))
const INPUTS = ['evidence', 'opening', 'trusted', 'attestation', 'checkpoint', 'quote']
let opened = null
function ask(inputs) {
  if (inputs.model !== opened) {
    opened = inputs.model ?? null
    const bytes = opened ? readFileSync(opened) : new Uint8Array()
    verifier.modelRoom(bytes.length)(0, bytes)
    assert.equal(verifier.openModel(), '')
  }
  return verifier.checkText(Object.fromEntries(INPUTS.map((name) => [name, inputs[name] ? readFileSync(inputs[name]) : null])))
}

const mine = cases.map(ask)

test('the_module_answers_what_the_machine_answers', () => {
  const lines = cases.map((inputs) => Object.entries(inputs).map(([name, path]) => `${name}=${path}`).join('\t'))
  const run = spawnSync(native, { input: `${lines.join('\n')}\n`, maxBuffer: 1 << 28, encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
  const theirs = run.stdout.trimEnd().split('\n')
  assert.equal(theirs.length, mine.length)
  mine.forEach((text, i) => assert.equal(text, theirs[i], `case ${i}: ${lines[i]}`))
  const kinds = { error: 0, ok: 0, failed: 0 }
  for (const text of mine) {
    const { error, verdict } = JSON.parse(text)
    kinds[error ? 'error' : verdict.ok ? 'ok' : 'failed'] += 1
  }
  console.log(`  ${mine.length} cases: ${kinds.ok} hold, ${kinds.failed} do not, ${kinds.error} are no evidence`)
  assert.ok(kinds.ok > 20 && kinds.failed > 50 && kinds.error > 20, JSON.stringify(kinds))
})

test('its_verdict_is_the_one_of_assay_verify', () => {
  const keys = readFileSync(evidence('keys.txt'), 'utf8').trim().split('\n')
  const options = ({ opening, trusted, model }) => [
    ...(opening ? ['--opening', opening] : []), ...(model && !model.includes('vocabulary') ? ['--model', model] : []),
    ...(trusted ? ['--log-key', keys[0], '--witness-key', keys[1]] : [])]
  let compared = 0
  cases.forEach((inputs, i) => {
    const { verdict } = JSON.parse(mine[i])
    if (!verdict || inputs.checkpoint || inputs.attestation || (inputs.trusted && inputs.trusted !== evidence('keys.txt'))) return
    if (i >= 40 && i % 8 !== 0) return // a process each
    const run = spawnSync(assay, ['verify', inputs.evidence, ...options(inputs), '--json'], { encoding: 'utf8' })
    assert.equal(run.stdout.trimEnd(), JSON.stringify(verdict), `case ${i}`)
    assert.equal(run.status, verdict.ok ? 0 : 1)
    ++compared
  })
  console.log(`  ${compared} verdicts`)
  assert.ok(compared > 25)
})

test('a_publisher_vouches_for_the_file', () => {
  const standing = (inputs) => JSON.parse(mine[cases.indexOf(inputs)]).verdict.findings.find((f) => f.code === 'file.signed').standing
  assert.equal(standing(signedFile), 'proven')
  assert.equal(standing(signedOther), 'failed')
})

test('curves_agree_with_openssl', () => {
  const message = Buffer.from('a message')
  for (const [curve, hash] of [['P-256', 'sha256'], ['P-384', 'sha384'], ['P-521', 'sha512']]) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve })
    const pem = publicKey.export({ type: 'spki', format: 'pem' })
    const signature = sign(hash, message, privateKey)
    assert.equal(ecdsaVerify(pem, message, signature), 1, curve)
    assert.equal(ecdsaVerify(pem, Buffer.from('another'), signature), 0)
    assert.equal(ecdsaVerify(pem, message, signature.subarray(1)), 0)
  }
  const other = generateKeyPairSync('ed25519')
  assert.equal(ecdsaVerify(other.publicKey.export({ type: 'spki', format: 'pem' }), message, message), -2)
  assert.equal(ecdsaVerify('nothing', message, message), -1)
  const key = other.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  const signature = sign(null, message, other.privateKey)
  assert.ok(ed25519Verify(message, signature, key))
  for (let i = 0; i < 64; i += 7) {
    const changed = Buffer.from(signature)
    changed[i] ^= 4
    assert.ok(!ed25519Verify(message, changed, key), `byte ${i}`)
  }
})

rmSync(folder, { recursive: true })
