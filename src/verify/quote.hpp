// Whether a text that somebody quotes is what was signed, by the eyes of a reader: kinds of white
// space and of quotation marks make no difference, anything else is shown.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace assay::verify {

enum class QuoteVerdict {
  whole,    // the signed text, all of it
  excerpt,  // a part of it, or parts in its order with "[…]" between them
  differs,
};

struct QuotePart {
  enum class Kind { same, only_quoted, only_signed, omitted };  // omitted: what a "[…]" stands for
  Kind kind;
  std::string text;
  bool operator==(const QuotePart&) const = default;
};

struct QuoteComparison {
  QuoteVerdict verdict = QuoteVerdict::differs;
  bool exact = false;              // to the byte, without making anything alike
  std::string before{}, after{};   // of the signed text, around the place that is most like it
  std::vector<QuotePart> parts{};  // in order; empty where both are too long to be compared
};

// Made alike: runs of Unicode white space are one space, none counts at the ends; “ ” „ « » and
// their like are ", ‘ ’ ‹ › and their like are '; soft hyphens and byte order marks are nothing. A
// quote in quotation marks of its own is also tried without. A quote without a word differs. Both
// are UTF-8; what is not is compared byte by byte.
QuoteComparison compare_quote(std::string_view quoted, std::string_view signed_text);

std::string_view to_string(QuoteVerdict verdict);
std::string_view to_string(QuotePart::Kind kind);

}  // namespace assay::verify
