// Text that remembers where each of its bytes came from. The template's own
// text is "literal" and may become control tokens; everything a message says is
// "content" and never may. Every operation here keeps that, byte by byte.
// Positions are bytes, except where "characters" (code points) are named; text
// that is not well-formed UTF-8 counts each stray byte as a character.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/jinja/work.hpp"

namespace assay::engine::jinja {

class Text {
 public:
  struct Run {
    std::size_t end;  // where it ends; it begins where the one before it ends
    bool literal;
  };

  Text() = default;
  Text(std::string bytes, bool literal);
  static Text literal(std::string_view bytes) { return {std::string(bytes), true}; }
  static Text content(std::string_view bytes) { return {std::string(bytes), false}; }

  const std::string& bytes() const { return bytes_; }
  std::span<const Run> runs() const { return runs_; }  // neighbours differ, none is empty
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // What copying it costs, in bytes.
  std::size_t weight() const { return bytes_.size() + sizeof(Run) * runs_.size(); }

  // markupsafe's Markup, which jinja2's `safe` and `escape` make of a string: '+' escapes what is
  // added to it. Slices and copies keep the mark, what is appended does not bring it.
  bool marked() const { return marked_; }
  Text marked_safe() const;
  Text unmarked() const;

  void append(std::string_view bytes, bool literal);
  void append(const Text& other) { append(other, 0, other.size()); }
  void append(const Text& other, std::size_t begin, std::size_t end);
  Text slice(std::size_t begin, std::size_t end) const;
  // The same runs over other bytes, as many as before.
  Text with_bytes(std::string bytes) const;

  friend bool operator==(const Text& a, const Text& b) { return a.bytes_ == b.bytes_; }

 private:
  std::string bytes_;
  std::vector<Run> runs_;
  bool marked_ = false;
};

// The character that begins at `at`, which it moves to the next one.
char32_t next_character(std::string_view text, std::size_t& at);
std::size_t characters(std::string_view text);
bool is_space(char32_t c);  // as Python's str.isspace

// As find() and rfind() of std::string_view, in time linear in text and needle, whatever they are.
std::size_t find_in(std::string_view text, std::string_view needle, std::size_t from = 0);
std::size_t rfind_in(std::string_view text, std::string_view needle);

enum class Side { left, right, both };
Text trim(const Text& text, Side side);  // white space

// These spend what they do.
Result<Text> trim(const Text& text, Side side, std::string_view chars,
                  Work& work);  // any of these characters
inline constexpr std::size_t kAll = ~std::size_t{0};
// At most `limit` cuts, from the left or from the right. The separator is not
// empty.
Result<std::vector<Text>> split(const Text& text, std::string_view separator, Work& work,
                                std::size_t limit = kAll, bool from_right = false);
Result<std::vector<Text>> split_space(const Text& text, Work& work, std::size_t limit = kAll);
Result<std::vector<Text>> split_lines(const Text& text, Work& work);
Result<Text> replace(const Text& text, std::string_view from, const Text& to, Work& work,
                     std::size_t limit = kAll);
Result<Text> join(std::span<const Text> parts, const Text& separator, Work& work);
// &, <, >, ' and " as HTML entities, and marked; text that is marked stays as it is.
Result<Text> escape(const Text& text, Work& work);

}  // namespace assay::engine::jinja
