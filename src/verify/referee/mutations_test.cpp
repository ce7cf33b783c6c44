// The committed vectors kill every small wrong variant of the steps; the variant without a mistake,
// which shares no arithmetic with them but the noise, reproduces every case.
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <iterator>
#include <set>

#include "verify/referee/cases_testutil.hpp"
#include "verify/referee/variant_testutil.hpp"

namespace assay::verify::test {
namespace {

struct File {
  std::string name;
  std::vector<Subject> subjects;
  std::vector<Case> cases;
};

std::vector<File> files() {
  std::vector<File> out;
  for (std::size_t k = 0; k < kKinds; ++k) {
    const auto kind = static_cast<OpKind>(k);
    if (kind == OpKind::threshold) continue;
    File file{.name = kind_name(kind), .subjects = {}, .cases = {}};
    std::ifstream in(fmt::format("{}/spec/vectors/referee/{}.json", ASSAY_SOURCE_DIR, file.name));
    const auto json = json::parse(std::string{std::istreambuf_iterator<char>(in), {}});
    if (!json) {
      ADD_FAILURE() << file.name;
      continue;
    }
    for (const json::value& s : json->at("subjects").as_array())
      file.subjects.push_back(*subject_from_json(s.as_object()));
    for (const json::value& c : json->at("cases").as_array())
      file.cases.push_back(*case_from_json(c.as_object()));
    out.push_back(std::move(file));
  }
  return out;
}

// Which files tell the variant from the steps.
std::set<std::string> killers(const std::vector<File>& all, Wrong wrong) {
  std::set<std::string> out;
  for (const File& file : all)
    for (const Case& c : file.cases) {
      const Subject& subject = file.subjects[c.subject];
      const OpList list = ops_of(subject, c.place.leaf);
      Recorder inputs(replayed(c));
      const auto value = variant_step(wrong, subject, list, c.place, c.running, inputs);
      if (result_text(value) == c.result && inputs.asked().size() == c.inputs.size()) continue;
      out.insert(file.name);
      break;
    }
  return out;
}

TEST(RefereeMutations, NoneSurvives) {
  const auto all = files();
  EXPECT_EQ(killers(all, Wrong::nothing), std::set<std::string>{});
  int mutants = 0;
  for (int w = 1; w < static_cast<int>(Wrong::end); ++w) {
    EXPECT_NE(killers(all, static_cast<Wrong>(w)), std::set<std::string>{}) << "mutant " << w;
    ++mutants;
  }
  std::cout << mutants << " mutants, none reproduces the vectors\n";
}

}  // namespace
}  // namespace assay::verify::test
