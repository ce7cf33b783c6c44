// Money for people: "1.25" ↔ 1,250,000 micro-units. Exact both ways, never through a float.
#pragma once
#include <optional>

#include "protocol/messages.hpp"

namespace assay::market {

using protocol::Micros;

inline constexpr Micros kMicrosPerUnit = 1'000'000;

// At least two decimals, more only where they are not zero: "0.00", "1.25", "0.000001", "-3.00".
std::string format_money(Micros amount);
// "25", "25.00", "0.000001"; no sign, no exponent, no separators, at most six decimals. Errors say
// what was wrong with the text.
Result<Micros> parse_money(std::string_view text);

// nullopt on overflow.
std::optional<Micros> add(Micros a, Micros b);

// A price less a discount of at most 10,000 basis points, rounded up.
Micros discounted(Micros price, std::uint32_t discount_bps);

}  // namespace assay::market
