// multipart/form-data (RFC 7578), as browsers, curl and OpenAI's clients send it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace assay::services {

struct FormPart {
  std::string name;
  std::string filename;  // "": a field
  std::string_view content;
};

// Views into `body`. Errors: not such a body, no closing boundary, a part without a name.
Result<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body);

}  // namespace assay::services
