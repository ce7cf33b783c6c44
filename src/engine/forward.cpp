#include "engine/forward.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "canon/attention.hpp"
#include "canon/fp_environment.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"
#include "engine/kernels/scratch.hpp"

namespace assay::engine {
namespace {

// A chunk of fewer multiply-adds costs more to hand over than to do.
constexpr std::size_t kWorthChunk = 1u << 15;
// What a row of attention costs beside its positions, in multiply-adds.
constexpr std::size_t kAttentionStart = 1u << 13;
// Chunks per thread: enough that a descheduled thread's share is picked up by the others.
constexpr std::size_t kChunks = 32;
constexpr std::size_t kFewRows = 16;

}  // namespace

Forward::Forward(std::shared_ptr<const Model> model, ThreadPool& pool, const Kernels& kernels)
    : model_(std::move(model)),
      hyper_(model_->hyper()),
      pool_(pool),
      kernels_(kernels),
      weights_(Weights::of(*model_)),
      layout_(PageLayout::of(hyper_, kernels)),
      attention_scale_(canon::attention_scale(hyper_.head_dim)) {}

void Forward::parallel(std::size_t count, std::size_t cost_each, const Body& body) {
  const std::size_t most = std::size_t{pool_.size()} * kChunks,
                    chunks = std::clamp<std::size_t>(count * cost_each / kWorthChunk, 1, most);
  const std::size_t grain = std::max<std::size_t>((count + chunks - 1) / chunks, 1);
  const auto run = [&](std::size_t begin, std::size_t end) {
    const canon::FpEnvironment environment;
    body(begin, end);
  };
  // Few rows read each weight once, from memory, and ask for the next in time only where a thread
  // goes on where it stopped.
  rows_.size() <= kFewRows ? pool_.parallel_ranges(count, grain, run)
                           : pool_.parallel_for(count, grain, run);
}

bool Forward::alive(std::size_t row) const {
  const Lane& lane = lanes_[rows_[row].slice];
  return row < lane.begin + lane.alive;
}

void Forward::for_rows(std::uint32_t layer, std::size_t cost_each, const Step& step) {
  faulted_.assign(rows_.size(), 0);
  parallel(rows_.size(), cost_each, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row)
      if (alive(row) && !step(row)) faulted_[row] = 1;
  });
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    if (!faulted_[row] || !alive(row)) continue;
    Lane& lane = lanes_[rows_[row].slice];
    lane.alive = row - lane.begin;
    slices_[rows_[row].slice].fault = NumericFault{rows_[row].position, layer};
  }
}

void Forward::products(std::size_t rows, std::initializer_list<Product> list, const float* x) {
  const std::size_t cols = list.begin()->matrix.cols;
  const Activations a = quantized_.view(x, rows);
  const auto units_of = [](const Matrix& m) { return (m.rows + kRowGroup - 1) / kRowGroup; };
  std::size_t units = 0;
  for (const Product& p : list) units += units_of(p.matrix);
  parallel_beside_cells(units, rows * kRowGroup * cols, [&](std::size_t from, std::size_t to) {
    std::byte* scratch = thread_scratch(product_scratch(static_cast<std::uint32_t>(cols)));
    std::size_t base = 0;
    for (const Product& p : list) {
      const Matrix& m = p.matrix;
      const std::size_t own = units_of(m), first = std::clamp(from, base, base + own) - base,
                        last = std::clamp(to, base, base + own) - base;
      base += own;
      if (first == last) continue;
      kernels_.product(m, static_cast<std::uint32_t>(first * kRowGroup),
                       static_cast<std::uint32_t>(std::min<std::size_t>(last * kRowGroup, m.rows)),
                       a, static_cast<std::uint32_t>(rows), p.out, m.rows, scratch);
    }
  });
}

bool Forward::quantize_for(std::initializer_list<const Matrix*> next, std::size_t row,
                           std::size_t rows, const float* x) {
  const std::size_t n = (*next.begin())->cols;
  const auto wanted = [&](canon::Activation form) {
    return std::ranges::any_of(
        next, [&](const Matrix* m) { return canon::info(m->format).activation == form; });
  };
  for (const auto form : {canon::Activation::q8, canon::Activation::q8k})
    if (wanted(form) && !quantized_.row(kernels_, form, row, rows, x + row * n, n)) return false;
  return true;
}

void Forward::run(std::span<Slice> slices) {
  const canon::FpEnvironment environment;
  slices_ = slices;
  rows_.clear();
  lanes_.clear();
  for (std::uint32_t s = 0; s < slices.size(); ++s) {
    Slice& slice = slices[s];
    const std::uint32_t position = slice.sequence->position();
    const auto n = static_cast<std::uint32_t>(slice.tokens.size());
    ASSAY_ASSERT(n > 0 && position + n <= slice.sequence->capacity());
    ASSAY_ASSERT(position + n <= hyper_.context);
    lanes_.push_back({rows_.size(), n});
    for (std::uint32_t i = 0; i < n; ++i) rows_.push_back({s, position + i});
    if (slice.sink) slice.sink->reserve(position + n);
  }
  const std::size_t n = rows_.size(), dim = hyper_.dim, q_dim = hyper_.q_dim(),
                    widest = std::max({dim, q_dim, std::size_t{hyper_.ffn}});
  ASSAY_ASSERT(n <= kTile);
  for (auto* v : {&x_, &entering_, &held_.x, &normed_, &projected_}) v->resize(n * dim);
  for (auto* v : {&q_, &mixed_}) v->resize(n * q_dim);
  for (auto* v : {&k_, &v_}) v->resize(n * hyper_.kv_dim());
  for (auto* v : {&gate_, &up_}) v->resize(n * hyper_.ffn);
  for (auto* v : {&k_half_, &v_half_, &held_.k, &held_.v}) v->resize(n * hyper_.kv_dim());
  quantized_.resize(n, widest);

  for (std::size_t row = 0; row < n; ++row) {
    const Slice& slice = slices[rows_[row].slice];
    const std::size_t i = row - lanes_[rows_[row].slice].begin;
    ASSAY_ASSERT(slice.tokens[i] < hyper_.vocab);
    if (slice.entering)
      std::copy_n(slice.entering + i * dim, dim, &x_[row * dim]);
    else
      read_row(model_->embedding(), slice.tokens[i], {&x_[row * dim], dim});
  }
  for (std::uint32_t l = 0; l < hyper_.layers; ++l) layer(l);
  // Penalties read the tape, so the tokens are in it before a head chooses.
  for (Slice& slice : slices) {
    const Lane& lane = lanes_[static_cast<std::size_t>(&slice - slices.data())];
    slice.sequence->append(slice.tokens.first(lane.alive));
    if (slice.leaving) std::copy_n(&x_[lane.begin * dim], lane.alive * dim, slice.leaving);
  }
  heads();
  parallel_beside_cells(0, 0, [](std::size_t, std::size_t) {});  // where no head took them along
}

void Forward::layer(std::uint32_t index) {
  const Weights::Layer& w = weights_.layers[index];
  const std::size_t n = rows_.size(), dim = hyper_.dim, q_dim = hyper_.q_dim(), ffn = hyper_.ffn;

  for_rows(index, dim * 8, [&](std::size_t r) {
    std::copy_n(&x_[r * dim], dim, &entering_[r * dim]);
    return kernels_.rms_norm(&x_[r * dim], w.attn_norm.data(), dim, hyper_.rms_epsilon,
                             &normed_[r * dim]) &&
           quantize_for({&w.q, &w.k, &w.v}, r, n, normed_.data());
  });
  products(n, {{w.q, q_.data()}, {w.k, k_.data()}, {w.v, v_.data()}}, normed_.data());
  for_rows(index, q_dim * 4, [&](std::size_t r) { return finish_qkv(r, index); });

  attend(index);
  for_rows(index, q_dim * 4, [&](std::size_t r) {
    return kernels_.all_finite(&mixed_[r * q_dim], q_dim) &&
           quantize_for({&w.o}, r, n, mixed_.data());
  });
  products(n, {{w.o, projected_.data()}}, mixed_.data());

  for_rows(index, dim * 8, [&](std::size_t r) {
    return kernels_.add(&x_[r * dim], &projected_[r * dim], dim) &&
           kernels_.rms_norm(&x_[r * dim], w.ffn_norm.data(), dim, hyper_.rms_epsilon,
                             &normed_[r * dim]) &&
           quantize_for({&w.gate, &w.up}, r, n, normed_.data());
  });
  products(n, {{w.gate, gate_.data()}, {w.up, up_.data()}}, normed_.data());
  for_rows(index, ffn * 8, [&](std::size_t r) {
    return kernels_.swiglu(&gate_[r * ffn], &up_[r * ffn], ffn, &gate_[r * ffn]) &&
           quantize_for({&w.down}, r, n, gate_.data());
  });
  products(n, {{w.down, projected_.data()}}, gate_.data());
  for_rows(index, dim,
           [&](std::size_t r) { return kernels_.add(&x_[r * dim], &projected_[r * dim], dim); });
  hold_cells(index);
}

// From the projections of one row to what attention and the cache take.
bool Forward::finish_qkv(std::size_t row, std::uint32_t layer) {
  const Weights::Layer& w = weights_.layers[layer];
  const std::size_t head_dim = hyper_.head_dim, q_dim = hyper_.q_dim(), kv = hyper_.kv_dim();
  float *q = &q_[row * q_dim], *k = &k_[row * kv], *v = &v_[row * kv];
  if (!w.q_bias.empty() &&
      !(kernels_.add(q, w.q_bias.data(), q_dim) && kernels_.add(k, w.k_bias.data(), kv) &&
        kernels_.add(v, w.v_bias.data(), kv)))
    return false;
  const float* angles = model_->rope().row(rows_[row].position);
  const auto rotate = hyper_.rope_halves ? kernels_.rope_halves : kernels_.rope_neighbours;
  const auto finish_heads = [&](float* heads, std::size_t width, const std::vector<float>& norm) {
    for (std::size_t h = 0; h < width; h += head_dim) {
      if (!norm.empty() &&
          !kernels_.rms_norm(heads + h, norm.data(), head_dim, hyper_.rms_epsilon, heads + h))
        return false;
      rotate(heads + h, angles, head_dim);
    }
    return true;
  };
  if (!finish_heads(q, q_dim, w.q_norm) || !finish_heads(k, kv, w.k_norm)) return false;
  if (!kernels_.all_finite(q, q_dim) || !kernels_.to_fp16(k, kv, &k_half_[row * kv]) ||
      !kernels_.to_fp16(v, kv, &v_half_[row * kv]))
    return false;
  store_cache(row, layer);
  return true;
}

void Forward::store_cache(std::size_t row, std::uint32_t layer) {
  const std::uint32_t position = rows_[row].position;
  const std::size_t kv = hyper_.kv_dim();
  Page& page = *slices_[rows_[row].slice].sequence->pages()[position / kPagePositions];
  store_rows(layout_, page, position % kPagePositions, layer,
             std::span{k_half_}.subspan(row * kv, kv), std::span{v_half_}.subspan(row * kv, kv));
}

// One unit: up to kAttentionRows (token, head) pairs of one sequence and KV head, tokens ascending.
void Forward::attend(std::uint32_t layer) {
  struct Unit {
    std::uint32_t slice, kv_head;
    std::size_t first, count;  // of the pairs of this slice and head
  };
  const std::size_t head_dim = hyper_.head_dim, q_dim = hyper_.q_dim(),
                    sharing = hyper_.heads / hyper_.kv_heads;
  std::vector<Unit> units;
  std::size_t cost = 0;
  std::uint32_t longest = 0;
  for (std::uint32_t s = 0; s < slices_.size(); ++s) {
    const std::size_t pairs = lanes_[s].alive * sharing;
    const auto last = static_cast<std::uint32_t>(slices_[s].sequence->position() + lanes_[s].alive);
    longest = std::max(longest, last);
    cost += pairs * hyper_.kv_heads * (last * head_dim * 2 + kAttentionStart);
    for (std::uint32_t h = 0; h < hyper_.kv_heads; ++h)
      for (std::size_t first = 0; first < pairs; first += kAttentionRows)
        units.push_back({s, h, first, std::min<std::size_t>(kAttentionRows, pairs - first)});
  }
  if (units.empty()) return;
  // One flag per (row, head): units of different heads of one row run in different threads.
  row_faults_.assign(rows_.size() * hyper_.heads, 0);
  parallel(units.size(), cost / units.size(), [&](std::size_t begin, std::size_t end) {
    auto* scratch = reinterpret_cast<float*>(
        thread_scratch(attention_scratch(longest, layout_.value_stride) * sizeof(float)));
    for (std::size_t u = begin; u < end; ++u) {
      const Unit& unit = units[u];
      AttentionRow list[kAttentionRows];
      for (std::size_t i = 0; i < unit.count; ++i) {
        const std::size_t pair = unit.first + i, row = lanes_[unit.slice].begin + pair / sharing,
                          head = unit.kv_head * sharing + pair % sharing,
                          at = row * q_dim + head * head_dim;
        list[i] = {&q_[at], &mixed_[at], rows_[row].position + 1,
                   &row_faults_[row * hyper_.heads + head]};
      }
      kernels_.attend(
          list, static_cast<std::uint32_t>(unit.count),
          {slices_[unit.slice].sequence->page_values(), layout_.keys_offset(layer, unit.kv_head),
           layout_.values_offset(layer, unit.kv_head), hyper_.head_dim, layout_.value_stride},
          attention_scale_, scratch);
    }
  });
  for_rows(layer, hyper_.heads, [&](std::size_t r) {
    const auto flags = std::span{row_faults_}.subspan(r * hyper_.heads, hyper_.heads);
    return std::ranges::find(flags, 1) == flags.end();
  });
}

// Hashing a layer's cells takes as long as a small model's products: it waits for the next work
// that occupies all threads.
void Forward::hold_cells(std::uint32_t layer) {
  held_.layer = layer;
  held_.rows.clear();
  for (std::size_t r = 0; r < rows_.size(); ++r)
    if (slices_[rows_[r].slice].sink && alive(r))
      held_.rows.push_back(static_cast<std::uint32_t>(r));
  held_.x.swap(entering_);
  held_.k.swap(k_half_);
  held_.v.swap(v_half_);
}

void Forward::emit_cell(std::size_t r) {
  const std::size_t dim = hyper_.dim, kv = hyper_.kv_dim();
  const auto& [s, position] = rows_[r];
  StateSink& sink = *slices_[s].sink;
  sink.cell(position, held_.layer, {&held_.x[r * dim], dim}, {&held_.k[r * kv], kv},
            {&held_.v[r * kv], kv});
  const std::size_t size = sink.memo_bytes();
  Page& page = *slices_[s].sequence->pages()[position / kPagePositions];
  if (size == 0 || page.memo.size() < size * kPagePositions * hyper_.layers) return;
  const std::size_t at = (position % kPagePositions * hyper_.layers + held_.layer) * size;
  sink.keep(position, held_.layer, std::span{page.memo}.subspan(at, size));
}

void Forward::parallel_beside_cells(std::size_t count, std::size_t cost_each, const Body& body) {
  // What hashing a row costs, in the unit of the products: some 100 per value. As many rows at a
  // time as make an item like the others.
  const std::size_t cost = (hyper_.dim + hyper_.kv_dim()) * 100, cells = held_.rows.size(),
                    together = std::max<std::size_t>(cost_each / cost, 1),
                    groups = (cells + together - 1) / together;
  parallel(groups + count, std::max(cost_each, count == 0 ? cost : 0),
           [&](std::size_t begin, std::size_t end) {
             for (std::size_t i = begin * together; i < std::min(end * together, cells); ++i)
               emit_cell(held_.rows[i]);
             if (end > groups) body(std::max(begin, groups) - groups, end - groups);
           });
  held_.rows.clear();
}

void Forward::heads() {
  std::vector<std::size_t> rows;
  for (std::size_t r = 0; r < rows_.size(); ++r)
    if (alive(r) && rows_[r].position >= slices_[rows_[r].slice].sample_from) rows.push_back(r);
  for (std::size_t begin = 0; begin < rows.size(); begin += kHeadTile)
    heads(std::span{rows}.subspan(begin, std::min(kHeadTile, rows.size() - begin)));
}

void Forward::heads(std::span<const std::size_t> rows) {
  const std::size_t dim = hyper_.dim, vocab = hyper_.vocab, n = rows.size(),
                    parts = (vocab + kLogitsPart - 1) / kLogitsPart;
  const Matrix& output = weights_.output;
  heads_.assign(n, {});
  parallel(n, dim * 8, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      heads_[i].ended = !kernels_.rms_norm(&x_[rows[i] * dim], weights_.output_norm.data(), dim,
                                           hyper_.rms_epsilon, &normed_[i * dim]) ||
                        !quantize_for({&output}, i, n, normed_.data());
  });
  logits_.resize(n * vocab);
  part_maxima_.assign(n * parts, {});
  for (std::size_t i = 0; i < n; ++i) {
    const auto& [s, position] = rows_[rows[i]];
    heads_[i].greedy = is_arg_max(*slices_[s].sampling);
    if (!heads_[i].ended && slices_[s].sink) slices_[s].sink->expect_logits(position, vocab);
  }
  // A part of the logits is committed and searched while it is in the cache.
  const Activations a = quantized_.view(normed_.data(), n);
  parallel_beside_cells(parts, n * kLogitsPart * dim, [&](std::size_t from, std::size_t to) {
    std::byte* scratch = thread_scratch(product_scratch(static_cast<std::uint32_t>(dim)));
    for (std::size_t part = from; part < to; ++part) {
      const std::size_t first = part * kLogitsPart, last = std::min(first + kLogitsPart, vocab);
      kernels_.product(output, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last),
                       a, static_cast<std::uint32_t>(n), logits_.data(), vocab, scratch);
      for (std::size_t i = 0; i < n; ++i) {
        if (heads_[i].ended) continue;
        const auto& [s, position] = rows_[rows[i]];
        const std::span<const float> values{&logits_[i * vocab + first], last - first};
        if (slices_[s].sink) slices_[s].sink->logits(position, part, values);
        if (!heads_[i].greedy) continue;
        PartMaximum& maximum = part_maxima_[i * parts + part];
        maximum.finite = kernels_.arg_max(values.data(), values.size(), &maximum.token);
        maximum.token += static_cast<Token>(first);
      }
    }
  });
  choose(rows);
}

void Forward::choose(std::span<const std::size_t> rows) {
  const std::size_t dim = hyper_.dim, vocab = hyper_.vocab, n = rows.size(),
                    parts = part_maxima_.size() / n;
  const auto logits_of = [&](std::size_t i) {
    return std::span<const float>{&logits_[i * vocab], vocab};
  };
  const auto token_of = [&](std::size_t i) -> std::optional<Token> {
    const auto& [s, position] = rows_[rows[i]];
    if (!heads_[i].greedy)
      return choose_token(kernels_, logits_of(i), *slices_[s].sampling, position,
                          slices_[s].sequence->tape().first(position + 1));
    const auto maxima = std::span{part_maxima_}.subspan(i * parts, parts);
    if (!std::ranges::all_of(maxima, &PartMaximum::finite)) return std::nullopt;
    return std::ranges::max_element(
               maxima, {}, [&](const PartMaximum& m) { return logits_[i * vocab + m.token]; })
        ->token;
  };
  const bool asks = std::ranges::any_of(
      rows, [&](std::size_t r) { return slices_[rows_[r].slice].logprobs > 0; });
  const bool draws = !std::ranges::all_of(heads_, &Head::greedy);
  parallel(n, asks || draws ? vocab * 64 : parts, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      Head& head = heads_[i];
      if (head.ended || !alive(rows[i])) continue;
      const auto token = token_of(i);
      head.ended = !token;
      if (!token) continue;
      head.token = *token;
      if (const auto logprobs = slices_[rows_[rows[i]].slice].logprobs; logprobs > 0)
        head.logprobs = head_logprobs(logits_of(i), *token, logprobs - 1);
    }
  });
  // In row order, so that the first fault of a sequence stands.
  for (std::size_t i = 0; i < n; ++i) {
    const auto& [s, position] = rows_[rows[i]];
    Slice& slice = slices_[s];
    if (!alive(rows[i])) continue;
    if (heads_[i].ended) {
      lanes_[s].alive = rows[i] - lanes_[s].begin;
      slice.fault = NumericFault{position, hyper_.layers};
      slice.sequence->truncate(position);
      continue;
    }
    slice.sampled.push_back(heads_[i].token);
    if (slice.logprobs > 0) slice.head_logprobs.push_back(std::move(heads_[i].logprobs));
    if (slice.sink)
      slice.sink->head(position, {&x_[rows[i] * dim], dim}, logits_of(i), heads_[i].token);
  }
}

}  // namespace assay::engine
