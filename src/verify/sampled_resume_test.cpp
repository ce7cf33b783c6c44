// Sampled audits that are long, interrupted, or read a model of which most bytes are not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/layer_pass.hpp"
#include "verify/layers_identity.hpp"
#include "verify/sampled_journal.hpp"
#include "verify/sampled_testutil.hpp"

namespace assay::verify {
namespace {

const ToyModel& long_toy() {
  static const ToyModel model(engine::ToyShape{.layers = 3, .context = 2048});
  return model;
}
const Trade& long_trade() {
  static const Trade trade = [] {
    std::vector<std::uint32_t> prompt(1200);
    for (std::uint32_t i = 0; i < prompt.size(); ++i) prompt[i] = 7 + i * i % 7;
    return make_trade(long_toy(), long_toy(), {.prompt = prompt, .max_tokens = 20});
  }();
  return trade;
}

std::vector<Hash> leaves_of(const ToyModel& model) {
  ThreadPool pool(1);
  return tensor_leaves(*model.model, pool);
}

TEST(SampledResume, AKilledAuditGoesOnWhereItWas) {
  const auto leaves = leaves_of(long_toy());
  for (const int records : {0, 1, 2}) {
    MemoryJournal journal;
    journal.appends_left = records;
    LocalSource first(long_trade(), long_toy());
    const auto killed =
        audit_layers_of(long_trade(), *long_toy().model, leaves, first, {0, 2}, &journal);
    ASSERT_FALSE(killed);
    EXPECT_EQ(killed.error().message, "killed");
    journal.appends_left = 100;
    journal.content.insert(journal.content.end(), 77, 9);  // torn off in the middle of a record
    LocalSource second(long_trade(), long_toy());
    const auto report =
        audit_layers_of(long_trade(), *long_toy().model, leaves, second, {0, 2}, &journal);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->verdict, SampledVerdict::match) << report->reason;
    EXPECT_EQ(report->resumed, engine::kPassPositions * static_cast<std::size_t>(records));
    EXPECT_EQ(report->heads, 20u);
    ASSERT_EQ(second.calls.size(), 1u);
    EXPECT_EQ(second.calls[0].first, report->resumed);
    // Once more: nothing is left to ask for.
    LocalSource third(long_trade(), long_toy());
    const auto again =
        audit_layers_of(long_trade(), *long_toy().model, leaves, third, {0, 2}, &journal);
    EXPECT_EQ(again->verdict, SampledVerdict::match);
    EXPECT_TRUE(third.calls.empty());
  }
}

TEST(SampledResume, WhatCameBeforeIsPartOfTheVerdict) {
  const ToyModel cheap = with_other_tensor(long_toy(), "blk.2.ffn_up");
  const auto t = make_trade(cheap, long_toy(), {.prompt = long_trade().opening.prompt});
  const auto leaves = leaves_of(long_toy());
  MemoryJournal journal;
  LocalSource source(t, cheap);
  for (int run = 0; run < 2; ++run) {
    const auto report = audit_layers_of(t, *long_toy().model, leaves, source, {2}, &journal);
    ASSERT_TRUE(report) << report.error().message;
    // The layer's output is committed only where a token is chosen.
    EXPECT_EQ(report->verdict, SampledVerdict::mismatch);
    EXPECT_EQ(report->difference->position, 1199u);
    EXPECT_EQ(report->resumed,
              run == 0 ? 0 : 1199 / engine::kPassPositions * engine::kPassPositions);
  }
}

TEST(SampledResume, AnotherAuditsStateIsRefused) {
  const auto leaves = leaves_of(long_toy());
  MemoryJournal journal;
  LocalSource source(long_trade(), long_toy());
  ASSERT_TRUE(audit_layers_of(long_trade(), *long_toy().model, leaves, source, {1}, &journal));
  const auto& request = long_trade().file.request.message;
  const auto& receipt = long_trade().file.receipt.message;
  EXPECT_EQ(journal_layers(journal.content, request, receipt), std::vector<std::uint32_t>{1});
  const auto other =
      audit_layers_of(long_trade(), *long_toy().model, leaves, source, {0}, &journal);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::conflict);
  const auto t = make_trade(long_toy(), long_toy());
  EXPECT_FALSE(journal_layers(journal.content, t.file.request.message, t.file.receipt.message));
  EXPECT_FALSE(journal_layers({}, request, receipt));
  const auto mine = audit_layers_of(t, *long_toy().model, leaves, source, {1}, &journal);
  ASSERT_FALSE(mine);
  EXPECT_EQ(mine.error().code, Errc::conflict);
}

// The bytes of a model, of which all pages that hold only weights the audit has no use for cannot
// be read at all: a touch ends the test.
class Unreadable {
 public:
  Unreadable(const ToyModel& model, std::span<const std::uint32_t> layers) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    size_ = (model.file.size() + page - 1) / page * page;
    data_ = static_cast<std::uint8_t*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::ranges::copy(model.file, data_);
    std::vector<bool> closed(size_ / page, false);
    const auto pages_of = [&](const engine::Tensor& tensor) {
      const auto at = static_cast<std::size_t>(tensor.data.data() - model.file.data());
      return std::pair(at / page, (at + tensor.data.size() - 1) / page);
    };
    for (const engine::Tensor* tensor : model.model->weights()) {
      const auto [from, to] = pages_of(*tensor);
      std::fill(closed.begin() + static_cast<std::ptrdiff_t>(from),
                closed.begin() + static_cast<std::ptrdiff_t>(to) + 1, true);
    }
    closed.front() = false;
    for (const engine::Tensor* tensor : model.model->layers_weights(layers)) {
      const auto [from, to] = pages_of(*tensor);
      std::fill(closed.begin() + static_cast<std::ptrdiff_t>(from),
                closed.begin() + static_cast<std::ptrdiff_t>(to) + 1, false);
    }
    const engine::Tensor& first = *model.model->weights().front();
    const auto metadata = pages_of(first).first;
    std::fill(closed.begin(), closed.begin() + static_cast<std::ptrdiff_t>(metadata) + 1, false);
    for (std::size_t i = 0; i < closed.size(); ++i)
      if (closed[i]) {
        mprotect(data_ + i * page, page, PROT_NONE);
        hidden_ += page;
      }
    file_ = {data_, model.file.size()};
  }
  ~Unreadable() { munmap(data_, size_); }
  ByteView file() const { return file_; }
  std::size_t hidden() const { return hidden_; }

 private:
  std::uint8_t* data_;
  std::size_t size_, hidden_ = 0;
  ByteView file_;
};

TEST(SampledReads, OnlyTheDrawnLayersEmbeddingAndHead) {
  const ToyModel model(
      {.dim = 256, .heads = 4, .kv_heads = 2, .ffn = 1024, .layers = 3, .context = 64});
  const auto t = make_trade(model, model);
  const auto leaves = leaves_of(model);
  const std::size_t layer_bytes = [&] {
    std::size_t sum = 0;
    const std::array<std::uint32_t, 1> one{0};
    for (const auto* tensor : model.model->layers_weights(one)) sum += tensor->data.size();
    return sum - model.model->embedding().data.size() - model.model->output().data.size();
  }();
  for (const std::vector<std::uint32_t>& layers :
       {std::vector<std::uint32_t>{}, {0}, {1}, {2}, {0, 2}}) {
    const Unreadable file(model, layers);
    // All but the pages that are shared with something else.
    EXPECT_GT(file.hidden(), (3 - layers.size()) * layer_bytes * 9 / 10);
    const auto part = engine::Model::load_layers(file.file(), layers);
    ASSERT_TRUE(part) << part.error().message;
    LocalSource source(t, model);
    const auto report = audit_layers_of(t, **part, leaves, source, layers);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->verdict, SampledVerdict::match) << report->reason;
  }
}

TEST(SampledReads, LayersThatDoNotExistAreRefused) {
  const std::array<std::uint32_t, 1> layers{3};
  const auto part = engine::Model::load_layers(long_toy().file, layers);
  ASSERT_FALSE(part);
  EXPECT_EQ(part.error().code, Errc::invalid);
}

}  // namespace
}  // namespace assay::verify
