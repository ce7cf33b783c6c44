// The serving engine: many requests over one model at once. Each pass evaluates the next token of
// every running answer and a bounded piece of the prompts that are still being read (continuous
// batching with chunked prefill); prompts that begin as an earlier one of the same scope take its
// pages (prefix_cache.hpp). What a request gets is, to the bit, what generate() gives it alone.
// Papers: Yu et al. 2022 (Orca), Agrawal et al. 2024 (Sarathi-Serve, arXiv:2403.02310).
//
// Memory: pages for prompt and longest answer are promised at admission, so that nothing running
// ever waits for memory or runs out of it. Decision: docs/decisions/0008-continuous-batching.md.
#pragma once
#include <atomic>
#include <chrono>
#include <deque>
#include <thread>

#include "base/result.hpp"
#include "engine/forward.hpp"
#include "engine/prefix_cache.hpp"
#include "engine/session.hpp"

namespace assay::engine {

struct BatcherOptions {
  Isa isa = best_isa();
  unsigned threads = 1;
  std::size_t kv_bytes = std::size_t{512} << 20;  // most the KV cache takes, memos included
  std::uint32_t running_max = 16;                 // 1 … Forward::kTile
  std::uint32_t queue_max = 64;                   // waiting beyond those
  // Prompt tokens per pass while an answer is being decoded: bounds how long a token waits for
  // other people's prompts. Otherwise Forward::kTile.
  std::uint32_t prefill_rows = 64;
  bool prefix_cache = true;
  std::size_t memo_bytes = 0;  // of the sinks that are to share pages (StateSink::memo_bytes)
  // How long one request may be paused by its consumer (ahead_max), all pauses together. Then it
  // ends as cancelled: its memory and its place are somebody else's.
  std::chrono::milliseconds pause_max{60'000};
};

struct BatchRequest {
  std::vector<Token> prompt{};
  // How many of the prompt's last tokens are an earlier answer: the model must choose each of them
  // again, or the request ends with a mismatch. Never taken from the cache.
  std::uint32_t continuation = 0;
  Sampling sampling{};
  std::uint32_t max_tokens = 0;   // 0: the prompt is evaluated, nothing chosen
  std::vector<Token> stop_ids{};  // in any order
  std::uint32_t logprobs = 0;     // as in Slice
  StateSink* sink = nullptr;      // used by the engine's threads until the stream has ended
  CacheScope scope{};
  // Positions from here on are evaluated even where the cache has them: the sink wants their
  // states.
  std::uint32_t fresh_from = UINT32_MAX;
  // The engine waits while so many tokens have not been taken; 0: it never waits. A consumer that
  // has hung then costs no work, only its memory, and that for BatcherOptions::pause_max.
  std::uint32_t ahead_max = 0;
};

struct BatchToken {
  Token token;
  std::optional<HeadLogprobs> logprobs;
};

struct BatchAnswer : Generation {
  // The first position whose choice is not the prompt's continuation, and that choice; finish is
  // cancelled then and the answer empty.
  struct Mismatch {
    std::uint32_t position;
    Token chosen;
  };
  std::optional<Mismatch> mismatch{};
  // Of a request behind the others: its memory was wanted before it was done. Of one that waited:
  // the engine was closed. finish is cancelled.
  bool displaced = false;
};

struct BatcherStats {
  std::uint64_t passes = 0, rows = 0;      // evaluated
  std::uint64_t positions_cached = 0;      // not evaluated thanks to the prefix cache
  std::uint32_t running = 0, waiting = 0;  // requests
  std::size_t pages = 0, pages_cached = 0, pages_max = 0;  // in use, of those held by the cache
};

class Batcher {
  struct Job;
  struct Desk;

 public:
  // Room for one request, running or waiting; given back when it or its stream goes.
  class Place {
   public:
    Place(Place&&) = default;
    Place& operator=(Place&&) = default;

   private:
    friend class Batcher;
    explicit Place(std::shared_ptr<void> held) : held_(std::move(held)) {}
    std::shared_ptr<void> held_;
  };

  // One request's answer as it comes. The engine never waits inside: a consumer takes what there is
  // whenever it likes. Used by one thread at a time; cancel() by any.
  class Stream {
   public:
    Stream(Stream&&) = default;
    // Cancels and waits until the engine has let go of the sink.
    ~Stream();

    // What was chosen since the last call, in order. Waits until there is something, the end, or
    // the timeout.
    std::vector<BatchToken> take(std::chrono::milliseconds timeout);
    // It has had its turn: its prompt is being read.
    bool started() const;
    // Nothing will come any more and everything was taken.
    bool ended() const;
    // Ends the answer at the next pass, with what it has by then.
    void cancel();
    // Waits for the end, takes what is left and returns all of the answer.
    const BatchAnswer& wait();

   private:
    friend class Batcher;
    explicit Stream(std::shared_ptr<Job> job) : job_(std::move(job)) {}
    std::shared_ptr<Job> job_;
  };

  // invalid: the options' memory does not hold a single page.
  static Result<std::unique_ptr<Batcher>> start(std::shared_ptr<const Model> model,
                                                const BatcherOptions& options);
  // Ends all requests as cancelled. Streams may outlive it.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // Whether such a request can ever run; refused, naming the numbers, if not. max_tokens beyond
  // the context are never used and need no memory.
  Status fits(std::size_t prompt_tokens, std::uint32_t max_tokens) const;
  // unavailable: running_max requests run and queue_max wait, or `most` run or wait.
  Result<Place> enter(std::uint32_t most = UINT32_MAX);
  // Thread-safe, also from a sink. First come, first admitted. Errors: as of fits(), and invalid
  // when the request is malformed.
  Result<Stream> submit(Place place, BatchRequest request);
  Result<Stream> submit(BatchRequest request);
  // Behind all others: it takes no place of theirs, begins when nobody waits, is evaluated only in
  // passes that nobody else has a use for, and gives its memory up to whoever wants it (displaced).
  // One at a time; unavailable: there is one already.
  Result<Stream> submit_behind(BatchRequest request);

  // Admits nobody from now on: whoever waits ends at once (displaced), what runs goes on, enter()
  // and submit() refuse. Idempotent.
  void close();

  BatcherStats stats() const;
  const Model& model() const { return forward_.model(); }

 private:
  Batcher(std::shared_ptr<const Model> model, const BatcherOptions& options,
          const Kernels& kernels);
  Result<std::shared_ptr<Job>> job_of(BatchRequest request) const;
  Result<Stream> hand_over(std::shared_ptr<Job> job);
  std::uint32_t positions_of(std::size_t prompt_tokens, std::uint32_t max_tokens) const;
  std::size_t page_bytes() const;
  bool shares(const Job& job) const;

  void work();
  void drop_cancelled();
  void drop_hung();
  void drop_waiting();
  void admit();
  bool admit(Job& job);
  bool displace();
  void end_behind();
  bool busy() const;
  bool recall();
  bool pass();
  void plan();
  void add(Job& job, std::size_t rows);
  void settle(Job& job, std::uint32_t begin, Slice& slice);
  void share_pages(Job& job);
  void end(Job& job, Finish finish);
  void publish();

  const BatcherOptions options_;
  ThreadPool threads_;
  Forward forward_;
  PagePool pages_;
  const std::shared_ptr<Desk> desk_;

  // The worker's own.
  PrefixCache cache_;
  std::deque<std::shared_ptr<Job>> waiting_;
  std::vector<std::shared_ptr<Job>> running_, ended_;
  std::shared_ptr<Job> behind_;  // waiting or, being among running_ too, running
  std::optional<std::chrono::steady_clock::time_point> next_hung_;  // when a paused one is dropped
  std::vector<Slice> slices_;                                       // of one pass
  std::vector<Job*> jobs_;                                          // theirs
  std::size_t turn_ = 0;
  BatcherStats counted_;

  std::thread worker_;
};

}  // namespace assay::engine
