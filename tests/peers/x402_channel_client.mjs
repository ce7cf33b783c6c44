// The public x402 client with its scheme batch-settlement (@x402/evm) as a buyer: node x402_channel_client.mjs, one JSON
// object on stdin: {url, key, network, rpc, folder?, steps}; a step is {body, identifier?} or {refund: amount or null}. What it
// knows of its channels is in the folder, or forgotten when it ends. For each step lines {"paying": PAYMENT-SIGNATURE}
// as it pays, then one of what came back: {status, type, text, headers, settled}, {settled} or {error}.
import { readFileSync } from 'node:fs';
import { toClientEvmSigner } from '@x402/evm';
import { BatchSettlementEvmScheme } from '@x402/evm/batch-settlement/client';
import { FileClientChannelStorage } from '@x402/evm/batch-settlement/client/file-storage';
import { createPublicClient, http } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { buy } from './x402_paying.mjs';

const { url, key, network, rpc, folder, steps } = JSON.parse(readFileSync(0, 'utf8'));
const signer = toClientEvmSigner(privateKeyToAccount(key), createPublicClient({ transport: http(rpc) }));
const scheme = new BatchSettlementEvmScheme(signer, folder ? { storage: new FileClientChannelStorage({ directory: folder }) } : {});

const take = ({ body, identifier, refund }) => body === undefined
  ? scheme.refund(url, refund ? { amount: refund } : {}).then((settled) => ({ settled }))
  : buy({ network, scheme, url, body, identifier });
for (const step of steps)
  console.log(JSON.stringify(await take(step).catch((error) => ({ error: String(error) }))));
