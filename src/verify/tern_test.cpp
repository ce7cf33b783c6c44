// A whole execution of a real model as a vector: Tern's identity, and the tokens, log-probabilities
// and trace root of a request over two attention segments. Every build and every instruction set
// must end in these bits; `make test` runs this on AArch64 too (tests/aarch64).
#include <bit>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "verify/identity.hpp"
#include "verify/replay.hpp"

namespace assay::verify {
namespace {

constexpr const char* kVector = ASSAY_SOURCE_DIR "/spec/vectors/model/tern.json";
constexpr const char* kModel = "models/tern-q8_0.gguf";
constexpr std::uint32_t kTernPrompt = 250, kAnswer = 12, kAlternatives = 2;

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class TernModel : public testing::TestWithParam<engine::Isa> {
 protected:
  const std::string file_ = read(std::string(ASSAY_SOURCE_DIR "/") + kModel);
  const std::shared_ptr<const engine::Model> model_ = *engine::Model::load(view(file_));
  ThreadPool pool_{2};

  Execution execution(std::span<const std::uint32_t> prompt) const {
    Execution e;
    e.sampling = {.repetition_penalty = 1.125f,
                  .temperature = 0.75f,
                  .top_k = 40,
                  .top_p = 0.9375f,
                  .min_p = 0.03125f,
                  .seed = 7,
                  .answer_from = kTernPrompt};
    e.salt_secret.fill(7);
    e.prompt = prompt;
    e.logprobs = kAlternatives;
    return e;
  }
  std::vector<std::uint32_t> prompt() const {
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 0; i < kTernPrompt; ++i)
      out.push_back((i * 2'654'435'761u >> 8) % model_->hyper().vocab);
    return out;
  }
};

template <class T>
json::array numbers(const std::vector<T>& values) {
  return json::array(values.begin(), values.end());
}

TEST_P(TernModel, Vector) {
  const std::vector<std::uint32_t> asked = prompt();
  Execution e = execution(asked);
  TraceBuilder trace(e.salt_secret, model_->hyper().layers);
  engine::Session session(model_, pool_, GetParam(), kTernPrompt + kAnswer);
  const engine::Generation made =
      generate(session, asked, {.max_tokens = kAnswer, .stop_ids = {}, .logprobs = kAlternatives},
               e.sampling, &trace, {});
  ASSERT_EQ(made.answer.size(), kAnswer);
  std::vector<std::uint32_t> logprobs;
  for (const auto& head : made.logprobs) append_logprobs(head, logprobs);

  e.answer = made.answer;
  const auto audited = replay(e, model_, pool_, GetParam(), {});
  ASSERT_TRUE(audited) << audited.error().message;
  EXPECT_EQ(audited->sampled, made.answer);
  EXPECT_EQ(audited->logprobs, logprobs);
  EXPECT_EQ(audited->trace.root(), trace.root());

  const engine::Tokenizer tokenizer = *engine::Tokenizer::from(model_->gguf());
  const engine::ChatTemplate chat = *engine::ChatTemplate::from(model_->gguf());
  const ModelIdentity id = *identify(*model_, tokenizer, &chat, view(file_), pool_);
  const auto bits = [](float f) {
    return fmt::format("0x{:08x}", std::bit_cast<std::uint32_t>(f));
  };
  const json::object document{
      {"about",
       "one request to a model of this repository (spec/model.md, spec/canon.md, spec/trace.md): "
       "binary32 as hexadecimal bits, log-probabilities as in spec/messages.md"},
      {"model", kModel},
      {"file_sha256", to_hex(id.file_sha256)},
      {"weights_root", to_hex(id.weights_root)},
      {"program_hash", to_hex(id.program_hash)},
      {"salt_secret", to_hex(e.salt_secret)},
      {"sampling",
       {{"repetition_penalty", bits(e.sampling.repetition_penalty)},
        {"temperature", bits(e.sampling.temperature)},
        {"top_k", e.sampling.top_k},
        {"top_p", bits(e.sampling.top_p)},
        {"min_p", bits(e.sampling.min_p)},
        {"seed", e.sampling.seed}}},
      {"prompt", numbers(asked)},
      {"answer", numbers(made.answer)},
      {"logprobs", numbers(logprobs)},
      {"trace_root", to_hex(trace.root())}};
  const std::string text = json::dump_pretty(document) + "\n";
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) std::ofstream(kVector) << text;
  EXPECT_EQ(read(kVector), text);
}

std::vector<engine::Isa> available() {
  std::vector<engine::Isa> out;
  for (const engine::Isa isa : engine::all_isas())
    if (engine::isa_available(isa)) out.push_back(isa);
  return out;
}
INSTANTIATE_TEST_SUITE_P(Every, TernModel, testing::ValuesIn(available()),
                         [](const auto& p) { return std::string(engine::isa_name(p.param)); });

}  // namespace
}  // namespace assay::verify
