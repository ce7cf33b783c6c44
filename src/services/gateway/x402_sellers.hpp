// Answers bought elsewhere: models "x402/NAME" are asked of a seller that is paid by x402. Nothing
// of them is verified: there is no receipt, and no bits to replay.
#pragma once
#include "io/http_response.hpp"
#include "services/gateway/gatekeeper.hpp"
#include "settle/x402/purse.hpp"

namespace assay::services {

class X402Sellers {
 public:
  X402Sellers(settle::x402::Purse& purse, std::map<std::string, std::string> urls,
              Gatekeeper& gatekeeper)
      : purse_(purse), urls_(std::move(urls)), gatekeeper_(gatekeeper) {}

  // Whether the body asks for one of theirs.
  static bool wanted(std::string_view body);
  // The body goes to the seller of its model, whole, with the model's own name; what comes back is
  // passed on. With an Idempotency-Key it is paid for once, however often it is asked.
  void handle(const io::HttpRequest& request, io::HttpResponse& response);

 private:
  settle::x402::Purse& purse_;
  std::map<std::string, std::string> urls_;  // by name: what "/v1/…" is appended to
  Gatekeeper& gatekeeper_;
};

}  // namespace assay::services
