// The gateway's API for whoever has no key: one answer for one payment by x402, or for a voucher of
// the payer's channel.
#pragma once
#include "services/gateway/completions.hpp"
#include "settle/x402/counter.hpp"

namespace assay::services {

class X402Door {
 public:
  X402Door(settle::x402::Till& till, Completions& completions)
      : till_(till), completions_(completions) {}

  // 402 with the price, or, paid, the answer: whole or as events, once it is complete and the
  // payment is settled, or charged to the channel: there, what it really cost. The same payment for
  // the same request gets the same answer, charged once.
  void handle(ApiRequest::Kind kind, const io::HttpRequest& request, io::HttpResponse& response);

  // GET /assay/payments: the newest that came in, without what they paid for.
  void list(io::HttpResponse& response);
  // GET /assay/channels: those that were charged last.
  void list_channels(io::HttpResponse& response);
  // GET of what is sold: 402, or a channel's refund.
  void refund(const io::HttpRequest& request, io::HttpResponse& response);

  // What is answered to whoever has no key: what is for sale, and the sale.
  static bool is_open(const io::HttpRequest& request);

 private:
  settle::x402::Till& till_;
  Completions& completions_;
};

}  // namespace assay::services
