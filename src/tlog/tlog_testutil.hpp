// A log in memory, and keys that are the same in every run.
#pragma once
#include <map>

#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/edge.hpp"
#include "tlog/tree.hpp"
#include "tlog/witness.hpp"

namespace assay::tlog {

inline SignerKey test_key(const std::string& name, KeyType type = KeyType::ed25519) {
  SignerKey out{name, type, {}};
  out.seed.bytes = crypto::sha256(view("test key of " + name));
  return out;
}

inline Bytes bytes_of(std::string_view text) { return {view(text).begin(), view(text).end()}; }

struct MemoryTiles : TileSource {
  std::map<std::string, Bytes> files;
  Result<Bytes> read(const TileId& id) override {
    const auto found = files.find(tile_path(id));
    if (found == files.end()) return fail(Errc::not_found, "no {}", tile_path(id));
    return found->second;
  }
};

struct MemoryLog {
  SignerKey key = test_key("example.com/log");
  MemoryTiles tiles;
  Edge edge;
  std::vector<Hash> leaves;  // what every proof is held against

  void append(const std::vector<Bytes>& entries) {
    const std::vector<ByteView> views(entries.begin(), entries.end());
    edge.append(views, [&](const TileId& id, ByteView bytes) {
      tiles.files[tile_path(id)] = Bytes(bytes.begin(), bytes.end());
    });
    for (const auto& entry : entries) leaves.push_back(crypto::leaf_hash(entry));
  }
  // `count` more, "entry 17" and so on.
  void grow(std::size_t count) {
    std::vector<Bytes> entries;
    for (std::size_t i = 0; i < count; ++i)
      entries.push_back(bytes_of(fmt::format("entry {}", leaves.size() + i)));
    append(entries);
  }
  Hash root(std::size_t size) const { return crypto::merkle_root(std::span(leaves).first(size)); }
  std::string checkpoint() const {
    return to_string(sign_checkpoint({key.name, edge.size(), edge.root()}, key));
  }
  LogPolicy policy() const { return LogPolicy::of(key.verifier()); }
};

struct MemoryWitnessStore : WitnessStore {
  std::map<std::string, WitnessedLog> logs;
  bool broken = false;
  Result<std::optional<WitnessedLog>> latest(const std::string& origin) override {
    const auto found = logs.find(origin);
    return found == logs.end() ? std::nullopt : std::optional(found->second);
  }
  Status replace(const std::string& origin, const WitnessedLog& log) override {
    if (broken) return fail(Errc::unavailable, "no space left on the disk");
    logs[origin] = log;
    return {};
  }
};

}  // namespace assay::tlog
