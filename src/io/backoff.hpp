// When something that failed may be tried again: after first_ms, then twice as long each time.
#pragma once
#include <algorithm>
#include <map>

#include "base/bytes.hpp"
#include "io/system_clock.hpp"

namespace assay::io {

// One thread at a time.
template <class Key>
class BackoffOf {
 public:
  BackoffOf(std::int64_t first_ms, std::int64_t most_ms) : first_ms_(first_ms), most_ms_(most_ms) {}

  bool due(const Key& id) const {
    const auto found = retries_.find(id);
    return found == retries_.end() || steady_ms() >= found->second.due_ms;
  }
  void failed(const Key& id) {
    Retry& retry = retries_[id];
    retry.wait_ms = std::clamp(retry.wait_ms * 2, first_ms_, most_ms_);
    retry.due_ms = steady_ms() + retry.wait_ms;
  }
  void succeeded(const Key& id) { retries_.erase(id); }

 private:
  struct Retry {
    std::int64_t due_ms = 0, wait_ms = 0;  // steady clock
  };
  std::int64_t first_ms_, most_ms_;
  std::map<Key, Retry> retries_;
};
using Backoff = BackoffOf<Hash>;

}  // namespace assay::io
