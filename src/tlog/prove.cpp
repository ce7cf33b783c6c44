#include "tlog/prove.hpp"

#include "crypto/merkle.hpp"
#include "tlog/tree.hpp"

namespace assay::tlog {
namespace {

// Shows `look` the entries of bundle number n, which live no longer than that.
template <class Look>
Status with_bundle(std::uint64_t n, std::uint64_t size, TileSource& tiles, Look&& look) {
  const TileId id{true, 0, n, tile_width(size, 0, n)};
  TRY(const Bytes bundle, tiles.read(id));
  TRY(const auto entries, parse_bundle(bundle, id.width));
  look(std::span(entries));
  return {};
}

}  // namespace

Result<std::uint64_t> find_entry(const LogEntry& place, std::uint64_t size, TileSource& tiles) {
  for (std::uint64_t n = (size + kTileWidth - 1) / kTileWidth; n-- > 0;) {
    std::optional<std::uint64_t> found;
    CHECK_OK(with_bundle(n, size, tiles, [&](std::span<const ByteView> entries) {
      for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto entry = LogEntry::parse(entries[i]);
        if (entry && entry->series() == place.series() && entry->issuer == place.issuer &&
            entry->number == place.number)
          found = n * kTileWidth + i;
      }
    }));
    if (found) return *found;
  }
  return fail(Errc::not_found, "the log's {} entries have no number {} of {}", size, place.number,
              place.issuer.to_string());
}

Result<ProofFile> prove_entry(std::uint64_t index, std::string checkpoint, const LogPolicy& policy,
                              TileSource& tiles) {
  ProofFile out;
  out.index = index;
  out.checkpoint = std::move(checkpoint);
  TRY(const auto opened, open_checkpoint(out.checkpoint, policy));
  const std::uint64_t size = opened.checkpoint.size;
  Tree tree(tiles);
  TRY(out.hashes, tree.inclusion_proof(index, size));
  CHECK_OK(with_bundle(index / kTileWidth, size, tiles, [&](std::span<const ByteView> entries) {
    const ByteView entry = entries[index % kTileWidth];
    out.extra = Bytes(entry.begin(), entry.end());
  }));
  CHECK_OK(verify_proof_file(out, crypto::leaf_hash(*out.extra), policy));
  return out;
}

Result<ProofFile> prove_entry(const LogEntry& place, std::string checkpoint,
                              const LogPolicy& policy, TileSource& tiles) {
  TRY(const auto opened, open_checkpoint(checkpoint, policy));
  TRY(const std::uint64_t index, find_entry(place, opened.checkpoint.size, tiles));
  return prove_entry(index, std::move(checkpoint), policy, tiles);
}

}  // namespace assay::tlog
