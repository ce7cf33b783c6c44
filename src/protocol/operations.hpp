// Operations a ledger accepts besides Lease, Settlement and Claim (messages.hpp). Each is signed by
// the account named first, or by the ledger's host or the side at move where it says so. An
// operation's id is its digest; submitting it again returns the first outcome and changes nothing.
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
// bond; request, receipt, program and the moves played so far travel beside it. `subject` is the
// receipt's digest. A subject that is the pending claim's digest demands the claim's leaves
// instead.
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

// One move of a dispute (spec/dispute.md section 6), by the lease's provider or the challenger.
// `payload` is the SHA-256 of the bytes that travel beside it, `state` the hash of all before.
struct Move {
  static constexpr std::string_view kName = "Move";
  Hash dispute{};            // digest of the dispute
  std::uint32_t number = 0;  // from 0, both sides' counted together
  Hash state{}, payload{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("dispute", s.dispute);
    v("number", s.number);
    v("state", s.state);
    v("payload", s.payload);
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

// How a dispute ended. not_judged: another dispute convicted the same statement first.
// invalid_model: the model itself is at fault (a non-finite scale, another tensor type), nobody.
enum class Outcome : std::uint32_t {
  provider_right = 0,
  provider_wrong = 1,
  not_judged = 2,
  invalid_model = 3
};

// Before anyone shows what is wrong with a statement: commitment = sha256(digest of the Dispute or
// Equivocation to come), so that nobody can copy it out of the queue and be first; with a proof
// about the finish beside it sha256(digest ‖ sha256(proof)), so that nobody can file another.
struct CommitDispute {
  static constexpr std::string_view kName = "CommitDispute";
  Address account{};
  Hash commitment{};
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("commitment", s.commitment);
    v("nonce", s.nonce);
  }
};

// Anyone, once the deadline of a move has passed: whose turn it was has lost.
struct Timeout {
  static constexpr std::string_view kName = "Timeout";
  Address account{};
  Hash dispute{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("dispute", s.dispute);
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
