// The page: what was given, asked of the verifier again at every change.
import { NAMES, recognise } from './files.js'
import { clear, show } from './view.js'
import VerifierWorker from './worker.js?worker&inline'

const $ = (id) => document.getElementById(id)
const given = new Map() // kind → { name, value }

const worker = new VerifierWorker()
const waiting = new Map()
worker.onmessage = ({ data }) => {
  if ('progress' in data) {
    $('progress').querySelector('progress').value = data.progress
    return
  }
  const { resolve, reject } = waiting.get(data.id)
  waiting.delete(data.id)
  if ('error' in data) reject(new Error(data.error))
  else resolve(data.answer)
}
worker.onerror = () => show({ error: 'this browser could not start the verifier: WebAssembly and workers are needed' })

let calls = 0
function ask(message) {
  const id = ++calls
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject })
    worker.postMessage({ id, ...message })
  })
}

let latest = 0
async function check() {
  const turn = ++latest
  if (!given.has('evidence')) return clear(given.size > 0)
  const value = (kind) => given.get(kind)?.value ?? null
  const quote = $('quote').value.trim()
  let answer
  try {
    answer = await ask({
      inputs: {
        evidence: value('evidence'),
        opening: value('opening'),
        attestation: value('attestation'),
        checkpoint: value('checkpoint'),
        trusted: $('keys').value,
        quote,
      },
    })
  } catch (error) {
    answer = { error: error.message }
  }
  if (turn === latest) show(answer, { quoted: quote !== '', model: given.has('model') })
}

async function setModel(file) {
  $('progress').hidden = file === null
  const refused = await ask({ model: file }).catch((error) => error.message)
  $('progress').hidden = true
  if (refused) {
    given.delete('model')
    list(`The model file was not taken: ${refused}`)
  }
}

async function take(files) {
  for (const file of files) {
    try {
      const { kind, value } = await recognise(file)
      if (kind === 'trusted') {
        $('keys').value = `${$('keys').value}\n${value}`.trim()
        $('keys').closest('details').open = true
        continue
      }
      given.set(kind, { name: file.name, value })
      list()
      if (kind === 'model') await setModel(value)
    } catch (error) {
      list(error.message)
    }
  }
  await check()
}

async function remove(kind) {
  given.delete(kind)
  list()
  $('files').focus()
  if (kind === 'model') await setModel(null)
  await check()
}

function list(problem) {
  const items = [...given].map(([kind, { name }]) => {
    const item = document.createElement('li')
    const text = document.createElement('span')
    text.append(Object.assign(document.createElement('b'), { textContent: name }), ` ${NAMES[kind]}`)
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: '×' })
    button.setAttribute('aria-label', `Take ${name} away`)
    button.onclick = () => remove(kind)
    item.append(text, button)
    return item
  })
  if (problem) items.push(Object.assign(document.createElement('li'), { textContent: problem, className: 'problem' }))
  $('chosen').replaceChildren(...items)
}

$('files').onchange = async ({ target }) => {
  const files = [...target.files]
  target.value = '' // the same file may be chosen again
  await take(files)
}
for (const type of ['dragenter', 'dragover', 'dragleave', 'drop'])
  addEventListener(type, (event) => {
    event.preventDefault()
    $('drop').classList.toggle('over', type === 'dragenter' || type === 'dragover')
    if (type === 'drop') take([...event.dataTransfer.files])
  })
$('quote').oninput = check
$('keys').oninput = check
document.querySelector('form').onsubmit = (event) => event.preventDefault()
clear(false)
