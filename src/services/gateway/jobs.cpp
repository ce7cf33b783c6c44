#include "services/gateway/jobs.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "io/random.hpp"

namespace assay::services {
namespace {

constexpr std::size_t kKeyCharactersMax = 255;
constexpr std::int64_t kKeptS = 86'400;  // a key may be used anew after a day
constexpr std::int64_t kForgetEveryS = 600;
constexpr auto kPause = std::chrono::milliseconds(50);

void send_error(ReplySink& sink, const ApiError& error) {
  sink.header("x-should-retry", error.retry ? "true" : "false");
  sink.whole(error.status, to_json(error));
}

}  // namespace

std::string job_id(const std::string& api_key, std::string_view key) {
  Bytes bytes;
  append(bytes, view("assay/job/v0"));
  append_le(bytes, static_cast<std::uint64_t>(api_key.size()));
  append(bytes, view(api_key));
  append(bytes, view(key));
  return to_hex_bare(crypto::sha256(bytes));
}

ApiResult<void> check_idempotency_key(std::string_view key) {
  const bool plain = std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7f; });
  if (!key.empty() && key.size() <= kKeyCharactersMax && plain) return {};
  return api_fail(400, "invalid_idempotency_key", "",
                  "Idempotency-Key must be 1 to {} printable ASCII characters without spaces",
                  kKeyCharactersMax);
}

bool Jobs::enter(const std::string& id, ReplySink& client) {
  std::unique_lock lock(mutex_);
  while (running_.contains(id)) {
    if (stopping_ || client.gone()) return false;
    left_.wait_for(lock, kPause);
  }
  running_.insert(id);
  return true;
}

void Jobs::leave(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    running_.erase(id);
  }
  left_.notify_all();
}

void Jobs::stop() { stopping_ = true; }

bool Jobs::once(const std::string& api_key, std::string_view key, const Hash& body,
                ReplySink& client, const Make& make) {
  forget_old();
  const std::string id = job_id(api_key, key);
  const auto refuse = [&](const ApiError& error) {
    send_error(client, error);
    return false;
  };
  if (!enter(id, client))
    return refuse({.status = 503,
                   .code = "job_is_running",
                   .message = "this request is being answered: ask again",
                   .retry = true});
  struct Turn {
    Jobs& jobs;
    const std::string& id;
    ~Turn() { jobs.leave(id); }
  } const turn{*this, id};

  const auto job = store_.take_job({.id = id,
                                    .api_key = api_key,
                                    .body = body,
                                    .created_s = clock_.now_s(),
                                    .answer_id = to_hex_bare(io::random_hash()).substr(0, 24),
                                    .seed = io::random_u64()});
  if (!job) return refuse(to_api_error(job.error()));
  if (job->body != body)
    return refuse({.status = 409,
                   .code = "idempotency_key_reused",
                   .message = "this Idempotency-Key was used with another body: send the same "
                              "body, or another key"});
  // What is in the file was all there was to send, whether or not the row says so yet.
  if (const auto text = vault_.answer_text(id)) {
    const auto kept = KeptAnswer::from_text(*text);
    if (!kept) return refuse(to_api_error(kept.error()));
    client.header("idempotent-replayed", "true");
    kept->send(client);
    return true;
  }
  KeptSink sink(client, [this] { return stopping_.load(); });
  make(*job, sink);
  if (sink.answer() != nullptr) {
    // A crash before this line: the job is continued and its tokens are the same.
    const Status written = vault_.write_answer(id, sink.answer()->to_text());
    if (!written)
      io::log_error("an answer cannot be kept for its key: {}", written.error().message);
    return written.has_value();
  }
  if (const Status forgotten = store_.forget_unused_job(id); !forgotten) {
    // Nothing was signed under it: the key is free again, with another body if need be.
    io::log_error("gateway database: {}", forgotten.error().message);
  }
  return false;
}

void Jobs::forget_old() {
  const std::int64_t now = clock_.now_s();
  {
    const std::lock_guard lock(mutex_);
    if (now < forgot_s_ + kForgetEveryS) return;
    forgot_s_ = now;
  }
  const auto old = store_.forget_jobs_before(now - kKeptS);
  if (!old) return io::log_error("gateway database: {}", old.error().message);
  for (const std::string& id : *old) vault_.forget_answer(id);
}

}  // namespace assay::services
