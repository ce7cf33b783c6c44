// Where a till meets HTTP: reads PAYMENT-SIGNATURE, and writes the answers of a sale that are not
// the goods. Whatever sells calls accept(), does its work, keeps the answer, then collect(), and
// only then sends it.
#pragma once
#include <functional>

#include "io/http_response.hpp"
#include "settle/x402/till.hpp"

namespace assay::settle::x402 {

// What a payment is bound to: method, path and body.
Hash request_hash(const io::HttpRequest& request);

// A price in micro-units; nullopt: there is none, and the callee has answered.
using Price = std::function<std::optional<Micros>()>;

// A payment of either scheme that was taken for one request.
struct Sale {
  std::variant<PaymentRow, ChannelSale> how;

  Hash id() const;      // of the work: the same for whoever asks for the same again
  bool failed() const;  // it did not settle, and unless it does after all, nothing is given
  // Not settled yet, and not for a payer who is not there: `exact` is settled when it is asked for
  // again. A voucher is worth its face whatever the payer does.
  bool needs_its_payer() const;
};

// The payment that came with the request, taken; nullopt: there is none, or no good one, and that
// has been answered (402 with what is asked for, else 400, 409, 410, 503).
std::optional<Sale> accept(Till& till, const io::HttpRequest& request, io::HttpResponse& response,
                           const Price& price);

// Its work failed: nothing is owed.
void release(Till& till, const Sale& sale);

// The work for `sale` is done and kept. true: it is paid for, and PAYMENT-RESPONSE is among the
// response's headers. false: it is not, which has been answered: 402, or 503 while the chain has
// not said. `cost`, the till's fee not in it, is what a channel is charged; `exact` pays what it
// says.
bool collect(Till& till, Sale& sale, Micros cost, const io::HttpRequest& request,
             io::HttpResponse& response);

// GET of what is sold: how a payer of a channel asks for its money back. Answers in any case.
void refund(Till& till, const io::HttpRequest& request, io::HttpResponse& response);

}  // namespace assay::settle::x402
