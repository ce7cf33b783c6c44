#include "services/gateway/text_sink.hpp"

#include <algorithm>

namespace assay::services {
namespace {

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

TextSink::TextSink(const engine::Tokenizer& tokenizer, std::vector<std::string> stops,
                   std::vector<std::uint32_t> stop_ids, Show show, std::function<bool()> gone)
    : detokenizer_(tokenizer),
      trimmer_(std::move(stops)),
      stop_ids_(std::move(stop_ids)),
      show_(std::move(show)),
      gone_(std::move(gone)) {}

bool TextSink::tokens(const protocol::TokenEvent& event) {
  const std::size_t width = event.tokens.empty() ? 0 : event.logprobs.size() / event.tokens.size();
  std::string text;
  for (std::size_t i = 0; i < event.tokens.size() && !trimmer_.stopped(); ++i)
    text += push(event.tokens[i], std::span(event.logprobs).subspan(i * width, width));
  emit(text);
  return !trimmer_.stopped() && !left_;
}

std::string TextSink::push(std::uint32_t token, std::span<const std::uint32_t> logprobs) {
  const std::string piece = detokenizer_.push(token);
  if (!logprobs.empty() && !std::ranges::binary_search(stop_ids_, token))
    waiting_.push_back({{token, {logprobs.begin(), logprobs.end()}, made_characters_},
                        made_,
                        made_ + piece.size()});
  made_ += piece.size();
  made_characters_ += characters(piece);
  return trimmer_.push(piece);
}

void TextSink::finish() {
  std::string text = trimmer_.push(detokenizer_.finish());
  text += trimmer_.finish();
  emit(text);
}

void TextSink::emit(const std::string& text) {
  shown_ += text.size();
  std::vector<ShownToken> tokens;
  const auto out = [&](const Waiting& w) {
    return trimmer_.stopped() ? w.begin < shown_ : w.end <= shown_;
  };
  for (; !waiting_.empty() && out(waiting_.front()); waiting_.pop_front())
    tokens.push_back(std::move(waiting_.front().token));
  if ((!text.empty() || !tokens.empty()) && !left_ && !show_(text, tokens)) left_ = true;
}

}  // namespace assay::services
