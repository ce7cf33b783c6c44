// The chain of evidence as a picture: who asked, who answered, which weights, where in which log, on
// which chain; each link as strong as what proves it.
import { el, icon, WORDS } from './dom.js'

const KINDS = { failed: 'bad', proven: 'good', claimed: 'claimed', unchecked: 'unknown' }
const short = (hex) => `${hex.slice(0, 10)}…${hex.slice(-6)}`
const money = (micros) => {
  const digits = micros.padStart(7, '0')
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`.replace(/0+$/, '').replace(/\.$/, '')
}
const date = (seconds) => `${new Date(Number(seconds) * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
const count = (n, one) => `${Number(n).toLocaleString('en')} ${one}${n === '1' ? '' : 's'}`

export function chain({ verdict: { findings }, chain: c }) {
  // A link is as weak as its weakest finding; what is not there is not asked.
  const ORDER = ['failed', 'unchecked', 'claimed', 'proven']
  const weakest = (...codes) => {
    const found = findings.filter((f) => codes.includes(f.code))
    return ORDER.find((standing) => found.some((f) => f.standing === standing)) ?? 'unchecked'
  }
  const of = (code) => findings.find((f) => f.code === code)
  const disclosed = (code) => (of(code)?.standing === 'proven' ? 'disclosed' : 'not disclosed')
  const any = (...codes) => findings.some((f) => codes.includes(f.code) && f.standing === 'failed')
  // failed if one of these is, else as weak as the first list.
  const link = (codes, others) => (any(...codes, ...others) ? 'failed' : weakest(...codes))
  const links = [
    {
      title: 'Asked by', standing: link(['lease.signature', 'request.signature', 'chain'], ['prompt', 'prompt.chunks']),
      main: el('code', { title: c.buyer }, short(c.buyer)),
      lines: [`${count(c.prompt_tokens, 'token')} asked, ${disclosed('prompt')}`],
    },
    {
      title: 'Answered by', standing: link(['receipt.signature', 'amount', 'count', 'export.signature'], ['answer', 'answer.chunks']),
      main: el('code', { title: c.provider }, short(c.provider)),
      lines: [`${count(c.answer_tokens, 'token')} answered, ${disclosed('answer')}`, `for ${money(c.amount)}, as its receipt number ${c.number}`],
    },
    {
      title: 'With weights', standing: link(['execution'], ['model', 'file', 'file.signed']),
      main: c.model?.name ?? 'unknown',
      lines: [
        el('code', { title: c.weights_root }, short(c.weights_root)),
        of('file.signed')?.standing === 'proven' ? 'file signed by a publisher you trust'
          : of('file')?.standing === 'proven' ? 'file checked here'
            : of('model')?.standing === 'proven' ? 'model checked here' : 'the name is the provider’s word',
        'signed for, not re-executed here',
      ],
    },
    c.log || of('log') ? {
      title: 'Logged in', standing: link(['log'], ['checkpoint', 'time']),
      main: c.log?.origin ?? 'a log',
      lines: c.log ? [
        `entry ${Number(c.log.index).toLocaleString('en')} of ${Number(c.log.size).toLocaleString('en')}`,
        ...c.log.cosignatures.map((w) => `${w.witness}, ${date(w.time)}${w.trusted ? '' : ' (unknown key)'}`),
      ] : [],
    } : { title: 'Logged in', standing: 'unchecked', main: 'no log', lines: ['nothing here says when'] },
    c.anchor ? {
      title: 'Anchored on', standing: weakest('anchor'),
      main: `chain ${c.anchor.chain_id}`,
      lines: [`block ${Number(c.anchor.block).toLocaleString('en')}`, el('code', { title: c.anchor.transaction }, short(c.anchor.transaction))],
    } : { title: 'Anchored on', standing: 'unchecked', main: 'no chain', lines: ['no anchor is given'] },
  ]
  return el('figure', { class: 'chain' },
    el('figcaption', {}, 'The chain of evidence'),
    el('ol', {}, ...links.map(({ title, standing, main, lines }) => {
      const kind = KINDS[standing]
      return el('li', { class: kind },
        icon(kind, true),
        el('h3', {}, title),
        el('p', { class: 'main' }, main),
        ...lines.map((line) => el('p', {}, line)),
        el('p', { class: 'standing' }, WORDS[kind]))
    })))
}
