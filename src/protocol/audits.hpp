// Operations about hired auditors (spec/audits.md): who offers to audit, what a buyer asks, what is
// committed before anything is shown, and how a pass can be checked. As in operations.hpp, each is
// signed by the account named first, or by the ledger's host where it says so, and an operation's
// id is its digest.
#pragma once
#include "protocol/messages.hpp"

namespace assay::protocol {

inline constexpr std::uint32_t kAuditorsMax = 4;  // of one audit

// Offers audits of one execution from now on, changes endpoint and fee, or (active false) ends it.
struct RegisterAuditor {
  static constexpr std::string_view kName = "RegisterAuditor";
  Address account{};
  Hash execution{};  // struct hash of the ExecutionId
  bool active = false;
  std::string endpoint;  // http(s)://host:port; where buyers bring what is to be audited
  Micros fee = 0;        // of one audit
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("execution", s.execution);
    v("active", s.active);
    v("endpoint", s.endpoint);
    v("fee", s.fee);
    v("nonce", s.nonce);
  }
};

// The lease's buyer asks for an audit of a statement that travels beside it. Its inclusion fixes
// the beacon round that draws the auditors. `nonce` is 32 bytes drawn at random for this message:
// what keeps the draw out of the hands of a host that knows its beacon.
struct AuditRequest {
  static constexpr std::string_view kName = "AuditRequest";
  Address buyer{};
  Hash lease{}, subject{};  // subject: digest of the receipt or progress
  std::uint32_t auditors = 1;
  Micros fee_max = 0;  // for each
  Hash nonce{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("lease", s.lease);
    v("subject", s.subject);
    v("auditors", s.auditors);
    v("fee_max", s.fee_max);
    v("nonce", s.nonce);
  }
};

// Host-signed: the next value of the chain fixed when the ledger was made (audit_keys.hpp).
struct Beacon {
  static constexpr std::string_view kName = "Beacon";
  std::uint64_t round = 0;  // gap-free from 1
  Hash value{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("round", s.round);
    v("value", s.value);
  }
};

// A drawn auditor: what it computed, before it is told the salts. nonce_hash = sha256(nonce),
// root_hash = sha256(keyed root ‖ key) (audit_keys.hpp).
struct CommitAudit {
  static constexpr std::string_view kName = "CommitAudit";
  Address account{};
  Hash audit{}, nonce_hash{}, root_hash{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("audit", s.audit);
    v("nonce_hash", s.nonce_hash);
    v("root_hash", s.root_hash);
  }
};

// unauditable: what the buyer brought does not open the statement, or never came.
enum class AuditVerdict : std::uint32_t { none = 0, pass = 1, fail = 2, unauditable = 3 };

struct RevealAudit {
  static constexpr std::string_view kName = "RevealAudit";
  Address account{};
  Hash audit{};
  std::uint32_t verdict = 0;  // AuditVerdict, not none
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("audit", s.audit);
    v("verdict", s.verdict);
  }
};

// "Show that you had these values": a chunk the provider committed to travels beside it, with its
// paths up to the trace root. Of a pass.
struct AuditCheck {
  static constexpr std::string_view kName = "AuditCheck";
  Address challenger{};
  Hash audit{};
  Address auditor{};
  Micros bond = 0;
  Hash proof{};  // SHA-256 of the proof beside it
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("challenger", s.challenger);
    v("audit", s.audit);
    v("auditor", s.auditor);
    v("bond", s.bond);
    v("proof", s.proof);
    v("nonce", s.nonce);
  }
};

// Key, keyed root and the same chunk's paths in the keyed tree travel beside it.
struct CheckAnswer {
  static constexpr std::string_view kName = "CheckAnswer";
  Address account{};
  Hash check{};  // digest of the AuditCheck
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("check", s.check);
  }
};

// Somebody else than the auditor had the nonce of its keyed tree while the root could still be
// committed: it let others compute. Committed to (CommitDispute) before commit_due.
struct ReportKey {
  static constexpr std::string_view kName = "ReportKey";
  Address challenger{};
  Hash audit{};
  Address auditor{};
  Hash key_nonce{};  // its SHA-256 is the nonce_hash committed
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("challenger", s.challenger);
    v("audit", s.audit);
    v("auditor", s.auditor);
    v("key_nonce", s.key_nonce);
  }
};

// Provider-signed, no operation: "this statement of mine is false on purpose".
struct Canary {
  static constexpr std::string_view kName = "Canary";
  Address provider{};
  Hash lease{}, subject{};
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("provider", s.provider);
    v("lease", s.lease);
    v("subject", s.subject);
    v("nonce", s.nonce);
  }
};

// The lease's buyer shows a canary it committed to (CommitDispute) before it asked for the audit.
struct CanaryShown {
  static constexpr std::string_view kName = "CanaryShown";
  Address buyer{};
  Hash canary{};  // digest of the Canary beside it
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("canary", s.canary);
  }
};

// Anyone, once verdicts were due and checks are over: fees are paid or returned. For an audit whose
// beacon did not come in time: everything is returned.
struct SettleAudit {
  static constexpr std::string_view kName = "SettleAudit";
  Address account{};
  Hash audit{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("account", s.account);
    v("audit", s.audit);
  }
};

}  // namespace assay::protocol
