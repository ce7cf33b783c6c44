// The public x402 client with its scheme batch-settlement (@x402/evm) as a buyer: node x402_channel_client.mjs, one JSON
// object on stdin: {url, key, network, rpc, folder?, steps}; a step is {body, identifier?} or {refund: amount or null}. What it
// knows of its channels is in the folder, or forgotten when it ends. For each step lines {"paying": PAYMENT-SIGNATURE}
// as it pays, then one of what came back: {status, text, headers, settled} or {error}.
import { readFileSync } from 'node:fs';
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { toClientEvmSigner } from '@x402/evm';
import { BatchSettlementEvmScheme } from '@x402/evm/batch-settlement/client';
import { FileClientChannelStorage } from '@x402/evm/batch-settlement/client/file-storage';
import { appendPaymentIdentifierToExtensions } from '@x402/extensions/payment-identifier';
import { createPublicClient, http } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

const { url, key, network, rpc, folder, steps } = JSON.parse(readFileSync(0, 'utf8'));
const signer = toClientEvmSigner(privateKeyToAccount(key), createPublicClient({ transport: http(rpc) }));
const scheme = new BatchSettlementEvmScheme(signer, folder ? { storage: new FileClientChannelStorage({ directory: folder }) } : {});

for (const { body, identifier, refund } of steps) {
  const client = x402Client.fromConfig({
    schemes: [{ network, client: scheme }],
    spendControls: { allowedAssets: true }, // a devnet's dollar is none of those it knows
  });
  if (identifier)
    client.onBeforePaymentCreation(async ({ paymentRequired }) => {
      appendPaymentIdentifierToExtensions(paymentRequired.extensions, identifier);
    });
  const watched = (request) => {
    const paying = request.headers.get('payment-signature');
    if (paying) console.log(JSON.stringify({ paying }));
    return fetch(request);
  };
  try {
    if (body === undefined) {
      console.log(JSON.stringify({ settled: await scheme.refund(url, refund ? { amount: refund } : {}) }));
      continue;
    }
    const response = await wrapFetchWithPayment(watched, client)(url, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    const settled = response.headers.get('payment-response');
    console.log(JSON.stringify({
      status: response.status, text: await response.text(), headers: Object.fromEntries(response.headers),
      settled: settled && decodePaymentResponseHeader(settled),
    }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
