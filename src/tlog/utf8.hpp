// What notes ask of text: well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms), and
// names without Unicode white space.
#pragma once
#include <string_view>

namespace assay::tlog {

bool valid_utf8(std::string_view text);
// A code point with the property White_Space. `text` is valid UTF-8.
bool has_unicode_space(std::string_view text);

}  // namespace assay::tlog
