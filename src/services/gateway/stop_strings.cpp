#include "services/gateway/stop_strings.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace assay::services {

StopTrimmer::StopTrimmer(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) ASSAY_ASSERT(!stop.empty());
}

std::string StopTrimmer::push(std::string_view text) {
  if (stopped_) return {};
  held_ += text;

  std::size_t end = std::string::npos, begin = 0;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    const std::size_t stop_end = at + stop.size();
    if (stop_end < end || (stop_end == end && at < begin)) {
      end = stop_end;
      begin = at;
    }
  }
  if (end != std::string::npos) {
    stopped_ = true;
    std::string shown = held_.substr(0, begin);
    held_.clear();
    return shown;
  }

  std::size_t keep = 0;  // the longest end of held_ that begins some stop string
  for (const std::string& stop : stops_) {
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n) {
      if (held_.ends_with(std::string_view(stop).substr(0, n))) keep = n;
    }
  }
  std::string shown = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return shown;
}

std::string StopTrimmer::finish() { return std::exchange(held_, {}); }

}  // namespace assay::services
