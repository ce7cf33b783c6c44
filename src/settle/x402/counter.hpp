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

// The payment that came with the request, taken; nullopt: there is none, or no good one, and that
// has been answered (402 with what is asked for, else 400, 409, 410, 503).
std::optional<PaymentRow> accept(Till& till, const io::HttpRequest& request,
                                 io::HttpResponse& response, const Price& price);

// The work for `row` is done and kept. true: it is paid for, and PAYMENT-RESPONSE is among the
// response's headers. false: it is not, which has been answered: 402, or 503 while the chain has
// not said.
bool collect(Till& till, const PaymentRow& row, const io::HttpRequest& request,
             io::HttpResponse& response);

}  // namespace assay::settle::x402
