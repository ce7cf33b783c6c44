// A chain of one fork's rules (anvil), and the contracts forge compiled.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeDeployData, getContractAddress } from 'viem';

export const contracts = join(dirname(fileURLToPath(import.meta.url)), '..');
const FILES = { ToyReferee: 'Toy', ToyPrograms: 'Toy', TestCollector: 'TestChannels' }; // of contracts in a file of another name
export const artifact = (name) => JSON.parse(readFileSync(join(contracts, `out/${FILES[name] ?? name}.sol/${name}.json`), 'utf8'));

function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// `ask` is its JSON-RPC, `send` a transaction that must succeed, `stop` ends it.
export async function chain(hardfork) {
  const port = await freePort();
  const anvil = spawn(join(contracts, 'node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil'),
    ['--port', String(port), '--hardfork', hardfork, '--silent', '--gas-limit', '1000000000'], { stdio: 'ignore' });
  const ask = async (method, params) => {
    const answer = await fetch(`http://127.0.0.1:${port}`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = await answer.json();
    if (error) throw new Error(`${method}: ${error.message} ${error.data ?? ''}`);
    return result;
  };
  for (let tries = 0; ; ++tries) {
    try {
      await ask('eth_chainId', []);
      break;
    } catch (e) {
      if (tries > 600) throw e;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const [from] = await ask('eth_accounts', []);
  // Of a transaction that may fail.
  const attempt = async (to, data) => {
    const hash = await ask('eth_sendTransaction', [{ from, ...(to ? { to } : {}), data, gas: '0xf00000' }]);
    for (;;) {
      const receipt = await ask('eth_getTransactionReceipt', [hash]);
      if (receipt) return receipt;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const send = async (to, data) => {
    if (to) await ask('eth_call', [{ from, to, data, gas: '0xf00000' }, 'pending']); // says why, where it fails
    const receipt = await attempt(to, data);
    if (receipt.status !== '0x1') throw new Error(`a transaction to ${to} failed`);
    return receipt;
  };
  return { ask, from, attempt, send, stop: () => anvil.kill() };
}

export async function deploy(on, name, args = []) {
  const { abi, bytecode, deployedBytecode } = artifact(name);
  const receipt = await on.send(null, encodeDeployData({ abi, bytecode: bytecode.object, args }));
  return { name, abi, address: receipt.contractAddress, gas: Number(receipt.gasUsed), size: deployedBytecode.object.length / 2 - 1 };
}

// The referee with its parts: `referee`, `programs`, and everything deployed in order.
export async function deployReferee(on) {
  const all = [], parts = {};
  for (const [part, name] of Object.entries({ programs: 'Programs', layer: 'LayerSteps', product: 'ProductSteps',
    attention: 'AttentionSteps', sampling: 'SamplingSteps', logprob: 'LogprobSteps', constraint: 'ConstraintSteps', finish: 'Finish' })) {
    all.push(await deploy(on, name));
    parts[part] = all.at(-1).address;
  }
  const referee = await deploy(on, 'Referee', [parts]);
  return { referee, programs: all[0], all: [...all, referee] };
}

// A market and everything that must know it, whose address is foreseen. `audits`: AuditParameters.
export async function deployMarket(on, token, parameters, audits, games, programs) {
  const keyed = await deploy(on, 'Keyed', [programs.address]);
  const nonce = BigInt(await on.ask('eth_getTransactionCount', [on.from, 'latest']));
  const at = getContractAddress({ from: on.from, nonce: nonce + 7n });
  const disputes = await deploy(on, 'Disputes', [at, games.address]);
  const deliveries = await deploy(on, 'Deliveries', [at]);
  const auditors = await deploy(on, 'Auditors', [at]);
  const checks = await deploy(on, 'Checks', [at, keyed.address, games.address]);
  const passes = await deploy(on, 'Passes', [at, games.address]);
  const course = await deploy(on, 'Audits', [at, disputes.address, auditors.address, checks.address, passes.address, audits]);
  const blocks = await deploy(on, 'Blocks');
  const market = await deploy(on, 'Market',
    [token.address, parameters, disputes.address, deliveries.address, course.address, auditors.address, blocks.address]);
  return { keyed, disputes, deliveries, auditors, checks, passes, audits: course, blocks, market };
}
