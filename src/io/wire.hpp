// Which version of the HTTP protocol between our own processes a peer speaks. A caller states a
// range ("1" or "1-3") in the header assay-wire; the answer states the version used, the highest
// both know. Who states nothing is served with the lowest: other people's clients do not know it.
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace assay::io {

inline constexpr std::string_view kWireHeader = "assay-wire";

struct WireVersions {
  unsigned lowest = 1, highest = 1;
};
inline constexpr WireVersions kWire{};

std::string to_string(const WireVersions& versions);  // "1", "1-3"

// The version to use. unsupported: none in common; invalid: not a range. `theirs` may be empty.
Result<unsigned> agree(std::string_view theirs, const WireVersions& ours = kWire);

}  // namespace assay::io
