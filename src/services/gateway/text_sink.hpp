// Tokens to what a client sees: whole characters only, cut before the first stop string, and the
// tokens behind them where their log-probabilities are asked for.
#pragma once
#include <deque>

#include "engine/tokenizer.hpp"
#include "services/gateway/answer.hpp"
#include "services/gateway/stop_strings.hpp"
#include "services/gateway/token_logprobs.hpp"

namespace assay::services {

class TextSink : public TokenSink {
 public:
  // What may be seen now, never nothing: text, and every token all of whose text is out (of a token
  // that a stop string cuts, a part). Without log-probabilities no tokens are shown. false when
  // nobody takes it.
  using Show = std::function<bool(std::string_view text, std::span<const ShownToken> tokens)>;

  // stop_ids: tokens that end an answer; they are not part of it.
  TextSink(const engine::Tokenizer& tokenizer, std::vector<std::string> stops,
           std::vector<std::uint32_t> stop_ids, Show show, std::function<bool()> gone);

  bool tokens(const protocol::TokenEvent& event) override;
  bool gone() override { return left_ || gone_(); }
  // The end of the answer: what was held back.
  void finish();
  bool stopped() const { return trimmer_.stopped(); }

 private:
  struct Waiting {
    ShownToken token;
    std::size_t begin, end;  // of its text in the answer, in bytes
  };
  std::string push(std::uint32_t token, std::span<const std::uint32_t> logprobs);
  void emit(const std::string& text);

  engine::Detokenizer detokenizer_;
  StopTrimmer trimmer_;
  std::vector<std::uint32_t> stop_ids_;
  Show show_;
  std::function<bool()> gone_;
  bool left_ = false;
  std::deque<Waiting> waiting_;
  std::size_t made_ = 0, made_characters_ = 0, shown_ = 0;  // text so far
};

}  // namespace assay::services
