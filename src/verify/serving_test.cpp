// The serving engine against a fresh session for each request: whatever is batched, cached, chunked
// or cancelled, tokens, log-probabilities and trace roots are the same bits. Other instruction sets
// and the audits: false_alarm_test.cpp.
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "engine/gguf_testutil.hpp"
#include "verify/serving_testutil.hpp"
#include "verify/trace.hpp"

namespace assay::verify {
namespace {

using engine::Batcher;
using engine::BatcherOptions;
using test::KnownCase;

const engine::Isa kIsa = engine::best_isa();

void expect_same_outcome(const std::vector<KnownCase>& cases,
                         const std::shared_ptr<const engine::Model>& model, BatcherOptions options,
                         std::size_t clients) {
  options.memo_bytes = TraceBuilder::kMemoBytes;
  const auto batcher = Batcher::start(model, options);
  ASSERT_TRUE(batcher) << batcher.error().message;
  const auto got = test::served(cases, **batcher, clients);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    test::expect_same(cases[i], got[i], model, kIsa);
  }
  const engine::BatcherStats stats = (*batcher)->stats();
  EXPECT_EQ(stats.running + stats.waiting, 0u);
  EXPECT_EQ(stats.pages, stats.pages_cached);
  if (options.prefix_cache)
    EXPECT_GT(stats.positions_cached, 0u);
  else
    EXPECT_EQ(stats.pages + stats.positions_cached, 0u);
}

TEST(Serving, BatchingChunksCacheAndThreadsChangeNothing) {
  const Bytes bytes = engine::toy_model(
      {.dim = 32, .heads = 4, .kv_heads = 2, .ffn = 32, .layers = 2, .context = 512});
  const auto model = *engine::Model::load(bytes);
  const auto cases = test::some_cases(model, 1, kIsa, {.count = 60, .prompt_max = 300});
  for (const bool cache : {false, true})
    for (const std::uint32_t running : {1u, 6u})
      for (const std::uint32_t rows : {1u, 7u, 64u})
        for (const unsigned threads : {1u, 2u}) {
          SCOPED_TRACE(testing::Message() << "cache " << cache << " running " << running << " rows "
                                          << rows << " threads " << threads);
          if (running == 1 && rows != 64) continue;  // alone, prompts are not chunked
          expect_same_outcome(cases, model,
                              {.threads = threads,
                               .running_max = running,
                               .prefill_rows = rows,
                               .prefix_cache = cache},
                              8);
        }
}

TEST(Serving, EvictionUnderPressureChangesNothing) {
  const Bytes bytes = engine::toy_model(
      {.dim = 32, .heads = 4, .kv_heads = 2, .ffn = 32, .layers = 2, .context = 512});
  const auto model = *engine::Model::load(bytes);
  const auto cases = test::some_cases(model, 2, kIsa, {.count = 120, .prompt_max = 300});
  // 64 positions of 2 layers: K and V of 2 heads of 8 as fp16 (V's rows take 16), and the memo.
  // Eight such pages; the longest request needs six.
  const std::size_t page = 64 * 2 * (2 * (8 + 16) * 2 + TraceBuilder::kMemoBytes);
  expect_same_outcome(cases, model, {.kv_bytes = 8 * page + page / 2, .running_max = 6}, 8);
}

TEST(Serving, ARealModelToo) {
  std::ifstream in(ASSAY_SOURCE_DIR "/models/tern-q8_0.gguf", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto model = engine::Model::load(view(bytes));
  ASSERT_TRUE(model) << model.error().message;
  const auto cases = test::some_cases(*model, 3, kIsa, {.count = 16, .prompt_max = 150});
  for (const bool cache : {false, true})
    for (const std::uint32_t running : {1u, 8u})
      expect_same_outcome(
          cases, *model,
          {.threads = 2, .running_max = running, .prefill_rows = 24, .prefix_cache = cache}, 8);
}

}  // namespace
}  // namespace assay::verify
