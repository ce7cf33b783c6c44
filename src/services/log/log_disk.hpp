// What a log keeps, behind the few operations that its order of writing needs. FileDisk is a
// folder:
//   tile/…       tiles and entry bundles (c2sp.org/tlog-tiles), any static server can serve them
//   checkpoint   the signed note readers begin with
//   log.db       how long the log is, who used which numbers, auctions' records (SQLite)
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "io/files.hpp"
#include "io/sqlite.hpp"
#include "services/log/tile_folder.hpp"
#include "tlog/entry.hpp"
#include "tlog/tile.hpp"

namespace assay::services {

struct TreeState {
  std::uint64_t size = 0;
  Hash root{};
  bool operator==(const TreeState&) const = default;
};

// The record of an auction, whose hash is entry number `index`.
struct LoggedAuction {
  Hash call{}, awarded{};  // digests of the call, and of the offer awarded: one record of each
  std::uint64_t index = 0;
  std::string domain, record;  // JSON
};

// An issuer under one ledger (LogEntry::series).
struct IssuerId {
  Hash ledger{};
  crypto::Address address{};
  auto operator<=>(const IssuerId&) const = default;
};
// Numbers first … first + count - 1 are the entries at index … index + count - 1.
struct NumberRange {
  IssuerId issuer;
  std::uint64_t first = 0, count = 0, index = 0;
};

// Safe to use from many threads, but one writes.
class LogDisk : public tlog::TileSource {
 public:
  // A partial tile that is gone is cut from the full one. not_found: neither is there.
  Result<Bytes> read(const tlog::TileId& id) override = 0;
  // Durable when it returns OK. After an error or a crash each file may be missing, partial or
  // whole.
  virtual Status write(std::span<const io::NewFile> files) = 0;
  // The committed length; of a new log 0.
  virtual Result<TreeState> state() = 0;
  // Durable and atomic: after a crash the state, its ranges and its auctions are there or not.
  // After an error too, and state() says which.
  virtual Status commit(const TreeState& state, std::span<const NumberRange> ranges,
                        std::span<const LoggedAuction> auctions) = 0;
  // By the digest of its call, or of the offer awarded.
  virtual Result<std::optional<LoggedAuction>> auction(const Hash& id) = 0;
  // The number after the last one committed; 1 for an unknown issuer.
  virtual Result<std::uint64_t> next_number(const IssuerId& issuer) = 0;
  // Index of the entry with a number below next_number.
  virtual Result<std::uint64_t> index_of(const IssuerId& issuer, std::uint64_t number) = 0;
  // Replaced atomically, durable when it returns OK.
  virtual Status publish(const std::string& checkpoint) = 0;
  virtual Result<std::optional<std::string>> published() = 0;
  // Partial tiles of a tile that is full now. What stays does no harm.
  virtual void drop_partials(const tlog::TileId& full) = 0;
};

class FileDisk : public LogDisk {
 public:
  // The folder is made when missing.
  static Result<std::unique_ptr<FileDisk>> open(const std::string& folder);

  Result<Bytes> read(const tlog::TileId& id) override { return files_.read(id); }
  Status write(std::span<const io::NewFile> files) override;
  Result<TreeState> state() override;
  Status commit(const TreeState& state, std::span<const NumberRange> ranges,
                std::span<const LoggedAuction> auctions) override;
  Result<std::optional<LoggedAuction>> auction(const Hash& id) override;
  Result<std::uint64_t> next_number(const IssuerId& issuer) override;
  Result<std::uint64_t> index_of(const IssuerId& issuer, std::uint64_t number) override;
  Status publish(const std::string& checkpoint) override;
  Result<std::optional<std::string>> published() override;
  void drop_partials(const tlog::TileId& full) override;

 private:
  FileDisk(const std::string& folder, std::unique_ptr<io::Database> db)
      : folder_(folder), files_(folder), db_(std::move(db)) {}

  Result<io::Database*> database() const;
  Status put(const TreeState& state, std::span<const NumberRange> ranges,
             std::span<const LoggedAuction> auctions);

  const std::string folder_;
  TileFolder files_;
  std::mutex mutex_;  // db_; null after it failed and could not be opened again
  std::unique_ptr<io::Database> db_;
};

}  // namespace assay::services
