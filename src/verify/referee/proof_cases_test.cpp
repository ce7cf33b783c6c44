// Steps with their proofs for the referee on the chain (contracts/test/referee): every committed
// case of spec/vectors/referee, written to proofs.bin beside them with ASSAY_WRITE_VECTORS=1, and
// as many random ones as are asked for.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "base/assert.hpp"
#include "verify/referee/proof_cases_testutil.hpp"

namespace assay::verify::test {
namespace {

namespace fs = std::filesystem;

const fs::path kVectors = fs::path(ASSAY_SOURCE_DIR) / "spec/vectors/referee";

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void expect_written(const char* name, const Bytes& bytes) {
  const char* write = std::getenv("ASSAY_WRITE_VECTORS");
  if (write != nullptr && *write == '1')
    std::ofstream(kVectors / name, std::ios::binary) << text(bytes);
  EXPECT_TRUE(read(kVectors / name) == text(bytes)) << "differs: changed, or was never written";
}

std::vector<OpKind> kinds() {
  std::vector<OpKind> out;
  for (std::size_t k = 0; k < kKinds; ++k)
    if (static_cast<OpKind>(k) != OpKind::threshold) out.push_back(static_cast<OpKind>(k));
  return out;
}

std::string text_of(const ProofCase& c) {
  using enum ProofCase::Says;
  switch (c.says) {
    case value:
      return fmt::format("{:08x}", c.bits);
    case fault:
      return "fault";
    case invalid_model:
      return "invalid model";
    case invalid:
    case mismatch:
      return "invalid input";
  }
  ASSAY_ASSERT(false);
}

// The same cases, each opened by a proof: judge_step says what the file says.
TEST(ProofCases, OfTheVectors) {
  Random random(7);
  std::vector<ProofCase> cases;
  for (const OpKind kind : kinds()) {
    SCOPED_TRACE(kind_name(kind));
    const auto file = json::parse(read(kVectors / fmt::format("{}.json", kind_name(kind))));
    ASSERT_TRUE(file);
    std::vector<Subject> subjects;
    for (const json::value& s : file->at("subjects").as_array())
      subjects.push_back(*subject_from_json(s.as_object()));
    for (const json::value& v : file->at("cases").as_array()) {
      const Case c = *case_from_json(v.as_object());
      const Subject& subject = subjects[c.subject];
      const OpList list = ops_of(subject, c.place.leaf);
      // A scalar is known, not opened: no proof can cut it short.
      if (c.result == "invalid input" && c.inputs.back().what == "op" &&
          list.ops[c.inputs.back().where[0]].scalar)
        continue;
      cases.push_back(proof_case(subject, list, c.place, c.running, c.inputs, random));
      judge(cases.back());
      EXPECT_EQ(text_of(cases.back()), c.result);
    }
  }
  expect_written("proofs.bin", case_file(cases));
}

TEST(ProofCases, OfStatements) {
  expect_written("finish.bin", finish_file(finish_cases(5, 600), 5));
}

// ASSAY_CASES: a folder to write <kind>.bin to, ASSAY_CASES_COUNT: cases of each kind,
// ASSAY_CASES_SEED, ASSAY_CASES_KINDS: names with commas between, not all. Without them a few, to
// see that all answers come up.
TEST(ProofCases, Random) {
  const auto number = [](const char* name, std::uint32_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise
                           : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
  };
  const char* folder = std::getenv("ASSAY_CASES");
  const std::uint32_t count = number("ASSAY_CASES_COUNT", 30);
  RandomCases random(number("ASSAY_CASES_SEED", 1));
  std::map<ProofCase::Says, int> said;
  const char* only = std::getenv("ASSAY_CASES_KINDS");
  const std::string wanted = only == nullptr ? "" : fmt::format(",{},", only);
  if (folder != nullptr && wanted.empty())
    std::ofstream(fs::path(folder) / "finish.bin", std::ios::binary)
        << text(finish_file(finish_cases(number("ASSAY_CASES_SEED", 1), 10 * count), 1));
  for (const OpKind kind : kinds()) {
    if (!wanted.empty() && !wanted.contains(fmt::format(",{},", kind_name(kind)))) continue;
    std::vector<ProofCase> cases;
    for (std::uint32_t i = 0; i < count; ++i) {
      cases.push_back(random.next(kind));
      ++said[cases.back().says];
    }
    if (folder != nullptr)
      std::ofstream(fs::path(folder) / fmt::format("{}.bin", kind_name(kind)), std::ios::binary)
          << text(case_file(cases));
  }
  EXPECT_GE(said.size(), wanted.empty() ? 5u : 3u);
}

// shapes.bin and shapes.txt, a name a line, in the folder ASSAY_CASES names:
// contracts/scripts/gas.mjs.
TEST(ProofCases, OfRealShapes) {
  std::vector<ProofCase> cases;
  std::string names;
  for (NamedCase& n : cases_of_real_shapes()) {
    EXPECT_LE(n.c.proof.size(), 4096u) << n.name;
    EXPECT_TRUE(n.c.says == ProofCase::Says::value || n.c.says == ProofCase::Says::fault) << n.name;
    names += n.name + "\n";
    cases.push_back(std::move(n.c));
  }
  EXPECT_GT(cases.size(), 150u);
  const char* folder = std::getenv("ASSAY_CASES");
  if (folder == nullptr) return;
  std::ofstream(fs::path(folder) / "shapes.bin", std::ios::binary) << text(case_file(cases));
  std::ofstream(fs::path(folder) / "shapes.txt", std::ios::binary) << names;
}

}  // namespace
}  // namespace assay::verify::test
