#include "settle/deadline_alarm.hpp"

#include <limits>

#include "base/hex.hpp"
#include "io/log.hpp"

namespace assay::settle {
namespace {

std::uint64_t left_s(std::uint64_t due_s, std::uint64_t now_s) {
  return due_s > now_s ? due_s - now_s : 0;
}

}  // namespace

bool DeadlineAlarm::near(std::uint64_t due_s, std::uint64_t now_s) const {
  return left_s(due_s, now_s) <= whole_s_ / 4;
}

bool DeadlineAlarm::look(const Hash& id, std::uint64_t due_s, std::uint64_t now_s) {
  const std::lock_guard lock(mutex_);
  Open& open = open_[id];
  open.due_s = due_s;
  open.seen = true;
  return say(id, open, now_s);
}

void DeadlineAlarm::look_again(std::uint64_t now_s) {
  const std::lock_guard lock(mutex_);
  for (auto& [id, open] : open_) say(id, open, now_s);
}

bool DeadlineAlarm::say(const Hash& id, Open& open, std::uint64_t now_s) {
  const std::uint64_t due_s = open.due_s;
  if (!near(due_s, now_s)) return false;
  const std::uint64_t left = left_s(due_s, now_s);
  if (open.said_due_s == due_s && (left > open.said_left_s / 2 || open.said_left_s == 0))
    return false;
  open.said_due_s = due_s;
  open.said_left_s = left;
  io::log_warn("DEADLINE: {} {} must be answered by {}, in {} s", of_, to_hex(id), due_s, left);
  return true;
}

void DeadlineAlarm::met(const Hash& id) {
  const std::lock_guard lock(mutex_);
  open_.erase(id);
}

void DeadlineAlarm::end_round() {
  const std::lock_guard lock(mutex_);
  std::erase_if(open_, [](const auto& entry) { return !entry.second.seen; });
  for (auto& [id, open] : open_) open.seen = false;
}

void DeadlineAlarm::round(std::string_view what, const std::function<Status()>& all,
                          const std::function<std::uint64_t()>& now_s) {
  const Status done = all();
  if (done) return end_round();
  io::log_warn("deadlines of {}: {} (tried again later)", what, done.error().message);
  look_again(now_s());
}

void DeadlineAlarm::show(io::Metrics& metrics, std::uint64_t now_s) {
  constexpr io::Metric kOpen{"assay_deadlines", "Deadlines that this party has to meet, by state."};
  constexpr io::Metric kLeft{"assay_deadline_left_seconds",
                             "Until the nearest of them; +Inf: none."};
  double nearest = std::numeric_limits<double>::infinity();
  std::size_t open = 0, close = 0;
  {
    const std::lock_guard lock(mutex_);
    open = open_.size();
    for (const auto& [id, o] : open_) {
      close += near(o.due_s, now_s);
      nearest = std::min(nearest, static_cast<double>(left_s(o.due_s, now_s)));
    }
  }
  metrics.set(kOpen, {{"of", of_}, {"state", "open"}}, static_cast<double>(open));
  metrics.set(kOpen, {{"of", of_}, {"state", "near"}}, static_cast<double>(close));
  metrics.set(kLeft, {{"of", of_}}, nearest);
}

}  // namespace assay::settle
