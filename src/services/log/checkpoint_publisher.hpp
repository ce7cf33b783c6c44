// Signs what is committed, asks the witnesses, and puts the checkpoint where readers find it.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>

#include "services/log/log_store.hpp"
#include "services/log/witness_client.hpp"

namespace assay::services {

struct PublisherOptions {
  // Between checkpoints. Public witnesses want 10 s or more.
  std::int64_t every_ms = 0;
  std::vector<WitnessPeer> witnesses{};
  std::size_t quorum = 0;  // cosignatures without which nothing is published
  std::int64_t witness_timeout_ms = 5'000;
};

class CheckpointPublisher {
 public:
  // `store` outlives it.
  CheckpointPublisher(LogStore& store, tlog::SignerKey key, PublisherOptions options);
  ~CheckpointPublisher();  // publishes what is committed by then
  CheckpointPublisher(const CheckpointPublisher&) = delete;
  CheckpointPublisher& operator=(const CheckpointPublisher&) = delete;

 private:
  void work();
  // Ok: the state is published, true with every witness's cosignature.
  Result<bool> publish(const TreeState& state);
  bool pause(std::int64_t ms);  // false: stop

  LogStore& store_;
  const tlog::SignerKey key_;
  const PublisherOptions options_;
  std::vector<std::unique_ptr<WitnessClient>> witnesses_;
  std::uint64_t published_ = 0;
  // By witness, of the checkpoint of cosigned_size_: who has answered is not asked again.
  std::vector<std::optional<tlog::NoteSignature>> cosigned_;
  std::uint64_t cosigned_size_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace assay::services
