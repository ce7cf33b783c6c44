// The verifier: our C++ as a WebAssembly module. One instance answers any number of times.
import { ecdsaVerify, ed25519Verify, recover } from './curves.js'

const INPUTS = ['evidence', 'opening', 'trusted', 'attestation', 'checkpoint', 'quote', 'model']
const NOT_IMPLEMENTED = 52

export class Verifier {
  // wasm: the module's bytes. progress(done, total): while a model file is hashed.
  static async load(wasm, progress = () => {}) {
    const verifier = new Verifier()
    const { instance } = await WebAssembly.instantiate(wasm, verifier.#imports(progress))
    verifier.exports = instance.exports
    verifier.exports._initialize()
    return verifier
  }

  // inputs: { evidence: Uint8Array, quote: '…', … }; what is not in it stays as it was, null takes it
  // away. Returns what wasm/check.hpp says.
  check(inputs) {
    return JSON.parse(this.checkText(inputs))
  }
  checkText(inputs) {
    for (const [name, value] of Object.entries(inputs)) this.#put(name, value)
    this.exports.check()
    return this.#result()
  }

  // Room for a model file of this size in the module's memory, to be filled by write(at, bytes).
  modelRoom(size) {
    const at = this.exports.input(INPUTS.indexOf('model'), size)
    return (offset, bytes) => this.#bytes(at + offset, bytes.length).set(bytes)
  }
  // Hashes what is there and keeps its identity. Returns why it is refused, or ''.
  openModel() {
    this.exports.open_model()
    return this.#result()
  }

  #put(name, value) {
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value ?? new Uint8Array()
    const at = this.exports.input(INPUTS.indexOf(name), bytes.length)
    this.#bytes(at, bytes.length).set(bytes)
  }
  #result() {
    const size = this.exports.result_size() >>> 0
    return new TextDecoder().decode(this.#bytes(this.exports.result(), size))
  }
  // Made anew each time: the memory moves when it grows.
  #bytes(at, size) {
    return new Uint8Array(this.exports.memory.buffer, at >>> 0, size)
  }

  #imports(progress) {
    const bytes = (at, size) => this.#bytes(at, size)
    const unsupported = () => NOT_IMPLEMENTED
    const wasi = {
      proc_exit: (code) => {
        throw new Error(`the verifier stopped with status ${code}`)
      },
    }
    return {
      page: { progress },
      curves: {
        secp256k1_recover: (digest, signature, odd, out) => {
          const point = recover(bytes(digest, 32), bytes(signature, 64), odd !== 0)
          if (point) bytes(out, 64).set(point)
          return point ? 1 : 0
        },
        ed25519_verify: (message, size, signature, key) =>
          ed25519Verify(bytes(message, size), bytes(signature, 64), bytes(key, 32)) ? 1 : 0,
        ecdsa_verify: (pem, pemSize, message, size, der, derSize) =>
          ecdsaVerify(new TextDecoder('latin1').decode(bytes(pem, pemSize)), bytes(message, size),
            bytes(der, derSize)),
      },
      // The module has neither files nor a clock: what libc links in is told so.
      wasi_snapshot_preview1: new Proxy(wasi, { get: (known, name) => known[name] ?? unsupported }),
    }
  }
}
