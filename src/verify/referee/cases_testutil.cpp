#include "verify/referee/cases_testutil.hpp"

#include <memory>

#include "base/assert.hpp"
#include "base/hex.hpp"
#include "protocol/constraint.hpp"
#include "protocol/typed.hpp"

namespace assay::verify::test {
namespace {

constexpr const char* kNames[] = {
    "norm_sum",       "norm_inverse", "norm_value",     "q8_scale",      "q8_quant",
    "q8k_scale",      "q8k_quant",    "product",        "add_bias",      "rope",
    "to_half",        "score",        "segment_max",    "segment_exp",   "segment_sum",
    "weighted_value", "running_max",  "segment_weight", "attention_sum", "attention_out",
    "add_residual",   "swiglu",       "embedding",      "tape_count",    "adjust",
    "temperature",    "threshold",    "count_at",       "count_above",   "running_total",
    "threshold_ok",   "shifted_exp",  "noisy",          "best_id",       "best_token",
    "next_token",     "log_sum",      "logprob",        "rank_count",    "logprob_leaf",
    "answer_state",   "piece_state",  "constrain"};
static_assert(std::size(kNames) == kKinds);

json::value decimal(std::uint64_t n) { return json::value(std::to_string(n)); }

std::uint32_t word_of(std::string_view hex) {
  return static_cast<std::uint32_t>(std::strtoul(std::string(hex).c_str(), nullptr, 16));
}

void put_case(Bytes& out, float v) { append_le(out, std::bit_cast<std::uint32_t>(v)); }

constexpr float kSpecial[] = {0.0f,           -0.0f,     1.0f,     -1.0f,      0x1p-149f,
                              -0x1p-149f,     0x1p-126f, 0x1p-25f, 65504.0f,   65519.996f,
                              65520.0f,       -65520.0f, 0x1p-24f, 0x1.8p-24f, 3.4028235e38f,
                              -3.4028235e38f, 1e20f,     -1e20f,   0.5f,       2.5f};

float hostile_float(Random& random, std::uint32_t mode) {
  switch (mode) {
    case 1:
      return (static_cast<float>(random.below(5)) - 2.0f) * (random.below(2) == 0 ? 0.5f : -0.5f);
    case 2:
      if (random.below(24) == 0)
        return random.below(2) == 0   ? canon::test::kNan
               : random.below(2) == 0 ? canon::test::kInfinity
                                      : -canon::test::kInfinity;
      return kSpecial[random.below(std::size(kSpecial))];
    case 3:
      return random.hostile(3e38f);
    default:
      return random.hostile(100.0f);
  }
}

// Automata of a few states mostly; of none and of more than there can be, too.
Bytes hostile_parts(Random& random) {
  const std::uint32_t states = random.below(8) == 0   ? random.bits()
                               : random.below(8) == 0 ? random.below(2)
                                                      : 1 + random.below(canon::kStatesMax);
  return protocol::to_bytes({.table_root = {}, .states = states, .pieces_root = {}});
}

std::uint16_t hostile_state(Random& random) {
  switch (random.below(4)) {
    case 0:
      return static_cast<std::uint16_t>(canon::kDead);
    case 1:
      return static_cast<std::uint16_t>(random.bits());
    default:
      return static_cast<std::uint16_t>(random.below(64));
  }
}

// Text of a length that exists, mostly; pieces that no vocabulary has, and leaves that are none.
Bytes hostile_piece(Random& random) {
  using Kind = canon::Piece::Kind;
  const auto of = [&](Kind kind, std::size_t bytes) {
    Bytes out{static_cast<std::uint8_t>(kind)};
    while (out.size() <= bytes) out.push_back(static_cast<std::uint8_t>(random.bits()));
    return out;
  };
  switch (random.below(16)) {
    case 0:
      return of(static_cast<Kind>(random.below(5)), random.below(4));
    case 1:
      return of(Kind::text, 63 + random.below(3));
    case 2:
      return of(Kind::text, kPieceLeafMax - 2 + random.below(3));
    case 3:
      return random.below(4) == 0 ? Bytes{} : of(Kind::never, 0);
    case 4:
    case 5:
      return of(Kind::end, 0);
    default:
      return of(Kind::text, 1 + random.below(random.below(2) == 0 ? 64 : 6));
  }
}

std::size_t part(std::uint64_t values, std::uint64_t chunk) {
  return std::min<std::uint64_t>(kChunkValues, values - chunk * kChunkValues);
}

}  // namespace

const char* kind_name(OpKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::string result_text(const Result<StepValue>& value) {
  if (!value) return value.error().code == Errc::unsupported ? "invalid model" : "invalid input";
  return value->fault ? "fault" : fmt::format("{:08x}", value->bits);
}

json::object to_json(const Subject& s) {
  return {{"program", to_hex(program_bytes(s.program))},
          {"request", protocol::to_json(s.request)},
          {"count", decimal(s.count)}};
}

json::object to_json(const Case& c, const OpList& list) {
  json::array running, inputs;
  for (const std::uint32_t r : c.running) running.emplace_back(fmt::format("{:08x}", r));
  for (const Asked& a : c.inputs) {
    json::array where;
    for (const std::uint64_t n : a.where) where.push_back(decimal(n));
    inputs.emplace_back(
        json::object{{"what", a.what}, {"where", where}, {"bytes", to_hex(a.bytes)}});
  }
  return {{"subject", decimal(c.subject)},
          {"position", decimal(c.place.leaf.position)},
          {"leaf", decimal(c.place.leaf.index)},
          {"fault", c.place.leaf.fault},
          {"op", decimal(c.place.op)},
          {"name", list.ops[c.place.op].name},
          {"element", decimal(c.place.element)},
          {"step", decimal(c.place.step)},
          {"running", running},
          {"inputs", inputs},
          {"result", c.result}};
}

Result<Subject> subject_from_json(const json::object& o) {
  Subject s;
  TRY(const Bytes program, json::get_hex(o, "program"));
  TRY(s.program, parse_program(program));
  TRY(const json::object* request, json::get_object(o, "request"));
  TRY(s.request, protocol::from_json<protocol::Request>(*request));
  TRY(const auto count, json::get_u64(o, "count"));
  s.count = static_cast<std::uint32_t>(count);
  return s;
}

Result<Case> case_from_json(const json::object& o) {
  Case c;
  const auto number = [&](std::string_view key) { return *json::get_u64(o, key); };
  const auto small = [&](std::string_view key) { return static_cast<std::uint32_t>(number(key)); };
  c.subject = small("subject");
  TRY(const bool faulted, json::get_bool(o, "fault"));
  c.place = {
      {small("position"), small("leaf"), faulted}, small("op"), number("element"), small("step")};
  for (const json::value& v : **json::get_array(o, "running"))
    c.running.push_back(word_of(v.as_string()));
  for (const json::value& v : **json::get_array(o, "inputs")) {
    const json::object& in = v.as_object();
    Asked a{
        .what = *json::get_string(in, "what"), .where = {}, .bytes = *json::get_hex(in, "bytes")};
    for (const json::value& n : **json::get_array(in, "where"))
      a.where.push_back(*json::parse_u64(n.as_string()));
    c.inputs.push_back(std::move(a));
  }
  TRY(c.result, json::get_string(o, "result"));
  return c;
}

Result<ByteView> Recorder::ask(Asked question) {
  TRY(question.bytes, answer_(question));
  asked_.push_back(std::move(question));
  return ByteView(asked_.back().bytes);
}

Result<ByteView> Recorder::op_chunk(std::uint32_t op, std::uint64_t chunk) {
  return ask({"op", {op, chunk}});
}
Result<ByteView> Recorder::leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                                      std::uint32_t chunk) {
  return ask({row == Row::x ? "x" : row == Row::k ? "k" : "v", {position, leaf, chunk}});
}
Result<ByteView> Recorder::weight(const TensorShape& tensor, std::uint64_t row,
                                  std::uint32_t chunk) {
  return ask({"weight", {tensor.index, row, chunk}});
}
Result<ByteView> Recorder::rope(std::uint64_t chunk) { return ask({"rope", {chunk}}); }
Result<ByteView> Recorder::tokens(bool answer, std::uint32_t chunk) {
  return ask({answer ? "tape" : "prompt", {chunk}});
}
Result<ByteView> Recorder::logprobs(std::uint32_t answer_token) {
  return ask({"logprobs", {answer_token}});
}

Result<ByteView> Recorder::constraint_parts() { return ask({"constraint", {}}); }
Result<ByteView> Recorder::piece(std::uint32_t token) { return ask({"piece", {token}}); }
Result<ByteView> Recorder::automaton_row(std::uint32_t state) { return ask({"row", {state}}); }

Recorder::Answer honest(LeafRun& run, const World& world) {
  return [&](const Asked& q) -> Result<Bytes> {
    const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(q.where[i]); };
    Result<ByteView> out = ByteView{};
    if (q.what == "op") {
      out = run.op_chunk(at(0), q.where[1]);
    } else if (q.what == "weight") {
      out = run.weight(world.tensors[at(0)], q.where[1], at(2));
    } else if (q.what == "rope") {
      out = run.rope(q.where[0]);
    } else if (q.what == "logprobs") {
      out = run.logprobs(at(0));
    } else if (q.what == "constraint") {
      out = run.constraint_parts();
    } else if (q.what == "piece") {
      out = run.piece(at(0));
    } else if (q.what == "row") {
      out = run.automaton_row(at(0));
    } else if (q.what == "prompt" || q.what == "tape") {
      out = run.tokens(q.what == "tape", at(0));
    } else {
      using Row = StepInputs::Row;
      out = run.leaf_chunk(q.what == "x"   ? Row::x
                           : q.what == "k" ? Row::k
                                           : Row::v,
                           at(0), at(1), at(2));
    }
    CHECK_OK(out);
    return Bytes(out->begin(), out->end());
  };
}

std::uint32_t hostile_running(const Subject& subject, const Op& op, Random& random,
                              std::uint32_t mode) {
  if (op.type == ValueType::u32)
    return random.below(8) == 0 ? random.bits() : random.below(subject.program.vocab);
  return std::bit_cast<std::uint32_t>(hostile_float(random, mode));
}

Recorder::Answer hostile(const Subject& subject, const OpList& list, std::uint32_t position,
                         std::uint32_t seed, std::uint32_t mode) {
  const auto random = std::make_shared<Random>(seed);
  return [&subject, &list, position, random, mode](const Asked& q) -> Result<Bytes> {
    Random& r = *random;
    Bytes out;
    const auto floats = [&](std::size_t n) {
      while (n-- > 0) put_case(out, hostile_float(r, mode));
    };
    const auto ids = [&](std::size_t n) {
      while (n-- > 0)
        append_le(out, r.below(32) == 0  ? r.bits()
                       : r.below(2) == 0 ? r.below(subject.program.vocab)
                                         : r.below(6));
    };
    const Program& p = subject.program;
    if (q.what == "op") {
      const Op& op = list.ops[q.where[0]];
      const std::uint32_t n = chunk_values(op, q.where[1], position);
      for (std::uint32_t i = 0; i < n; ++i) switch (op.type) {
          case ValueType::f32:
            floats(1);
            break;
          case ValueType::u32:
            if (op.kind == OpKind::answer_state || op.kind == OpKind::piece_state)
              append_le(out, std::uint32_t{hostile_state(r)});
            else
              ids(1);
            break;
          case ValueType::f16:
            append_le(out, mode == 2 ? static_cast<std::uint16_t>(r.bits()) : random_half(r));
            break;
          case ValueType::i8:
            out.push_back(static_cast<std::uint8_t>(mode == 4 ? 127 - r.below(20) : r.bits()));
            break;
        }
    } else if (q.what == "weight") {
      // The program says where the tensor's row ends; the list which tensor it is.
      const auto op = std::ranges::find_if(
          list.ops, [&](const Op& o) { return o.tensor && o.tensor->index == q.where[0]; });
      ASSAY_ASSERT(op != list.ops.end());
      out = random_row(r, op->tensor->format, part(op->tensor->cols, q.where[2]));
      const canon::FormatInfo& f = canon::info(op->tensor->format);
      if (mode == 4 && f.block_values > 1) {  // everything but d and dmin at its largest
        const std::size_t kept = f.format == canon::Format::q6_k ? 208
                                 : f.block_values == 256         ? 4
                                                                 : 2;
        for (std::size_t i = 0; i < out.size(); ++i) {
          const std::size_t at = i % f.block_bytes;
          if (kept == 208 ? at < kept : at >= kept)
            out[i] = kept == 208 && at >= 192           ? 0x7f
                     : kept == 2 && f.block_bytes == 34 ? 0x80
                                                        : 0xff;
        }
      }
      if (mode == 2 && r.below(6) == 0) std::fill_n(out.end() - 2, 2, std::uint8_t{0xff});
    } else if (q.what == "rope") {
      floats(part(std::uint64_t{p.context} * p.head_dim, q.where[0]));
    } else if (q.what == "prompt" || q.what == "tape") {
      ids(part(q.what == "tape" ? subject.count : subject.prompt(), q.where[0]));
    } else if (q.what == "logprobs") {
      ids(2 * subject.request.logprobs - 1);
    } else if (q.what == "constraint") {
      out = hostile_parts(r);
    } else if (q.what == "piece") {
      out = hostile_piece(r);
    } else if (q.what == "row") {
      for (unsigned byte = 0; byte < 256; ++byte) append_le(out, hostile_state(r));
      out.push_back(static_cast<std::uint8_t>(r.below(3) == 0 ? r.bits() : r.below(2)));
    } else if (q.what == "x") {
      floats(part(p.dim, q.where[2]));
    } else {
      for (std::size_t n = part(p.kv_dim(), q.where[2]); n-- > 0;)
        append_le(out, mode == 2 ? static_cast<std::uint16_t>(r.bits()) : random_half(r));
    }
    return out;
  };
}

Recorder::Answer replayed(const Case& c) {
  const auto next = std::make_shared<std::size_t>(0);
  return [&c, next](const Asked& q) -> Result<Bytes> {
    if (*next >= c.inputs.size() || !c.inputs[*next].same_question(q))
      return fail(Errc::mismatch, "question {} is another one", *next);
    return c.inputs[(*next)++].bytes;
  };
}

}  // namespace assay::verify::test
