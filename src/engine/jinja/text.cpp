#include "engine/jinja/text.hpp"

#include <algorithm>

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
  return out;
}

Text Text::with_bytes(std::string bytes) const {
  Text out;
  out.bytes_ = std::move(bytes);
  out.runs_ = runs_;
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

Text trim(const Text& text, Side side, std::string_view chars) {
  std::vector<char32_t> set;
  for (std::size_t at = 0; at < chars.size();) set.push_back(next_character(chars, at));
  std::ranges::sort(set);
  return trim_where(text, side, [&](char32_t c) { return std::ranges::binary_search(set, c); });
}

std::vector<Text> split(const Text& text, std::string_view separator, std::size_t limit,
                        bool from_right) {
  const std::string& s = text.bytes();
  std::vector<Text> out;
  if (from_right) {
    std::size_t end = s.size();
    while (out.size() < limit && end >= separator.size()) {
      const std::size_t at = s.rfind(separator, end - separator.size());
      if (at == s.npos) break;
      out.push_back(text.slice(at + separator.size(), end));
      end = at;
    }
    out.push_back(text.slice(0, end));
    std::ranges::reverse(out);
    return out;
  }
  std::size_t begin = 0;
  while (out.size() < limit) {
    const std::size_t at = s.find(separator, begin);
    if (at == s.npos) break;
    out.push_back(text.slice(begin, at));
    begin = at + separator.size();
  }
  out.push_back(text.slice(begin, s.size()));
  return out;
}

std::vector<Text> split_space(const Text& text, std::size_t limit) {
  const std::string& s = text.bytes();
  std::vector<Text> out;
  std::size_t at = 0;
  while (true) {
    std::size_t begin = at;
    while (begin < s.size() && is_space(next_character(s, at))) begin = at;
    if (begin >= s.size()) return out;
    if (out.size() == limit) {
      out.push_back(trim(text.slice(begin, s.size()), Side::right));
      return out;
    }
    std::size_t end = begin;
    at = begin;
    while (end < s.size() && !is_space(next_character(s, at))) end = at;
    out.push_back(text.slice(begin, end));
    at = end;
  }
}

std::vector<Text> split_lines(const Text& text) {
  const std::string& s = text.bytes();
  std::vector<Text> out;
  std::size_t begin = 0, at = 0;
  while (at < s.size()) {
    const std::size_t end = at;
    const char32_t c = next_character(s, at);
    if (!is_line_end(c)) continue;
    if (c == '\r' && at < s.size() && s[at] == '\n') ++at;
    out.push_back(text.slice(begin, end));
    begin = at;
  }
  if (begin < s.size()) out.push_back(text.slice(begin, s.size()));
  return out;
}

Text replace(const Text& text, std::string_view from, const Text& to, std::size_t limit) {
  const std::string& s = text.bytes();
  Text out;
  std::size_t at = 0, count = 0;
  if (from.empty()) {  // before every character and at the end
    while (count++ < limit) {
      out.append(to);
      if (at == s.size()) return out;
      const std::size_t begin = at;
      next_character(s, at);
      out.append(text, begin, at);
    }
  }
  while (count++ < limit && !from.empty()) {
    const std::size_t found = s.find(from, at);
    if (found == s.npos) break;
    out.append(text, at, found);
    out.append(to);
    at = found + from.size();
  }
  out.append(text, at, s.size());
  return out;
}

Text join(std::span<const Text> parts, const Text& separator) {
  Text out;
  bool first = true;
  for (const Text& part : parts) {
    if (!first) out.append(separator);
    out.append(part);
    first = false;
  }
  return out;
}

}  // namespace assay::engine::jinja
