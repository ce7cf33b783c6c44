// Single steps as cases of spec/vectors/referee: what a step asks for and what comes out, written
// down and read back.
#pragma once
#include "base/json.hpp"
#include "verify/referee/world_testutil.hpp"

namespace assay::verify::test {

const char* kind_name(OpKind kind);  // "norm_sum"
inline constexpr std::size_t kKinds = static_cast<std::size_t>(OpKind::constrain) + 1;

// A question and its answer.
struct Asked {
  std::string what;  // "op", "x", "k", "v", "weight", "rope", "prompt", "tape", "logprobs",
                     // "constraint", "piece" or "row"
  std::vector<std::uint64_t> where;
  Bytes bytes{};
  bool same_question(const Asked& other) const {
    return what == other.what && where == other.where;
  }
};

struct Case {
  std::uint32_t subject = 0;
  StepPlace place;
  std::vector<std::uint32_t> running;
  std::vector<Asked> inputs;
  std::string result;  // 8 hex digits, "fault", "invalid model" or "invalid input"
};
std::string result_text(const Result<StepValue>& value);

json::object to_json(const Subject& subject);
json::object to_json(const Case& c, const OpList& list);
Result<Subject> subject_from_json(const json::object& o);
Result<Case> case_from_json(const json::object& o);

// Answers with bytes made up per question, hostile in one of several ways; or writes down what
// another one answers.
class Recorder : public StepInputs {
 public:
  using Answer = std::function<Result<Bytes>(const Asked& question)>;
  explicit Recorder(Answer answer) : answer_(std::move(answer)) {}
  const std::vector<Asked>& asked() const { return asked_; }

  Result<ByteView> op_chunk(std::uint32_t op, std::uint64_t chunk) override;
  Result<ByteView> leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                              std::uint32_t chunk) override;
  Result<ByteView> weight(const TensorShape& tensor, std::uint64_t row,
                          std::uint32_t chunk) override;
  Result<ByteView> rope(std::uint64_t chunk) override;
  Result<ByteView> tokens(bool answer, std::uint32_t chunk) override;
  Result<ByteView> logprobs(std::uint32_t answer_token) override;
  Result<ByteView> constraint_parts() override;
  Result<ByteView> piece(std::uint32_t token) override;
  Result<ByteView> automaton_row(std::uint32_t state) override;

 private:
  Result<ByteView> ask(Asked question);
  Answer answer_;
  std::vector<Asked> asked_;
};

// From states a run computed.
Recorder::Answer honest(LeafRun& run, const World& world);
// Random bytes of the right length. mode: 0 ordinary, 1 few values and many ties, 2 special
// numbers, 3 huge ones, 4 saturated integers.
inline constexpr std::uint32_t kModes = 5;
Recorder::Answer hostile(const Subject& subject, const OpList& list, std::uint32_t position,
                         std::uint32_t seed, std::uint32_t mode);
std::uint32_t hostile_running(const Subject& subject, const Op& op, Random& random,
                              std::uint32_t mode);
// The answers of a case; another question than the next one there fails.
Recorder::Answer replayed(const Case& c);

}  // namespace assay::verify::test
