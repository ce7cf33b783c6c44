// Refusal to deliver (spec/ledger.md, "Delivery"): a buyer demands the answer behind a statement
// its provider signed. An operation's id is the digest of its message.
#pragma once
#include "protocol/messages.hpp"

namespace assay::protocol {

// Buyer-signed, with the bond: request and statement travel beside it. `subject` is the digest of
// the statement, a receipt or a progress.
struct Demand {
  static constexpr std::string_view kName = "Demand";
  Address buyer{};
  Hash lease{}, subject{};
  Micros bond = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("lease", s.lease);
    v("subject", s.subject);
    v("bond", s.bond);
    v("nonce", s.nonce);
  }
};

// Provider-signed: the answer, sealed for the buyer (delivery.hpp), travels beside it. `answer` is
// the SHA-256 of those bytes, so that nobody can put others in their place.
struct Delivery {
  static constexpr std::string_view kName = "Delivery";
  Address provider{};
  Hash demand{};  // digest of the demand
  Hash answer{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("provider", s.provider);
    v("demand", s.demand);
    v("answer", s.answer);
  }
};

// Buyer-signed: what was delivered is not the answer signed for. Gives the salt secret away, and
// with it prompt and answer to whoever can guess or unseal them: the buyer's choice alone.
struct DeliveryReport {
  static constexpr std::string_view kName = "DeliveryReport";
  Address buyer{};
  Hash demand{};
  Hash salt_secret{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("demand", s.demand);
    v("salt_secret", s.salt_secret);
  }
};

}  // namespace assay::protocol
