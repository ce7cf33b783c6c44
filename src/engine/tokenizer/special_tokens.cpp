#include "engine/tokenizer/special_tokens.hpp"

#include <algorithm>

namespace assay::engine {
namespace {

bool ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  for (Token id = 0; id < vocabulary.entries.size(); ++id) {
    const Entry& entry = vocabulary.entries[id];
    if (cut_out(entry.kind) && !entry.text.empty()) by_text_.push_back(id);
  }
  const auto text = [&](Token id) -> std::string_view { return vocabulary.entries[id].text; };
  std::ranges::sort(by_text_, {}, text);
  std::size_t i = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    while (i < by_text_.size() && static_cast<std::uint8_t>(text(by_text_[i])[0]) < byte) ++i;
    first_[byte] = i;
  }
  first_[256] = by_text_.size();
}

bool SpecialTokens::swallows(Token id) const {
  return std::ranges::binary_search(vocabulary_.swallowing, id);
}

// Every place where an entry stands and may count.
std::vector<SpecialTokens::Match> SpecialTokens::matches(
    std::string_view text, std::span<const TextBorder> borders) const {
  std::vector<Match> out;
  auto border = borders.begin();
  for (std::size_t at = 0; at < text.size(); ++at) {
    while (border->end <= at) ++border;
    const auto byte = static_cast<std::uint8_t>(text[at]);
    auto first = by_text_.begin() + static_cast<std::ptrdiff_t>(first_[byte]);
    auto last = by_text_.begin() + static_cast<std::ptrdiff_t>(first_[byte + 1u]);
    // All of [first, last) begin with the `length` bytes at `at`; the shortest is in front.
    for (std::size_t length = 1; first != last; ++length) {
      const Entry& entry = vocabulary_.entries[*first];
      if (entry.text.size() == length) {
        const bool counts =
            !special(entry.kind) || (border->specials && at + length <= border->end);
        if (counts) out.push_back({at, length, *first});
        ++first;
      }
      if (at + length == text.size()) break;
      const auto next = [&](Token id) {
        return static_cast<std::uint8_t>(vocabulary_.entries[id].text[length]);
      };
      const auto same = std::ranges::equal_range(
          first, last, static_cast<std::uint8_t>(text[at + length]), std::ranges::less{}, next);
      first = same.begin();
      last = same.end();
    }
  }
  return out;
}

std::vector<Fragment> SpecialTokens::cut(std::string_view text,
                                         std::span<const TextBorder> borders) const {
  std::vector<Match> found = matches(text, borders);
  std::ranges::sort(found, [](const Match& a, const Match& b) {
    if (a.length != b.length) return a.length > b.length;
    return a.id != b.id ? a.id < b.id : a.at < b.at;
  });
  std::vector<bool> taken(found.empty() ? 0 : text.size());
  std::vector<Match> kept;  // length: with the white space swallowed
  for (Match match : found) {
    bool overlaps = false;
    for (std::size_t i = 0; i < match.length; ++i) overlaps |= taken[match.at + i];
    if (overlaps) continue;
    std::size_t end = match.at + match.length;
    if (swallows(match.id))
      while (end < text.size() && !taken[end] && ascii_space(text[end])) ++end;
    for (std::size_t i = match.at; i < end; ++i) taken[i] = true;
    match.length = end - match.at;
    kept.push_back(match);
  }
  std::ranges::sort(kept, {}, &Match::at);

  std::vector<Fragment> out;
  std::size_t at = 0;
  for (const Match& match : kept) {
    if (match.at > at) out.push_back({text.substr(at, match.at - at), std::nullopt});
    out.push_back({{}, match.id});
    at = match.at + match.length;
  }
  if (at < text.size()) out.push_back({text.substr(at), std::nullopt});
  return out;
}

}  // namespace assay::engine
