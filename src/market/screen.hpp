// From offers to a ranked choice: every refusal has a typed reason and the two numbers.
#pragma once
#include <map>
#include <optional>

#include "market/board.hpp"
#include "market/reputation.hpp"
#include "market/settlement.hpp"

namespace assay::market {

enum class Verification : std::uint32_t {
  none = 0,   // never audit
  drawn = 1,  // at the rate of audit_policy.hpp
  full = 2,   // every receipt
};

// What a buyer wants. Unset limits do not refuse.
struct Job {
  std::string model;                // name in the offer; empty: any (then give an execution)
  std::optional<Hash> execution;    // struct hash of the ExecutionId
  std::uint32_t prompt_tokens = 0;  // expected, for price and context
  std::uint32_t max_tokens = 0;
  std::optional<Micros> max_price_in, max_price_out;  // per million tokens
  std::uint32_t min_vram_mib = 0;
  std::optional<std::uint32_t> max_first_token_ms, max_per_token_ms;
  std::vector<std::string> regions;  // any of these; empty: anywhere
  Micros min_stake = 0;
  Micros escrow = 0;                  // a new lease must fit under the exposure limit; 0: no lease
  std::vector<Address> only, ignore;  // empty `only`: everybody
  Verification verification = Verification::drawn;
  protocol::Disclosure disclosure = protocol::Disclosure::referee;
};

struct ProviderFacts {
  AccountView account;  // from the ledger
  Record record;        // from this buyer's reputation
};

enum class Reason : std::uint32_t {
  expired,
  not_listed,
  ignored,
  model,
  execution,
  canon,
  context,
  price_in,
  price_out,
  vram,
  first_token,
  per_token,
  region,
  stake,
  exposure,
  convicted,
  ledger_unknown,
};
std::string_view to_string(Reason reason);  // "vram"

struct Refusal {
  Reason code;
  std::string text;  // "VRAM 8 GiB < 24 GiB"
};

struct Candidate {
  Signed<protocol::Offer> offer;
  std::size_t model = 0;  // index into offer.message.models
  protocol::ExecutionId execution;
  Micros expected_price = 0;  // of this job, all max_tokens produced
  std::uint32_t success_ppm = 0;
  Micros stake = 0;
};

struct Refused {
  Address provider{};
  std::string endpoint;
  std::vector<Refusal> reasons;  // all of them, not only the first
};

struct Screening {
  std::vector<Candidate> fitting;  // best first
  std::vector<Refused> refused;    // by provider address
};

// Offers must have passed check_offer. A provider without facts is refused (ledger_unknown).
// Rank: expected price, then success rate, then stake (more first), then address: deterministic.
// Of several fitting models of one offer the cheapest is taken.
Screening screen(std::span<const Signed<protocol::Offer>> offers, const Job& job,
                 const std::map<Address, ProviderFacts>& facts, std::uint64_t now);

// "no provider fits: 0x12… (VRAM 8 GiB < 24 GiB); 0x34… (…)": one line for an error.
std::string explain(const Screening& screening);

}  // namespace assay::market
