// The verifier in a thread of its own, so that hashing a model file does not stop the page.
// Messages: {id, inputs} → {id, answer}; {id, model: File or null} → {id, answer: why refused or ''};
// in between {progress: 0 … 1}.
import packed from 'virtual:module'
import { Verifier } from './module.js'

async function unpack() {
  const gzip = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0))
  const stream = new Blob([gzip]).stream().pipeThrough(new DecompressionStream('gzip'))
  return new Response(stream).arrayBuffer()
}

// Half the bar is for reading the file, half for hashing it.
let told = 0
function progress(share) {
  if (share < 1 && Date.now() - told < 100) return
  told = Date.now()
  postMessage({ progress: share })
}

const LIMIT = 3 * 2 ** 30 // of a 32-bit memory, with room for the rest
const ready = unpack().then((wasm) =>
  Verifier.load(wasm, (done, total) => progress(0.5 + done / total / 2)))

async function openModel(verifier, file) {
  if (file && file.size > LIMIT)
    return 'the model file is larger than a browser lets a page hold: `assay verify --model` reads it'
  const write = verifier.modelRoom(file?.size ?? 0)
  if (file) {
    let at = 0
    for (const reader = file.stream().getReader(); ;) {
      const { done, value } = await reader.read()
      if (done) break
      write(at, value)
      at += value.length
      progress(at / file.size / 2)
    }
  }
  return verifier.openModel()
}

// One after another: a check asked for during hashing waits for it.
let last = Promise.resolve()
onmessage = ({ data: { id, inputs, model } }) => {
  last = last.then(async () => {
    try {
      const verifier = await ready
      const answer = inputs ? verifier.check(inputs) : await openModel(verifier, model)
      postMessage({ id, answer })
    } catch (error) {
      postMessage({ id, error: String(error.message ?? error) })
    }
  })
}
