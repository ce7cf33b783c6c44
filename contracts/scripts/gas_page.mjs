// docs/gas.md, of which each script writes its own part.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contracts } from './chain.mjs';

export const thousands = (n) => n.toLocaleString('en-US');
export const dollars = (gas, gwei) => '$' + (gas * gwei * 1e-9 * 3000).toFixed(4);

// Puts `text` between the markers of a part; false where the page had something else there. With `check` it is only
// compared.
export function putPart(part, script, text, check = false) {
  const page = join(contracts, '../docs/gas.md');
  const begin = `<!-- ${part}: written by contracts/scripts/${script} -->`;
  const old = readFileSync(page, 'utf8');
  const from = old.indexOf(begin), to = old.indexOf(`<!-- ${part}: end -->`);
  if (from < 0 || to < 0) throw new Error(`${page} has no part of the ${part}`);
  const now = `${old.slice(0, from)}${begin}\n${text}\n${old.slice(to)}`;
  if (!check) writeFileSync(page, now);
  return now === old;
}
