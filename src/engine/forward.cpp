#include "engine/forward.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "canon/attention.hpp"
#include "canon/q8.hpp"
#include "engine/kernels/fp_environment.hpp"
#include "engine/sampler.hpp"

namespace assay::engine {
namespace {

// Below this many multiply-adds, waking other threads costs more than it saves.
constexpr std::size_t kWorthThreads = 1u << 20;

std::uint32_t round_up(std::uint32_t n, std::uint32_t to) { return (n + to - 1) / to * to; }

}  // namespace

Forward::Forward(std::shared_ptr<const Model> model, ThreadPool& pool, const Kernels& kernels,
                 std::uint32_t capacity)
    : model_(std::move(model)),
      hyper_(model_->hyper()),
      pool_(pool),
      kernels_(kernels),
      weights_(Weights::of(model_, kernels)),
      capacity_(capacity),
      padded_capacity_(round_up(capacity, kPositionPadding)),
      value_stride_(round_up(hyper_.head_dim, kRowGroup)),
      attention_scale_(canon::attention_scale(hyper_.head_dim)),
      cache_(hyper_.layers) {
  // Zeroed: masked lanes read padding, which must be finite.
  for (Cache& c : cache_) {
    c.keys.assign(std::size_t{hyper_.kv_heads} * padded_capacity_ * hyper_.head_dim, 0);
    c.values.assign(std::size_t{hyper_.kv_heads} * padded_capacity_ * value_stride_, 0);
  }
}

void Forward::parallel(std::size_t count, std::size_t cost_each, const Body& body) {
  std::size_t grain = count;
  if (count * cost_each >= kWorthThreads)
    grain = std::max<std::size_t>(1, count / (std::size_t{pool_.size()} * 4));
  pool_.parallel_for(count, std::max<std::size_t>(grain, 1),
                     [&](std::size_t begin, std::size_t end) {
                       const FpEnvironment environment;
                       body(begin, end);
                     });
}

void Forward::for_tokens(std::size_t begin, std::size_t end, std::size_t cost_each,
                         const std::function<bool(std::size_t)>& step) {
  parallel(end - begin, cost_each, [&](std::size_t from, std::size_t to) {
    for (std::size_t t = begin + from; t < begin + to; ++t)
      if (!step(t)) faulted_[t] = 1;
  });
}

void Forward::drop_faulted(std::uint32_t layer) {
  const auto first = std::find(faulted_.begin(), faulted_.begin() + static_cast<long>(tokens_), 1);
  const auto index = static_cast<std::size_t>(first - faulted_.begin());
  if (index == tokens_) return;
  tokens_ = index;
  fault_ = NumericFault{position_ + static_cast<std::uint32_t>(index), layer};
}

void Forward::products(std::size_t begin, std::size_t end, std::initializer_list<Product> list,
                       const std::vector<float>& x) {
  const std::size_t tokens = end - begin, cols = list.begin()->matrix.cols;
  const Activations a{&x[begin * cols], quants_.data() + begin * cols,
                      scales_.data() + begin * (cols / canon::kBlock)};
  const auto units_of = [](const Matrix& m) { return (m.rows + kRowGroup - 1) / kRowGroup; };
  std::size_t units = 0;
  for (const Product& p : list) units += units_of(p.matrix);
  parallel(units, tokens * kRowGroup * cols, [&](std::size_t from, std::size_t to) {
    std::size_t base = 0;
    for (const Product& p : list) {
      const Matrix& m = p.matrix;
      const std::size_t own = units_of(m), first = std::clamp(from, base, base + own) - base,
                        last = std::clamp(to, base, base + own) - base;
      base += own;
      if (first == last) continue;
      kernels_.product(m, static_cast<std::uint32_t>(first * kRowGroup),
                       static_cast<std::uint32_t>(std::min<std::size_t>(last * kRowGroup, m.rows)),
                       a, static_cast<std::uint32_t>(tokens), p.out, m.rows);
    }
  });
}

// Quantizes one token's row if any of the matrices that follow is quantized.
bool Forward::quantize_for(std::initializer_list<const Matrix*> next, std::size_t token,
                           const std::vector<float>& x) {
  if (std::ranges::none_of(next, [](const Matrix* m) { return m->quantized(); })) return true;
  const std::size_t n = (*next.begin())->cols;
  return kernels_.quantize(&x[token * n], n, &quants_[token * n],
                           &scales_[token * (n / canon::kBlock)]);
}

std::optional<NumericFault> Forward::run(std::span<const Token> tokens, std::uint32_t sample_from,
                                         const Sampling& sampling, StateSink* sink,
                                         std::vector<Token>& sampled) {
  ASSAY_ASSERT(!tokens.empty() && tokens.size() <= kTile);
  ASSAY_ASSERT(tokens.size() <= capacity_ - position_);
  const FpEnvironment environment;
  const std::size_t n = tokens.size(), dim = hyper_.dim, widest = std::max(hyper_.dim, hyper_.ffn);
  tokens_ = n;
  fault_.reset();
  faulted_.assign(n, 0);
  for (auto* v : {&x_, &entering_, &normed_, &q_, &mixed_, &projected_}) v->resize(n * dim);
  for (auto* v : {&k_, &v_}) v->resize(n * hyper_.kv_dim());
  for (auto* v : {&gate_, &up_}) v->resize(n * hyper_.ffn);
  for (auto* v : {&k_half_, &v_half_}) v->resize(n * hyper_.kv_dim());
  quants_.resize(n * widest);
  scales_.resize(n * (widest / canon::kBlock));

  for (std::size_t t = 0; t < n; ++t) {
    ASSAY_ASSERT(tokens[t] < hyper_.vocab);
    read_row(model_->embedding(), tokens[t], {&x_[t * dim], dim});
  }
  for (std::uint32_t l = 0; l < hyper_.layers && tokens_ > 0; ++l) layer(l, sink);

  const std::size_t first =
      sample_from <= position_ ? 0 : std::min<std::size_t>(n, sample_from - position_);
  for (std::size_t begin = first; begin < tokens_; begin += kHeadTile)
    head(begin, std::min(tokens_, begin + kHeadTile), sampling, sink, sampled);
  position_ += static_cast<std::uint32_t>(tokens_);
  return fault_;
}

void Forward::layer(std::uint32_t index, StateSink* sink) {
  const Weights::Layer& w = weights_->layers()[index];
  Cache& cache = cache_[index];
  const std::size_t dim = hyper_.dim, ffn = hyper_.ffn;
  std::copy_n(x_.begin(), tokens_ * dim, entering_.begin());

  for_tokens(0, tokens_, dim * 8, [&](std::size_t t) {
    return kernels_.rms_norm(&x_[t * dim], w.attn_norm.data(), dim, hyper_.rms_epsilon,
                             &normed_[t * dim]) &&
           quantize_for({&w.q, &w.k, &w.v}, t, normed_);
  });
  drop_faulted(index);
  products(0, tokens_, {{w.q, q_.data()}, {w.k, k_.data()}, {w.v, v_.data()}}, normed_);
  for_tokens(0, tokens_, dim * 2, [&](std::size_t t) {
    const float* row = &model_->rope_table()[(position_ + t) * hyper_.head_dim];
    const std::size_t kv = hyper_.kv_dim();
    for (std::size_t h = 0; h < dim; h += hyper_.head_dim)
      kernels_.rope(&q_[t * dim + h], row, hyper_.head_dim);
    for (std::size_t h = 0; h < kv; h += hyper_.head_dim)
      kernels_.rope(&k_[t * kv + h], row, hyper_.head_dim);
    const bool ok = kernels_.all_finite(&q_[t * dim], dim) &&
                    kernels_.to_fp16(&k_[t * kv], kv, &k_half_[t * kv]) &&
                    kernels_.to_fp16(&v_[t * kv], kv, &v_half_[t * kv]);
    if (ok) store_cache(t, cache);
    return ok;
  });
  drop_faulted(index);

  attend(cache);
  drop_faulted(index);
  for_tokens(0, tokens_, dim * 4, [&](std::size_t t) {
    return kernels_.all_finite(&mixed_[t * dim], dim) && quantize_for({&w.o}, t, mixed_);
  });
  drop_faulted(index);
  products(0, tokens_, {{w.o, projected_.data()}}, mixed_);

  for_tokens(0, tokens_, dim * 8, [&](std::size_t t) {
    return kernels_.add_residual(&x_[t * dim], &projected_[t * dim], dim) &&
           kernels_.rms_norm(&x_[t * dim], w.ffn_norm.data(), dim, hyper_.rms_epsilon,
                             &normed_[t * dim]) &&
           quantize_for({&w.gate, &w.up}, t, normed_);
  });
  drop_faulted(index);
  products(0, tokens_, {{w.gate, gate_.data()}, {w.up, up_.data()}}, normed_);
  for_tokens(0, tokens_, ffn * 8, [&](std::size_t t) {
    return kernels_.swiglu(&gate_[t * ffn], &up_[t * ffn], ffn, &gate_[t * ffn]) &&
           quantize_for({&w.down}, t, gate_);
  });
  drop_faulted(index);
  products(0, tokens_, {{w.down, projected_.data()}}, gate_);
  for_tokens(0, tokens_, dim, [&](std::size_t t) {
    return kernels_.add_residual(&x_[t * dim], &projected_[t * dim], dim);
  });
  drop_faulted(index);
  if (sink) emit(index, *sink);
}

void Forward::store_cache(std::size_t token, Cache& cache) {
  const std::size_t position = position_ + token, head_dim = hyper_.head_dim,
                    lanes = kernels_.key_lanes;
  for (std::size_t h = 0; h < hyper_.kv_heads; ++h) {
    const std::size_t from = token * hyper_.kv_dim() + h * head_dim;
    std::uint16_t* keys = &cache.keys[h * padded_capacity_ * head_dim +
                                      position / lanes * lanes * head_dim + position % lanes];
    for (std::size_t d = 0; d < head_dim; ++d) keys[d * lanes] = k_half_[from + d];
    std::copy_n(&v_half_[from], head_dim,
                &cache.values[(h * padded_capacity_ + position) * value_stride_]);
  }
}

// One unit: up to kAttentionRows (token, head) pairs of one KV head, tokens ascending.
void Forward::attend(const Cache& cache) {
  const std::size_t head_dim = hyper_.head_dim, sharing = hyper_.heads / hyper_.kv_heads;
  const std::size_t rows = tokens_ * sharing,
                    units_per_head = (rows + kAttentionRows - 1) / kAttentionRows;
  const auto last = position_ + static_cast<std::uint32_t>(tokens_);
  const std::size_t cost = std::size_t{kAttentionRows} * last * head_dim * 2;
  // One flag per row: units of different heads of one token run in different threads.
  row_faults_.assign(hyper_.kv_heads * rows, 0);
  parallel(units_per_head * hyper_.kv_heads, cost, [&](std::size_t begin, std::size_t end) {
    std::vector<float> scratch(attention_scratch(last, value_stride_));
    for (std::size_t unit = begin; unit < end; ++unit) {
      const std::size_t kv = unit / units_per_head, row0 = unit % units_per_head * kAttentionRows;
      AttentionRow list[kAttentionRows];
      std::uint32_t count = 0;
      for (std::size_t row = row0; row < std::min(rows, row0 + kAttentionRows); ++row) {
        const std::size_t t = row / sharing, h = kv * sharing + row % sharing;
        const std::size_t at = t * hyper_.dim + h * head_dim;
        list[count++] = {&q_[at], &mixed_[at], position_ + static_cast<std::uint32_t>(t) + 1,
                         &row_faults_[kv * rows + row]};
      }
      kernels_.attend(
          list, count,
          {&cache.keys[kv * padded_capacity_ * head_dim],
           &cache.values[kv * padded_capacity_ * value_stride_], hyper_.head_dim, value_stride_},
          attention_scale_, scratch.data());
    }
  });
}

void Forward::emit(std::uint32_t layer, StateSink& sink) {
  const std::size_t dim = hyper_.dim, kv = hyper_.kv_dim();
  for (std::size_t t = 0; t < tokens_; ++t)
    sink.cell(position_ + static_cast<std::uint32_t>(t), layer, {&entering_[t * dim], dim},
              {&k_half_[t * kv], kv}, {&v_half_[t * kv], kv});
}

void Forward::head(std::size_t begin, std::size_t end, const Sampling& sampling, StateSink* sink,
                   std::vector<Token>& sampled) {
  const std::size_t dim = hyper_.dim, vocab = hyper_.vocab;
  const Matrix& output = weights_->output();
  const auto position_of = [&](std::size_t t) { return position_ + static_cast<std::uint32_t>(t); };
  for_tokens(begin, end, dim * 8, [&](std::size_t t) {
    return kernels_.rms_norm(&x_[t * dim], weights_->output_norm().data(), dim, hyper_.rms_epsilon,
                             &normed_[t * dim]) &&
           quantize_for({&output}, t, normed_);
  });
  drop_faulted(hyper_.layers);
  end = std::min(end, tokens_);
  head_logits_.resize((end - begin) * vocab);
  const auto logits_of = [&](std::size_t t) {
    return std::span<const float>{&head_logits_[(t - begin) * vocab], vocab};
  };
  products(begin, end, {{output, head_logits_.data()}}, normed_);
  std::vector<Token> chosen(end - begin);
  for_tokens(begin, end, vocab * 32, [&](std::size_t t) {
    const auto token = choose_token(logits_of(t), sampling, position_of(t));
    chosen[t - begin] = token.value_or(0);
    return token.has_value();
  });
  drop_faulted(hyper_.layers);
  end = std::min(end, tokens_);
  for (std::size_t t = begin; t < end; ++t) {
    sampled.push_back(chosen[t - begin]);
    if (sink) sink->head(position_of(t), {&x_[t * dim], dim}, logits_of(t), chosen[t - begin]);
  }
  if (begin < end) logits_.assign(logits_of(end - 1).begin(), logits_of(end - 1).end());
}

}  // namespace assay::engine
