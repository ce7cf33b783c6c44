#include "services/provider/openings.hpp"

#include <algorithm>
#include <chrono>

namespace assay::services {

Result<Openings::Turn> Openings::enter(const Hash& lease, const std::function<bool()>& gone) {
  std::unique_lock lock(mutex_);
  if (std::ranges::find(leases_, lease) != leases_.end())
    return fail(Errc::unavailable, "a trace of this lease is being recomputed: ask again later");
  if (leases_.size() > queue_max_)
    return fail(Errc::unavailable, "{} traces wait to be recomputed: ask again later",
                leases_.size() - 1);
  leases_.push_back(lease);
  while (leases_.front() != lease) {
    if (left_.wait_for(lock, std::chrono::milliseconds(50)) == std::cv_status::timeout && gone()) {
      std::erase(leases_, lease);
      left_.notify_all();
      return fail(Errc::cancelled, "cancelled");
    }
  }
  return Turn(*this, lease);
}

void Openings::leave(const Hash& lease) {
  {
    const std::lock_guard lock(mutex_);
    std::erase(leases_, lease);
  }
  left_.notify_all();
}

}  // namespace assay::services
