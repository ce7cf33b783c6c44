// Replays the fuzzers' seeds. With ASSAY_WRITE_VECTORS=1 the generated ones are written again.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/corpus_testutil.hpp"
#include "tlog/fuzz_testutil.hpp"

namespace assay::tlog {
namespace {

const std::filesystem::path kCorpus = ASSAY_SOURCE_DIR "/tests/fuzz/corpus";

using Fuzz = void (*)(ByteView);

struct Seeds {
  const char* folder;
  Fuzz run;
  std::vector<std::pair<std::string, std::string>> files;
};

std::vector<Seeds> seeds() {
  MemoryLog log;
  log.grow(600);
  Tree tree(log.tiles);
  const SignerKey witness = test_key("w", KeyType::cosignature);
  Note cosigned = *parse_note(log.checkpoint());
  cosigned.signatures.push_back(sign_note(cosigned.text, witness, 1'700'000'000));
  const Note extended =
      sign_checkpoint({log.key.name, 600, log.root(600), {"one", "two"}}, log.key);

  MemoryLog small;
  small.grow(5);
  Tree small_tree(small.tiles);
  const AddCheckpoint add{3, *small_tree.consistency_proof(3, 5), small.checkpoint()};
  AddCheckpoint wrong = add;
  wrong.proof.pop_back();

  Bytes bundle;
  for (std::uint64_t number = 1; number <= 3; ++number)
    append_entry(bundle,
                 sign_entry(Hash{9}, number, Hash{1}, *crypto::secret_key(Hash{3})).to_bytes());
  Bytes mixed = bundle;
  append_entry(mixed, {});
  append_entry(mixed, view("garbage"));

  const auto proof = [&](std::uint64_t index, bool extra) {
    return to_string(ProofFile{extra ? std::optional(bytes_of("salt")) : std::nullopt, index,
                               *tree.inclusion_proof(index, 600), to_string(cosigned)});
  };
  return {
      {"note",
       fuzz_note,
       {{"checkpoint", log.checkpoint()},
        {"cosigned", to_string(cosigned)},
        {"extended", to_string(extended)},
        {"text", "a\n\nb\n\n" + to_line(sign_note("a\n\nb\n", log.key))},
        {"checkpoint_text", to_text({log.key.name, 600, log.root(600)})},
        {"lines", to_line(cosigned.signatures[0]) + to_line(cosigned.signatures[1])},
        {"vkey", log.key.verifier().to_string()},
        {"vkey_witness", witness.verifier().to_string()},
        {"skey", log.key.to_string()}}},
      {"tile",
       fuzz_tile,
       {{"path", "tile/3/x001/x234/067"},
        {"path_partial", "tile/0/273.p/112"},
        {"path_entries", "tile/entries/x001/x234/067.p/8"},
        {"bundle", std::string(text(bundle))},
        {"bundle_mixed", std::string(text(mixed))},
        {"edge", std::string(text(small.edge.to_bytes()))},
        {"edge_large", std::string(text(log.edge.to_bytes()))}}},
      {"tlog_proof",
       fuzz_tlog_proof,
       {{"first", proof(0, false)}, {"extra", proof(300, true)}, {"last", proof(599, false)}}},
      {"witness",
       fuzz_witness,
       {{"good", to_string(add)},
        {"wrong_proof", to_string(wrong)},
        {"from_nothing", to_string(AddCheckpoint{0, {}, small.checkpoint()})},
        {"too_old", to_string(AddCheckpoint{9, {}, small.checkpoint()})},
        {"cosigned", to_string(AddCheckpoint{3, add.proof, to_string(cosigned)})}}},
  };
}

TEST(Corpus, LogsReplay) {
  for (const Seeds& target : seeds()) {
    const std::filesystem::path folder = kCorpus / target.folder;
    if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) {
      std::filesystem::create_directories(folder);
      for (const auto& [name, bytes] : target.files)
        std::ofstream(folder / name, std::ios::binary) << bytes;
    }
    ASSERT_TRUE(std::filesystem::exists(folder)) << folder;
    const auto files =
        replay_corpus(folder, [&](ByteView bytes, const std::string&) { target.run(bytes); });
    EXPECT_GE(files, target.files.size()) << folder;
  }
}

}  // namespace
}  // namespace assay::tlog
