#include "services/log/checkpoint_publisher.hpp"

#include <future>

#include "io/log.hpp"

namespace assay::services {
namespace {

// Without news: how soon a stop is noticed, and how often a missing witness is asked again at most.
constexpr std::int64_t kLookMs = 200, kRetryMs = 1'000;

}  // namespace

CheckpointPublisher::CheckpointPublisher(LogStore& store, tlog::SignerKey key,
                                         PublisherOptions options)
    : store_(store),
      key_(std::move(key)),
      options_(std::move(options)),
      cosigned_(options_.witnesses.size()) {
  for (const auto& peer : options_.witnesses)
    witnesses_.push_back(std::make_unique<WitnessClient>(peer, options_.witness_timeout_ms));
  thread_ = std::thread([this] { work(); });
}

CheckpointPublisher::~CheckpointPublisher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
  // Whoever reads the files later finds the whole log.
  if (const TreeState last = store_.committed(); last.size != published_)
    if (const auto done = publish(last); !done)
      io::log_warn("checkpoint of {} entries: {}", last.size, done.error().message);
}

bool CheckpointPublisher::pause(std::int64_t ms) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stop_; });
}

void CheckpointPublisher::work() {
  if (const auto note = store_.disk().published(); note && *note)
    if (const auto opened = tlog::open_checkpoint(**note, tlog::LogPolicy::of(key_.verifier())))
      published_ = opened->checkpoint.size;
  bool complete = false;  // published_ is out, with every witness
  while (pause(0)) {
    const TreeState state = complete ? store_.wait_beyond(published_, kLookMs) : store_.committed();
    if (complete && state.size == published_) continue;
    const auto done = publish(state);
    if (!done) io::log_warn("checkpoint of {} entries: {}", state.size, done.error().message);
    complete = done && *done;
    const std::int64_t wait_ms =
        complete ? options_.every_ms : std::max(options_.every_ms, kRetryMs);
    if (wait_ms > 0 && !pause(wait_ms)) return;
  }
}

Result<bool> CheckpointPublisher::publish(const TreeState& state) {
  const tlog::VerifierKey verifier = key_.verifier();
  tlog::Note note = tlog::sign_checkpoint({verifier.name, state.size, state.root}, key_);
  // A crash from here on: witnesses may have cosigned what nobody was shown. It is committed, so
  // the next start continues it.
  if (cosigned_size_ != state.size) cosigned_.assign(witnesses_.size(), std::nullopt);
  cosigned_size_ = state.size;
  std::vector<std::future<void>> asked;
  for (std::size_t i = 0; i < witnesses_.size(); ++i)
    if (!cosigned_[i])
      asked.push_back(std::async(std::launch::async, [&, i] {
        auto line = witnesses_[i]->cosign(note, state.size, store_.tree());
        if (line)
          cosigned_[i] = std::move(*line);
        else
          io::log_warn("{}", line.error().message);
      }));
  for (auto& answer : asked) answer.get();
  for (const auto& line : cosigned_)
    if (line) note.signatures.push_back(*line);
  const std::size_t count = note.signatures.size() - 1;
  if (count < options_.quorum)
    return fail(Errc::unavailable, "{} of the {} cosignatures it needs: not published", count,
                options_.quorum);
  CHECK_OK(store_.disk().publish(tlog::to_string(note)));
  // A crash before the partial tiles go leaves files that nobody needs.
  for (const auto& id : tlog::new_tiles(published_, state.size))
    if (id.width == tlog::kTileWidth) store_.disk().drop_partials(id);
  published_ = state.size;
  return count == witnesses_.size();
}

}  // namespace assay::services
