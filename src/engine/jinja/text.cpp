#include "engine/jinja/text.hpp"

#include <algorithm>
#include <cstring>

namespace assay::engine::jinja {
namespace {

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Where the last character before `end` begins.
std::size_t character_before(std::string_view text, std::size_t end) {
  std::size_t at = end - 1;
  for (int i = 0; i < 3 && at > 0 && is_continuation(text[at]); ++i) --at;
  std::size_t next = at;
  next_character(text, next);
  return next == end ? at : end - 1;
}

template <class Drop>
Text trim_where(const Text& text, Side side, Drop drop) {
  const std::string& s = text.bytes();
  std::size_t begin = 0, end = s.size();
  if (side != Side::right) {
    while (begin < end) {
      std::size_t next = begin;
      if (!drop(next_character(s, next))) break;
      begin = next;
    }
  }
  if (side != Side::left) {
    while (begin < end) {
      const std::size_t before = character_before(s, end);
      std::size_t at = before;
      if (!drop(next_character(s, at))) break;
      end = before;
    }
  }
  return text.slice(begin, std::max(begin, end));
}

std::string reversed(std::string_view s) { return {s.rbegin(), s.rend()}; }

// A piece of a text that becomes a value of its own.
Status add_piece(std::vector<Text>& out, Text piece, Work& work) {
  CHECK_OK(work.spend(3));
  CHECK_OK(work.spend_bytes(piece.weight()));
  out.push_back(std::move(piece));
  return {};
}

bool is_line_end(char32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

}  // namespace

Text::Text(std::string bytes, bool literal) : bytes_(std::move(bytes)) {
  if (!bytes_.empty()) runs_.push_back({bytes_.size(), literal});
}

void Text::append(std::string_view bytes, bool literal) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().literal == literal)
    runs_.back().end = bytes_.size();
  else
    runs_.push_back({bytes_.size(), literal});
}

void Text::append(const Text& other, std::size_t begin, std::size_t end) {
  auto run = std::ranges::upper_bound(other.runs_, begin, {}, &Run::end);
  for (std::size_t at = begin; at < end; ++run) {
    const std::size_t stop = std::min(run->end, end);
    append(std::string_view(other.bytes_).substr(at, stop - at), run->literal);
    at = stop;
  }
}

Text Text::slice(std::size_t begin, std::size_t end) const {
  Text out;
  if (begin < end) out.append(*this, begin, end);
  out.marked_ = marked_;
  return out;
}

Text Text::marked_safe() const {
  Text out = *this;
  out.marked_ = true;
  return out;
}

Text Text::unmarked() const {
  Text out = *this;
  out.marked_ = false;
  return out;
}

Text Text::with_bytes(std::string bytes) const {
  Text out;
  out.bytes_ = std::move(bytes);
  out.runs_ = runs_;
  out.marked_ = marked_;
  return out;
}

char32_t next_character(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t c = length == 1 ? lead : lead & (0x7fu >> length);
  bool whole = at + length <= text.size();
  for (std::size_t i = 1; whole && i < length; ++i) {
    whole = is_continuation(text[at + i]);
    c = c << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fu);
  }
  at += whole ? length : 1;
  return whole && (length > 1 || lead < 0x80) ? c : 0xfffd;
}

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) next_character(text, at);
  return count;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

Text trim(const Text& text, Side side) { return trim_where(text, side, is_space); }

// memmem() is linear (Crochemore and Perrin 1991, "Two-way string-matching"); std::string::find is
// not.
std::size_t find_in(std::string_view text, std::string_view needle, std::size_t from) {
  if (from > text.size()) return text.npos;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (found == nullptr) return text.npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t rfind_in(std::string_view text, std::string_view needle) {
  const std::size_t at = find_in(reversed(text), reversed(needle));
  return at == text.npos ? at : text.size() - at - needle.size();
}

Result<Text> trim(const Text& text, Side side, std::string_view chars, Work& work) {
  bool ascii[128] = {};
  std::vector<char32_t> others;
  CHECK_OK(work.spend_bytes(8 * chars.size()));
  for (std::size_t at = 0; at < chars.size();) {
    const char32_t c = next_character(chars, at);
    if (c < 128)
      ascii[c] = true;
    else
      others.push_back(c);
  }
  CHECK_OK(work.spend_bytes((others.empty() ? 1 : 16) * text.size()));
  std::ranges::sort(others);
  return trim_where(text, side, [&](char32_t c) {
    return c < 128 ? ascii[c] : std::ranges::binary_search(others, c);
  });
}

Result<std::vector<Text>> split(const Text& text, std::string_view separator, Work& work,
                                std::size_t limit, bool from_right) {
  CHECK_OK(work.spend_bytes(2 * text.size() + separator.size()));
  const std::string s = from_right ? reversed(text.bytes()) : text.bytes();
  const std::string wanted = from_right ? reversed(separator) : std::string(separator);
  std::vector<Text> out;
  std::size_t begin = 0;
  const auto piece = [&](std::size_t from, std::size_t to) {
    return from_right ? text.slice(s.size() - to, s.size() - from) : text.slice(from, to);
  };
  while (out.size() < limit) {
    const std::size_t at = find_in(s, wanted, begin);
    if (at == s.npos) break;
    CHECK_OK(add_piece(out, piece(begin, at), work));
    begin = at + wanted.size();
  }
  CHECK_OK(add_piece(out, piece(begin, s.size()), work));
  if (from_right) std::ranges::reverse(out);
  return out;
}

Result<std::vector<Text>> split_space(const Text& text, Work& work, std::size_t limit) {
  CHECK_OK(work.spend_bytes(2 * text.size()));
  const std::string& s = text.bytes();
  std::vector<Text> out;
  std::size_t at = 0;
  while (true) {
    std::size_t begin = at;
    while (begin < s.size() && is_space(next_character(s, at))) begin = at;
    if (begin >= s.size()) return out;
    if (out.size() == limit) {
      CHECK_OK(add_piece(out, trim(text.slice(begin, s.size()), Side::right), work));
      return out;
    }
    std::size_t end = begin;
    at = begin;
    while (end < s.size() && !is_space(next_character(s, at))) end = at;
    CHECK_OK(add_piece(out, text.slice(begin, end), work));
    at = end;
  }
}

Result<std::vector<Text>> split_lines(const Text& text, Work& work) {
  CHECK_OK(work.spend_bytes(text.size()));
  const std::string& s = text.bytes();
  std::vector<Text> out;
  std::size_t begin = 0, at = 0;
  while (at < s.size()) {
    const std::size_t end = at;
    const char32_t c = next_character(s, at);
    if (!is_line_end(c)) continue;
    if (c == '\r' && at < s.size() && s[at] == '\n') ++at;
    CHECK_OK(add_piece(out, text.slice(begin, end), work));
    begin = at;
  }
  if (begin < s.size()) CHECK_OK(add_piece(out, text.slice(begin, s.size()), work));
  return out;
}

Result<Text> replace(const Text& text, std::string_view from, const Text& to, Work& work,
                     std::size_t limit) {
  CHECK_OK(work.spend_bytes(text.weight() + from.size()));
  const std::string& s = text.bytes();
  Text out;
  std::size_t at = 0, count = 0;
  if (from.empty()) {  // before every character and at the end
    while (count++ < limit) {
      CHECK_OK(work.spend_bytes(to.weight()));
      out.append(to);
      if (at == s.size()) return out;
      const std::size_t begin = at;
      next_character(s, at);
      out.append(text, begin, at);
    }
  }
  while (count++ < limit && !from.empty()) {
    const std::size_t found = find_in(s, from, at);
    if (found == s.npos) break;
    CHECK_OK(work.spend_bytes(to.weight()));
    out.append(text, at, found);
    out.append(to);
    at = found + from.size();
  }
  out.append(text, at, s.size());
  return out;
}

Result<Text> join(std::span<const Text> parts, const Text& separator, Work& work) {
  Text out;
  bool first = true;
  for (const Text& part : parts) {
    CHECK_OK(work.spend_bytes(part.weight() + separator.weight()));
    if (!first) out.append(separator);
    out.append(part);
    first = false;
  }
  return out;
}

Result<Text> escape(const Text& text, Work& work) {
  CHECK_OK(work.spend_bytes(text.weight()));
  if (text.marked()) return text;
  static constexpr std::string_view kCharacters = "&<>'\"";
  static constexpr std::string_view kEntities[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  const std::string& s = text.bytes();
  Text out;
  std::size_t at = 0;
  for (const Text::Run& run : text.runs()) {
    while (at < run.end) {
      const std::size_t special = std::min(s.find_first_of(kCharacters, at), run.end);
      out.append(std::string_view(s).substr(at, special - at), run.literal);
      at = special;
      if (at == run.end) break;
      CHECK_OK(work.spend(1));
      out.append(kEntities[kCharacters.find(s[at])], run.literal);
      ++at;
    }
  }
  return out.marked_safe();
}

}  // namespace assay::engine::jinja
