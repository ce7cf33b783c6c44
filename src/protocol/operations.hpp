// Operations a ledger accepts besides Lease, Settlement and Claim (messages.hpp). Each is signed by
// the account named first, or by the ledger's host where it says so. An operation's id is its
// digest; submitting it again returns the first outcome and changes nothing.
#pragma once
#include "protocol/messages.hpp"

namespace assay::protocol {

// Host-signed: money entered the embedded ledger's custody for this account.
struct Deposit {
  static constexpr std::string_view kName = "Deposit";
  Address account{};
  Micros amount = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("amount", s.amount);
    v("nonce", s.nonce);
  }
};

// Money leaves the ledger; the host pays it out.
struct Withdraw {
  static constexpr std::string_view kName = "Withdraw";
  Address account{};
  Micros amount = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("amount", s.amount);
    v("nonce", s.nonce);
  }
};

struct Transfer {
  static constexpr std::string_view kName = "Transfer";
  Address account{}, to{};
  Micros amount = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("to", s.to);
    v("amount", s.amount);
    v("nonce", s.nonce);
  }
};

// account → stake of the same address.
struct Stake {
  static constexpr std::string_view kName = "Stake";
  Address account{};
  Micros amount = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("amount", s.amount);
    v("nonce", s.nonce);
  }
};

// stake → unbonding; slashable until released, which outlasts every lease, window and dispute.
struct Unbond {
  static constexpr std::string_view kName = "Unbond";
  Address account{};
  Micros amount = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("amount", s.amount);
    v("nonce", s.nonce);
  }
};

// Unbonding that is due → account.
struct Release {
  static constexpr std::string_view kName = "Release";
  Address account{};
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("nonce", s.nonce);
  }
};

// Buyer adds escrow to an open lease.
struct TopUp {
  static constexpr std::string_view kName = "TopUp";
  Address buyer{};
  Hash lease{};
  Micros amount = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("lease", s.lease);
    v("amount", s.amount);
    v("nonce", s.nonce);
  }
};

// Anyone, once the claim's window has passed unchallenged: pays the claim.
struct Finalize {
  static constexpr std::string_view kName = "Finalize";
  Address account{};
  Hash claim{};  // digest of the claim
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("claim", s.claim);
  }
};

// Provider: at any time without a pending claim. Buyer: after expiry + window. The rest of the
// escrow returns to the buyer.
struct Close {
  static constexpr std::string_view kName = "Close";
  Address account{};
  Hash lease{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("lease", s.lease);
  }
};

// A challenger says a signed receipt (or progress) is not what the execution gives. Carries the
// bond; the evidence (request, receipt, opening) travels beside it. `subject` is the receipt's
// digest. A subject that is the pending claim's digest demands the claim's leaves instead.
struct Dispute {
  static constexpr std::string_view kName = "Dispute";
  Address challenger{};
  Hash lease{}, subject{};
  Micros bond = 0;
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("challenger", s.challenger);
    v("lease", s.lease);
    v("subject", s.subject);
    v("bond", s.bond);
    v("nonce", s.nonce);
  }
};

// Anyone who holds the receipts, normally the provider: shows every leaf of a contested claim. The
// leaves travel beside it. `contest` is the digest of the dispute that demanded them.
struct Answer {
  static constexpr std::string_view kName = "Answer";
  Address account{};
  Hash contest{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("contest", s.contest);
  }
};

enum class Outcome : std::uint32_t { provider_right = 0, provider_wrong = 1, not_judged = 2 };

// Host-signed: the referee's word on one dispute. In this version the host re-executes the whole
// trace and is trusted for it; bisection replaces that.
struct Verdict {
  static constexpr std::string_view kName = "Verdict";
  Hash dispute{};             // digest of the dispute
  std::uint32_t outcome = 0;  // Outcome
  std::string reason;         // one line, names the first differing position if any
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("dispute", s.dispute);
    v("outcome", s.outcome);
    v("reason", s.reason);
  }
};

// Two different receipts (or a receipt and a progress) of one provider for one
// (request, count): convicts without execution. The two signed messages travel beside it.
struct Equivocation {
  static constexpr std::string_view kName = "Equivocation";
  Address challenger{};
  Hash lease{}, first{}, second{};  // digests of the two messages
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("challenger", s.challenger);
    v("lease", s.lease);
    v("first", s.first);
    v("second", s.second);
  }
};

}  // namespace assay::protocol
