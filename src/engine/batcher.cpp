#include "engine/batcher.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/assert.hpp"

namespace assay::engine {
namespace {

using Time = std::chrono::steady_clock::time_point;

std::size_t pages_of(std::uint32_t positions) {
  return (std::size_t{positions} + kPagePositions - 1) / kPagePositions;
}

}  // namespace

// What callers and the worker share; streams and places may outlive the batcher.
struct Batcher::Desk {
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::shared_ptr<Job>> arrived;
  std::uint32_t places = 0;
  bool behind = false;  // somebody is behind all others
  bool nudged = false, stopping = false;
  std::atomic<bool> closed = false;
  BatcherStats stats;

  void nudge() {
    {
      const std::lock_guard lock(mutex);
      nudged = true;
    }
    wake.notify_one();
  }
};

struct Batcher::Job {
  BatchRequest request;
  std::shared_ptr<Desk> desk;
  std::optional<Place> place;
  bool behind = false;
  std::uint32_t end;         // positions it may come to hold
  std::uint32_t max_tokens;  // as the context allows

  // The worker's.
  std::optional<Sequence> sequence;
  std::uint32_t recalled = 0, cached = 0;  // positions taken from the cache: told to the sink, all
  std::size_t shared = 0;                  // pages offered to the cache or taken from it
  PrefixCache::Node node = 0;              // of the last of them
  Token last = 0;
  std::optional<Time> paused_since;
  std::chrono::steady_clock::duration paused_before{};  // in pauses that ended

  std::atomic<bool> started = false, cancelled = false;
  mutable std::mutex mutex;
  std::condition_variable changed;
  BatchAnswer answer;
  std::size_t taken = 0;
  bool done = false;

  std::uint32_t prompt_size() const { return static_cast<std::uint32_t>(request.prompt.size()); }
  std::uint32_t sample_from() const {
    return request.max_tokens == 0 ? prompt_size() : prompt_size() - request.continuation - 1;
  }
  bool reading() const { return sequence->position() < prompt_size(); }
  // The consumer is as far behind as it may be.
  bool paused() const {
    const std::lock_guard lock(mutex);
    return request.ahead_max > 0 && answer.answer.size() - taken >= request.ahead_max;
  }
};

// ---- what callers do

Batcher::Stream::~Stream() {
  if (!job_) return;
  cancel();
  std::unique_lock lock(job_->mutex);
  job_->changed.wait(lock, [&] { return job_->done; });
}

std::vector<BatchToken> Batcher::Stream::take(std::chrono::milliseconds timeout) {
  std::vector<BatchToken> out;
  {
    std::unique_lock lock(job_->mutex);
    const BatchAnswer& answer = job_->answer;
    job_->changed.wait_for(lock, timeout,
                           [&] { return job_->taken < answer.answer.size() || job_->done; });
    for (std::size_t& i = job_->taken; i < answer.answer.size(); ++i) {
      out.push_back({answer.answer[i], {}});
      if (!answer.logprobs.empty()) out.back().logprobs = answer.logprobs[i];
    }
  }
  if (!out.empty() && job_->request.ahead_max > 0) job_->desk->nudge();
  return out;
}

bool Batcher::Stream::started() const { return job_->started; }

bool Batcher::Stream::ended() const {
  const std::lock_guard lock(job_->mutex);
  return job_->done && job_->taken == job_->answer.answer.size();
}

void Batcher::Stream::cancel() {
  job_->cancelled = true;
  job_->desk->nudge();
}

const BatchAnswer& Batcher::Stream::wait() {
  while (!ended()) (void)take(std::chrono::hours(1));
  return job_->answer;
}

Result<std::unique_ptr<Batcher>> Batcher::start(std::shared_ptr<const Model> model,
                                                const BatcherOptions& options) {
  const Kernels* kernels = find_kernels(options.isa);
  if (kernels == nullptr)
    return fail(Errc::unsupported, "this machine cannot run {} kernels", isa_name(options.isa));
  if (options.running_max < 1 || options.running_max > Forward::kTile || options.prefill_rows < 1)
    return fail(Errc::invalid, "1 to {} requests can run at a time, not {}", Forward::kTile,
                options.running_max);
  std::unique_ptr<Batcher> batcher(new Batcher(std::move(model), options, *kernels));
  if (batcher->pages_.pages_max() == 0)
    return fail(Errc::invalid,
                "{} bytes of KV cache do not hold one page of {} positions, which takes {}: give "
                "more",
                options.kv_bytes, kPagePositions, batcher->page_bytes());
  batcher->worker_ = std::thread([b = batcher.get()] { b->work(); });
  return batcher;
}

Batcher::Batcher(std::shared_ptr<const Model> model, const BatcherOptions& options,
                 const Kernels& kernels)
    : options_(options),
      threads_(options.threads),
      forward_(std::move(model), threads_, kernels),
      pages_(forward_.layout(), options.kv_bytes / page_bytes()),
      desk_(std::make_shared<Desk>()) {
  publish();
}

Batcher::~Batcher() {
  {
    const std::lock_guard lock(desk_->mutex);
    desk_->stopping = true;
  }
  desk_->wake.notify_one();
  if (worker_.joinable()) worker_.join();
}

std::size_t Batcher::page_bytes() const {
  const std::size_t memo = options_.prefix_cache ? options_.memo_bytes : 0;
  return forward_.layout().page_bytes() + memo * kPagePositions * model().hyper().layers;
}

// The last token of an answer is not evaluated.
std::uint32_t Batcher::positions_of(std::size_t prompt_tokens, std::uint32_t max_tokens) const {
  const std::uint64_t wanted = prompt_tokens + std::uint64_t{std::max(max_tokens, 1u)} - 1;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, model().hyper().context));
}

Status Batcher::fits(std::size_t prompt_tokens, std::uint32_t max_tokens) const {
  if (prompt_tokens > model().hyper().context)
    return fail(Errc::invalid, "{} prompt tokens do not fit the context of {}: shorten the prompt",
                prompt_tokens, model().hyper().context);
  const std::size_t pages = pages_of(positions_of(prompt_tokens, max_tokens));
  if (pages > pages_.pages_max())
    return fail(Errc::refused,
                "{} prompt tokens and up to {} answer tokens take {} KiB of KV cache, there are "
                "{} KiB: shorten the prompt or lower max_tokens",
                prompt_tokens, max_tokens, pages * page_bytes() >> 10,
                pages_.pages_max() * page_bytes() >> 10);
  return {};
}

Result<Batcher::Place> Batcher::enter(std::uint32_t most) {
  const std::lock_guard lock(desk_->mutex);
  if (desk_->stopping || desk_->closed)
    return fail(Errc::unavailable, "the engine is shutting down");
  if (desk_->places >= std::uint64_t{options_.running_max} + options_.queue_max)
    return fail(Errc::unavailable,
                "{} requests run or wait already, {} running and {} waiting is the most: try again "
                "later",
                desk_->places, options_.running_max, options_.queue_max);
  if (desk_->places >= most)
    return fail(Errc::unavailable, "{} requests run or wait already: try again later",
                desk_->places);
  ++desk_->places;
  return Place(std::shared_ptr<void>(nullptr, [desk = desk_](void*) {
    const std::lock_guard unlock(desk->mutex);
    --desk->places;
  }));
}

Result<Batcher::Stream> Batcher::submit(BatchRequest request) {
  TRY(auto place, enter());
  return submit(std::move(place), std::move(request));
}

Result<std::shared_ptr<Batcher::Job>> Batcher::job_of(BatchRequest request) const {
  if (request.prompt.empty() || request.continuation >= request.prompt.size())
    return fail(Errc::invalid, "a prompt needs a token of its own: it has {}, {} of them continued",
                request.prompt.size(), request.continuation);
  const std::uint32_t vocab = model().hyper().vocab;
  for (const Token token : request.prompt)
    if (token >= vocab)
      return fail(Errc::invalid, "prompt token {} is outside the vocabulary of {}", token, vocab);
  CHECK_OK(fits(request.prompt.size(), request.max_tokens));
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  std::ranges::sort(job->request.stop_ids);  // looked up for every token
  job->desk = desk_;
  job->end = positions_of(job->prompt_size(), job->request.max_tokens);
  job->max_tokens = std::min(job->request.max_tokens, job->end - job->prompt_size() + 1);
  return job;
}

Result<Batcher::Stream> Batcher::hand_over(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(desk_->mutex);
    if (desk_->stopping || desk_->closed)
      return fail(Errc::unavailable, "the engine is shutting down");
    if (job->behind && desk_->behind)
      return fail(Errc::unavailable, "one request is behind all others already: try again later");
    desk_->behind |= job->behind;
    desk_->arrived.push_back(job);
    desk_->nudged = true;
  }
  desk_->wake.notify_one();
  return Stream(std::move(job));
}

Result<Batcher::Stream> Batcher::submit(Place place, BatchRequest request) {
  TRY(auto job, job_of(std::move(request)));
  job->place = std::move(place);
  return hand_over(std::move(job));
}

Result<Batcher::Stream> Batcher::submit_behind(BatchRequest request) {
  TRY(auto job, job_of(std::move(request)));
  job->behind = true;
  return hand_over(std::move(job));
}

void Batcher::close() {
  desk_->closed = true;
  desk_->nudge();
}

BatcherStats Batcher::stats() const {
  const std::lock_guard lock(desk_->mutex);
  return desk_->stats;
}

// ---- the worker

void Batcher::work() {
  for (bool idle = false;;) {
    {
      std::unique_lock lock(desk_->mutex);
      const auto called = [&] { return desk_->nudged || desk_->stopping; };
      if (idle && next_hung_)
        desk_->wake.wait_until(lock, *next_hung_, called);
      else if (idle)
        desk_->wake.wait(lock, called);
      desk_->nudged = false;
      for (auto& job : desk_->arrived)
        if (job->behind)
          behind_ = std::move(job);
        else
          waiting_.push_back(std::move(job));
      desk_->arrived.clear();
      if (desk_->stopping) break;
    }
    drop_cancelled();
    drop_hung();
    if (desk_->closed) drop_waiting();
    admit();
    const bool recalled = recall();
    idle = !pass() && !recalled;
    publish();
  }
  if (behind_ && !behind_->sequence) waiting_.push_back(behind_);
  for (const auto& job : running_) end(*job, Finish::cancelled);
  for (const auto& job : waiting_) end(*job, Finish::cancelled);
  ended_ = std::move(running_);
  ended_.insert(ended_.end(), waiting_.begin(), waiting_.end());
  running_.clear();
  waiting_.clear();
  publish();
}

void Batcher::drop_cancelled() {
  const auto drop = [&](auto& list) {
    std::erase_if(list, [&](const auto& job) {
      if (!job->cancelled || job->behind) return false;
      end(*job, Finish::cancelled);
      ended_.push_back(job);
      return true;
    });
  };
  drop(running_);
  drop(waiting_);
  if (behind_ && behind_->cancelled) end_behind();
}

void Batcher::end_behind() {
  std::erase(running_, behind_);
  end(*behind_, Finish::cancelled);
  ended_.push_back(std::move(behind_));
}

void Batcher::drop_waiting() {
  for (auto& job : waiting_) {
    job->answer.displaced = true;
    end(*job, Finish::cancelled);
    ended_.push_back(std::move(job));
  }
  waiting_.clear();
  if (!behind_) return;
  behind_->answer.displaced = true;
  end_behind();
}

// Of those that wait for their consumer, the ones that have done so for too long.
void Batcher::drop_hung() {
  const Time now = std::chrono::steady_clock::now();
  next_hung_.reset();
  std::erase_if(running_, [&](const auto& job) {
    if (!job->paused()) {
      if (job->paused_since) job->paused_before += now - *job->paused_since;
      job->paused_since.reset();
      return false;
    }
    if (!job->paused_since) job->paused_since = now;
    const Time last = *job->paused_since + (options_.pause_max - job->paused_before);
    if (now < last) {
      next_hung_ = std::min(last, next_hung_.value_or(last));
      return false;
    }
    end(*job, Finish::cancelled);
    ended_.push_back(job);
    if (job->behind) behind_.reset();
    return true;
  });
}

bool Batcher::shares(const Job& job) const {
  const StateSink* sink = job.request.sink;
  return options_.prefix_cache &&
         (sink == nullptr || (sink->memo_bytes() > 0 && sink->memo_bytes() <= options_.memo_bytes));
}

void Batcher::admit() {
  const auto slots = [&] { return running_.size() - (behind_ && behind_->sequence ? 1 : 0); };
  // Asked here, too: who was closed out must not take the place of one that was then cancelled.
  while (!waiting_.empty() && slots() < options_.running_max && !desk_->closed) {
    if (!admit(*waiting_.front())) {
      if (displace()) continue;
      return;
    }
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (behind_ && !behind_->sequence && waiting_.empty() && !desk_->closed && admit(*behind_))
    running_.push_back(behind_);
}

// Takes its memory from the request behind all others; false: it has none.
bool Batcher::displace() {
  if (!behind_ || !behind_->sequence) return false;
  behind_->answer.displaced = true;
  end_behind();
  return true;
}

bool Batcher::admit(Job& job) {
  PrefixCache::Hit hit;
  if (shares(job)) {
    // The last token of the prompt is always evaluated: something must be.
    const std::size_t usable =
        std::min<std::size_t>(
            {job.sample_from(), job.request.prompt.size() - 1, job.request.fresh_from}) /
        kPagePositions * kPagePositions;
    hit = cache_.find(job.request.scope, std::span(job.request.prompt).first(usable),
                      job.request.sink ? job.request.sink->memo_bytes() : 0);
  }
  std::size_t promised = pages_of(job.end) - hit.pages.size();
  for (const auto& other : running_)
    promised += pages_of(other->end) - other->sequence->pages().size();
  // Pages that only the cache holds are as good as free.
  const std::size_t used = pages_.in_use();
  if (used + promised > pages_.pages_max() &&
      used - cache_.evictable() + promised > pages_.pages_max())
    return false;
  job.sequence.emplace(pages_);
  job.cached = static_cast<std::uint32_t>(hit.pages.size()) * kPagePositions;
  job.sequence->adopt(hit.pages, std::span(job.request.prompt).first(job.cached));
  job.shared = hit.pages.size();
  job.node = hit.node;
  if (job.request.sink == nullptr) job.recalled = job.cached;
  job.started = true;
  counted_.positions_cached += job.cached;
  return true;
}

// Somebody other than the request behind all others has a use for the next pass.
bool Batcher::busy() const {
  return std::ranges::any_of(running_,
                             [](const auto& job) { return !job->behind && !job->paused(); });
}

// A bounded number of positions at a time, as passes are.
bool Batcher::recall() {
  std::uint32_t budget = Forward::kTile;
  const std::uint32_t layers = model().hyper().layers;
  for (const auto& job : running_) {
    const std::uint32_t begin = job->recalled, count = std::min(budget, job->cached - begin);
    if (count == 0 || (job->behind && busy())) continue;
    StateSink& sink = *job->request.sink;
    const std::size_t size = sink.memo_bytes();
    sink.reserve(begin + count);
    threads_.parallel_for(count, 8, [&](std::size_t from, std::size_t to) {
      for (std::size_t i = from; i < to; ++i) {
        const auto position = begin + static_cast<std::uint32_t>(i);
        const Page& page = *job->sequence->pages()[position / kPagePositions];
        for (std::uint32_t layer = 0; layer < layers; ++layer)
          sink.recall(position, layer,
                      std::span(page.memo).subspan(
                          (position % kPagePositions * layers + layer) * size, size));
      }
    });
    job->recalled += count;
    budget -= count;
  }
  return budget < Forward::kTile;
}

void Batcher::plan() {
  slices_.clear();
  jobs_.clear();
  std::vector<Job*> readers;
  for (const auto& job : running_) {
    if (job->recalled < job->cached || job->behind) continue;
    if (job->reading())
      readers.push_back(job.get());
    else if (!job->paused())
      add(*job, 1);
  }
  if (behind_ && behind_->sequence && behind_->recalled == behind_->cached && !behind_->paused() &&
      !busy())
    add(*behind_, behind_->reading() ? std::min<std::size_t>(
                                           options_.prefill_rows,
                                           behind_->prompt_size() - behind_->sequence->position())
                                     : 1);
  if (readers.empty()) return;
  std::size_t budget = slices_.empty() ? Forward::kTile
                                       : std::min<std::size_t>(options_.prefill_rows,
                                                               Forward::kTile - slices_.size());
  // Equal shares, what one leaves goes to the others; whoever comes last may get nothing this time.
  std::ranges::rotate(readers,
                      readers.begin() + static_cast<std::ptrdiff_t>(turn_++ % readers.size()));
  for (std::size_t i = 0; i < readers.size() && budget > 0; ++i) {
    const std::size_t left = readers.size() - i, share = (budget + left - 1) / left,
                      rows = std::min<std::size_t>(
                          share, readers[i]->prompt_size() - readers[i]->sequence->position());
    add(*readers[i], rows);
    budget -= rows;
  }
}

void Batcher::add(Job& job, std::size_t rows) {
  const BatchRequest& request = job.request;
  const std::uint32_t begin = job.sequence->position();
  const auto end = static_cast<std::uint32_t>(begin + rows);
  // Promised at admission: what is missing is with the cache.
  const std::size_t held = job.sequence->pages().size(),
                    missing = std::max(pages_of(end), held) - held,
                    free = pages_.pages_max() - pages_.in_use();
  if (missing > free) ASSAY_ASSERT(cache_.evict(missing - free) == missing - free);
  ASSAY_ASSERT(job.sequence->reserve(end));
  if (request.sink != nullptr && shares(job)) {
    const std::size_t memo = request.sink->memo_bytes() * kPagePositions * model().hyper().layers;
    for (std::size_t page = begin / kPagePositions; page < pages_of(end); ++page)
      job.sequence->pages()[page]->memo.resize(memo);
  }
  slices_.push_back({.sequence = &*job.sequence,
                     .tokens = job.reading() ? std::span(request.prompt).subspan(begin, rows)
                                             : std::span<const Token>(&job.last, 1),
                     .sample_from = job.sample_from(),
                     .sampling = &request.sampling,
                     .sink = request.sink,
                     .logprobs = request.logprobs});
  jobs_.push_back(&job);
}

bool Batcher::pass() {
  plan();
  if (slices_.empty()) return false;
  std::vector<std::uint32_t> begins;
  for (const Slice& slice : slices_) {
    begins.push_back(slice.sequence->position());
    counted_.rows += slice.tokens.size();
  }
  forward_.run(slices_);
  ++counted_.passes;
  for (std::size_t i = 0; i < slices_.size(); ++i) settle(*jobs_[i], begins[i], slices_[i]);
  std::erase_if(running_, [&](const auto& job) {
    if (job->sequence) return false;
    ended_.push_back(job);
    if (job->behind) behind_.reset();
    return true;
  });
  return true;
}

void Batcher::settle(Job& job, std::uint32_t begin, Slice& slice) {
  const BatchRequest& request = job.request;
  share_pages(job);
  const std::uint32_t first = std::max(begin, job.sample_from());
  bool chose = false;
  for (std::size_t i = 0; i < slice.sampled.size(); ++i) {
    const Token token = slice.sampled[i];
    const auto position = first + static_cast<std::uint32_t>(i);
    if (position + 1 < job.prompt_size()) {
      if (token == request.prompt[position + 1]) continue;
      job.answer.mismatch = BatchAnswer::Mismatch{position, token};
      end(job, Finish::cancelled);
      return;
    }
    {
      const std::lock_guard lock(job.mutex);
      job.answer.answer.push_back(token);
      if (request.logprobs > 0) job.answer.logprobs.push_back(std::move(slice.head_logprobs[i]));
    }
    job.last = token;
    chose = true;
  }
  if (slice.fault) {
    if (request.sink) request.sink->fault(*slice.fault);
    job.answer.fault = slice.fault;
    end(job, Finish::fault);
  } else if (chose && std::ranges::binary_search(request.stop_ids, job.last)) {
    end(job, Finish::stop);
  } else if (!job.reading() && job.answer.answer.size() >= job.max_tokens) {
    end(job, Finish::length);
  } else if (chose) {
    job.changed.notify_all();
  }
}

void Batcher::share_pages(Job& job) {
  if (!options_.prefix_cache) return;
  const Sequence& sequence = *job.sequence;
  for (; job.shared < sequence.position() / kPagePositions; ++job.shared)
    job.node = cache_.insert(job.request.scope, job.node,
                             sequence.tape().subspan(job.shared * kPagePositions, kPagePositions),
                             sequence.pages()[job.shared]);
}

void Batcher::end(Job& job, Finish finish) {
  if (job.shared > 0)  // the run was in use until now
    (void)cache_.find(job.request.scope, job.sequence->tape(), 0);
  job.sequence.reset();
  job.place.reset();
  job.answer.finish = finish;
  if (!job.behind) return;
  const std::lock_guard lock(desk_->mutex);
  desk_->behind = false;
}

// Then tells the consumers of requests that have ended, who so find the figures up to date.
void Batcher::publish() {
  counted_.running = static_cast<std::uint32_t>(running_.size());
  counted_.waiting = static_cast<std::uint32_t>(waiting_.size());
  counted_.pages = pages_.in_use();
  counted_.pages_cached = cache_.pages();
  counted_.pages_max = pages_.pages_max();
  {
    const std::lock_guard lock(desk_->mutex);
    desk_->stats = counted_;
  }
  for (const auto& job : ended_) {
    // Notified under the lock: afterwards the consumer may let go of the last reference but ours.
    const std::lock_guard lock(job->mutex);
    job->done = true;
    job->changed.notify_all();
  }
  ended_.clear();
}

}  // namespace assay::engine
