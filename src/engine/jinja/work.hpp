// What one rendering may use up. Everything that takes time or memory spends from it, before or
// while it does so: a step is at most about half a microsecond of work.
#pragma once
#include "base/result.hpp"

namespace assay::engine::jinja {

class Work {
 public:
  explicit Work(std::uint64_t units) : left_(units) {}

  Status spend(std::uint64_t units) {
    if (units > left_) {
      left_ = 0;
      return fail(Errc::refused,
                  "it takes more steps than a chat may: the template or the conversation is too "
                  "large");
    }
    left_ -= units;
    return {};
  }
  // Reading or copying so many.
  Status spend_bytes(std::uint64_t bytes) { return spend(1 + bytes / 64); }
  std::uint64_t left() const { return left_; }

 private:
  std::uint64_t left_;
};

}  // namespace assay::engine::jinja
