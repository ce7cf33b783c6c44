#include "settle/x402/counter.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "market/money.hpp"

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
                     const Refusal& why, Micros price, std::string_view cost = {}) {
  response.set_header(protocol::x402::kRequiredHeader,
                      till.required(why, price, url_of(till, request)));
  answer(response, why.status, why.code.empty() ? "payment_required" : why.code,
         fmt::format("{}{}", why.message, cost));
}

// What it comes to, where a client shows nothing but the error's text.
std::string cost_of(const Till& till, Micros price) {
  const std::string& otherwise = till.options().otherwise;
  return fmt::format(": this costs {} at most, and the {} header says how it is paid{}{}",
                     market::format_money(till.terms(price).amount),
                     protocol::x402::kRequiredHeader, otherwise.empty() ? "" : "; ", otherwise);
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

Hash Sale::id() const {
  if (const auto* channel = std::get_if<ChannelSale>(&how)) return channel->id;
  return std::get<PaymentRow>(how).id;
}

bool Sale::failed() const {
  const auto* row = std::get_if<PaymentRow>(&how);
  return row != nullptr && row->state == PaymentState::failed;
}

bool Sale::needs_its_payer() const {
  const auto* row = std::get_if<PaymentRow>(&how);
  return row != nullptr && row->state == PaymentState::taken;
}

namespace {

using Refused = std::unexpected<Refusal>;

// nullopt: there is no price, which has been answered.
using MaybeTaken = std::optional<Taken<Sale>>;

MaybeTaken take(Till& till, const Payment& payment, const Hash& bound, const Price& price) {
  const auto known = till.find(payment, bound);
  if (!known) return Refused(known.error());
  if (*known) return Sale{**known};
  const auto asked = price();
  if (!asked) return std::nullopt;
  auto taken = till.take(payment, bound, *asked);
  if (!taken) return Refused(taken.error());
  return Sale{std::move(*taken)};
}

MaybeTaken take(Till& till, const ChannelPayment& payment, const Hash& bound, const Price& price) {
  ChannelTill* channels = till.channels();
  if (channels == nullptr) return refuse(402, "unsupported_scheme", "channels are not taken here");
  if (payment.refund)
    return refuse(402, "invalid_batch_settlement_evm_payload_type",
                  "a refund is asked for by GET: nothing is sold for it");
  auto sale = channels->enter(payment, bound);
  if (!sale) return Refused(sale.error());
  if (sale->done) return Sale{std::move(*sale)};
  const auto asked = price();
  if (!asked) return std::nullopt;
  if (const auto good = channels->admit(*sale, *asked + till.options().fee); !good)
    return Refused(good.error());
  return Sale{std::move(*sale)};
}

bool collect_channel(Till& till, ChannelSale& sale, Micros cost, io::HttpResponse& response) {
  const Status charged = till.channels()->charge(sale, cost + till.options().fee);
  if (!charged) {
    answer(response, 503, "unexpected_settle_error",
           charged.error().message + ": send the same request again, it is not charged twice");
    return false;
  }
  response.set_header(protocol::x402::kResponseHeader, to_header(till.channels()->settled(sale)));
  return true;
}

bool collect_exact(Till& till, const PaymentRow& row, const io::HttpRequest& request,
                   io::HttpResponse& response);

}  // namespace

std::optional<Sale> accept(Till& till, const io::HttpRequest& request, io::HttpResponse& response,
                           const Price& price) {
  const std::string_view header = request.header(protocol::x402::kSignatureHeader);
  const auto refused = [&](const Refusal& why) -> std::optional<Sale> {
    if (why.status != 402) {
      answer(response, why.status, why.code, why.message);
    } else if (const auto asked = price()) {
      // The fee comes on top.
      const Micros most = std::max(*asked, why.at_least - till.options().fee);
      ask_for_payment(till, request, response, why, most, cost_of(till, most));
    }
    return std::nullopt;
  };
  if (header.empty()) return refused({.message = "PAYMENT-SIGNATURE header is required"});
  const auto payment = protocol::x402::any_payment_from_header(header);
  if (!payment && payment.error().code == Errc::unsupported)
    return refused({.code = "unsupported_scheme", .message = payment.error().message});
  if (!payment)
    return refused({.status = 400, .code = "invalid_payload", .message = payment.error().message});
  auto taken = std::visit(
      [&](const auto& one) { return take(till, one, request_hash(request), price); }, *payment);
  if (!taken) return std::nullopt;
  if (!*taken) return refused(taken->error());
  return std::move(**taken);
}

void release(Till& till, const Sale& sale) {
  if (const auto* row = std::get_if<PaymentRow>(&sale.how)) till.release(row->id);
}

bool collect(Till& till, Sale& sale, Micros cost, const io::HttpRequest& request,
             io::HttpResponse& response) {
  if (auto* channel = std::get_if<ChannelSale>(&sale.how))
    return collect_channel(till, *channel, cost, response);
  return collect_exact(till, std::get<PaymentRow>(sale.how), request, response);
}

void refund(Till& till, const io::HttpRequest& request, io::HttpResponse& response) {
  const std::string_view header = request.header(protocol::x402::kSignatureHeader);
  // What is asked for here is never paid: a refund's voucher is of what was charged.
  const auto refused = [&](const Refusal& why) {
    if (why.status == 402) return ask_for_payment(till, request, response, why, 1);
    answer(response, why.status, why.code, why.message);
  };
  if (header.empty()) return refused({.message = "PAYMENT-SIGNATURE header is required"});
  const auto payment = protocol::x402::channel_payment_from_header(header);
  if (!payment && payment.error().code != Errc::unsupported)
    return refused({.status = 400, .code = "invalid_payload", .message = payment.error().message});
  if (!payment || !payment->refund || till.channels() == nullptr)
    return refused(
        {.code = "unsupported_scheme", .message = "only a channel's refund is asked for by GET"});
  const auto given = till.channels()->refund(*payment);
  if (!given) return refused(given.error());
  response.set_header(protocol::x402::kResponseHeader, to_header(*given));
  response.send_json(200, json::object{{"channel", to_hex(payment->voucher.channel)},
                                       {"transaction", to_hex(*given->transaction)}});
}

namespace {

bool collect_exact(Till& till, const PaymentRow& row, const io::HttpRequest& request,
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

}  // namespace

}  // namespace assay::settle::x402
