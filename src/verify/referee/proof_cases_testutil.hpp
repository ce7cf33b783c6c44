// Steps as a referee elsewhere is shown them: with commitments that their inputs open to. Trees are
// made up around the inputs, so that a proof of any shape costs a few hashes.
#pragma once
#include "verify/referee/cases_testutil.hpp"
#include "verify/referee/referee.hpp"

namespace assay::verify::test {

// What judge_step is given, and what it says.
struct ProofCase {
  Subject subject;  // its roots are those of the made-up trees
  Revealed revealed;
  StepPlace place;
  std::vector<std::uint32_t> running;
  Bytes proof;

  enum class Says : std::uint8_t { value, fault, invalid_model, invalid, mismatch } says{};
  std::uint32_t bits = 0;
};

// The case of a step that asked for `inputs` (their answers, in order). `not_the_programs`: the
// weights come with another tensor's description.
ProofCase proof_case(const Subject& subject, const OpList& list, const StepPlace& place,
                     std::vector<std::uint32_t> running, const std::vector<Asked>& inputs,
                     Random& random, bool not_the_programs = false);
// Fills in what the referee says of it as it is; execute_step and judge_step must agree (expected).
void judge(ProofCase& c);

// The bytes that contracts/test/referee reads (contracts/test/referee/CaseFile.sol says how).
Bytes case_file(std::span<const ProofCase> cases);

// Steps from made-up inputs, some with a proof that was tampered with.
class RandomCases {
 public:
  explicit RandomCases(std::uint32_t seed);
  ProofCase next(OpKind kind);

 private:
  Subject subject();
  std::optional<ProofCase> attempt(OpKind kind);
  void tamper(ProofCase& c, const Op& op);

  Random random_;
  std::vector<Subject> subjects_;
};

// One step of every op of a model of a real shape, the last of its last element, at a late position
// with every piece of sampling on: what a step costs on a chain.
struct NamedCase {
  std::string name;  // "8B Q4_K lg"
  ProofCase c;
};
std::vector<NamedCase> cases_of_real_shapes();

// What judge_finish is given: statements with nothing wrong, with one thing wrong, and wrong proofs.
struct FinishCase {
  Subject subject;
  Bytes proof;
};
std::vector<FinishCase> finish_cases(std::uint32_t seed, std::size_t count);
// With what judge_finish says of each, and salts of leaves (contracts/test/referee/Finish.t.sol).
Bytes finish_file(std::span<const FinishCase> cases, std::uint32_t seed);

}  // namespace assay::verify::test
