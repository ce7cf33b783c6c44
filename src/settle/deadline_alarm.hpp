// Says in the log that a deadline of this party's comes near and nothing has met it: when a quarter
// of its time is left, and again at each halving of that. Whoever is silent until then loses.
#pragma once
#include <cstdint>
#include <map>
#include <string_view>

#include "base/bytes.hpp"

namespace assay::settle {

class DeadlineAlarm {
 public:
  // `whole_s`: what a deadline gives from its beginning.
  explicit DeadlineAlarm(std::uint64_t whole_s) : whole_s_(whole_s) {}

  // At each look. True when it said something.
  bool look(std::string_view what, const Hash& id, std::uint64_t due_s, std::uint64_t now_s);

 private:
  const std::uint64_t whole_s_;
  // Of what was said: the deadline, and how much time was left.
  struct Said {
    std::uint64_t due_s = 0, left_s = 0;
  };
  std::map<Hash, Said> said_;
};

}  // namespace assay::settle
