#include "crypto/keccak.hpp"

#include <bit>
#include <utility>

namespace assay::crypto {
namespace {

constexpr std::size_t kRate = 136;  // bytes absorbed per permutation at 256-bit output

constexpr std::array<std::uint64_t, 24> kRoundConstants = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};
// Where pi moves each lane and by how much rho rotates it on the way; lane 0 stays.
struct Move {
  std::size_t to = 0;
  int by = 0;
};
constexpr std::array<Move, 25> kMoves = [] {
  constexpr std::array<int, 24> rotations = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                             27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
  constexpr std::array<std::size_t, 24> path = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                                15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};
  std::array<Move, 25> moves{};
  std::size_t from = 1;
  for (std::size_t i = 0; i < path.size(); ++i) {
    moves[from] = {path[i], rotations[i]};
    from = path[i];
  }
  return moves;
}();

using State = std::array<std::uint64_t, 25>;

// Unrolled by the language and not by an optimizer's leave: with every index a constant the state
// stays in registers, which is worth a factor of 3.
template <std::size_t n>
[[gnu::always_inline]] inline void each(auto step) {
  [&]<std::size_t... i>(std::index_sequence<i...>) __attribute__((always_inline)) {
    (step(std::integral_constant<std::size_t, i>{}), ...);
  }(std::make_index_sequence<n>{});
}

void permute(State& state) {
  State a = state, b{};
  for (const std::uint64_t constant : kRoundConstants) {
    std::array<std::uint64_t, 5> c, d;
    each<5>([&](auto x) { c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20]; });
    each<5>([&](auto x) { d[x] = c[(x + 4) % 5] ^ std::rotl(c[(x + 1) % 5], 1); });
    each<25>([&](auto i) { b[kMoves[i].to] = std::rotl(a[i] ^ d[i % 5], kMoves[i].by); });
    each<25>([&](auto i) {
      constexpr std::size_t row = i / 5 * 5, x = i % 5;
      a[i] = b[i] ^ (~b[row + (x + 1) % 5] & b[row + (x + 2) % 5]);
    });
    a[0] ^= constant;
  }
  state = a;
}

void absorb(State& a, const std::uint8_t* block) {
  for (std::size_t i = 0; i < kRate / 8; ++i) a[i] ^= load_le<std::uint64_t>(block + 8 * i);
  permute(a);
}

}  // namespace

Hash keccak256(ByteView data) {
  State a{};
  for (; data.size() >= kRate; data = data.subspan(kRate)) absorb(a, data.data());
  std::array<std::uint8_t, kRate> last{};
  std::ranges::copy(data, last.begin());
  last[data.size()] = 0x01;
  last[kRate - 1] |= 0x80;
  absorb(a, last.data());
  Hash out;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(a[i / 8] >> (8 * (i % 8)));
  return out;
}

}  // namespace assay::crypto
