// What the module asks of curves (wasm/signatures.cpp): arithmetic only, the rules around it are in C++.
// Each answers as libsecp256k1 and OpenSSL do on a machine, hostile input included.
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { sha512 } from '@noble/hashes/sha2.js'

// SubjectPublicKeyInfo of an uncompressed point, up to the point.
const SPKI = [
  [p256, '3059301306072a8648ce3d020106082a8648ce3d030107034200'],
  [p384, '3076301006072a8648ce3d020106052b81040022036200'],
  [p521, '30819b301006072a8648ce3d020106052b8104002303818600'],
]

const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
const littleEndian = (bytes) => BigInt(`0x${hex(Uint8Array.from(bytes).reverse())}`)
const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i])

// The point x ‖ y, or null.
export function recover(digest, signature, odd) {
  try {
    const point = secp256k1.Signature.fromBytes(signature, 'compact')
      .addRecoveryBit(odd ? 1 : 0).recoverPublicKey(digest)
    return point.toBytes(false).subarray(1)
  } catch {
    return null
  }
}

// RFC 8032 without the cofactor: R is compared as bytes, as OpenSSL does.
export function ed25519Verify(message, signature, key) {
  const { Point } = ed25519
  const r = signature.subarray(0, 32)
  const s = littleEndian(signature.subarray(32))
  const order = Point.Fn.ORDER
  if (s >= order) return false
  try {
    const a = Point.fromBytes(key, true)
    const k = littleEndian(sha512(new Uint8Array([...r, ...key, ...message]))) % order
    return equal(Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k)).toBytes(), r)
  } catch {
    return false
  }
}

// 1: it signed, 0: it did not, -1: not a public key in PEM, -2: a key of another kind.
export function ecdsaVerify(pem, message, signature) {
  const body = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/.exec(pem)
  if (!body) return -1
  let der
  try {
    der = Uint8Array.from(atob(body[1].replace(/\s/g, '')), (c) => c.charCodeAt(0))
  } catch {
    return -1
  }
  const found = SPKI.find(([, prefix]) => hex(der).startsWith(prefix))
  if (!found) return der[0] === 0x30 ? -2 : -1
  const [curve, prefix] = found
  const point = der.subarray(prefix.length / 2)
  try {
    curve.Point.fromBytes(point)
  } catch {
    return -1
  }
  try {
    return curve.verify(signature, message, point, { lowS: false, format: 'der' }) ? 1 : 0
  } catch {
    return 0
  }
}
