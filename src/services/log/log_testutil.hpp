// A log's disk that fails or dies at a chosen step, and entries of a few issuers.
#pragma once
#include <atomic>
#include <set>

#include "services/log/log_store.hpp"

namespace assay::services {

inline crypto::SecretKey issuer_key(std::uint8_t issuer) {
  return *crypto::secret_key(Hash{issuer});
}
inline tlog::LogEntry entry_of(std::uint8_t issuer, std::uint64_t number, std::uint8_t what = 0) {
  return tlog::sign_entry(Hash{9}, number, Hash{what, 1}, issuer_key(issuer));
}
inline std::vector<tlog::LogEntry> entries_of(std::uint8_t issuer, std::uint64_t first,
                                              std::uint64_t count) {
  std::vector<tlog::LogEntry> out;
  for (std::uint64_t i = 0; i < count; ++i) out.push_back(entry_of(issuer, first + i));
  return out;
}
inline tlog::SignerKey log_key() {
  tlog::SignerKey key{"example.com/log", tlog::KeyType::ed25519, {}};
  key.seed.bytes = Hash{7};
  return key;
}
inline tlog::LogPolicy log_policy() { return tlog::LogPolicy::of(log_key().verifier()); }

// Counts every step that touches the disk. At the chosen one it fails with an error (a full or
// read-only disk), or dies: that step and everything after it do nothing, as after kill -9 or a
// power cut. A step that writes files can be torn: some of them, the last one cut short.
class FaultyDisk : public LogDisk {
 public:
  enum class Fault { none, error, death };
  explicit FaultyDisk(LogDisk& disk) : disk_(disk) {}

  Fault fault = Fault::none;
  int at = -1;      // the step
  double torn = 0;  // of a write: the part of its bytes that reach the disk
  Error error{Errc::unavailable, "no space left on the disk"};
  int steps = 0;
  bool dead = false;

  Result<Bytes> read(const tlog::TileId& id) override { return disk_.read(id); }
  Result<TreeState> state() override { return disk_.state(); }
  Result<std::uint64_t> next_number(const IssuerId& issuer) override {
    return disk_.next_number(issuer);
  }
  Result<std::uint64_t> index_of(const IssuerId& issuer, std::uint64_t number) override {
    return disk_.index_of(issuer, number);
  }
  Result<std::optional<std::string>> published() override { return disk_.published(); }
  void drop_partials(const tlog::TileId& full) override {
    if (step()) disk_.drop_partials(full);
  }
  Status write(std::span<const io::NewFile> files) override {
    // Each file is a step of its own: between any two of them there may be an end.
    for (std::size_t i = 0; i < files.size(); ++i) {
      const bool before = !dead;
      if (step()) {
        CHECK_OK(disk_.write(files.subspan(i, 1)));
        continue;
      }
      io::NewFile part = files[i];
      part.content.resize(
          static_cast<std::size_t>(static_cast<double>(part.content.size()) * torn));
      if (torn > 0 && before) CHECK_OK(disk_.write(std::span(&part, 1)));
      return std::unexpected(error);
    }
    return {};
  }
  Result<std::optional<LoggedAuction>> auction(const Hash& id) override {
    return disk_.auction(id);
  }
  Status commit(const TreeState& state, std::span<const NumberRange> ranges,
                std::span<const LoggedAuction> auctions) override {
    if (!step()) return std::unexpected(error);
    CHECK_OK(disk_.commit(state, ranges, auctions));
    // An end after the commit: durable, but nobody is told, or the wrong thing.
    if (!step()) return std::unexpected(error);
    return {};
  }
  Status publish(const std::string& checkpoint) override {
    if (!step()) return std::unexpected(error);
    return disk_.publish(checkpoint);
  }

 private:
  bool step() {
    if (dead) return false;
    const bool now = steps++ == at && fault != Fault::none;
    if (now && fault == Fault::death) dead = true;
    return !now;
  }
  LogDisk& disk_;
};

}  // namespace assay::services
