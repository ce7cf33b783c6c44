// What a buyer says about a lease (spec/reputation.md): its word, checked only for who says it and
// for how much was paid. As in operations.hpp, an operation's id is its digest.
#pragma once
#include "protocol/messages.hpp"

namespace assay::protocol {

// How fast the answers of one lease came, network included: one figure for all of them, nothing
// about any. Nine in ten were at most so slow. `since` and `until` are Unix seconds; a later report
// takes the place of an earlier one.
struct LatencyReport {
  static constexpr std::string_view kName = "LatencyReport";
  Address buyer{};
  Hash lease{};
  std::uint32_t answers = 0;  // that were measured
  std::uint32_t first_token_ms = 0, per_token_ms = 0;
  std::uint64_t since = 0, until = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("lease", s.lease);
    v("answers", s.answers);
    v("first_token_ms", s.first_token_ms);
    v("per_token_ms", s.per_token_ms);
    v("since", s.since);
    v("until", s.until);
  }
};

}  // namespace assay::protocol
