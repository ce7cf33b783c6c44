#include "verify/referee/world_testutil.hpp"

#include <gtest/gtest.h>
#include <numeric>

#include "base/assert.hpp"
#include "canon/rope.hpp"
#include "canon/sampling.hpp"

namespace assay::verify::test {
namespace {

ByteView chunk_of(ByteView bytes, std::uint64_t chunk, std::size_t chunk_bytes) {
  const std::size_t at = chunk * chunk_bytes;
  return bytes.subspan(at, std::min(chunk_bytes, bytes.size() - at));
}

// A binary16 of a magnitude in [2^low, 2^high), either sign.
std::uint16_t half_between(Random& random, int low, int high) {
  const auto exponent = static_cast<std::uint32_t>(15 + low) + random.below(high - low);
  return static_cast<std::uint16_t>((random.bits() & 0x83ffu) | exponent << 10);
}

void put_half(std::uint8_t* at, std::uint16_t half) {
  at[0] = static_cast<std::uint8_t>(half);
  at[1] = static_cast<std::uint8_t>(half >> 8);
}

}  // namespace

std::uint16_t random_half(Random& random) {
  switch (random.below(8)) {
    case 0:
      return static_cast<std::uint16_t>(random.bits() & 0x8000u);  // ±0
    case 1:
      return static_cast<std::uint16_t>(random.bits() & 0x83ffu);  // subnormal
    default:
      return half_between(random, -6, 2);
  }
}

Bytes random_row(Random& random, Format format, std::uint64_t cols) {
  const canon::FormatInfo& f = canon::info(format);
  Bytes out;
  for (std::uint64_t block = 0; block < cols / f.block_values; ++block) {
    Bytes b(f.block_bytes);
    for (std::uint8_t& byte : b) byte = static_cast<std::uint8_t>(random.bits());
    switch (format) {
      case Format::f32: {
        const auto bits = std::bit_cast<std::uint32_t>(random.hostile(2.0f));
        for (int i = 0; i < 4; ++i) b[i] = static_cast<std::uint8_t>(bits >> (8 * i));
        break;
      }
      case Format::f16:
        put_half(b.data(), random_half(random));
        break;
      case Format::bf16:
        put_half(b.data(), static_cast<std::uint16_t>(
                               std::bit_cast<std::uint32_t>(random.hostile(2.0f)) >> 16));
        break;
      case Format::q8_0:
      case Format::q4_0:
        put_half(b.data(), half_between(random, -9, -5));
        break;
      case Format::q4_k:
      case Format::q5_k:
        put_half(b.data(), half_between(random, -13, -9));
        put_half(&b[2], half_between(random, -13, -9));
        break;
      case Format::q6_k:
        put_half(&b[208], half_between(random, -13, -10));
        break;
    }
    append(out, b);
  }
  return out;
}

Program program_of(const Shape& s) {
  Program p{.architecture = s.architecture,
            .vocab = s.vocab,
            .dim = s.dim,
            .layers = s.layers,
            .heads = s.heads,
            .kv_heads = s.kv_heads,
            .head_dim = s.head_dim,
            .ffn = s.ffn,
            .context = s.context,
            .rms_epsilon = 1e-5f,
            .rope_base = 10000.0f,
            .tied = s.tied,
            .rope_halves = s.architecture != "llama",
            .qkv_bias = s.architecture == "qwen2",
            .qk_norm = s.architecture == "qwen3",
            .rope_root = {},
            .tokenizer = {},
            .formats = {},
            .has_template = false,
            .chat_template = {}};
  std::size_t turn = 0;
  const auto matrix = [&] { p.formats.push_back(s.formats[turn++ % s.formats.size()]); };
  const auto plain = [&](std::size_t n) { p.formats.insert(p.formats.end(), n, Format::f32); };
  matrix();
  for (std::uint32_t l = 0; l < s.layers; ++l) {
    plain(1);
    for (int i = 0; i < 3; ++i) matrix();
    plain((p.qkv_bias ? 3 : 0) + (p.qk_norm ? 2 : 0));
    matrix();
    plain(1);
    for (int i = 0; i < 3; ++i) matrix();
  }
  plain(1);
  if (!s.tied) matrix();
  const auto parsed = parse_program(program_bytes(p));
  ASSAY_ASSERT(parsed.has_value());
  return p;
}

World::World(const Shape& shape, std::uint32_t seed, std::uint32_t prompt_count,
             std::uint32_t answer_count)
    : seed_(seed) {
  subject.program = program_of(shape);
  subject.count = answer_count;
  subject.request.prompt_count = prompt_count;
  subject.request.max_tokens = answer_count;
  const Program& p = subject.program;
  tensors.resize(p.formats.size());
  for (std::uint32_t l = 0; l < p.layers; ++l)
    for (int role = 0; role <= static_cast<int>(TensorRole::output); ++role) {
      const auto r = static_cast<TensorRole>(role);
      const bool bias = r >= TensorRole::q_bias && r <= TensorRole::v_bias;
      const bool norm = r == TensorRole::q_norm || r == TensorRole::k_norm;
      if ((bias && !p.qkv_bias) || (norm && !p.qk_norm)) continue;
      const TensorShape t = tensor_shape(p, r, l);
      tensors[t.index] = t;
    }
  Random random(seed);
  for (const TensorShape& t : tensors) {
    Bytes rows;
    for (std::uint64_t row = 0; row < t.rows; ++row)
      append(rows, random_row(random, t.format, t.cols));
    weights.push_back(std::move(rows));
  }
  rope.resize(std::size_t{p.context} * p.head_dim);
  canon::rope_table(p.context, p.head_dim, p.rope_base, {}, 1, rope);
  // Few different tokens, so that they repeat.
  for (std::uint32_t i = 0; i < prompt_count; ++i)
    prompt.push_back(random.below(std::min(p.vocab, 40u)));
  for (std::uint32_t i = 0; i < answer_count; ++i)
    answer.push_back(random.below(std::min(p.vocab, 40u)));
}

void World::constrain(std::uint32_t seed) {
  using Kind = canon::Piece::Kind;
  constexpr std::string_view kAlphabet = "ab\xc3\xff";
  Random random(seed);
  pieces.resize(program().vocab);
  for (canon::Piece& piece : pieces) {
    const std::uint32_t kind = random.below(20);
    if (kind == 0) continue;
    piece.kind = kind == 1 ? Kind::end : Kind::text;
    const std::uint32_t length = kind == 1 ? 0 : kind == 2 ? 64 : 1 + random.below(5);
    for (std::uint32_t i = 0; i < length; ++i) piece.bytes += kAlphabet[random.below(4)];
  }
  automaton = {};
  constexpr std::uint32_t kStates = 40;
  for (std::uint32_t s = 0; s < kStates; ++s) automaton.add(s % 2 == 0);
  for (std::uint32_t s = 0; s < kStates; ++s)
    for (const char c : kAlphabet)
      if (random.below(6) > 0)
        automaton.set(s, static_cast<std::uint8_t>(c), random.below(kStates));
  parts = {.table_root = protocol::table_root(automaton),
           .states = kStates,
           .pieces_root = protocol::pieces_root(pieces)};
  subject.request.constraint = protocol::constraint_root(parts);
  std::uint32_t state = 0;
  const auto leads = [&](std::uint32_t token) {
    return canon::walk(automaton, state, pieces[token]);
  };
  for (std::uint32_t& token : answer) {
    for (int tries = 0; tries < 40 && leads(token) >= kStates; ++tries)
      token = random.below(std::min(program().vocab, 40u));
    state = leads(token);
  }
}

ByteView World::row(const TensorShape& t, std::uint64_t row) const {
  const std::size_t bytes = weights[t.index].size() / t.rows;
  return ByteView(weights[t.index]).subspan(row * bytes, bytes);
}

std::vector<float> World::vector(TensorRole role, std::uint32_t layer) const {
  return values_of<float>(row(tensor_shape(program(), role, layer), 0));
}

const std::vector<float>& World::x(std::uint32_t position, std::uint32_t leaf) const {
  auto& out = xs[{position, leaf}];
  if (out.empty())
    out = Random(seed_ ^ (position * 0x9e3779b9u + leaf * 77 + 1))
              .hostile_values(program().dim, largest);
  return out;
}

namespace {

void fill(std::vector<std::uint16_t>& row, std::uint32_t seed, std::uint32_t n) {
  if (!row.empty()) return;
  Random random(seed);
  for (std::uint32_t i = 0; i < n; ++i) row.push_back(random_half(random));
}

}  // namespace

const std::vector<std::uint16_t>& World::k(std::uint32_t position, std::uint32_t leaf) const {
  auto& out = ks[{position, leaf}];
  fill(out, seed_ ^ (position * 0x85ebca6bu + leaf * 91 + 2), program().kv_dim());
  return out;
}

const std::vector<std::uint16_t>& World::v(std::uint32_t position, std::uint32_t leaf) const {
  auto& out = vs[{position, leaf}];
  fill(out, seed_ ^ (position * 0xc2b2ae35u + leaf * 91 + 3), program().kv_dim());
  return out;
}

LeafRun::LeafRun(const World& world, const LeafPlace& place)
    : world_(world),
      place_(place),
      list_(ops_of(world.subject, place)),
      chunks_(list_.ops.size()) {}

std::uint32_t LeafRun::find(std::string_view name, std::uint32_t from) const {
  for (std::uint32_t i = from; i < list_.ops.size(); ++i)
    if (list_.ops[i].name == name) return i;
  ASSAY_ASSERT(false && "the leaf has no op of this name");
}

Bytes LeafRun::values(std::string_view name, std::uint32_t from) const {
  Bytes out;
  for (const Bytes& chunk : chunks_[find(name, from)]) append(out, chunk);
  return out;
}

void LeafRun::set(std::string_view name, Bytes values) {
  const std::uint32_t op = find(name);
  const Op& o = list_.ops[op];
  ASSAY_ASSERT(!o.by_segment && values.size() == o.values * value_bytes(o.type));
  chunks_[op].clear();
  for (std::uint64_t c = 0; c < o.chunks; ++c) {
    const ByteView part = chunk_of(values, c, kChunkValues * value_bytes(o.type));
    chunks_[op].emplace_back(part.begin(), part.end());
  }
}

std::vector<std::uint32_t> LeafRun::element(std::uint32_t op, std::uint64_t element) {
  std::vector<std::uint32_t> running;
  const std::uint32_t steps = steps_of(list_.ops[op], element, place_.position);
  while (running.size() < steps) {
    const StepPlace at{place_, op, element, static_cast<std::uint32_t>(running.size())};
    const auto value = execute_step(world_.subject, list_, at, running, *this);
    EXPECT_TRUE(value) << list_.ops[op].name << ": " << value.error().message;
    if (!value || value->fault) break;
    running.push_back(value->bits);
  }
  return running;
}

bool LeafRun::compute(std::uint32_t op) {
  const Op& o = list_.ops[op];
  const std::size_t size = value_bytes(o.type);
  for (std::uint64_t c = 0; c < o.chunks; ++c) {
    const std::uint32_t values = chunk_values(o, c, place_.position);
    // Filled in place: an element may read the one before it.
    chunks_[op].emplace_back(values * size);
    for (std::uint32_t i = 0; i < values; ++i) {
      const std::uint64_t e = c * kChunkValues + i;
      const auto running = element(op, e);
      if (running.size() < steps_of(o, e, place_.position)) return false;
      for (std::size_t b = 0; b < size; ++b)
        chunks_[op][c][i * size + b] = static_cast<std::uint8_t>(running.back() >> (8 * b));
    }
  }
  return true;
}

void LeafRun::choose(std::uint32_t op) {
  const Op& o = list_.ops[op];
  const std::string name = o.name;
  const protocol::Request& r = world_.subject.request;
  if (name == "tk") {
    const float t = canon::top_k_threshold(as<float>("z"), r.top_k);
    set(name, bytes_of(std::vector<float>{t}));
  } else if (name == "tp") {
    const float t = canon::top_p_threshold(as<float>("p"), std::bit_cast<float>(r.top_p_bits));
    set(name, bytes_of(std::vector<float>{t}));
  } else {  // lp: the ids first, for steps to judge
    const auto logits = as<float>("lg");
    std::vector<std::uint32_t> ids(logits.size()), numbers(o.values);
    std::iota(ids.begin(), ids.end(), 0u);
    std::ranges::sort(ids, [&](auto a, auto b) {
      return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    });
    for (std::size_t i = 1; i < numbers.size(); i += 2) numbers[i] = ids[i / 2];
    set(name, bytes_of(numbers));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto running = element(op, i);
      EXPECT_EQ(running.size(), 1u) << "number " << i << " of lp";
      if (!running.empty()) numbers[i] = running[0];
    }
    set(name, bytes_of(numbers));
  }
}

void LeafRun::run() {
  for (std::uint32_t op = 0; op < list_.ops.size(); ++op) {
    if (!chunks_[op].empty()) continue;
    const OpKind kind = list_.ops[op].kind;
    if (kind == OpKind::threshold || kind == OpKind::logprob) {
      choose(op);
    } else if (!compute(op)) {
      chunks_[op].clear();
      fault_ = list_.ops[op].name;
      fault_op_ = op;
      return;
    }
  }
}

Result<ByteView> LeafRun::op_chunk(std::uint32_t op, std::uint64_t chunk) {
  if (chunk >= chunks_[op].size())
    return fail(Errc::internal, "chunk {} of op {} is asked for too early", chunk,
                list_.ops[op].name);
  return ByteView(chunks_[op][chunk]);
}

Result<ByteView> LeafRun::leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                                     std::uint32_t chunk) {
  if (row == Row::x) {
    held_ = bytes_of(world_.x(position, leaf));
    return chunk_of(held_, chunk, kChunkValues * 4);
  }
  held_ = bytes_of(row == Row::k ? world_.k(position, leaf) : world_.v(position, leaf));
  return chunk_of(held_, chunk, kChunkValues * 2);
}

Result<ByteView> LeafRun::weight(const TensorShape& tensor, std::uint64_t row,
                                 std::uint32_t chunk) {
  const canon::FormatInfo& f = canon::info(tensor.format);
  return chunk_of(world_.row(tensor, row), chunk, kChunkValues / f.block_values * f.block_bytes);
}

Result<ByteView> LeafRun::rope(std::uint64_t chunk) {
  const auto bytes = std::as_bytes(std::span(world_.rope));
  return chunk_of({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, chunk,
                  kChunkValues * 4);
}

Result<ByteView> LeafRun::tokens(bool answer, std::uint32_t chunk) {
  held_ = bytes_of(answer ? world_.answer : world_.prompt);
  return chunk_of(held_, chunk, kChunkValues * 4);
}

Result<ByteView> LeafRun::constraint_parts() {
  held_ = protocol::to_bytes(world_.parts);
  return ByteView(held_);
}

Result<ByteView> LeafRun::piece(std::uint32_t token) {
  held_ = protocol::piece_leaf(world_.pieces[token]);
  return ByteView(held_);
}

Result<ByteView> LeafRun::automaton_row(std::uint32_t state) {
  held_ = protocol::automaton_row(world_.automaton, state);
  return ByteView(held_);
}

Result<ByteView> LeafRun::logprobs(std::uint32_t answer_token) {
  if (answer_token >= world_.logprobs.size())
    return fail(Errc::internal, "answer token {} has no log-probabilities", answer_token);
  held_ = bytes_of(world_.logprobs[answer_token]);
  return ByteView(held_);
}

}  // namespace assay::verify::test
