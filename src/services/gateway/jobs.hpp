// Work that is done once however often it is asked for: requests with an Idempotency-Key, lines of
// a batch. The same key with the same body gets the same answer, byte for byte, and the money is
// spent once, also if the gateway is killed in between: what was signed under the job is asked for
// again, and what is missing continues from there with the job's seed.
#pragma once
#include <condition_variable>
#include <functional>
#include <set>

#include "base/clock.hpp"
#include "services/gateway/api_error.hpp"
#include "services/gateway/reply_sink.hpp"
#include "services/gateway/store.hpp"
#include "services/gateway/vault.hpp"

namespace assay::services {

class Jobs {
 public:
  Jobs(Store& store, const Vault& vault, const Clock& clock)
      : store_(store), vault_(vault), clock_(clock) {}

  // `make` does the work for a job that is not done yet; it answers through the sink it is given.
  using Make = std::function<void(const JobRecord&, ReplySink&)>;
  // 409 idempotency_key_reused: the same key came with another body. Who asks for a job that is
  // being done waits for it. true: the answer is kept, and was given.
  bool once(const std::string& api_key, std::string_view key, const Hash& body, ReplySink& client,
            const Make& make);

  // Abandons what is running, to be continued when it is asked for again. For good.
  void stop();

 private:
  bool enter(const std::string& id, ReplySink& client);
  void leave(const std::string& id);
  void forget_old();

  Store& store_;
  const Vault& vault_;
  const Clock& clock_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable left_;
  std::set<std::string> running_;
  std::int64_t forgot_s_ = 0;
};

// One name for a key of one caller; the key itself, which may say something, is not kept.
std::string job_id(const std::string& api_key, std::string_view key);

// The key as it came: 1 to 255 printable ASCII characters.
ApiResult<void> check_idempotency_key(std::string_view key);

}  // namespace assay::services
