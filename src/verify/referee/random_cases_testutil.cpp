#include <bit>
#include <cmath>

#include "base/assert.hpp"
#include "protocol/constraint.hpp"
#include "verify/referee/proof_cases_testutil.hpp"
#include "verify/referee/vector_sources_testutil.hpp"

namespace assay::verify::test {
namespace {

// One byte of a token a step.
bool walks(const Op& op) {
  return op.kind == OpKind::answer_state || op.kind == OpKind::piece_state;
}

}  // namespace

RandomCases::RandomCases(std::uint32_t seed) : random_(seed) {
  for (const VectorSource& s : vector_sources()) subjects_.push_back(s.world->subject);
  const char* const architectures[] = {"llama", "qwen2", "qwen3"};
  for (int i = 0; i < 4; ++i) {
    Shape shape;
    shape.architecture = architectures[random_.below(3)];
    shape.vocab = 1 + random_.below(1500);
    shape.dim = 256 * (1 + random_.below(4));
    shape.layers = 1 + random_.below(3);
    shape.kv_heads = 1 + random_.below(3);
    shape.heads = shape.kv_heads * (1 + random_.below(3));
    shape.head_dim = 256 * (1 + random_.below(2));
    shape.ffn = 256 * (1 + random_.below(4));
    shape.tied = random_.below(2) == 0;
    shape.formats.clear();
    for (int f = 0; f < 11; ++f)
      shape.formats.push_back(
          canon::formats()[random_index(random_, canon::formats().size())].format);
    const World world(shape, random_.bits(), 1 + random_.below(700), 1 + random_.below(300));
    subjects_.push_back(world.subject);
  }
}

// One of them with another request about the choice of tokens.
Subject RandomCases::subject() {
  Subject s = subjects_[random_index(random_, subjects_.size())];
  protocol::Request& r = s.request;
  const auto chance = [&](std::uint32_t n) { return random_.below(n) == 0; };
  const auto number = [&](float most) {
    return std::bit_cast<std::uint32_t>(most * (0.01f + 0.99f * std::fabs(random_.unit())));
  };
  r.continuation = random_.below(r.prompt_count);
  r.logit_bias.clear();
  if (chance(2))
    for (std::uint32_t id = 0; id < s.program.vocab && r.logit_bias.size() < 20;
         id += 1 + random_.below(9))
      r.logit_bias.push_back({id, number(50.0f)});
  r.repetition_penalty_bits = chance(2) ? 0x3f800000 : number(2.0f);
  r.presence_penalty_bits = chance(2) ? 0 : number(-1.0f);
  r.frequency_penalty_bits = chance(2) ? 0 : number(1.0f);
  r.temperature_bits = chance(4) ? 0 : number(1.5f);
  r.top_k = chance(3) ? 0 : random_.below(s.program.vocab);
  r.top_p_bits = chance(3) ? 0x3f800000 : number(1.0f);
  r.min_p_bits = chance(2) ? 0 : number(1.0f);
  r.seed = std::uint64_t{random_.bits()} << 32 | random_.bits();
  r.logprobs = chance(3) ? 0 : 1 + random_.below(21);
  r.max_tokens = s.count + random_.below(3);
  r.constraint = chance(2) ? Hash{} : random_hash(random_);
  return s;
}

std::optional<ProofCase> RandomCases::attempt(OpKind kind) {
  const Subject s = subject();
  const std::uint32_t positions = s.prompt() + s.count - 1;
  LeafPlace leaf{random_.below(positions), random_.below(s.program.layers + 1),
                 random_.below(8) == 0};
  if (random_.below(4) == 0) leaf.position = positions - 1;
  if (leaf.index == s.program.layers && leaf.position < s.first_sampled()) return std::nullopt;
  const OpList list = ops_of(s, leaf);
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < list.ops.size(); ++i)
    if (list.ops[i].kind == kind) found.push_back(i);
  if (found.empty()) return std::nullopt;

  StepPlace place{leaf, found[random_index(random_, found.size())], 0, 0};
  const Op& op = list.ops[place.op];
  const auto some = [&](std::uint64_t n) {
    return random_.below(3) == 0 ? n - 1 : random_.below(static_cast<std::uint32_t>(n));
  };
  const std::uint64_t chunk = some(op.chunks);
  place.element = chunk * kChunkValues + some(chunk_values(op, chunk, leaf.position));
  place.step = static_cast<std::uint32_t>(some(steps_of(op, place.element, leaf.position)));
  // Most tokens have fewer bytes than there are steps.
  if (walks(op) && random_.below(2) == 0) place.step = random_.below(4);
  const std::uint32_t mode = random_.below(kModes);
  std::vector<std::uint32_t> running;
  for (std::uint32_t i = 0; i < place.step; ++i)
    running.push_back(hostile_running(s, op, random_, mode));

  const bool bad_scale = random_.below(20) == 0, other_tensor = random_.below(40) == 0;
  const auto answer = hostile(s, list, leaf.position, random_.bits(), mode);
  Recorder recorder([&](const Asked& q) {
    Result<Bytes> out = answer(q);
    if (bad_scale && q.what == "weight" && out->size() >= 4) {
      const std::size_t at = random_.below(2) == 0 ? 0 : out->size() - 2;
      (*out)[at] = static_cast<std::uint8_t>(random_.bits());
      (*out)[at + 1] = 0x7c | static_cast<std::uint8_t>(random_.bits());
      if (random_.below(2) == 0) (*out)[3] = 0xff, (*out)[2] = 0x80;
    }
    return out;
  });
  static_cast<void>(execute_step(s, list, place, running, recorder));
  std::vector<Asked> asked = recorder.asked();
  const auto weight = std::ranges::find(asked, "weight", &Asked::what);
  const bool other = other_tensor && weight != asked.end();
  if (other) asked.erase(weight + 1, asked.end());
  ProofCase c = proof_case(s, list, place, running, asked, random_, other);
  if (random_.below(6) == 0) tamper(c, op);
  judge(c);
  return c;
}

void RandomCases::tamper(ProofCase& c, const Op& op) {
  if (walks(op) && random_.below(8) == 0) {
    c.subject.request.constraint = random_hash(random_);
    return;
  }
  const auto flip = [&](Bytes::value_type& byte) {
    byte = static_cast<std::uint8_t>(byte ^ 1u << random_.below(8));
  };
  switch (c.proof.empty() ? 1 : random_.below(6)) {
    case 0:
      c.proof.resize(random_index(random_, c.proof.size()));
      return;
    case 1:
      c.proof.resize(c.proof.size() + 1 + random_.below(40));
      return;
    case 2: {  // the proof of another element
      const std::uint64_t chunk = c.place.element / kChunkValues;
      const std::uint32_t n = chunk_values(op, chunk, c.place.leaf.position);
      const std::uint64_t other = chunk * kChunkValues + random_.below(n);
      if (steps_of(op, other, c.place.leaf.position) > c.place.step) c.place.element = other;
      return;
    }
    case 3:
      flip(c.revealed
               .op_roots[random_index(random_, c.revealed.op_roots.size())][random_.below(32)]);
      return;
    default:
      flip(c.proof[random_index(random_, c.proof.size())]);
      return;
  }
}

ProofCase RandomCases::next(OpKind kind) {
  for (int tries = 0;; ++tries) {
    ASSAY_ASSERT(tries < 100000);
    if (auto c = attempt(kind)) return *std::move(c);
  }
}

namespace {

Subject real_subject(const Shape& shape) {
  Subject s;
  s.program = program_of(shape);
  protocol::Request& r = s.request;
  r.prompt_count = 32000;
  r.logit_bias = {{.token = 3, .bias_bits = 0x3fc00000}, {.token = 77, .bias_bits = 0xc2210000}};
  r.repetition_penalty_bits = 0x3fa66666;  // 1.3
  r.presence_penalty_bits = 0x3ecccccd;
  r.frequency_penalty_bits = 0x3dcccccd;
  r.temperature_bits = 0x3f333333;  // 0.7
  r.top_k = 40;
  r.top_p_bits = 0x3f733333;  // 0.95
  r.min_p_bits = 0x3d4ccccd;
  r.seed = 0x0123456789abcdef;
  r.max_tokens = 768;
  r.constraint.fill(7);
  r.logprobs = 6;
  s.count = 768;
  s.finish = static_cast<std::uint32_t>(protocol::Finish::length);
  return s;
}

// Mostly what a model's numbers are: quants near zero, scales that fp16 holds; the largest
// automaton and the longest token there are.
Bytes lifelike(const Op* op, std::string_view what, Bytes bytes, Random& random) {
  if (what == "constraint")
    return protocol::to_bytes({.table_root = {}, .states = canon::kStatesMax, .pieces_root = {}});
  if (what == "piece")
    return protocol::piece_leaf({canon::Piece::Kind::text, std::string(canon::kPieceMax, 'a')});
  if (op == nullptr) return bytes;
  for (std::size_t i = 0; op->kind == OpKind::answer_state && i < bytes.size(); i += 4)
    bytes[i + 1] &= 0x7f, bytes[i + 2] = bytes[i + 3] = 0;
  const bool scale = op->kind == OpKind::q8_scale || op->kind == OpKind::q8k_scale;
  for (std::size_t i = 0; i + 4 <= bytes.size() && op->type == ValueType::f32; i += 4) {
    const float x = random.unit();
    auto bits = std::bit_cast<std::uint32_t>(scale ? std::fabs(x) * 0.125f + 1e-3f : x);
    if (scale) bits &= 0xffffe000u;
    for (int b = 0; b < 4; ++b) bytes[i + b] = static_cast<std::uint8_t>(bits >> (8 * b));
  }
  return bytes;
}

void add_real_cases(std::vector<NamedCase>& out, const std::string& name, const Subject& s,
                    const LeafPlace& leaf, Random& random, bool products_only) {
  const OpList list = ops_of(s, leaf);
  for (std::uint32_t i = 0; i < list.ops.size(); ++i) {
    const Op& op = list.ops[i];
    if (op.kind == OpKind::threshold || (products_only && op.kind != OpKind::product)) continue;
    StepPlace place{leaf, i, 0, 0};
    place.element = (op.chunks - 1) * kChunkValues + chunk_values(op, op.chunks - 1, leaf.position);
    --place.element;
    // The first of a token's bytes reads a state, too.
    place.step = walks(op) ? 0 : steps_of(op, place.element, leaf.position) - 1;
    std::vector<std::uint32_t> running(place.step, op.type == ValueType::u32 ? 5 : 0x3f9a1234);
    const auto answer = hostile(s, list, leaf.position, random.bits(), 0);
    Recorder recorder([&](const Asked& q) -> Result<Bytes> {
      TRY(Bytes bytes, answer(q));
      const Op* from = q.what == "op" ? &list.ops[q.where[0]] : nullptr;
      return lifelike(from, q.what, std::move(bytes), random);
    });
    static_cast<void>(execute_step(s, list, place, running, recorder));
    ProofCase c = proof_case(s, list, place, running, recorder.asked(), random);
    judge(c);
    out.push_back({fmt::format("{} {}", name, op.name), std::move(c)});
  }
}

}  // namespace

std::vector<NamedCase> cases_of_real_shapes() {
  std::vector<NamedCase> out;
  Random random(11);
  Shape small{.architecture = "qwen3",
              .vocab = 128256,
              .dim = 4096,
              .layers = 32,
              .heads = 32,
              .kv_heads = 8,
              .head_dim = 128,
              .ffn = 14336,
              .context = 131072,
              .formats = {}};
  Shape large = small;
  large.dim = 8192, large.layers = 80, large.heads = 64, large.ffn = 28672;
  const LeafPlace cell{32766, 5}, head{32766, 0};
  for (const auto& [name, shape] : {std::pair{"8B", small}, {"70B", large}})
    for (const canon::FormatInfo& f : canon::formats()) {
      Shape typed = shape;
      typed.formats = {f.format};
      const Subject s = real_subject(typed);
      const bool products_only = f.format != Format::q8_0;
      const std::string model = fmt::format("{} {}", name, f.name);
      LeafPlace at_head = head;
      at_head.index = typed.layers;
      add_real_cases(out, model, s, cell, random, products_only);
      add_real_cases(out, model, s, at_head, random, products_only);
      if (!products_only) add_real_cases(out, model, s, {32766, 0}, random, false);
    }
  return out;
}

}  // namespace assay::verify::test
