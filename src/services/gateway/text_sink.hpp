// Tokens to the text a client sees: whole characters only, cut before the first stop string.
#pragma once
#include "engine/tokenizer.hpp"
#include "services/gateway/answer.hpp"
#include "services/gateway/stop_strings.hpp"

namespace assay::services {

class TextSink : public TokenSink {
 public:
  // show: text that may be seen now, never empty; false when nobody takes it.
  TextSink(const engine::Tokenizer& tokenizer, std::vector<std::string> stops,
           std::function<bool(std::string_view)> show, std::function<bool()> gone);

  bool tokens(std::span<const std::uint32_t> tokens) override;
  bool gone() override { return left_ || gone_(); }
  // The end of the answer: what was held back.
  void finish();
  bool stopped() const { return trimmer_.stopped(); }

 private:
  void emit(const std::string& text);

  engine::Detokenizer detokenizer_;
  StopTrimmer trimmer_;
  std::function<bool(std::string_view)> show_;
  std::function<bool()> gone_;
  bool left_ = false;
};

}  // namespace assay::services
