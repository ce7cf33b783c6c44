#include "services/log/log_store.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"

namespace assay::services {
namespace {

IssuerId issuer_of(const tlog::LogEntry& entry) { return {entry.series(), entry.issuer}; }

bool is_among(const std::vector<LoggedAuction>& auctions, const LoggedAuction& one) {
  return std::ranges::any_of(auctions, [&](const LoggedAuction& other) {
    return other.call == one.call || other.awarded == one.awarded;
  });
}

Status check_published(LogDisk& disk, const tlog::LogPolicy& policy, const TreeState& state,
                       tlog::Tree& tree) {
  TRY(const auto note, disk.published());
  if (!note) return {};
  const auto opened = tlog::open_checkpoint(*note, policy);
  if (!opened) return fail_in("the checkpoint file (another key or name?)", opened.error());
  const auto& checkpoint = opened->checkpoint;
  if (checkpoint.size > state.size)
    return fail(Errc::mismatch,
                "a checkpoint of {} entries was published, but the log has {}: an old copy of its "
                "folder was put back. Signing on would be a fork: restore the newest copy",
                checkpoint.size, state.size);
  TRY(const Hash root, tree.root(checkpoint.size));
  if (root != checkpoint.root)
    return fail(Errc::mismatch, "the published checkpoint of {} entries is of another tree",
                checkpoint.size);
  return {};
}

}  // namespace

LogStore::LogStore(LogDisk& disk, tlog::Edge edge, TreeState state, const LogStoreOptions& options)
    : disk_(disk), options_(options), tree_(disk), edge_(std::move(edge)), state_(state) {
  thread_ = std::thread([this] { work(); });
}

Result<std::unique_ptr<LogStore>> LogStore::open(LogDisk& disk, const tlog::LogPolicy& policy,
                                                 const LogStoreOptions& options) {
  TRY(TreeState state, disk.state());
  if (state.size == 0) state.root = crypto::sha256({});
  // Files of a batch that was never committed may lie beside those of the tree. They are not of it,
  // nothing reads them, and the next batch writes them again.
  TRY(auto edge, tlog::Edge::load(disk, state.size));
  if (edge.root() != state.root)
    return fail(Errc::mismatch, "the tiles on disk are not those of the log's {} entries",
                state.size);
  tlog::Tree tree(disk);
  CHECK_OK(check_published(disk, policy, state, tree));
  return std::unique_ptr<LogStore>(new LogStore(disk, std::move(edge), state, options));
}

LogStore::~LogStore() {
  stop();
  thread_.join();
}

void LogStore::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  grown_.notify_all();
}

TreeState LogStore::committed() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

TreeState LogStore::wait_beyond(std::uint64_t size, std::int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  grown_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                  [&] { return stopping_ || state_.size > size; });
  return state_;
}

LogStore::Indexes LogStore::append(std::vector<tlog::LogEntry> entries) {
  if (entries.empty()) return fail(Errc::invalid, "no entries");
  for (std::size_t i = 1; i < entries.size(); ++i)
    if (issuer_of(entries[i]) != issuer_of(entries[0]) ||
        entries[i].number != entries[0].number + i)
      return fail(Errc::invalid, "the entries are not one issuer's, with consecutive numbers");
  if (entries[0].kind != tlog::EntryKind::salted)
    return fail(Errc::invalid, "an auction's entry is appended with its record");
  return queue(std::move(entries), std::nullopt);
}

Result<std::uint64_t> LogStore::append_auction(const tlog::LogEntry& entry, LoggedAuction auction) {
  for (const Hash& id : {auction.call, auction.awarded}) {
    TRY(const auto had, disk_.auction(id));
    if (!had) continue;
    if (had->call == auction.call && had->record == auction.record) return had->index;
    return fail(Errc::conflict, "entry {} is another record of this {}", had->index,
                id == auction.call ? "auction" : "award");
  }
  TRY(const auto indexes, queue({entry}, std::move(auction)));
  return indexes[0];
}

LogStore::Indexes LogStore::queue(std::vector<tlog::LogEntry> entries,
                                  std::optional<LoggedAuction> auction) {
  std::future<Indexes> done;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::unavailable, "the log is stopping");
    if (queued_entries_ + entries.size() > options_.waiting_entries && queued_entries_ > 0)
      return fail(Errc::unavailable, "the log is busy: {} entries wait, try again",
                  queued_entries_);
    queued_entries_ += entries.size();
    done = queue_.emplace_back(std::move(entries), std::move(auction), std::promise<Indexes>())
               .done.get_future();
  }
  wake_.notify_one();
  return done.get();
}

void LogStore::work() {
  for (;;) {
    std::deque<Waiting> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      wake_.wait_for(lock, std::chrono::milliseconds(options_.batch_ms),
                     [&] { return stopping_ || queued_entries_ >= options_.batch_entries; });
      batch.swap(queue_);
      queued_entries_ = 0;
    }
    write_batch(batch);
  }
}

// Everything is in the log already: where, or that it is something else.
LogStore::Indexes LogStore::known(const std::vector<tlog::LogEntry>& entries) {
  std::vector<std::uint64_t> out;
  const std::uint64_t size = edge_.size();
  for (const auto& entry : entries) {
    TRY(const std::uint64_t index, disk_.index_of(issuer_of(entry), entry.number));
    TRY(const Hash leaf, tree_.leaf(index, size));
    if (leaf != crypto::leaf_hash(entry.to_bytes()))
      return fail(Errc::conflict, "number {} of {} is entry {}, and is another one", entry.number,
                  entry.issuer.to_string(), index);
    out.push_back(index);
  }
  return out;
}

void LogStore::write_batch(std::deque<Waiting>& batch) {
  if (broken_) {
    for (Waiting& waiting : batch)
      waiting.done.set_value(fail(Errc::unavailable, "the log's disk failed: restart the log"));
    return;
  }
  // Each issuer's entries lie together, whatever the order in which they came.
  std::map<IssuerId, std::vector<Waiting*>> by_issuer;
  for (Waiting& waiting : batch) by_issuer[issuer_of(waiting.entries[0])].push_back(&waiting);

  std::vector<Bytes> bytes;
  std::vector<NumberRange> ranges;
  std::vector<std::pair<Waiting*, std::uint64_t>> added;  // and the index of its first entry
  std::vector<Waiting*> old;                              // asked for a second time
  std::vector<LoggedAuction> auctions;
  for (auto& [issuer, calls] : by_issuer) {
    const auto next = disk_.next_number(issuer);
    if (!next) {
      for (Waiting* call : calls) call->done.set_value(std::unexpected(next.error()));
      continue;
    }
    std::ranges::stable_sort(calls, {}, [](const Waiting* w) { return w->entries[0].number; });
    NumberRange range{issuer, *next, 0, edge_.size() + bytes.size()};
    for (Waiting* call : calls) {
      const std::uint64_t first = call->entries[0].number, expected = range.first + range.count;
      const std::uint64_t last = first + call->entries.size() - 1;
      // An auction's record that the log has was answered before it came here.
      if (last < expected && !call->auction) {
        old.push_back(call);
      } else if (first != expected) {
        call->done.set_value(fail(Errc::refused, "the next number of {} is {}",
                                  issuer.address.to_string(), expected));
      } else if (call->auction && is_among(auctions, *call->auction)) {
        call->done.set_value(fail(Errc::unavailable, "its record is being appended: ask again"));
      } else {
        if (call->auction) {
          auctions.push_back(std::move(*call->auction));
          auctions.back().index = edge_.size() + bytes.size();
        }
        added.emplace_back(call, edge_.size() + bytes.size());
        for (const auto& entry : call->entries) bytes.push_back(entry.to_bytes());
        range.count += call->entries.size();
      }
    }
    if (range.count > 0) ranges.push_back(range);
  }

  Status status;
  if (!bytes.empty()) {
    tlog::Edge longer = edge_;
    std::vector<io::NewFile> files;
    const std::vector<ByteView> views(bytes.begin(), bytes.end());
    longer.append(views, [&](const tlog::TileId& id, ByteView content) {
      files.push_back({tlog::tile_path(id), Bytes(content.begin(), content.end())});
    });
    // Entries before the tiles that speak of them: a reader of files never meets a hash without its
    // entry.
    std::ranges::stable_sort(
        files, {}, [](const io::NewFile& file) { return !file.path.starts_with("tile/entries/"); });
    // A crash before or within the next line leaves files that no committed tree has; nobody was
    // answered.
    status = disk_.write(files);
    const TreeState state{longer.size(), longer.root()};
    // A crash before this commit: the batch never was. After it: the batch is in the log, also if
    // nobody is told; who asks again gets the indexes.
    if (status) {
      status = disk_.commit(state, ranges, auctions);
      // An error does not always mean that nothing happened. When nobody can say what did, going on
      // could write over a tree that is there: then this process takes no more.
      if (!status) {
        const auto found = disk_.state();
        if (found && *found == state)
          status = {};
        else if (!found || found->size != edge_.size())
          broken_ = true;
      }
    }
    if (status) {
      edge_ = std::move(longer);
      const std::lock_guard lock(mutex_);
      state_ = state;
    }
  }
  // Durable. The checkpoint comes later, from the committed state: a crash here only delays it.
  for (auto& [call, index] : added) {
    if (!status) {
      call->done.set_value(std::unexpected(status.error()));
      continue;
    }
    std::vector<std::uint64_t> indexes(call->entries.size());
    for (std::size_t i = 0; i < indexes.size(); ++i) indexes[i] = index + i;
    call->done.set_value(std::move(indexes));
  }
  for (Waiting* call : old)
    call->done.set_value(status ? known(call->entries) : Indexes(std::unexpected(status.error())));
  grown_.notify_all();
}

}  // namespace assay::services
