// Replays the fuzzer's seeds (tests/fuzz/corpus/proof), and every kind of step on hostile inputs.
// With ASSAY_WRITE_VECTORS=1 the seeds are written again.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>

#include "base/corpus_testutil.hpp"
#include "verify/referee/fuzz_testutil.hpp"

namespace assay::verify {
namespace {

namespace fs = std::filesystem;

const fs::path kCorpus = ASSAY_SOURCE_DIR "/tests/fuzz/corpus/proof";

// Inputs a liar might commit to: NaN, infinities, subnormals, −0, ids outside everything, ones.
Bytes pattern(std::uint32_t kind, std::size_t size) {
  const std::uint32_t words[] = {0x7fc00001, 0xff800000, 0x00000001, 0x80000000,
                                 0xffffffff, 0x3f800000, 0x7f7fffff, 0x0bad5eed};
  Bytes out;
  std::uint32_t state = kind;
  while (out.size() < size) {
    state = state * 1664525u + 1013904223u;
    append_le(out, kind < std::size(words) ? words[kind] : state);
  }
  return out;
}

Bytes seed(std::uint8_t format, std::uint8_t sampling, std::uint8_t leaf, std::uint8_t op,
           std::uint16_t position, std::uint32_t element, std::uint16_t step, std::uint32_t kind) {
  Bytes out{format, sampling, leaf, op};
  append_le(out, position);
  append_le(out, element);
  append_le(out, step);
  append_le(out, std::uint32_t{0x3f800000});
  append(out, pattern(kind, 4096));
  return out;
}

TEST(ProofCorpus, HostileInputs) {
  std::map<OpKind, std::size_t> values, faults;
  for (const std::uint8_t format : Bytes{0, 3, 4 + 0x40, 6 + 0x80, 7 + 0x20})
    for (const std::uint8_t leaf : Bytes{0, 1, 2, 0x81, 0x80 + 2})
      for (const std::uint8_t sampling : Bytes{0xff, 0x10, 0x00}) {
        const Subject subject = fuzz_subject(format, sampling);
        const LeafPlace place{550, leaf % 3u, (leaf & 0x80) != 0};
        const OpList list = ops_of(subject, place);
        for (std::uint8_t op = 0; op < list.ops.size(); ++op)
          for (std::uint32_t kind = 0; kind < 12; ++kind) {
            const auto value =
                fuzz_proof(seed(format, sampling, leaf, op, 550, 37 * kind, 0, kind));
            if (value) ++(value->fault ? faults : values)[list.ops[op].kind];
          }
      }
  for (std::uint32_t k = 0; k <= static_cast<std::uint32_t>(OpKind::constrain); ++k) {
    const auto kind = static_cast<OpKind>(k);
    if (kind != OpKind::threshold) {
      EXPECT_GT(values[kind] + faults[kind], 0u) << "kind " << k;
    }
  }
}

TEST(ProofCorpus, Replay) {
  const std::map<std::string, Bytes> seeds{
      {"product_q8_0", seed(3, 0, 1, 6, 550, 5, 1, 8)},
      {"product_q4_k", seed(4, 0, 1, 6, 300, 5, 1, 9)},
      {"score", seed(0, 0, 1, 9, 550, 300, 0, 5)},
      {"weighted_value", seed(0, 0, 0x81, 14, 550, 129, 3, 9)},
      {"head_everything", seed(3, 0xff, 2, 60, 550, 257, 1, 10)},
      {"alternatives", seed(3, 0xff, 2, 80, 599, 3, 0, 4)},
      {"tape", seed(3, 0x0c, 2, 47, 599, 9, 1, 9)}};
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) {
    fs::create_directories(kCorpus);
    for (const auto& [name, bytes] : seeds)
      std::ofstream(kCorpus / name, std::ios::binary) << text(bytes);
  }
  const auto count = replay_corpus(
      kCorpus, [](ByteView bytes, const std::string&) { static_cast<void>(fuzz_proof(bytes)); });
  EXPECT_GE(count, seeds.size());
}

}  // namespace
}  // namespace assay::verify
