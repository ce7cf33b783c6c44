#include "market/money.hpp"

#include "base/int128.hpp"
#include "base/json.hpp"

namespace assay::market {

std::string format_money(Micros amount) {
  const bool negative = amount < 0;
  const std::uint64_t magnitude =
      negative ? 0 - static_cast<std::uint64_t>(amount) : static_cast<std::uint64_t>(amount);
  std::string decimals = fmt::format("{:06}", magnitude % kMicrosPerUnit);
  while (decimals.size() > 2 && decimals.back() == '0') decimals.pop_back();
  return fmt::format("{}{}.{}", negative ? "-" : "", magnitude / kMicrosPerUnit, decimals);
}

Result<Micros> parse_money(std::string_view text) {
  const auto dot = text.find('.');
  const auto whole_text = text.substr(0, dot);
  std::string decimals(dot == text.npos ? "" : text.substr(dot + 1));
  const auto digits = [](std::string_view s) {
    return !s.empty() && s.find_first_not_of("0123456789") == s.npos;
  };
  if (!digits(whole_text) || (dot != text.npos && !digits(decimals)))
    return fail(Errc::invalid, "'{}' is not an amount of money; write it like 12.50", text);
  if (decimals.size() > 6)
    return fail(Errc::invalid, "'{}' has more than six decimals; the smallest unit is 0.000001",
                text);
  decimals.resize(6, '0');
  Micros total = 0;
  for (const char c : std::string(whole_text) + decimals)
    if (__builtin_mul_overflow(total, 10, &total) || __builtin_add_overflow(total, c - '0', &total))
      return fail(Errc::invalid, "'{}' is too much money; the most is 9223372036854.775807", text);
  return total;
}

std::optional<Micros> add(Micros a, Micros b) {
  Micros sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

Micros discounted(Micros price, std::uint32_t discount_bps) {
  const Int128 left = static_cast<Int128>(price) * (10'000 - discount_bps);
  return static_cast<Micros>((left + 9'999) / 10'000);
}

}  // namespace assay::market
