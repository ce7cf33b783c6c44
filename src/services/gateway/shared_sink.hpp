// A client's sink, asked and written to from several threads; a client that left stays gone.
#pragma once
#include <mutex>

#include "services/gateway/answer.hpp"

namespace assay::services {

class SharedSink : public TokenSink {
 public:
  explicit SharedSink(TokenSink& sink) : sink_(sink) {}
  bool tokens(const protocol::TokenEvent& event) override {
    const std::lock_guard lock(mutex_);
    return sink_.tokens(event);
  }
  bool gone() override {
    const std::lock_guard lock(mutex_);
    gone_ = gone_ || sink_.gone();
    return gone_;
  }

 private:
  TokenSink& sink_;
  std::mutex mutex_;
  bool gone_ = false;
};

}  // namespace assay::services
