// Says that a deadline of this party's comes near and nothing has met it: in the log when a quarter
// of its time is left, and again at each halving of that; in metrics all the time. Whoever is
// silent until then loses.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "io/metrics.hpp"

namespace assay::settle {

// Safe to use from many threads.
class DeadlineAlarm {
 public:
  // `of`: what is due, in a word ("dispute"). `whole_s`: what a deadline gives from its beginning.
  DeadlineAlarm(std::string of, std::uint64_t whole_s) : of_(std::move(of)), whole_s_(whole_s) {}

  // At each look, while it is this party's turn. True when it said something in the log.
  bool look(const Hash& id, std::uint64_t due_s, std::uint64_t now_s);
  // What was open at the last look, while nobody can be asked for more.
  void look_again(std::uint64_t now_s);
  // Nothing of this is due from this party any more, or not now.
  void met(const Hash& id);
  // All that is open was looked at since the last call: the rest is met.
  void end_round();
  // Such a round: `all` looks at each. Where it fails, which is said as the deadlines of `what`,
  // time goes on for what was open before: a ledger that does not answer does not stop it.
  void round(std::string_view what, const std::function<Status()>& all,
             const std::function<std::uint64_t()>& now_s);

  // assay_deadlines{of,state}: open ones, and of those the near (a quarter is left);
  // assay_deadline_left_seconds{of}: of the nearest, +Inf while there is none.
  void show(io::Metrics& metrics, std::uint64_t now_s);

 private:
  bool near(std::uint64_t due_s, std::uint64_t now_s) const;

  const std::string of_;
  const std::uint64_t whole_s_;
  std::mutex mutex_;  // everything below
  struct Open {
    std::uint64_t due_s = 0;
    bool seen = false;  // in this round
    // Of what was said: the deadline, and how much time was left.
    std::uint64_t said_due_s = 0, said_left_s = 0;
  };
  bool say(const Hash& id, Open& open, std::uint64_t now_s);
  std::map<Hash, Open> open_;
};

}  // namespace assay::settle
