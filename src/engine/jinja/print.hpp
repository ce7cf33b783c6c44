// Values as text, as Python writes them.
#pragma once
#include "engine/jinja/value.hpp"

namespace assay::engine::jinja {

// str(value): what {{ value }} prints. A string is itself, nothing else keeps
// its provenance: numbers, lists and dictionaries become content. Undefined
// prints nothing.
Result<Text> to_text(const Value& value, Work& work);

struct JsonStyle {
  std::optional<std::string> indent;  // one level of it
  std::string item = ", ", key = ": ";
  bool sort_keys = false, ascii = false;
};
// json.dumps(value, ensure_ascii=style.ascii, …). Content throughout.
Result<Text> to_json(const Value& value, const JsonStyle& style, Work& work);

std::string python_float(double d);  // repr()

}  // namespace assay::engine::jinja
