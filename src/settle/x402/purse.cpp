#include "settle/x402/purse.hpp"

#include <thread>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"

namespace assay::settle::x402 {
namespace {

constexpr std::int64_t kDayS = 86'400, kAnswerMs = 300'000;
// Clocks differ: an authorization holds from a little before it was signed.
constexpr std::uint64_t kBackS = 60;

Hash hash_of(std::string_view url, std::string_view body) {
  crypto::Sha256 hash;
  hash.update(view(url));
  hash.update(view("\n"));
  hash.update(view(body));
  return hash.finish();
}

}  // namespace

Result<std::unique_ptr<Purse>> Purse::open(PurseOptions options, io::ChainRpc& rpc,
                                           const crypto::SecretKey& key, const Clock& clock) {
  TRY(Token token, Token::open(rpc, options.asset));
  TRY(auto purchases, Purchases::open(options.data_file));
  options.http.ours = false;
  options.http.tls_beyond_loopback = true;
  options.http.total_timeout_ms = kAnswerMs;
  options.http.idle_timeout_ms = kAnswerMs;
  options.http.peer_word = "seller";
  std::unique_ptr<Purse> out(
      new Purse(std::move(options), std::move(token), key, clock, std::move(purchases)));
  out->rounds_.start([purse = out.get()] {
    if (const Status looked = purse->look(); !looked)
      io::log_warn("x402 purchases: {} (tried again later)", looked.error().message);
    return purse->options_.round_ms;
  });
  return out;
}

// The first offer that this purse may pay.
Result<Payment> Purse::sign(const protocol::x402::Required& required, const Hash& id) const {
  const protocol::x402::Requirements& own = token_.domain();
  std::string reasons;
  for (const json::value& offered : required.accepts) {
    const auto terms = !offered.is_object()
                           ? fail(Errc::invalid, "not an object")
                           : protocol::x402::requirements_from_json(offered.get_object());
    std::string why;
    if (!terms)
      why = terms.error().message;
    else if (terms->chain_id != own.chain_id || terms->asset != own.asset)
      why = "another token than this purse's";
    else if (terms->name != own.name || terms->version != own.version)
      why = "not the token's own domain";
    else if (terms->amount > options_.most)
      why = fmt::format("{} micro-units, over the most for one answer ({})", terms->amount,
                        options_.most);
    if (!why.empty()) {
      reasons += (reasons.empty() ? "" : "; ") + why;
      continue;
    }
    Payment out{
        .accepted = *terms, .resource = required.resource, .extensions = required.extensions};
    const auto now = static_cast<std::uint64_t>(clock_.now_s());
    out.authorization = {.from = crypto::address_of(key_),
                         .to = terms->pay_to,
                         .value = terms->amount,
                         .valid_after = now - kBackS,
                         .valid_before = now + std::min(terms->timeout_s, options_.hold_s),
                         .nonce = io::random_hash()};
    out.extensions =
        protocol::x402::with_identifier(std::move(out.extensions), "pay_" + to_hex_bare(id));
    out.signature = crypto::sign(digest(*terms, out.authorization), key_);
    return out;
  }
  return fail(Errc::refused, "the seller takes nothing that may be paid here: {}",
              reasons.empty() ? "it offers nothing" : reasons);
}

Result<Bought> Purse::buy(const Hash& id, const std::string& url, std::string_view body) {
  const Hash request = hash_of(url, body);
  TRY(auto known, purchases_->find(id));
  if (known && known->request != request)
    return fail(Errc::conflict, "this purchase was made for another request");
  if (known && known->state != PurchaseState::void_) return claim(*known, body);

  TRY(io::HttpReply asked, http_.post_json(url, body));
  if (asked.status != 402) return Bought{.reply = std::move(asked)};
  const auto header = asked.headers.find(protocol::x402::kRequiredHeader);
  if (header == asked.headers.end())
    return fail(Errc::unsupported, "the seller asks for a payment, but not by x402 v2");
  TRY(const auto required, protocol::x402::required_from_header(header->second));
  Purchase purchase{
      .id = id, .request = request, .url = url, .payment = {}, .signed_s = clock_.now_s()};
  TRY(purchase.payment, sign(required, id));
  if (to_header(purchase.payment).size() > protocol::x402::kHeaderBytesMax)
    return fail(Errc::unsupported, "the seller wants more echoed than a header holds");
  // On disk before it can be used by anybody. A conflict: the same purchase is being made.
  CHECK_OK(purchases_->add(purchase, options_.budget, purchase.signed_s / kDayS * kDayS));
  return claim(purchase, body);
}

// The same authorization, until the seller answers for it or patience ends.
Result<Bought> Purse::claim(const Purchase& purchase, std::string_view body) {
  const std::string header = protocol::x402::to_header(purchase.payment);
  const std::int64_t until = io::steady_ms() + options_.patience_ms;
  std::string last;
  while (true) {
    const auto reply = http_.post_json(purchase.url, body,
                                       {{std::string(protocol::x402::kSignatureHeader), header}});
    if (reply && reply->status >= 200 && reply->status < 300) {
      // What it says of the payment is not needed: the chain is asked.
      if (const Status looked = look(); !looked) io::log_debug("{}", looked.error().message);
      return Bought{.reply = std::move(*reply), .paid = purchase.payment.authorization.value};
    }
    last = reply ? io::refusal("seller", *reply).message : reply.error().message;
    // 5xx, or nothing: it may have the money, or be taking it. Anything else is its last word.
    const bool again = !reply || reply->status >= 500 || reply->status == 429;
    if (!again || io::steady_ms() + options_.retry_ms > until || rounds_.stopping()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(options_.retry_ms));
  }
  return fail(Errc::unavailable,
              "the seller was authorized to take {} micro-units, and has not answered ({}): ask "
              "again, the same authorization is used",
              purchase.payment.authorization.value, last);
}

Status Purse::look() {
  TRY(const auto open, purchases_->open_ones());
  for (const Purchase& purchase : open) {
    const protocol::x402::Authorization& a = purchase.payment.authorization;
    TRY(const bool used, token_.used(a));
    if (used) {
      CHECK_OK(purchases_->end(purchase.id, PurchaseState::paid));
      continue;
    }
    TRY(const bool lapsed, token_.lapsed(a, options_.confirmations));
    if (lapsed) CHECK_OK(purchases_->end(purchase.id, PurchaseState::void_));
  }
  return {};
}

}  // namespace assay::settle::x402
