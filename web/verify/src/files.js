// What a dropped file is, by its content: its name means nothing.
const TEXT_MAX = 64 << 20 // bytes; what `assay verify` reads at most

const isCheckpoint = (text) => /^[^\n]+\n\d+\n[A-Za-z0-9+/]{43}=\n(.*\n)*\n— /.test(text)
const isKeys = (text) =>
  text.split('\n').every((line) => /^\s*$|^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\s*$/.test(line)) ||
  text.includes('-----BEGIN PUBLIC KEY-----')

// {kind, value}: kind is an input's name (module.js); value a File for a model, text for keys, else bytes.
export async function recognise(file) {
  const start = new Uint8Array(await file.slice(0, 4).arrayBuffer())
  if (new TextDecoder().decode(start) === 'GGUF') return { kind: 'model', value: file }
  if (file.size > TEXT_MAX) throw new Error(`${file.name} is too large to be evidence`)
  const bytes = new Uint8Array(await file.arrayBuffer())
  const text = new TextDecoder().decode(bytes)
  if (/^\s*\{/.test(text)) {
    if (/^\s*\{\s*"assay":\s*"opening\//.test(text)) return { kind: 'opening', value: bytes }
    const signing = text.includes('application/vnd.dev.sigstore.bundle') && !/"assay":/.test(text)
    return { kind: signing ? 'attestation' : 'evidence', value: bytes }
  }
  if (isCheckpoint(text)) return { kind: 'checkpoint', value: bytes }
  if (file.size > 0 && isKeys(text)) return { kind: 'trusted', value: text.trim() }
  return { kind: 'evidence', value: bytes }
}

export const NAMES = {
  evidence: 'evidence',
  opening: 'opening: prompt, answer and salt',
  model: 'model file or vocabulary',
  attestation: "signature over the model's files",
  checkpoint: 'log checkpoint',
  trusted: 'keys you trust',
}
