// The public x402 client (@x402/fetch with @x402/evm) as a buyer: node x402_client.mjs, one JSON object on stdin:
// {url, body, key, network, identifier?}. A line {"paying": PAYMENT-SIGNATURE} when it pays, then one of what came back:
// {status, type, text, headers, settled}.
import { readFileSync } from 'node:fs';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { privateKeyToAccount } from 'viem/accounts';
import { buy } from './x402_paying.mjs';

const { key, ...purchase } = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(await buy({ ...purchase, scheme: new ExactEvmScheme(privateKeyToAccount(key)) })));
