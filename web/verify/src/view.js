// The verdict as a page: headline, the quote beside what was signed, the chain of evidence, and all
// findings by how much they prove.
import { chain } from './chain.js'
import { button, el, icon } from './dom.js'

const GROUPS = [
  ['failed', 'What contradicts', 'bad'],
  ['proven', 'What is proven', 'good'],
  ['unchecked', 'What is not proven', 'unknown'],
  ['claimed', "Only somebody's word", 'claimed'],
  ['caveat', 'What even a proven answer does not mean', 'unknown'],
]
// Findings speak of the options of `assay verify`; here the same things are dropped or pasted.
const OPTIONS = [
  [/--opening FILE/g, 'the opening, dropped here,'],
  [/--model FILE/g, 'the model file, dropped here,'],
  [/--(log-key|witness-key) KEY/g, 'the same key among those you trust'],
  [/--model-signer FILE \(the publisher's public key\) or --model-certificates FILE/g,
    "the publisher's public key among the keys you trust"],
]
const words = (text) => OPTIONS.reduce((out, [pattern, here]) => out.replace(pattern, here), text)

const result = () => document.getElementById('result')

export function clear(incomplete) {
  result().replaceChildren(el('p', { class: 'empty' }, incomplete
    ? 'The evidence is still missing: a bundle, a receipt, or its COSE or DSSE export.'
    : 'The verdict will be here.'))
}

// answer: wasm/check.hpp. context: {quoted, model}: whether a quote and a model file were given.
export function show(answer, context = {}) {
  if ('error' in answer) {
    result().replaceChildren(banner('bad', 'This is not evidence that can be checked.', sentence(answer.error)))
    return
  }
  const { level, headline, detail } = judge(answer, context)
  result().replaceChildren(
    banner(level, headline, detail),
    ...(answer.quote ? [comparison(answer.quote)] : []),
    chain(answer),
    ...said(answer),
    findings(answer.verdict.findings),
    exact(answer))
}

function judge({ verdict, chain: { provider, model }, answer, quote }, { quoted, model: modelGiven }) {
  const failed = verdict.findings.filter((f) => f.standing === 'failed')
  if (failed.length > 0)
    return {
      level: 'bad',
      headline: 'This evidence does not hold.',
      detail: failed.map((f) => el('span', { class: 'line' }, ...sentence(f.text))),
    }
  const standing = (code) => verdict.findings.find((f) => f.code === code)?.standing
  const who = el('span', {}, 'provider ', el('code', {}, provider))
  const name = !model ? 'a model' : standing('file') === 'proven' ? `“${model.name}”` : `the model it calls “${model.name}”`
  // The question is what the model said, and a signature is a promise.
  const promise = el('span', { class: 'line' }, 'That the model computed it is a promise so far: ', el('code', {}, 'assay audit'), ' re-executes it, bit for bit.')
  if (quote?.verdict === 'differs')
    return {
      level: 'bad',
      headline: 'These are not the words that were signed.',
      detail: ['The evidence holds, but for another text. The differences are marked below.'],
    }
  if (quote) {
    const whole = quote.verdict === 'whole'
    const how = quote.exact ? 'To the letter' : 'Once white space and quotation marks are made alike'
    return {
      level: 'good',
      headline: whole ? 'These are the words that were signed.' : 'These words are part of the answer that was signed.',
      detail: [`${how}, the quotation is ${whole ? '' : 'part of '}what `, who, ` signed as the answer of ${name}.`, promise],
    }
  }
  if (!quoted)
    return {
      level: 'good',
      headline: 'The receipt holds.',
      detail: ['It is ', who, `’s, for an answer of ${name}.`, ...(answer ? [' Paste what was quoted to compare it with what was signed.'] : []), promise],
    }
  return {
    level: 'partly',
    headline: 'The receipt holds; the words could not be compared.',
    detail: [standing('answer') !== 'proven'
      ? 'The answer is not disclosed here. Drop the opening, or a bundle that has it.'
      : modelGiven ? 'The vocabulary given is not the one that this receipt is about.'
        : 'Receipts commit to token ids. Drop the model file or its vocabulary, which turns them into words.'],
  }
}

// As nodes: what is between backticks is code.
function sentence(text) {
  const out = words(text)
  const whole = out[0].toUpperCase() + out.slice(1) + (/[.!?…]$/.test(out) ? '' : '.')
  return whole.split('`').map((piece, i) => (i % 2 ? el('code', {}, piece) : piece))
}

function banner(level, headline, detail) {
  const text = el('p', {}, ...detail)
  document.getElementById('status').textContent = `${headline} ${text.textContent}`
  return el('div', { class: `banner ${level}` }, icon(level), el('div', {}, el('h2', {}, headline), text))
}

function comparison({ verdict, before, parts, after }) {
  const tags = { same: 'span', only_quoted: 'del', only_signed: 'ins', omitted: 'span' }
  const names = { only_quoted: 'only in the quotation: ', only_signed: 'only in the signed answer: ' }
  const pieces = parts.map(({ kind, text }) => el(tags[kind], { class: kind },
    ...(names[kind] ? [el('span', { class: 'aloud' }, names[kind])] : []), text))
  const around = (text) => (text.trim() ? [el('span', { class: 'around' }, text)] : [])
  return el('section', { class: 'card comparison' },
    el('h3', {}, verdict === 'differs' ? 'Where they differ' : 'In the signed answer'),
    el('p', { class: 'signed-text' }, ...around(before), ...pieces, ...around(after)),
    ...(verdict === 'differs' ? [el('p', { class: 'legend' }, el('del', {}, 'only in the quotation'), ' ', el('ins', {}, 'only in the signed answer'))] : []))
}

// The texts themselves, where they are disclosed and the vocabulary is there.
function said({ prompt, answer, quote }) {
  const text = (title, value) => el('details', { class: 'card' }, el('summary', {}, title), el('p', { class: 'signed-text' }, value))
  return [
    ...(prompt ? [text('What was asked', prompt.text)] : []),
    ...(answer && !quote ? [text('What was answered', answer.text)] : []),
  ]
}

// What holds on the left, all that does not or need not on the right; contradictions above both.
function findings(all) {
  const groups = Object.fromEntries(GROUPS.map(([standing, title, kind]) =>
    [standing, group(title, kind, all.filter((f) => f.standing === standing))]))
  const { failed, proven, ...rest } = groups
  return el('div', { class: 'findings' }, failed, el('div', {}, proven), el('div', {}, ...Object.values(rest)))
}

function group(title, kind, findings) {
  if (findings.length === 0) return ''
  return el('section', { class: `group ${kind}` }, el('h3', {}, title),
    el('ul', {}, ...findings.map((f) => el('li', {}, icon(kind), el('span', {}, ...sentence(f.text))))))
}

// What somebody else needs to look at the same thing.
function exact({ chain: c, verdict }) {
  const rows = [
    ['Form', verdict.form], ['Buyer', c.buyer], ['Provider', c.provider], ['Receipt', c.receipt],
    ['Number of the provider', c.number], ['Weights root', c.weights_root], ['Program hash', c.program_hash],
    ['Canon', c.canon], ['GGUF file, says the provider', c.model?.file_alias], ['Log root', c.log?.root],
    ['Anchor transaction', c.anchor?.transaction],
  ].filter(([, value]) => value)
  return el('details', { class: 'card exact' }, el('summary', {}, 'The exact values'),
    el('dl', {}, ...rows.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, el('code', {}, value), ...(value.length > 20 ? [button('Copy', () => navigator.clipboard?.writeText(value), `Copy ${name}`)] : []))])))
}
