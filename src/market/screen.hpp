// From offers to a ranked choice: every refusal has a typed reason and the two numbers.
#pragma once
#include <map>
#include <optional>

#include "market/board.hpp"
#include "market/ranking.hpp"
#include "market/settlement.hpp"

namespace assay::market {

enum class Verification : std::uint32_t {
  none = 0,   // never audit
  drawn = 1,  // at the rate of audit_policy.hpp
  full = 2,   // every receipt
};

// What a buyer wants. Unset limits do not refuse.
struct Job {
  // What the model is called in offers; empty: any. Where an execution is given it decides, and the
  // names only tell the buyer what a refused offer sells instead.
  std::vector<std::string> names;
  std::optional<Hash> execution;                  // struct hash of the ExecutionId
  std::optional<protocol::ExecutionId> identity;  // the same, where it is known in full
  std::uint32_t prompt_tokens = 0;                // expected, for price and context
  std::uint32_t max_tokens = 0;
  std::optional<Micros> max_price_in, max_price_out;  // per million tokens
  std::uint32_t min_vram_mib = 0;
  std::optional<std::uint32_t> max_first_token_ms, max_per_token_ms;
  std::vector<std::string> regions;        // any of these; empty: anywhere
  std::vector<std::string> quantizations;  // any of these, as offers claim them; empty: all
  // What a slow answer must cost less, in millionths (ranking.hpp: rebate_of).
  std::uint32_t min_rebate_ppm = 0;
  Micros min_stake = 0;
  Micros escrow = 0;                  // a new lease must fit under the exposure limit; 0: no lease
  std::vector<Address> only, ignore;  // empty `only`: everybody
  Verification verification = Verification::drawn;
  bool evidence = false;  // of hardware (a TEE)
  // Prompts may go to endpoints on other machines in the clear.
  bool plain_http = true;
  Sort sort = Sort::balanced;
};

struct ProviderFacts {
  AccountView account;  // from the ledger
  Record record;        // from this buyer's reputation
};

// "12.5" (percent) → 125,000 millionths. invalid beyond protocol::kRebateMax.
Result<std::uint32_t> parse_rebate(std::string_view percent);

enum class Reason : std::uint32_t {
  expired,
  not_listed,
  ignored,
  model,      // sells nothing of that name, and nothing with that execution id
  execution,  // another execution id
  weights,    // the same name, other weights
  program,    // the same name and weights, another program or canon
  canon,
  context,
  price_in,
  price_out,
  quantization,
  vram,
  first_token,
  per_token,
  region,
  stake,
  exposure,
  evidence,
  rebate,
  plain_http,
  rebate_broken,  // claimed what it had given up
  convicted,
  ledger_unknown,
};
std::string_view to_string(Reason reason);  // "vram"
// An endpoint without TLS that is not this machine's.
bool is_in_the_clear(std::string_view endpoint);
// It does not sell what was asked for, whatever the limits.
bool sells_something_else(Reason reason);

struct Refusal {
  Reason code;
  std::string text;  // "VRAM 8 < 24 GiB"
};

struct Candidate {
  Signed<protocol::Offer> offer;
  std::size_t model = 0;  // index into offer.message.models
  protocol::ExecutionId execution;
  Micros expected_price = 0;  // of this job, all max_tokens produced
  Speed speed;
  std::uint32_t reliability_ppm = 0;
  bool newcomer = false;      // no answer from it yet, and nothing proven
  std::uint64_t audited = 0;  // answers this buyer replayed and found right
  Micros stake = 0;
  double price = 0;               // of this job, unrounded
  double primary = 0, score = 0;  // ranking.hpp
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
// Ranked as ranking.hpp says: the same for everybody who has the same facts. Of several fitting
// models of one offer the cheapest is taken. Looks at every offer; offer_index.hpp does not.
Screening screen(std::span<const Signed<protocol::Offer>> offers, const Job& job,
                 const std::map<Address, ProviderFacts>& facts, std::uint64_t now);

// "no provider fits: 0x12… (VRAM 8 GiB < 24 GiB); 0x34… (…)": one line for an error, of the first
// kExplained.
inline constexpr std::size_t kExplained = 16;
std::string explain(const Screening& screening);

// {"fitting": [{"provider", "endpoint", "model", prices, "latency": "measured" or "claimed", …}],
// "refused": [{"provider", "endpoint", "reasons": [{"code", "text"}]}]}
json::object to_json(const Screening& screening);
json::object to_json(const Candidate& candidate);

// One offer at a time, for those who walk through them in an order of their own.
// Why this provider does not do, appended to `out`.
void check_provider(const protocol::Offer& offer, const Job& job, const ProviderFacts* facts,
                    std::uint64_t now, std::vector<Refusal>& out);
bool is_meant(const protocol::OfferModel& model, const Job& job);
// Why this model of an offer does not do; empty when it does. The model is meant.
std::vector<Refusal> check_model(const protocol::OfferModel& model, const Job& job);
// A model that does, of a provider that does.
Candidate candidate_of(const Signed<protocol::Offer>& offer, std::size_t model, const Job& job,
                       const ProviderFacts& facts);

}  // namespace assay::market
