#include "verify/referee/vector_sources_testutil.hpp"

#include "base/assert.hpp"
#include "protocol/constraint.hpp"
#include "protocol/tokens.hpp"

namespace assay::verify::test {
namespace {

using enum Format;

std::uint32_t source_word(float x) { return std::bit_cast<std::uint32_t>(x); }

}  // namespace

std::vector<VectorSource> vector_sources() {
  std::vector<VectorSource> out;
  const auto add = [&](const Shape& shape, std::uint32_t seed, std::uint32_t prompt,
                       std::uint32_t answer, std::vector<LeafPlace> places) -> protocol::Request& {
    out.push_back({std::make_unique<World>(shape, seed, prompt, answer), std::move(places)});
    World& w = *out.back().world;
    return w.subject.request;
  };
  protocol::Request& all = add({.vocab = 300,
                                .dim = 512,
                                .layers = 2,
                                .heads = 4,
                                .kv_heads = 2,
                                .head_dim = 48,
                                .ffn = 288,
                                .context = 400,
                                .formats = {q6_k, q4_k, q8_0, q5_k, q4_0, q4_0, q5_k, q8_0,  //
                                            q8_0, q5_k, q6_k, q8_0, q6_k, q8_0, q4_0, q4_k}},
                               1, 290, 20,
                               {{.position = 7, .index = 0},
                                {.position = 257, .index = 1},
                                {.position = 300, .index = 2},
                                {.position = 309, .index = 1, .fault = true}});
  all.continuation = 30;
  all.logit_bias = {{.token = 3, .bias_bits = source_word(1.5f)},
                    {.token = 299, .bias_bits = source_word(-40.25f)}};
  all.repetition_penalty_bits = source_word(1.3f);
  all.presence_penalty_bits = source_word(0.4f);
  all.frequency_penalty_bits = source_word(0.1f);
  all.temperature_bits = source_word(0.7f);
  all.top_k = 5;
  all.top_p_bits = source_word(0.8f);
  all.min_p_bits = source_word(0.5f);
  all.seed = 0x0123456789abcdefu;
  all.logprobs = 4;

  protocol::Request& greedy = add({.architecture = "qwen2",
                                   .vocab = 300,
                                   .dim = 270,
                                   .heads = 2,
                                   .kv_heads = 2,
                                   .head_dim = 80,
                                   .ffn = 301,
                                   .formats = {bf16, f16, f32}},
                                  2, 3, 600,
                                  {{.position = 2, .index = 0},
                                   {.position = 530, .index = 1},
                                   {.position = 601, .index = 0, .fault = true}});
  greedy.repetition_penalty_bits = source_word(0.7f);
  greedy.logprobs = 1;

  protocol::Request& nucleus =
      add({.architecture = "qwen3",
           .vocab = 513,
           .heads = 2,
           .head_dim = 320,
           .tied = true,
           .formats = {q6_k, q8_0, q4_k, q4_0, q8_0, q6_k, f16, q6_k}},
          3, 1, 300, {{.position = 0, .index = 0}, {.position = 258, .index = 1}});
  nucleus.temperature_bits = source_word(1.0f);
  nucleus.top_p_bits = source_word(0.5f);
  nucleus.presence_penalty_bits = source_word(-0.6f);
  nucleus.frequency_penalty_bits = source_word(-0.3f);

  // Attention over more than 256 segments.
  add({.dim = 32, .heads = 1, .head_dim = 2, .ffn = 32, .context = 80000, .formats = {f32}}, 4, 4,
      66000, {{.position = 65800, .index = 1}});

  // An answer held to an automaton; the second of its tokens is the prompt's last.
  protocol::Request& held =
      add({.vocab = 300, .dim = 32, .heads = 1, .head_dim = 2, .ffn = 32, .formats = {f32}}, 5, 4,
          600, {{.position = 1, .index = 1}, {.position = 530, .index = 1}});
  held.continuation = 2;
  held.temperature_bits = source_word(0.9f);
  out.back().world->constrain(30);
  out.back().first = OpKind::answer_state;
  for (const VectorSource& s : out)
    s.world->logprobs.assign(
        s.world->answer.size(),
        std::vector<std::uint32_t>(protocol::logprob_width(s.world->subject.request), 5));
  return out;
}

std::uint32_t op_named(const OpList& list, std::string_view name) {
  // From the back: of two of one name the leaf's own.
  for (std::size_t i = list.ops.size(); i-- > 0;)
    if (list.ops[i].name == name) return static_cast<std::uint32_t>(i);
  ASSAY_ASSERT(false && "the leaf has no op of this name");
}

Recorder::Answer crafted_answer(const Crafted& c, const Subject& subject, const OpList& list,
                                std::uint32_t position, std::uint32_t seed) {
  const auto other = hostile(subject, list, position, seed, c.mode);
  return [&c, &list, other](const Asked& q) -> Result<Bytes> {
    TRY(Bytes out, other(q));
    if (const auto it = c.bytes.find(q.what); it != c.bytes.end()) return it->second;
    const std::string name = q.what == "op" ? list.ops[q.where[0]].name : q.what;
    std::vector<std::uint32_t> values;
    if (const auto it = c.floats.find(name); it != c.floats.end())
      for (const float v : it->second) values.push_back(source_word(v));
    if (const auto it = c.words.find(name); it != c.words.end()) values = it->second;
    if (values.empty()) return out;
    const std::size_t n = out.size() / 4;
    out.clear();
    for (std::size_t i = 0; i < n; ++i) append_le(out, values[i % values.size()]);
    return out;
  };
}

namespace {

// Tokens in an automaton of five states: each kind of piece there is and some that there are not,
// from states and from what is none.
void add_constrained(std::vector<Crafted>& out) {
  const Bytes parts = protocol::to_bytes({.table_root = {}, .states = 5, .pieces_root = {}});
  const auto row = [](std::uint8_t accepting) {
    Bytes bytes;
    for (std::uint32_t b = 0; b < 256; ++b) append_le(bytes, static_cast<std::uint16_t>(0x100 + b));
    bytes.push_back(accepting);
    return bytes;
  };
  const auto add = [&](const char* op, std::uint64_t element, std::vector<std::uint32_t> running,
                       std::uint32_t state, std::uint32_t token, Bytes piece,
                       std::uint8_t accepting = 1) {
    const auto step = static_cast<std::uint32_t>(running.size());
    out.push_back(
        {.source = 4,
         .place = 1,
         .op = op,
         .element = element,
         .step = step,
         .running = std::move(running),
         .words = {{"gt", {state}}, {"tape", {token}}},
         .bytes = {{"constraint", parts}, {"piece", std::move(piece)}, {"row", row(accepting)}}});
  };
  const auto text = [](std::size_t bytes) {
    Bytes piece(1 + bytes);
    for (std::size_t i = 0; i < piece.size(); ++i)
      piece[i] = i == 0 ? 1 : static_cast<std::uint8_t>(0x40 + i);
    return piece;
  };
  for (const std::size_t bytes : {1u, 2u, 64u, 65u})
    for (const std::uint32_t step : {0u, 1u, 2u, 63u})
      add("gt", 5, std::vector<std::uint32_t>(step, 3), 4, 7, text(bytes));
  add("gt", 5, {}, 4, 299, text(3));
  add("gt", 5, {}, 4, 300, text(3));
  add("gt", 5, {4}, 4, 0xffffffff, text(3));
  for (const std::uint32_t state : {0u, 4u, 5u, 0xfffeu, 0xffffu, 0x10000u})
    for (const Bytes& piece : {text(2), Bytes{2}}) add("gw", 9, {}, state, 0, piece);
  for (const std::uint8_t accepting : Bytes{0, 1, 2, 255})
    add("gw", 9, {}, 2, 0, Bytes{2}, accepting);
  for (const Bytes& piece : {Bytes{0}, Bytes{1}, Bytes{3}, Bytes{2, 0x41}, Bytes{0, 0x41}, Bytes{}})
    for (const std::uint32_t step : {0u, 1u})
      add("gw", 9, std::vector<std::uint32_t>(step, 2), 2, 0, piece);
  for (const std::uint32_t state : {0xffffu, 0xfffeu, 0u, 0x1ffffu})
    for (const float z : {1.5f, -0.0f, -3e38f, canon::test::kInfinity, canon::test::kNan})
      out.push_back({.source = 4,
                     .place = 1,
                     .op = "gl",
                     .floats = {{"z", {z}}},
                     .words = {{"gw", {state}}}});
}

}  // namespace

// Places: source 0 (all settings): embedding, layer 0 and row 1, head, fault leaf; 1 (greedy, plain
// formats); 2 (nucleus); 3 (many segments); 4 (constrained): its first head, a late one.
std::vector<Crafted> crafted() {
  std::vector<Crafted> out;
  const auto add = [&](Crafted c) { out.push_back(std::move(c)); };
  constexpr float kTau = 0.25f;

  // Quants at ties, at the clamp, and where x / d and x · (1 / d) round to different sides.
  for (std::uint64_t i = 0; i < 8; ++i)
    add({.place = 2,
         .op = "n.qk",
         .element = i,
         .floats = {{"n.y", {2.5f, -2.5f, 0.5f, 126.5f, -127.5f, -128.5f, 1e9f, -0.0f}},
                    {"n.dk", {1.0f}}}});
  Random random(123);
  for (int found = 0; found < 3;) {
    const float d = 0.01f + static_cast<float>(random.below(1000)) * 0.001f;
    const float x = d * (static_cast<float>(random.below(120)) + 0.5f);
    if (std::nearbyint(x / d) == std::nearbyint(x * (1.0f / d))) continue;
    ++found;
    add({.place = 2, .op = "n.qk", .floats = {{"n.y", {x}}, {"n.dk", {d}}}});
  }
  // Sums of integers that f32 has to round.
  for (std::uint64_t row = 0; row < 4; ++row)
    for (const char* op : {"q", "k"})
      add({.place = 1, .op = op, .element = row, .step = 0, .mode = 4});
  for (std::uint64_t row = 0; row < 4; ++row)
    add({.place = 2, .op = "lg", .element = row, .step = 0, .mode = 4});
  // Halves: ties, subnormals, the last one that fits and the first that does not.
  for (std::uint64_t i = 0; i < 9; ++i)
    add({.place = 1,
         .op = "kh",
         .element = i,
         .floats = {{"kr",
                     {0x1p-15f, 0x1.8p-24f, -0x1p-24f, 0x1p-25f, 1.00048828125f, 1.00146484375f,
                      65519.0f, 65520.0f, -0x1.ffcp-15f}}}});
  // Zeros of both signs in maxima: the first of equals stays.
  for (const auto& zeros : {std::vector{-0.0f, 0.0f, -1.0f}, std::vector{0.0f, -0.0f, -1.0f}}) {
    add({.place = 1, .op = "sm", .floats = {{"sc", zeros}}});
    add({.place = 2, .op = "bv", .floats = {{"y", zeros}}});
    add({.place = 2, .op = "bi", .floats = {{"y", zeros}}});
    add({.place = 1,
         .op = "m",
         .step = 1,
         .running = {source_word(zeros[0])},
         .floats = {{"sm", {zeros[1]}}}});
    add({.place = 2,
         .op = "tok",
         .step = 1,
         .running = {5},
         .floats = {{"bv", zeros}},
         .words = {{"bi", {5, 290}}}});
  }
  add({.place = 2, .op = "bv", .floats = {{"y", {-canon::test::kInfinity}}}});
  // exp on both sides of its cut, and of 0.
  for (const float x : {-65.0f, -69.0f, -69.00001f, -80.0f, -0.0f, -3e38f, 1e-30f}) {
    add({.place = 1, .op = "sp", .floats = {{"sc", {x}}, {"sm", {0.0f}}}});
    add({.place = 2, .op = "e", .floats = {{"lg", {x}}, {"xm", {0.0f}}}});
  }
  // Tokens: every position of the tape holds the id.
  for (const char* op : {"ct", "ca"})
    for (const std::uint32_t step : {0u, 1u, 2u})
      add({.place = 2,
           .op = op,
           .element = 7,
           .step = step,
           .running = std::vector<std::uint32_t>(step, 3),
           .words = {{"prompt", {7}}, {"tape", {7}}}});
  add({.place = 2, .op = "nx", .words = {{"tape", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}}});
  // Thresholds that are met exactly. top_k is 5, top_p 0.8.
  for (const std::uint32_t at : {4u, 5u, 6u})
    for (const std::uint32_t above : {4u, 5u})
      add({.place = 2, .op = "kok", .words = {{"kgt", {at}}, {"klt", {above}}}});
  for (const float at : {0.8f, 0.7999999f, 0.80000013f})
    for (const float above : {0.8f, 0.7999999f})
      add({.place = 2, .op = "pok", .floats = {{"pgt", {at}}, {"plt", {above}}, {"pt", {1.0f}}}});
  for (const float z : {1.0f, 0.9999999f, -3.0f})
    for (const float p : {0.75f, 0.5f, kTau, 0.49999997f})
      add({.place = 2,
           .op = "y",
           .element = 3,
           .floats = {{"z", {z}}, {"tk", {z < 0 ? -3.5f : 1.0f}}, {"p", {p}}, {"tp", {0.5f}}}});
  for (std::uint64_t id = 0; id < 4; ++id)
    add({.place = 2,
         .op = "y",
         .element = 70 * id,
         .floats = {{"z", {0.25f}}, {"tk", {-1.0f}}, {"p", {0.75f}}, {"tp", {0.75f}}}});
  // Log-probabilities, in the order of their subtractions; a list that ends in a tie.
  for (const float l : {3.1f, 17.77f, -12.345f, 1e-3f})
    add({.place = 2,
         .op = "lp",
         .floats = {{"lg", {l}}, {"xm", {19.123f}}, {"ln", {2.3456f}}},
         .words = {{"tok", {3}}}});
  for (const std::uint32_t last : {1u, 2u, 3u})
    add({.place = 2,
         .op = "lc",
         .floats = {{"lg", {1.0f, 0.0f, -0.0f}}},
         .words = {{"lp", {0, 9, 0, 6, 0, last}}}});
  for (const auto& ids : {std::vector<std::uint32_t>{0, 3, 0, 6},
                          {0, 6, 0, 3},
                          {0, 1, 0, 0},
                          {0, 0, 0, 1},
                          {0, 0, 0, 300}})
    add({.place = 2,
         .op = "lp",
         .element = 3,
         .floats = {{"lg", {1.0f, 0.0f, -0.0f}}},
         .words = {{"lp", ids}}});
  add_constrained(out);
  return out;
}

}  // namespace assay::verify::test
