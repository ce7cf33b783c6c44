// What this buyer has seen of each provider. Local and simple: nothing here is somebody's word.
// What anybody can compute from the ledger's log is standing.hpp.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "protocol/messages.hpp"

namespace assay::market {

struct Record {
  std::uint64_t served = 0;       // receipts accepted
  std::uint64_t audited = 0;      // of which replayed and equal
  std::uint64_t failures = 0;     // died, timed out, refused
  std::uint64_t convictions = 0;  // audits that did not match, equivocations
  std::string last_conviction;    // one line
  // Rebates of slow answers that were asked for under its offers' promise (protocol/rebates.hpp):
  // it gave them; it did not, or not in time; it gave them and claimed the whole amount all the
  // same.
  std::uint64_t rebates_kept = 0, rebates_refused = 0, rebates_broken = 0;
  // What everybody's audits and disputes prove besides (standing.hpp), in thousandths.
  std::uint64_t proven_good_milli = 0, proven_bad_milli = 0;
  // Of the latest answers nine in ten were this fast, network included. 0 answers: not measured.
  std::uint32_t measured = 0;  // answers, at most kLatencySamples
  std::uint32_t first_token_ms = 0, per_token_ms = 0;
  bool operator==(const Record&) const = default;
};

inline constexpr std::size_t kLatencySamples = 32;  // the latest that count
// From so many on, what was measured stands in for what the offer claims.
inline constexpr std::uint32_t kMeasuredMin = 4;

class Reputation {
 public:
  Record of(const protocol::Address& provider) const;
  void served(const protocol::Address& provider);
  void audited(const protocol::Address& provider);
  void failed(const protocol::Address& provider);
  void convicted(const protocol::Address& provider, std::string reason);
  void measured(const protocol::Address& provider, std::uint32_t first_token_ms,
                std::uint32_t per_token_ms);
  enum class RebateEnd { kept, refused, broken };
  void rebate(const protocol::Address& provider, RebateEnd end);
  const std::map<protocol::Address, Record>& all() const { return records_; }

 private:
  struct Samples {
    std::vector<std::uint32_t> first_token_ms, per_token_ms;
    std::size_t next = 0;
  };
  std::map<protocol::Address, Record> records_;
  std::map<protocol::Address, Samples> samples_;
};

// The share of good among good + bad, in parts per million, less one standard deviation of what
// so few observations can tell (Wilson's interval, z = 1). Weights are in thousandths of an
// observation, at most 10^9 each. Integers only: everybody gets the same number. 0 without any.
std::uint32_t lower_bound_ppm(std::uint64_t good_milli, std::uint64_t bad_milli);

// Of answers served among those asked for, and of what is proven, as if four more had gone well:
// 800,000 for a newcomer. A rebate that was promised and refused counts like an answer that failed.
std::uint32_t reliability_ppm(const Record& record);

}  // namespace assay::market
