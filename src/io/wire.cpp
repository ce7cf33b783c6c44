#include "io/wire.hpp"

#include <algorithm>
#include <charconv>

namespace assay::io {
namespace {

Result<unsigned> number(std::string_view text) {
  unsigned out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size() || out == 0)
    return fail(Errc::invalid, "{} must be a version or a range of them, as in 1 or 1-3",
                kWireHeader);
  return out;
}

}  // namespace

std::string to_string(const WireVersions& versions) {
  return versions.lowest == versions.highest
             ? fmt::format("{}", versions.lowest)
             : fmt::format("{}-{}", versions.lowest, versions.highest);
}

Result<unsigned> agree(std::string_view theirs, const WireVersions& ours) {
  if (theirs.empty()) return ours.lowest;
  const std::size_t dash = std::min(theirs.find('-'), theirs.size());
  WireVersions range;
  TRY(range.lowest, number(theirs.substr(0, dash)));
  range.highest = range.lowest;
  if (dash < theirs.size()) {
    TRY(range.highest, number(theirs.substr(dash + 1)));
  }
  const unsigned common = std::min(range.highest, ours.highest);
  if (common < std::max(range.lowest, ours.lowest))
    return fail(Errc::unsupported,
                "no wire version in common: the caller speaks {}, this side {}; upgrade the {} one",
                theirs, to_string(ours), range.highest < ours.lowest ? "calling" : "answering");
  return common;
}

}  // namespace assay::io
