// One purchase by the public x402 client, told on stdout: a line {"paying": PAYMENT-SIGNATURE} whenever it pays. It is not told
// anything about who sells.
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch';
import { appendPaymentIdentifierToExtensions } from '@x402/extensions/payment-identifier';

export async function buy({ network, scheme, url, body, identifier }) {
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
  const response = await wrapFetchWithPayment(watched, client)(url, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  const settled = response.headers.get('payment-response');
  return {
    status: response.status, type: response.headers.get('content-type'), text: await response.text(),
    headers: Object.fromEntries(response.headers), settled: settled && decodePaymentResponseHeader(settled),
  };
}
