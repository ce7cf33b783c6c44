// Where the cases of spec/vectors/referee come from: a few worlds, and single steps made up so that
// they stand on an edge.
#pragma once
#include <memory>

#include "verify/referee/cases_testutil.hpp"

namespace assay::verify::test {

// A world, and the leaves of it that cases come from.
struct VectorSource {
  std::unique_ptr<World> world;
  std::vector<LeafPlace> places;
  OpKind first = OpKind::norm_sum;  // kinds before it have their cases from other worlds
};
std::vector<VectorSource> vector_sources();

// A step with chosen inputs: the values of ops by name, of `prompt` and `tape`, repeated to fill a
// chunk; the bytes of `constraint`, `piece` and `row`; all other questions have hostile answers.
struct Crafted {
  std::uint32_t source = 0;
  std::size_t place = 0;
  const char* op = "";
  std::uint64_t element = 0;
  std::uint32_t step = 0;
  std::vector<std::uint32_t> running{};
  std::map<std::string, std::vector<float>> floats{};
  std::map<std::string, std::vector<std::uint32_t>> words{};
  std::map<std::string, Bytes> bytes{};
  std::uint32_t mode = 0;
};
std::vector<Crafted> crafted();
Recorder::Answer crafted_answer(const Crafted& c, const Subject& subject, const OpList& list,
                                std::uint32_t position, std::uint32_t seed);
std::uint32_t op_named(const OpList& list, std::string_view name);

}  // namespace assay::verify::test
