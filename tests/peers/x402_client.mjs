// The public x402 client (@x402/fetch with @x402/evm) as a buyer: node x402_client.mjs, one JSON object on stdin:
// {url, body, key, network, identifier?}. A line {"paying": PAYMENT-SIGNATURE} when it pays, then one of what came back:
// {status, type, text, headers, settled}. It is not told anything about who sells.
import { readFileSync } from 'node:fs';
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { ExactEvmScheme } from '@x402/evm/exact/client';
import { appendPaymentIdentifierToExtensions } from '@x402/extensions/payment-identifier';
import { privateKeyToAccount } from 'viem/accounts';

const { url, body, key, network, identifier } = JSON.parse(readFileSync(0, 'utf8'));
const client = x402Client.fromConfig({
  schemes: [{ network, client: new ExactEvmScheme(privateKeyToAccount(key)) }],
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
const response = await wrapFetchWithPayment(watched, client)(url, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
});
const settled = response.headers.get('payment-response');
console.log(JSON.stringify({
  status: response.status, type: response.headers.get('content-type'), text: await response.text(),
  headers: Object.fromEntries(response.headers), settled: settled && decodePaymentResponseHeader(settled),
}));
