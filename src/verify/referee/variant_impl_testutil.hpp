// What the two files of the variant share.
#pragma once
#include <bit>
#include <cmath>

#include "verify/referee/step_reader.hpp"
#include "verify/referee/variant_testutil.hpp"

namespace assay::verify::test {

struct Variant {
  Wrong wrong;
  StepReader& in;

  bool is(Wrong w) const { return wrong == w; }
  const Op& op() const { return in.op(); }
  std::uint64_t e() const { return in.element(); }

  StepValue num(float v, bool minus_infinity = false) const {
    const bool plain = std::isfinite(v) || is(Wrong::infinities_pass) ||
                       (minus_infinity && v == -INFINITY && !is(Wrong::minus_infinity_faults));
    return plain ? StepValue{.bits = std::bit_cast<std::uint32_t>(v)} : StepValue{.fault = true};
  }
  float mul_add(Wrong unfused, float a, float b, float c) const {
    if (!is(unfused)) return std::fma(a, b, c);
    const float product = a * b;
    return product + c;
  }
  // A product and a sum that the canon rounds twice.
  float product_sum(Wrong fused, float a, float b, float c) const {
    if (is(fused)) return std::fma(a, b, c);
    const float product = a * b;
    return product + c;
  }
  StepValue exponential(float x) const;
};

StepResult variant_of_layer(const Variant& v);
StepResult variant_of_attention(const Variant& v);
StepResult variant_of_head(const Variant& v);

}  // namespace assay::verify::test
