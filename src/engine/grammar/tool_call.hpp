// Calls of functions as a model writes them: learned from how its chat template writes a call that
// an assistant made earlier, and forced by an automaton.
#pragma once
#include "engine/chat_template.hpp"
#include "engine/grammar/json_text.hpp"

namespace assay::engine {

// A call is before ‖ name ‖ between ‖ arguments (a JSON object) ‖ after, and then the turn ends.
struct ToolFormat {
  std::string before, between, after;
};
// unsupported: the template shows no tools, or writes calls so that they cannot be told (the name
// after the arguments, control tokens around them).
Result<ToolFormat> tool_format(const ChatTemplate& chat, const Tokenizer& tokenizer);

struct Tool {
  std::string name;
  json::value parameters;  // JSON Schema of the arguments
};

// One call of one of the tools; where it is not `required`, any text as well that does not begin
// as a call does: with `before` up to its first space, quote or brace (or its first character).
// Errors: those of JsonSchema, the tool's name in front; unsupported.
Result<canon::Automaton> tool_automaton(const ToolFormat& format, std::span<const Tool> tools,
                                        bool required);

// An answer under that automaton, told apart as it comes.
class ToolCallReader {
 public:
  struct Part {
    enum class Kind { text, name, arguments } kind;
    std::string text;
  };
  ToolCallReader(ToolFormat format, bool required)
      : format_(std::move(format)), required_(required) {}

  std::vector<Part> push(std::string_view text);
  // Nothing comes any more.
  std::vector<Part> finish();
  bool called() const { return mode_ == Mode::arguments; }

 private:
  std::string object_part(std::string text);  // what of it belongs to the arguments

  enum class Mode { undecided, text, name, arguments };
  ToolFormat format_;
  bool required_;
  Mode mode_ = Mode::undecided;
  std::string held_;
  // Of the arguments so far.
  std::uint32_t depth_ = 0;
  bool quoted_ = false, escaped_ = false, ended_ = false;
};

}  // namespace assay::engine
