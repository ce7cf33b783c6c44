#include "canon/automaton.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace assay::canon {
namespace {

constexpr std::size_t kAlphabet = 256;

void append_varint(Bytes& out, std::uint32_t n) {
  for (; n >= 0x80; n >>= 7) out.push_back(static_cast<std::uint8_t>(n | 0x80));
  out.push_back(static_cast<std::uint8_t>(n));
}

std::uint32_t zigzag(std::int32_t n) {
  return n < 0 ? 2 * static_cast<std::uint32_t>(-(n + 1)) + 1 : 2 * static_cast<std::uint32_t>(n);
}

std::int64_t unzigzag(std::uint32_t n) {
  return n % 2 == 0 ? std::int64_t{n / 2} : -std::int64_t{n / 2} - 1;
}

struct Range {
  std::uint32_t first, last, next;
};

std::vector<Range> ranges_of(const Automaton& a, std::uint32_t state) {
  std::vector<Range> out;
  for (std::uint32_t byte = 0; byte < kAlphabet; ++byte) {
    const std::uint32_t next = a.next(state, static_cast<std::uint8_t>(byte));
    if (next == kDead) continue;
    if (!out.empty() && out.back().last + 1 == byte && out.back().next == next)
      out.back().last = byte;
    else
      out.push_back({byte, byte, next});
  }
  return out;
}

class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}
  bool ended() const { return rest_.empty(); }
  Result<std::uint32_t> byte() {
    if (rest_.empty()) return fail(Errc::invalid, "automaton: it ends early");
    const std::uint8_t b = rest_.front();
    rest_ = rest_.subspan(1);
    return b;
  }
  Result<std::uint32_t> varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 21; shift += 7) {
      TRY(const std::uint32_t b, byte());
      value |= (b & 0x7f) << shift;
      if (b < 0x80) return value;
    }
    return fail(Errc::invalid, "automaton: a number is too long");
  }

 private:
  ByteView rest_;
};

}  // namespace

std::uint32_t Automaton::add(bool accepting) {
  ASSAY_ASSERT(states() < kStatesMax);
  accepting_.push_back(accepting ? 1 : 0);
  next_.resize(next_.size() + kAlphabet, static_cast<std::uint16_t>(kDead));
  return static_cast<std::uint32_t>(states() - 1);
}

void Automaton::set(std::uint32_t state, std::uint8_t byte, std::uint32_t next) {
  ASSAY_ASSERT(state < states() && (next < kStatesMax || next == kDead));
  next_[state * kAlphabet + byte] = static_cast<std::uint16_t>(next);
}

Bytes encode(const Automaton& automaton) {
  Bytes out;
  append_le(out, static_cast<std::uint16_t>(automaton.states()));
  for (std::uint32_t state = 0; state < automaton.states(); ++state) {
    const std::vector<Range> ranges = ranges_of(automaton, state);
    append_varint(
        out, static_cast<std::uint32_t>(2 * ranges.size()) + (automaton.accepting(state) ? 1 : 0));
    std::uint32_t at = 0;
    for (const Range& range : ranges) {
      out.push_back(static_cast<std::uint8_t>(range.first - at));
      out.push_back(static_cast<std::uint8_t>(range.last - range.first));
      append_varint(
          out, zigzag(static_cast<std::int32_t>(range.next) - static_cast<std::int32_t>(state)));
      at = range.last + 1;
    }
  }
  return out;
}

Result<Automaton> decode_automaton(ByteView bytes) {
  if (bytes.size() > kAutomatonBytesMax)
    return fail(Errc::invalid, "automaton: {} bytes, at most {} are read", bytes.size(),
                kAutomatonBytesMax);
  if (bytes.size() < 2) return fail(Errc::invalid, "automaton: it ends early");
  const std::uint32_t states = load_le<std::uint16_t>(bytes.data());
  // A state takes a byte at least: nobody makes a reader set aside more than it was sent.
  if (states == 0 || states > kStatesMax || states > bytes.size())
    return fail(Errc::invalid, "automaton: {} states", states);
  Automaton out;
  Reader in(bytes.subspan(2));
  for (std::uint32_t state = 0; state < states; ++state) {
    TRY(const std::uint32_t head, in.varint());
    out.add(head % 2 == 1);
    std::uint32_t at = 0;
    for (std::uint32_t i = 0; i < head / 2; ++i) {
      TRY(const std::uint32_t skipped, in.byte());
      TRY(const std::uint32_t more, in.byte());
      TRY(const std::uint32_t step, in.varint());
      const std::uint32_t first = at + skipped, last = first + more;
      const std::int64_t next = std::int64_t{state} + unzigzag(step);
      if (last >= kAlphabet || next < 0 || next >= states)
        return fail(Errc::invalid, "automaton: state {} leads nowhere", state);
      for (std::uint32_t byte = first; byte <= last; ++byte)
        out.set(state, static_cast<std::uint8_t>(byte), static_cast<std::uint32_t>(next));
      at = last + 1;
    }
  }
  // One automaton, one encoding.
  const Bytes again = encode(out);
  if (!in.ended() || !std::ranges::equal(again, bytes))
    return fail(Errc::invalid, "automaton: not the canonical bytes of what it says");
  return out;
}

std::uint32_t walk(const Automaton& automaton, std::uint32_t state, const Piece& piece) {
  switch (piece.kind) {
    case Piece::Kind::never:
      return kDead;
    case Piece::Kind::end:
      return automaton.accepting(state) ? kEnded : kDead;
    case Piece::Kind::text:
      for (const char c : piece.bytes) state = automaton.next(state, static_cast<std::uint8_t>(c));
      return state;
  }
  return kDead;
}

std::uint32_t state_after(const Constraint& constraint, std::span<const std::uint32_t> answer) {
  std::uint32_t state = 0;
  for (const std::uint32_t token : answer)
    state = token < constraint.pieces.size()
                ? walk(constraint.automaton, state, constraint.pieces[token])
                : kDead;
  return state;
}

}  // namespace assay::canon
