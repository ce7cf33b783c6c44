#include "services/gateway/text_sink.hpp"

namespace assay::services {

TextSink::TextSink(const engine::Tokenizer& tokenizer, std::vector<std::string> stops,
                   std::function<bool(std::string_view)> show, std::function<bool()> gone)
    : detokenizer_(tokenizer),
      trimmer_(std::move(stops)),
      show_(std::move(show)),
      gone_(std::move(gone)) {}

bool TextSink::tokens(std::span<const std::uint32_t> tokens) {
  std::string text;
  for (const std::uint32_t token : tokens) {
    text += trimmer_.push(detokenizer_.push(token));
    if (trimmer_.stopped()) break;
  }
  emit(text);
  return !trimmer_.stopped() && !left_;
}

void TextSink::finish() {
  std::string text = trimmer_.push(detokenizer_.finish());
  text += trimmer_.finish();
  emit(text);
}

void TextSink::emit(const std::string& text) {
  if (!text.empty() && !left_ && !show_(text)) left_ = true;
}

}  // namespace assay::services
