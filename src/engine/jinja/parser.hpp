// Template text to a tree. Everything a template may use is checked here, taken
// branches or not: what is not supported is refused with its place.
#pragma once
#include "engine/jinja/ast.hpp"

namespace assay::engine::jinja {

inline constexpr std::size_t kMaxTemplateBytes = 512u << 10;
inline constexpr std::uint32_t kMaxDepth = 100;  // of expressions, and of statements

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<ExpressionPtr> expression(bool conditional = true);
  // One expression, or a tuple of several without parentheses.
  Result<ExpressionPtr> expressions(bool conditional = true);
  // Filters over the text of a block: "| a | b", and with the first one bare,
  // "a | b".
  Result<ExpressionPtr> captured_filters();
  Result<ExpressionPtr> first_filter();

  const Token& current() const { return tokens_[at_]; }
  bool is_symbol(std::string_view symbol) const;
  bool is_name(std::string_view name) const;
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  Status expect_symbol(std::string_view symbol);
  Result<std::string> expect_name();
  void advance() { at_ += at_ + 1 < tokens_.size() ? 1 : 0; }
  std::unexpected<Error> unexpected_token(std::string_view wanted) const;

  std::uint32_t macro_depth = 0;  // how many macros are open around the current place

 private:
  using Node = std::unique_ptr<Expression>;
  Result<ExpressionPtr> logical_or();
  Result<ExpressionPtr> logical_and();
  Result<ExpressionPtr> logical_not();
  Result<ExpressionPtr> comparison();
  Result<ExpressionPtr> sum();
  Result<ExpressionPtr> concat();
  Result<ExpressionPtr> product();
  Result<ExpressionPtr> power();
  Result<ExpressionPtr> unary(bool filters = true);
  Result<ExpressionPtr> primary();
  Result<ExpressionPtr> parenthesized();
  Result<ExpressionPtr> list();
  Result<ExpressionPtr> dict();
  Result<ExpressionPtr> postfix(ExpressionPtr operand);
  Result<ExpressionPtr> bracket(ExpressionPtr operand);
  Result<ExpressionPtr> filters(ExpressionPtr operand);
  Result<ExpressionPtr> filter(ExpressionPtr operand);
  Result<ExpressionPtr> test(ExpressionPtr operand);
  Status arguments(Expression& call);
  Node node(Expression::Kind kind) const;
  // Takes over the children's depth; refuses what is too deep.
  Result<ExpressionPtr> done(Node node) const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::uint32_t depth_ = 0;
};

Result<Body> parse_template(std::string_view source);

}  // namespace assay::engine::jinja
