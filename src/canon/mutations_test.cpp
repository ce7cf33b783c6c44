// The committed vectors kill every small wrong variant of the canon: recomputed by an
// implementation with that one mistake, at least one case of at least one file differs in bits.
// The same implementation without a mistake reproduces every file.
#include <iostream>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "canon/fp16.hpp"
#include "canon/variant_testutil.hpp"
#include "canon/vectors_testutil.hpp"

namespace assay::canon {
namespace {

using namespace test;
using Case = json::object;

// Flushing of subnormals by the processor while the object lives.
class Flushing {
 public:
#if defined(__x86_64__)
  static constexpr std::uint64_t kResults = 0x8000, kInputs = 0x0040;
  static std::uint64_t read() { return _mm_getcsr(); }
  static void write(std::uint64_t v) { _mm_setcsr(static_cast<unsigned>(v)); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t kResults = 1u << 24, kInputs = 1u << 24;
  static std::uint64_t read() {
    std::uint64_t v;
    asm volatile("mrs %0, fpcr" : "=r"(v));
    return v;
  }
  static void write(std::uint64_t v) { asm volatile("msr fpcr, %0" : : "r"(v)); }
#endif
  explicit Flushing(std::uint64_t bits) : before_(read()) { write(before_ | bits); }
  ~Flushing() { write(before_); }

 private:
  std::uint64_t before_;
};

std::uint32_t word(const json::value& v) {
  return static_cast<std::uint32_t>(std::stoul(std::string(v.as_string()), nullptr, 16));
}
float number(const json::value& v) { return std::bit_cast<float>(word(v)); }
std::uint32_t integer(const json::value& v) { return v.to_number<std::uint32_t>(); }

template <class T>
std::vector<T> list(const json::value& v, T (*read)(const json::value&)) {
  std::vector<T> out;
  for (const auto& e : v.as_array()) out.push_back(read(e));
  return out;
}
std::vector<float> numbers(const Case& c, std::string_view key) { return list(c.at(key), number); }
std::vector<std::uint16_t> halves(const Case& c, std::string_view key) {
  std::vector<std::uint16_t> out;
  for (const std::uint32_t w : list(c.at(key), word)) out.push_back(static_cast<std::uint16_t>(w));
  return out;
}
Bytes bytes(const Case& c, std::string_view key) {
  return *from_hex(std::string_view(c.at(key).as_string()));
}
std::vector<std::int8_t> quants(const Case& c) {
  const Bytes b = bytes(c, "q");
  return {b.begin(), b.end()};
}
float number_at(const Case& c, std::string_view key) { return number(c.at(key)); }

// The bits decide, and only they: -0 is not +0.
bool same(float a, float b) { return bits(a) == bits(b); }
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return std::ranges::equal(a, b, [](float x, float y) { return same(x, y); });
}

bool same_quants(const Rules& r, const Case& c, std::size_t block) {
  const auto got = variant_quantize(r, numbers(c, "x"), block);
  if (c.at("fault").as_bool()) return !got.has_value();
  return got && got->q == quants(c) && same(got->scale, numbers(c, "scale"));
}

bool same_rows(const Rules& r, const Case& c) {
  const auto x = numbers(c, "x");
  const auto a = variant_quantize(r, x, 32);
  const auto matches = [&](Format format, const char* row, const char* y) {
    return same(variant_row(r, format, bytes(c, row).data(), x, *a), number_at(c, y));
  };
  return a && matches(Format::q8_0, "q8_0", "q8_0_y") && matches(Format::q4_0, "q4_0", "q4_0_y") &&
         matches(Format::f16, "f16", "f16_y") && matches(Format::bf16, "f16", "bf16_y");
}

bool same_k_row(const Rules& r, const Case& c) {
  const auto format =
      std::ranges::find(formats(), std::string_view(c.at("format").as_string()), &FormatInfo::name);
  const Quantized a{quants(c), numbers(c, "scale")};
  return same(variant_row(r, format->format, bytes(c, "row").data(), {}, a), number_at(c, "y"));
}

bool same_norms(const Rules& r, const Case& c, const char* x_key) {
  const auto x = numbers(c, x_key), weight = numbers(c, "weight"), y = numbers(c, "y");
  std::vector<float> got;
  for (std::size_t at = 0; at < x.size(); at += weight.size()) {
    const auto part = variant_rms_norm(r, std::span(x).subspan(at, weight.size()), weight,
                                       number_at(c, "epsilon"));
    got.insert(got.end(), part.begin(), part.end());
  }
  return same(got, y);
}

bool same_gates(const Rules& r, const Case& c) {
  const auto gate = numbers(c, "gate"), up = numbers(c, "up");
  std::vector<float> y(gate.size());
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = variant_silu(r, gate[i]) * up[i];
  return same(y, numbers(c, "y"));
}

bool same_rotation(const Rules& r, const Case& c, const char* key, bool neighbours) {
  auto head = numbers(c, "head");
  const auto row = numbers(c, "row");
  const std::size_t half = head.size() / 2;
  for (std::size_t i = 0; i < half; ++i)
    neighbours ? variant_rotate(r, head[2 * i], head[2 * i + 1], row[2 * i], row[2 * i + 1])
               : variant_rotate(r, head[i], head[i + half], row[2 * i], row[2 * i + 1]);
  return same(head, numbers(c, key));
}

bool same_choice(const Rules& r, const Case& c) {
  const auto logits = numbers(c, "logits");
  std::vector<LogitBias> bias;
  std::vector<std::uint32_t> tape;
  Draw draw{.temperature = number_at(c, "temperature"),
            .top_p = number_at(c, "top_p"),
            .seed = std::stoull(std::string(c.at("seed").as_string())),
            .position = integer(c.at("position"))};
  const bool all = c.contains("top_k");  // sampling_filters, not sampling
  if (all) {
    for (const auto& b : c.at("logit_bias").as_array())
      bias.push_back({integer(b.at(0)), number(b.at(1))});
    tape = list(c.at("tape"), integer);
    draw.logit_bias = bias, draw.tape = tape;
    draw.answer_from = integer(c.at("answer_from"));
    draw.repetition_penalty = number_at(c, "repetition_penalty");
    draw.presence_penalty = number_at(c, "presence_penalty");
    draw.frequency_penalty = number_at(c, "frequency_penalty");
    draw.top_k = integer(c.at("top_k"));
    draw.min_p = number_at(c, "min_p");
  }
  const auto token = variant_sample(r, logits, draw);
  if (all && c.at("fault").as_bool()) return !token.has_value();
  if (token != integer(c.at("token"))) return false;
  auto adjusted = logits;
  variant_adjust(r, adjusted, draw);
  return !all || same(adjusted, numbers(c, "adjusted"));
}

bool same_logprobs(const Rules& r, const Case& c) {
  const auto logits = numbers(c, "logits");
  const float log_sum = variant_log_sum(r, logits), maximum = std::ranges::max(logits);
  std::vector<float> got;
  for (const float l : logits) got.push_back((l - maximum) - log_sum);
  return same(got, numbers(c, "logprobs")) && same(log_sum, number_at(c, "log_sum"));
}

struct File {
  const char* name;
  bool (*same)(const Rules&, const Case&);
};
constexpr File kFiles[] = {
    {"exp",
     [](const Rules& r, const Case& c) {
       return same(variant_exp(r, number_at(c, "x")), number_at(c, "y"));
     }},
    {"log",
     [](const Rules& r, const Case& c) {
       return same(variant_log(r, number_at(c, "x")), number_at(c, "y"));
     }},
    {"q8_activations", [](const Rules& r, const Case& c) { return same_quants(r, c, 32); }},
    {"q8k_activations", [](const Rules& r, const Case& c) { return same_quants(r, c, 256); }},
    {"row_products", same_rows},
    {"k_products", same_k_row},
    {"rms_norm", [](const Rules& r, const Case& c) { return same_norms(r, c, "x"); }},
    {"rms_norm_heads", [](const Rules& r, const Case& c) { return same_norms(r, c, "heads"); }},
    {"swiglu", same_gates},
    {"rope", [](const Rules& r, const Case& c) { return same_rotation(r, c, "rotated", true); }},
    {"rope_variants",
     [](const Rules& r, const Case& c) {
       return same_rotation(r, c, "neighbours", true) && same_rotation(r, c, "halves", false);
     }},
    {"attention",
     [](const Rules& r, const Case& c) {
       return same(variant_attend(r, numbers(c, "q"), halves(c, "k"), halves(c, "v")),
                   numbers(c, "out"));
     }},
    {"sampling", same_choice},
    {"sampling_filters", same_choice},
    {"logprobs", same_logprobs},
};

json::array load(const char* name) {
  std::ifstream in(std::filesystem::path(ASSAY_SOURCE_DIR) / "spec/vectors/canon" /
                       (std::string(name) + ".json"),
                   std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return json::parse(text)->as_object().at("cases").as_array();
}

// "attention 3/5": of how many cases of each file the variant's bits differ.
std::string killers(const Rules& rules, std::uint64_t flushing = 0) {
  std::string out;
  for (const File& file : kFiles) {
    const json::array cases = load(file.name);
    std::size_t differing = 0;
    {
      const Flushing environment(flushing);
      for (const auto& c : cases) differing += !file.same(rules, c.as_object());
    }
    if (differing > 0) out += fmt::format("  {} {}/{}", file.name, differing, cases.size());
  }
  return out;
}

TEST(Mutations, AnImplementationWithoutAMistakeReproducesEveryVector) {
  EXPECT_EQ(killers({}), "");
}

TEST(Mutations, EveryMistakeIsKilled) {
  struct Mutant {
    const char* name;
    Rules rules;
    std::uint64_t flushing = 0;
  };
  const Mutant mutants[] = {
      {"FTZ: subnormal results flushed", {}, Flushing::kResults},
      {"DAZ: subnormal inputs flushed", {}, Flushing::kInputs},
      {"FTZ and DAZ", {}, Flushing::kResults | Flushing::kInputs},
      {"segments of 128", {.segment = 128}},
      {"segments of 512", {.segment = 512}},
      {"a tree instead of a chain", {.wrong = Wrong::tree}},
      {"fma as product and sum", {.wrong = Wrong::unfused}},
      {"product and sum as fma", {.wrong = Wrong::contracted}},
      {"halves away from zero in the quantizer", {.wrong = Wrong::ties_away}},
      {"-128 from the quantizer", {.wrong = Wrong::clamp_to_128}},
      {"division as product with a reciprocal", {.wrong = Wrong::reciprocal}},
      {"attention rescaled inside a segment", {.wrong = Wrong::online_softmax}},
      {"attention rescaled every 64 positions", {.wrong = Wrong::page_softmax}},
      {"attention never rescaled", {.wrong = Wrong::one_maximum}},
      {"msum before isum", {.wrong = Wrong::minimum_first}},
      {"f32(isum) truncated", {.wrong = Wrong::truncated_isum}},
      {"top-k cuts ties", {.wrong = Wrong::ties_cut}},
      {"top-p before top-k", {.wrong = Wrong::nucleus_before_k}},
      {"min-p of normalised probabilities", {.wrong = Wrong::minimum_of_sum}},
      {"presence and frequency over the prompt", {.wrong = Wrong::prompt_counts}},
      {"penalties before bias", {.wrong = Wrong::penalties_first}},
      {"repetition once per occurrence", {.wrong = Wrong::repeated_penalty}},
  };
  for (const Mutant& m : mutants) {
    const std::string by = killers(m.rules, m.flushing);
    std::cout << fmt::format("{:42} killed by:{}\n", m.name, by);
    EXPECT_NE(by, "") << m.name << " survives";
  }
}

}  // namespace
}  // namespace assay::canon
