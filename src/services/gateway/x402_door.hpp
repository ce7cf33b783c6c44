// The gateway's API for whoever has no key: one answer for one payment by x402.
#pragma once
#include "services/gateway/completions.hpp"
#include "settle/x402/counter.hpp"

namespace assay::services {

class X402Door {
 public:
  X402Door(settle::x402::Till& till, Completions& completions)
      : till_(till), completions_(completions) {}

  // 402 with the price, or, paid, the answer: whole or as events, once it is complete and the
  // payment is settled. The same payment for the same request gets the same answer, charged once.
  void handle(ApiRequest::Kind kind, const io::HttpRequest& request, io::HttpResponse& response);

  // GET /assay/payments: the newest that came in, without what they paid for.
  void list(io::HttpResponse& response);

  // What is answered to whoever has no key: what is for sale, and the sale.
  static bool is_open(const io::HttpRequest& request);

 private:
  settle::x402::Till& till_;
  Completions& completions_;
};

}  // namespace assay::services
