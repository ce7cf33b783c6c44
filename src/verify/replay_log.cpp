#include "verify/replay_log.hpp"

#include <bit>

#include "crypto/sha256.hpp"

namespace assay::verify {
namespace {

Bytes header_of(const Execution& execution, std::span<const engine::Token> tokens,
                const engine::Hyper& hyper) {
  const engine::Sampling& s = execution.sampling;
  Bytes of;
  append(of, execution.salt_secret);
  for (const std::uint32_t n :
       {hyper.layers, hyper.dim, hyper.kv_dim(), hyper.vocab, execution.continuation,
        execution.logprobs, s.top_k, s.answer_from, std::bit_cast<std::uint32_t>(s.temperature),
        std::bit_cast<std::uint32_t>(s.top_p), std::bit_cast<std::uint32_t>(s.min_p),
        std::bit_cast<std::uint32_t>(s.repetition_penalty),
        std::bit_cast<std::uint32_t>(s.presence_penalty),
        std::bit_cast<std::uint32_t>(s.frequency_penalty)})
    append_le(of, n);
  append_le(of, s.seed);
  append_le(of, static_cast<std::uint32_t>(s.logit_bias.size()));
  for (const engine::LogitBias& bias : s.logit_bias) {
    append_le(of, bias.token);
    append_le(of, std::bit_cast<std::uint32_t>(bias.bias));
  }
  if (s.constraint) append(of, canon::encode(s.constraint->automaton()));
  append_le(of, static_cast<std::uint32_t>(execution.prompt.size()));
  for (const engine::Token token : tokens) append_le(of, token);
  Bytes out;
  append(out, view("assay/replay-state/v0"));
  append(out, crypto::sha256(of));
  return out;
}

template <class T>
void append_all(Bytes& out, const std::vector<T>& values) {
  append(out, {reinterpret_cast<const std::uint8_t*>(values.data()), values.size() * sizeof(T)});
}

// Takes parts off the front of a payload; false once one is not there.
class Parts {
 public:
  explicit Parts(ByteView bytes) : rest_(bytes) {}

  bool number(std::size_t& out) {
    if (rest_.size() < 4) return false;
    out = load_le<std::uint32_t>(rest_.data());
    rest_ = rest_.subspan(4);
    return true;
  }
  template <class T>
  bool list(std::size_t count, std::vector<T>& out) {
    if (count > rest_.size() / sizeof(T)) return false;
    out.resize(count);
    if (count > 0) std::memcpy(out.data(), rest_.data(), count * sizeof(T));
    rest_ = rest_.subspan(count * sizeof(T));
    return true;
  }
  template <class T>
  bool counted(std::vector<T>& out) {
    std::size_t count = 0;
    return number(count) && list(count, out);
  }
  bool empty() const { return rest_.empty(); }

 private:
  ByteView rest_;
};

}  // namespace

ReplayLog::ReplayLog(AuditJournal* store, const Execution& execution,
                     std::span<const engine::Token> tokens, const engine::Hyper& hyper)
    : layers_(hyper.layers),
      kv_dim_(hyper.kv_dim()),
      log_(store, store == nullptr ? Bytes{} : header_of(execution, tokens, hyper)) {}

std::unexpected<Error> ReplayLog::not_ours() const {
  return fail(Errc::conflict, "the state was not written by this audit: remove it");
}

Result<std::vector<ReplayStep>> ReplayLog::open() {
  TRY(const std::vector<Bytes> payloads, log_.open());
  std::vector<ReplayStep> out;
  for (const Bytes& payload : payloads) {
    TRY(out.emplace_back(), parse(payload));
  }
  return out;
}

Result<ReplayStep> ReplayLog::parse(ByteView payload) const {
  ReplayStep out;
  Parts parts(payload);
  std::size_t count = 0;
  if (!parts.number(count) || count > payload.size()) return not_ours();
  out.leaves.resize(count);
  for (auto& leaves : out.leaves)
    if (!parts.counted(leaves) || (leaves.size() != layers_ && leaves.size() != layers_ + 1))
      return not_ours();
  const std::size_t rows = count * layers_ * kv_dim_;
  if (!parts.list(rows, out.k) || !parts.list(rows, out.v) || !parts.counted(out.sampled) ||
      !parts.counted(out.logprobs) || !parts.empty())
    return not_ours();
  return out;
}

Status ReplayLog::append(const ReplayStep& step) {
  Bytes payload;
  append_le(payload, static_cast<std::uint32_t>(step.leaves.size()));
  for (const auto& leaves : step.leaves) {
    append_le(payload, static_cast<std::uint32_t>(leaves.size()));
    append_all(payload, leaves);
  }
  append_all(payload, step.k);
  append_all(payload, step.v);
  for (const auto* list : {&step.sampled, &step.logprobs}) {
    append_le(payload, static_cast<std::uint32_t>(list->size()));
    append_all(payload, *list);
  }
  return log_.append(payload);
}

StepSink::StepSink(TraceBuilder& trace, const engine::Hyper& hyper, std::size_t first,
                   std::size_t count)
    : trace_(trace), layers_(hyper.layers), kv_dim_(hyper.kv_dim()), first_(first), count_(count) {}

void StepSink::reserve(std::uint32_t positions) {
  trace_.reserve(positions);
  for (auto* rows : {&k_, &v_}) rows->resize(count_ * layers_ * kv_dim_);
}

void StepSink::cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                    std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  trace_.cell(position, layer, x, k, v);
  const auto at = static_cast<std::ptrdiff_t>(((position - first_) * layers_ + layer) * kv_dim_);
  std::ranges::copy(k, k_.begin() + at);
  std::ranges::copy(v, v_.begin() + at);
}

ReplayStep StepSink::step(std::vector<std::uint32_t> sampled, std::vector<std::uint32_t> logprobs) {
  ReplayStep out{{}, std::move(k_), std::move(v_), std::move(sampled), std::move(logprobs)};
  for (std::size_t i = 0; i < count_; ++i)
    out.leaves.push_back(trace_.leaves(static_cast<std::uint32_t>(first_ + i)));
  return out;
}

}  // namespace assay::verify
