// Tiles, edges and proofs, held against the plain tree of crypto/merkle.
#include "tlog/tree.hpp"

#include <gtest/gtest.h>
#include <random>

#include "tlog/check.hpp"
#include "tlog/tlog_testutil.hpp"

namespace assay::tlog {
namespace {

TEST(Tile, Paths) {
  const std::vector<std::pair<TileId, std::string>> cases{
      {{false, 0, 0}, "tile/0/000"},
      {{false, 0, 273, 112}, "tile/0/273.p/112"},
      {{false, 3, 1234067}, "tile/3/x001/x234/067"},
      {{true, 0, 1234067, 1}, "tile/entries/x001/x234/067.p/1"},
      {{false, 63, 999, 255}, "tile/63/999.p/255"},
      {{false, 0, 1000}, "tile/0/x001/000"},
      {{false, 0, (std::uint64_t{1} << 63) - 1}, "tile/0/x009/x223/x372/x036/x854/x775/807"}};
  for (const auto& [id, path] : cases) {
    EXPECT_EQ(tile_path(id), path);
    const auto parsed = parse_tile_path(path);
    ASSERT_TRUE(parsed) << path;
    EXPECT_EQ(*parsed, id);
  }
  for (const char* bad : {"",
                          "tile",
                          "tile/",
                          "tile/0",
                          "tile/0/",
                          "tile/0/0",
                          "tile/0/00",
                          "tile/0/0000",
                          "tile/00/000",
                          "tile/64/000",
                          "tile/-1/000",
                          "tile/x/000",
                          "/tile/0/000",
                          "tile/0/000/",
                          "tile/0/x000/000",
                          "tile/0/001/000",
                          "tile/0/x001000",
                          "tile/0/x001/x000",
                          "tile/0/x1/000",
                          "tile/0/000.p/0",
                          "tile/0/000.p/256",
                          "tile/0/000.p/01",
                          "tile/0/000.p/",
                          "tile/0/000.p",
                          "tile/0/000.p/1/",
                          "tile/0/000.p/1.p/1",
                          "tile/entries/",
                          "tile/entriesx/000",
                          "tile/0/x009/x223/x372/x036/x854/x775/808",
                          "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
                          "tile/0/00a",
                          "tile/0/x00a/000",
                          "tile/0/../000"})
    EXPECT_FALSE(parse_tile_path(bad)) << bad;
}

// The example of the specification: 70,000 entries.
TEST(Tile, WidthsOfTheSpecificationsExample) {
  EXPECT_EQ(tile_width(70'000, 0, 272), 256u);
  EXPECT_EQ(tile_width(70'000, 0, 273), 112u);
  EXPECT_EQ(tile_width(70'000, 0, 274), 0u);
  EXPECT_EQ(tile_width(70'000, 1, 0), 256u);
  EXPECT_EQ(tile_width(70'000, 1, 1), 17u);
  EXPECT_EQ(tile_width(70'000, 2, 0), 1u);
  EXPECT_EQ(tile_width(70'000, 3, 0), 0u);
  EXPECT_EQ(tile_width(70'000, 8, 0), 0u);
  EXPECT_EQ(tile_width(256, 1, 0), 1u);
  EXPECT_EQ(tile_width(256, 0, 1), 0u);
  EXPECT_EQ(new_tiles(0, 70'000).size(), 274u + 274u + 2u + 1u);
  EXPECT_EQ(new_tiles(255, 256),
            (std::vector<TileId>{{true, 0, 0}, {false, 0, 0}, {false, 1, 0, 1}}));
  EXPECT_TRUE(new_tiles(256, 256).empty());
}

TEST(Tile, Bundles) {
  Bytes bundle;
  append_entry(bundle, {});
  append_entry(bundle, view("abc"));
  const Bytes large(kEntryBytesMax, 7);
  append_entry(bundle, large);
  const auto entries = parse_bundle(bundle, 3);
  ASSERT_TRUE(entries);
  EXPECT_TRUE((*entries)[0].empty());
  EXPECT_EQ(text((*entries)[1]), "abc");
  EXPECT_EQ((*entries)[2].size(), kEntryBytesMax);
  EXPECT_FALSE(parse_bundle(bundle, 2));
  EXPECT_FALSE(parse_bundle(bundle, 4));
  for (const std::size_t size : {1u, 3u, 6u})
    EXPECT_FALSE(parse_entries(ByteView(bundle).first(size), 9));
  EXPECT_TRUE(parse_bundle({}, 0));
  EXPECT_FALSE(parse_hashes(bundle, 1));
}

TEST(Tile, PartialOnesAreCutFromFullOnes) {
  MemoryLog at_100, full;
  at_100.grow(100);
  full.grow(256);
  for (const bool entries : {false, true}) {
    const TileId id{entries, 0, 0, 100};
    const Bytes& whole = full.tiles.files.at(tile_path(id.full()));
    EXPECT_EQ(*cut(id, whole), at_100.tiles.files.at(tile_path(id)));
    EXPECT_FALSE(cut(id, ByteView(whole).first(whole.size() - 1)));
  }
}

// Whatever the batches, the files are those of the tree: every size to 600, then larger steps.
TEST(Edge, GrowsTheSameFilesInAnyBatches) {
  MemoryLog one, other;
  std::mt19937 random(1);
  for (int i = 0; i < 600; ++i) {
    one.grow(1);
    ASSERT_EQ(one.edge.root(), one.root(one.leaves.size())) << i;
  }
  while (other.leaves.size() < 600) {
    const std::size_t old_size = other.leaves.size();
    auto before = other.tiles.files;
    other.tiles.files.clear();
    other.grow(std::min<std::size_t>(600 - old_size, 1 + random() % 300));
    std::vector<std::string> written, wanted;
    for (const auto& [path, bytes] : other.tiles.files) {
      written.push_back(path);
      ASSERT_EQ(bytes, one.tiles.files.at(path)) << path;
    }
    for (const TileId& id : new_tiles(old_size, other.leaves.size()))
      wanted.push_back(tile_path(id));
    std::ranges::sort(wanted);
    EXPECT_EQ(written, wanted);
    other.tiles.files.merge(before);
  }
  EXPECT_EQ(other.edge.root(), one.edge.root());
}

TEST(Edge, LoadsWhatItWrote) {
  MemoryLog log;
  for (const std::size_t step : {1u, 254u, 1u, 300u, 65'000u, 444u, 1000u}) {
    log.grow(step);
    const auto edge = Edge::load(log.tiles, log.edge.size());
    ASSERT_TRUE(edge) << edge.error().message;
    EXPECT_EQ(edge->root(), log.edge.root());
    MemoryLog continued = log;
    continued.edge = *edge;
    continued.grow(7);
    MemoryLog straight = log;
    straight.grow(7);
    EXPECT_EQ(continued.tiles.files, straight.tiles.files);
    const auto copy = Edge::from_bytes(edge->to_bytes());
    ASSERT_TRUE(copy);
    EXPECT_EQ(copy->root(), edge->root());
    Bytes bytes = edge->to_bytes();
    bytes.pop_back();
    EXPECT_FALSE(Edge::from_bytes(bytes));
    bytes.resize(bytes.size() + 2);
    EXPECT_FALSE(Edge::from_bytes(bytes));
  }
  EXPECT_FALSE(Edge::from_bytes(Bytes(7)));
  EXPECT_FALSE(Edge::from_bytes(Bytes(8, 0xff)));
  ASSERT_EQ(log.edge.size(), 67'000u);
  const std::string tile = tile_path({false, 0, 261, 184}), bundle = tile_path({true, 0, 261, 184});
  MemoryLog broken = log;
  broken.tiles.files[tile].pop_back();
  EXPECT_FALSE(Edge::load(broken.tiles, log.edge.size()));
  broken = log;
  broken.tiles.files[bundle].pop_back();
  EXPECT_FALSE(Edge::load(broken.tiles, log.edge.size()));
  broken = log;
  broken.tiles.files[bundle].back() ^= 1;
  EXPECT_FALSE(Edge::load(broken.tiles, log.edge.size()));
  broken.tiles.files.erase(bundle);
  EXPECT_FALSE(Edge::load(broken.tiles, log.edge.size()));
  EXPECT_TRUE(Edge::load(broken.tiles, log.edge.size(), false));
}

// Every index and size to 300, by tiles and by definition.
TEST(Tree, ProofsOfSmallTreesAreThoseOfTheDefinition) {
  MemoryLog log;
  for (std::size_t size = 1; size <= 300; ++size) {
    log.grow(1);
    if (size > 20 && size % 7 != 0 && size < 253) continue;
    Tree tree(log.tiles);
    const Hash root = log.root(size);
    ASSERT_EQ(*tree.root(size), root);
    for (std::size_t index = 0; index < size; ++index) {
      const auto proof = tree.inclusion_proof(index, size);
      ASSERT_TRUE(proof) << proof.error().message;
      ASSERT_EQ(*proof, crypto::inclusion_proof(std::span(log.leaves).first(size), index));
    }
    for (std::size_t old_size = 0; old_size <= size; ++old_size) {
      const auto proof = tree.consistency_proof(old_size, size);
      ASSERT_TRUE(proof) << proof.error().message;
      ASSERT_TRUE(crypto::verify_consistency(log.root(old_size), old_size, root, size, *proof))
          << old_size << ' ' << size;
    }
    EXPECT_FALSE(tree.inclusion_proof(size, size));
    EXPECT_FALSE(tree.leaf(size, size));
    EXPECT_FALSE(tree.consistency_proof(size + 1, size));
  }
}

// Three levels of tiles, old sizes whose partial tiles are gone, and a cache far too small.
TEST(Tree, ProofsAcrossLevelsWithASmallCache) {
  MemoryLog log;
  log.grow(66'000);
  std::mt19937 random(2);
  for (const std::size_t tiles : {1u, 3u, 256u}) {
    Tree tree(log.tiles, tiles);
    for (int i = 0; i < 60; ++i) {
      const std::size_t size = 1 + random() % 66'000;
      // A tree of another size needs partial tiles that were never written here: full ones begin
      // with the same hashes.
      struct Wider : TileSource {
        MemoryTiles& tiles;
        explicit Wider(MemoryTiles& t) : tiles(t) {}
        Result<Bytes> read(const TileId& id) override {
          if (auto found = tiles.read(id)) return found;
          for (unsigned width = id.width; width <= kTileWidth; ++width) {
            TileId wider = id;
            wider.width = width;
            if (auto found = tiles.read(wider)) {
              found->resize(id.width * 32);
              return found;
            }
          }
          return fail(Errc::not_found, "no {}", tile_path(id));
        }
      } wider(log.tiles);
      Tree any(wider, tiles);
      const std::size_t index = random() % size, old_size = random() % (size + 1);
      const Hash root = log.root(size);
      ASSERT_EQ(*any.root(size), root);
      const auto proof = any.inclusion_proof(index, size);
      ASSERT_TRUE(crypto::verify_inclusion(root, log.leaves[index], index, size, *proof));
      ASSERT_EQ(*any.leaf(index, size), log.leaves[index]);
      const auto consistency = any.consistency_proof(old_size, size);
      ASSERT_TRUE(
          crypto::verify_consistency(log.root(old_size), old_size, root, size, *consistency));
      const std::size_t here = random() % 66'000;
      ASSERT_TRUE(crypto::verify_inclusion(log.edge.root(), log.leaves[here], here, 66'000,
                                           *tree.inclusion_proof(here, 66'000)));
    }
  }
}

TEST(Tree, ABadTileIsAnErrorAndNoProof) {
  MemoryLog log;
  log.grow(700);
  log.tiles.files[tile_path({false, 0, 1})].pop_back();
  Tree tree(log.tiles);
  EXPECT_FALSE(tree.inclusion_proof(300, 700));
  EXPECT_FALSE(tree.leaf(300, 700));
  EXPECT_TRUE(tree.inclusion_proof(10, 700)) << "the tile above has that tile's root";
  log.tiles.files.clear();
  Tree empty(log.tiles);
  EXPECT_FALSE(empty.root(700));
  EXPECT_FALSE(empty.consistency_proof(300, 700));
  EXPECT_EQ(*empty.root(0), crypto::sha256({}));
}

TEST(Check, EveryFileOfALogCounts) {
  MemoryLog log;
  log.grow(700);
  log.grow(66'000);
  const Checkpoint checkpoint{log.key.name, log.edge.size(), log.edge.root()};
  std::uint64_t count = 0;
  const auto seen = [&](std::uint64_t index, ByteView entry) -> Status {
    EXPECT_EQ(index, count++);
    EXPECT_EQ(text(entry), fmt::format("entry {}", index));
    return {};
  };
  ASSERT_TRUE(check_log(checkpoint, log.tiles, seen));
  EXPECT_EQ(count, 66'700u);
  const auto quiet = [](std::uint64_t, ByteView) -> Status { return {}; };
  for (const TileId& id : new_tiles(0, 66'700)) {
    if (id.index % 97 != 0) continue;
    Bytes& file = log.tiles.files.at(tile_path(id));
    file[5] ^= 1;
    EXPECT_FALSE(check_log(checkpoint, log.tiles, quiet)) << tile_path(id);
    file[5] ^= 1;
  }
  Checkpoint other = checkpoint;
  other.root[0] ^= 1;
  EXPECT_FALSE(check_log(other, log.tiles, quiet));
  log.tiles.files.erase("tile/0/100");
  EXPECT_FALSE(check_log(checkpoint, log.tiles, quiet));
  EXPECT_FALSE(check_log(checkpoint, log.tiles, [](std::uint64_t, ByteView) -> Status {
    return fail(Errc::cancelled, "enough");
  }));
}

}  // namespace
}  // namespace assay::tlog
