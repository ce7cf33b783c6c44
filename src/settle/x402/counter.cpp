#include "settle/x402/counter.hpp"

#include "crypto/sha256.hpp"

namespace assay::settle::x402 {
namespace {

constexpr std::string_view kRetryAfterS = "2";

std::string url_of(const Till& till, const io::HttpRequest& request) {
  if (!till.options().public_url.empty()) return till.options().public_url + request.path;
  return fmt::format("http://{}{}", request.header("host"), request.path);
}

void answer(io::HttpResponse& response, int status, const std::string& code,
            const std::string& message) {
  response.set_header("x-should-retry", status == 503 ? "true" : "false");
  if (status == 503) response.set_header("retry-after", kRetryAfterS);
  response.send_error(status, message, code);
}

void ask_for_payment(const Till& till, const io::HttpRequest& request, io::HttpResponse& response,
                     const Refusal& why, Micros price) {
  response.set_header(protocol::x402::kRequiredHeader,
                      till.required(why, price, url_of(till, request)));
  answer(response, why.status, why.code.empty() ? "payment_required" : why.code, why.message);
}

}  // namespace

Hash request_hash(const io::HttpRequest& request) {
  crypto::Sha256 hash;
  for (const std::string* part : {&request.method, &request.path}) {
    hash.update(view(*part));
    hash.update(view("\n"));
  }
  hash.update(view(request.body));
  return hash.finish();
}

std::optional<PaymentRow> accept(Till& till, const io::HttpRequest& request,
                                 io::HttpResponse& response, const Price& price) {
  const std::string_view header = request.header(protocol::x402::kSignatureHeader);
  const auto refused = [&](const Refusal& why) -> std::optional<PaymentRow> {
    if (why.status != 402) {
      answer(response, why.status, why.code, why.message);
    } else if (const auto asked = price()) {
      ask_for_payment(till, request, response, why, *asked);
    }
    return std::nullopt;
  };
  if (header.empty()) return refused({.message = "PAYMENT-SIGNATURE header is required"});
  const auto payment = protocol::x402::payment_from_header(header);
  if (!payment && payment.error().code == Errc::unsupported)
    return refused({.code = "unsupported_scheme", .message = payment.error().message});
  if (!payment)
    return refused({.status = 400, .code = "invalid_payload", .message = payment.error().message});
  const Hash bound = request_hash(request);
  const auto known = till.find(*payment, bound);
  if (!known) return refused(known.error());
  if (*known) return **known;
  const auto asked = price();
  if (!asked) return std::nullopt;
  auto taken = till.take(*payment, bound, *asked);
  if (taken) return std::move(*taken);
  if (taken.error().status == 402)
    ask_for_payment(till, request, response, taken.error(), *asked);
  else
    answer(response, taken.error().status, taken.error().code, taken.error().message);
  return std::nullopt;
}

bool collect(Till& till, const PaymentRow& row, const io::HttpRequest& request,
             io::HttpResponse& response) {
  if (const Status noted = till.answered(row.id); !noted) {
    answer(response, 500, "unexpected_settle_error", noted.error().message);
    return false;
  }
  const auto outcome = till.settle(row.id);
  if (!outcome) {
    answer(response, 503, "unexpected_settle_error",
           outcome.error().message + ": send the same request again, it is not charged twice");
    return false;
  }
  response.set_header(protocol::x402::kResponseHeader, to_header(outcome->response));
  switch (outcome->fate) {
    case Till::Outcome::Fate::settled:
      return true;
    case Till::Outcome::Fate::unknown:
      answer(response, 503, "settlement_unknown",
             "the payment is on its way, its end not known yet: send the very same request again, "
             "it is never charged twice");
      return false;
    case Till::Outcome::Fate::failed:
      // What it would have paid, once more: another authorization may.
      ask_for_payment(till, request, response,
                      {.code = outcome->response.error,
                       .message = "the payment was not settled, and nothing was charged"},
                      row.payment.accepted.amount - till.options().fee);
      return false;
  }
  return false;
}

}  // namespace assay::settle::x402
