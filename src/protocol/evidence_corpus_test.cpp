#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/corpus_testutil.hpp"
#include "base/hex.hpp"
#include "protocol/evidence_fuzz_testutil.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

const std::filesystem::path kEvidenceCorpus = ASSAY_SOURCE_DIR "/tests/fuzz/corpus/evidence";

void write_seed(const std::string& name, std::string_view bytes) {
  std::ofstream out(kEvidenceCorpus / name, std::ios::binary);
  out << bytes;
}

void write_evidence_seeds() {
  std::filesystem::create_directories(kEvidenceCorpus);
  const Exchange x;
  const Bytes cose = *export_cose(x.file, 1'700'000'000, x.provider);
  write_seed("cose", text(cose));
  write_seed("cose_payload", text(cose::decode(cose)->payload));
  write_seed("receipt_file", text(cbor::encode(cbor::to_value(x.file))));
  write_seed("dsse", *export_dsse(x.file, 1'700'000'000, x.provider));
  Bundle bundle{.receipt = x.file};
  bundle.chunks = open_chunks(x.opening, TokenList::tape);
  bundle.log = LogEvidence{"c2sp.org/tlog-proof@v1\n", Hash{}, "log", {"witness"}};
  bundle.anchor = Anchor{.chain_id = 1};
  bundle.aliases.push_back({"pem", {{"mediaType", "x"}}});
  write_seed("bundle", to_text(bundle));
  for (const auto& [name, hex] : std::initializer_list<std::pair<const char*, const char*>>{
           {"cbor_map", "a26161016162820203"},
           {"cbor_unsorted", "a2616201616101"},
           {"cbor_floats", "84f93e00fa47c35000fb3ff199999999999af97e00"},
           {"cbor_indefinite", "9f018202039f0405ffff"},
           {"cbor_bignum", "c249010000000000000000"},
           {"cbor_deep", "81818181818181818100"},
           {"cbor_huge", "9bffffffffffffffff00"},
           {"cbor_utf8", "63eda080"}})
    write_seed(name, text(*from_hex(hex)));
}

TEST(Corpus, EvidenceReplay) {
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) write_evidence_seeds();
  const auto files = replay_corpus(
      kEvidenceCorpus, [](ByteView bytes, const std::string&) { fuzz_evidence(bytes); });
  EXPECT_GE(files, 13u);
}

}  // namespace
}  // namespace assay::protocol
