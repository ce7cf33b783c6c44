// docs/gas.md, of which each script writes its own part.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contracts } from './chain.mjs';

export const thousands = (n) => n.toLocaleString('en-US');
// The least a call with these bytes costs since Prague (EIP-7623).
export function floorOf(data) {
  const bytes = Buffer.from(data.slice(2), 'hex');
  const zeros = bytes.reduce((n, b) => n + (b === 0), 0);
  return 21000 + 10 * (zeros + 4 * (bytes.length - zeros));
}
export const dollars = (gas, gwei) => '$' + (gas * gwei * 1e-9 * 3000).toFixed(4);

// How far gas may be from the page's: signatures have some zero bytes more or less, a time other digits.
const slack = (was) => (was < 20_000 ? 0 : Math.max(0.002 * was, 200));

// The lines of `now` that `old` does not have, but for figures that drift within bounds.
function drifted(old, now) {
  const figures = /\$?\d[\d,]*(\.\d+)?/g;
  const number = (s) => Number(s.replace(/[$,]/g, ''));
  const same = (a, b) => a.replace(figures, '#') === b.replace(figures, '#') && (a.match(figures) ?? []).every((figure, i) => {
    const [was, is] = [number(figure), number(b.match(figures)[i])];
    return Math.abs(was - is) <= (figure.startsWith('$') ? 0.0002 + 0.002 * was : slack(was));
  });
  const lines = old.split('\n');
  return now.split('\n').filter((line, i) => !same(lines[i] ?? '', line)).concat(lines.slice(now.split('\n').length));
}

// Puts `text` between the markers of a part. With `check` it is only compared, and the process ends as a test does.
export function putPart(part, script, text, check = false) {
  const page = join(contracts, '../docs/gas.md');
  const begin = `<!-- ${part}: written by contracts/scripts/${script} -->`;
  const old = readFileSync(page, 'utf8');
  const from = old.indexOf(begin), to = old.indexOf(`<!-- ${part}: end -->`);
  if (from < 0 || to < 0) throw new Error(`${page} has no part of the ${part}`);
  if (!check) return writeFileSync(page, `${old.slice(0, from)}${begin}\n${text}\n${old.slice(to)}`);
  const drift = drifted(old.slice(from + begin.length + 1, to - 1), text);
  for (const line of drift) console.log(line);
  console.log(drift.length === 0 ? `ok docs/gas.md says what receipts say, of the ${part}`
    : `FAIL docs/gas.md: ${drift.length} lines of the ${part} are not what receipts say: run contracts/scripts/${script}`);
  process.exit(drift.length === 0 ? 0 : 1);
}
