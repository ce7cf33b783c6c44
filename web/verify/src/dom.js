// Elements without a framework. Text only ever enters as text.
export function el(tag, attributes = {}, ...children) {
  const out = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) out.setAttribute(name, value)
  out.append(...children)
  return out
}

export function button(text, onclick, label = text) {
  const out = el('button', { type: 'button', 'aria-label': label }, text)
  out.onclick = onclick
  return out
}

const PATHS = {
  good: 'M6.5 12.4l3.6 3.6 7.4-8.2',
  bad: 'M7.6 7.6l8.8 8.8m0-8.8l-8.8 8.8',
  partly: 'M12 6.6v7m0 3.2v.4',
  claimed: 'M7 13.2c1.6-2.4 3.4-2.4 5-1s3.4 1.4 5-1',
  unknown: 'M9.3 9.8a2.8 2.8 0 1 1 3.9 2.6c-.9.4-1.2.9-1.2 1.7m0 2.6v.3',
}
export const WORDS = { good: 'proven', bad: 'contradicted', partly: 'partly', claimed: "somebody's word", unknown: 'not proven' }

// A mark whose shape says what its colour says; `mute` where a word beside it says so too.
export function icon(kind, mute = false) {
  const ns = 'http://www.w3.org/2000/svg'
  const svg = document.createElementNS(ns, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', `icon ${kind}`)
  svg.setAttribute('role', 'img')
  if (mute) svg.setAttribute('aria-hidden', 'true')
  else svg.setAttribute('aria-label', WORDS[kind])
  for (const [name, attributes] of [['circle', { cx: 12, cy: 12, r: 11 }], ['path', { d: PATHS[kind] }]]) {
    const shape = document.createElementNS(ns, name)
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value)
    svg.append(shape)
  }
  return svg
}
