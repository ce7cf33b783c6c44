#include <charconv>

#include "engine/jinja/library.hpp"
#include "engine/jinja/parser.hpp"

namespace assay::engine::jinja {
namespace {

using Kind = Expression::Kind;

std::string shown(const Token& token) {
  switch (token.kind) {
    case Token::Kind::end:
      return "the end of the template";
    case Token::Kind::block_end:
    case Token::Kind::print_end:
      return "the end of the tag";
    case Token::Kind::data:
    case Token::Kind::block_begin:
    case Token::Kind::print_begin:
      return "text";
    case Token::Kind::string:
      return "a string";
    default:
      return fmt::format("'{}'", token.text);
  }
}

}  // namespace

bool ExpressionParser::is_symbol(std::string_view symbol) const {
  return current().kind == Token::Kind::symbol && current().text == symbol;
}
bool ExpressionParser::is_name(std::string_view name) const {
  return current().kind == Token::Kind::name && current().text == name;
}
bool ExpressionParser::skip_symbol(std::string_view symbol) {
  if (!is_symbol(symbol)) return false;
  advance();
  return true;
}
bool ExpressionParser::skip_name(std::string_view name) {
  if (!is_name(name)) return false;
  advance();
  return true;
}

std::unexpected<Error> ExpressionParser::unexpected_token(std::string_view wanted) const {
  return fail_at(current().at, Errc::invalid, "{} where {} belongs", shown(current()), wanted);
}

Status ExpressionParser::expect_symbol(std::string_view symbol) {
  if (skip_symbol(symbol)) return {};
  return unexpected_token(fmt::format("'{}'", symbol));
}

Result<std::string> ExpressionParser::expect_name() {
  if (current().kind != Token::Kind::name) return unexpected_token("a name");
  std::string out = current().text;
  advance();
  return out;
}

ExpressionParser::Node ExpressionParser::node(Kind kind) const {
  auto out = std::make_unique<Expression>();
  out->kind = kind;
  out->at = current().at;
  return out;
}

Result<ExpressionPtr> ExpressionParser::done(Node node) const {
  const auto deepen = [&](const ExpressionPtr& child) {
    if (child) node->depth = std::max(node->depth, child->depth + 1);
  };
  for (const auto& child : node->operands) deepen(child);
  for (const auto& [name, child] : node->named) deepen(child);
  if (node->depth > kMaxDepth)
    return fail_at(node->at, Errc::refused, "the expression nests deeper than {}", kMaxDepth);
  return ExpressionPtr(std::move(node));
}

Result<ExpressionPtr> ExpressionParser::expressions(bool conditional) {
  Node tuple = node(Kind::tuple);
  bool comma = false;
  do {
    const Token::Kind kind = current().kind;
    if (comma && (kind == Token::Kind::block_end || kind == Token::Kind::print_end ||
                  is_symbol(")") || is_symbol("=") || is_name("in")))
      break;
    TRY(auto item, expression(conditional));
    tuple->operands.push_back(std::move(item));
    if (!is_symbol(",")) break;
    comma = true;
  } while (skip_symbol(","));
  if (!comma) return std::move(tuple->operands[0]);
  return done(std::move(tuple));
}

Result<ExpressionPtr> ExpressionParser::expression(bool conditional) {
  if (depth_ >= kMaxDepth)
    return fail_at(current().at, Errc::refused, "the expression nests deeper than {}", kMaxDepth);
  ++depth_;
  auto out = logical_or();
  while (conditional && out && is_name("if")) {
    Node choice = node(Kind::conditional);
    advance();
    auto condition = logical_or();
    if (!condition) return condition;
    ExpressionPtr otherwise;
    if (skip_name("else")) {
      TRY(otherwise, expression());
    }
    choice->operands.push_back(std::move(*condition));
    choice->operands.push_back(std::move(*out));
    choice->operands.push_back(std::move(otherwise));
    out = done(std::move(choice));
  }
  --depth_;
  return out;
}

Result<ExpressionPtr> ExpressionParser::logical_or() {
  TRY(ExpressionPtr left, logical_and());
  if (!is_name("or")) return left;
  Node out = node(Kind::logical_or);
  out->operands.push_back(std::move(left));
  while (skip_name("or")) {
    TRY(auto right, logical_and());
    out->operands.push_back(std::move(right));
  }
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::logical_and() {
  TRY(ExpressionPtr left, logical_not());
  if (!is_name("and")) return left;
  Node out = node(Kind::logical_and);
  out->operands.push_back(std::move(left));
  while (skip_name("and")) {
    TRY(auto right, logical_not());
    out->operands.push_back(std::move(right));
  }
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::logical_not() {
  std::vector<Node> nots;
  while (is_name("not")) {
    nots.push_back(node(Kind::logical_not));
    advance();
  }
  TRY(ExpressionPtr out, comparison());
  for (; !nots.empty(); nots.pop_back()) {
    nots.back()->operands.push_back(std::move(out));
    TRY(out, done(std::move(nots.back())));
  }
  return out;
}

Result<ExpressionPtr> ExpressionParser::comparison() {
  static constexpr std::pair<std::string_view, Op> kSymbols[] = {
      {"==", Op::equal},      {"!=", Op::not_equal}, {"<", Op::less},
      {"<=", Op::less_equal}, {">", Op::greater},    {">=", Op::greater_equal}};
  TRY(ExpressionPtr left, sum());
  Node out = node(Kind::compare);
  while (true) {
    std::optional<Op> op;
    if (current().kind == Token::Kind::symbol) {
      for (const auto& [symbol, meaning] : kSymbols)
        if (current().text == symbol) op = meaning;
    } else if (is_name("in")) {
      op = Op::in;
    } else if (is_name("not") && tokens_[at_ + 1].kind == Token::Kind::name &&
               tokens_[at_ + 1].text == "in") {
      op = Op::not_in;
      advance();
    }
    if (!op) break;
    advance();
    TRY(auto right, sum());
    out->ops.push_back(*op);
    out->operands.push_back(std::move(right));
  }
  if (out->ops.empty()) return left;
  out->operands.insert(out->operands.begin(), std::move(left));
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::sum() {
  TRY(ExpressionPtr left, concat());
  while (is_symbol("+") || is_symbol("-")) {
    Node out = node(Kind::arithmetic);
    out->ops.push_back(is_symbol("+") ? Op::add : Op::subtract);
    advance();
    TRY(auto right, concat());
    out->operands.push_back(std::move(left));
    out->operands.push_back(std::move(right));
    TRY(left, done(std::move(out)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::concat() {
  TRY(ExpressionPtr left, product());
  if (!is_symbol("~")) return left;
  Node out = node(Kind::concat);
  out->operands.push_back(std::move(left));
  while (skip_symbol("~")) {
    TRY(auto right, product());
    out->operands.push_back(std::move(right));
  }
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::product() {
  static constexpr std::pair<std::string_view, Op> kSymbols[] = {
      {"*", Op::multiply}, {"/", Op::divide}, {"//", Op::floor_divide}, {"%", Op::modulo}};
  TRY(ExpressionPtr left, power());
  while (true) {
    std::optional<Op> op;
    for (const auto& [symbol, meaning] : kSymbols)
      if (is_symbol(symbol)) op = meaning;
    if (!op) return left;
    Node out = node(Kind::arithmetic);
    out->ops.push_back(*op);
    advance();
    TRY(auto right, power());
    out->operands.push_back(std::move(left));
    out->operands.push_back(std::move(right));
    TRY(left, done(std::move(out)));
  }
}

Result<ExpressionPtr> ExpressionParser::power() {
  TRY(ExpressionPtr left, unary());
  while (is_symbol("**")) {
    Node out = node(Kind::arithmetic);
    out->ops.push_back(Op::power);
    advance();
    TRY(auto right, unary());
    out->operands.push_back(std::move(left));
    out->operands.push_back(std::move(right));
    TRY(left, done(std::move(out)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::unary(bool with_filters) {
  std::vector<Node> signs;
  while (is_symbol("-") || is_symbol("+")) {
    signs.push_back(node(is_symbol("-") ? Kind::negative : Kind::positive));
    advance();
  }
  TRY(ExpressionPtr out, primary());
  TRY(out, postfix(std::move(out)));
  for (; !signs.empty(); signs.pop_back()) {
    signs.back()->operands.push_back(std::move(out));
    TRY(out, done(std::move(signs.back())));
  }
  return with_filters ? filters(std::move(out)) : Result<ExpressionPtr>(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::primary() {
  if (is_symbol("(")) return parenthesized();
  if (is_symbol("[")) return list();
  if (is_symbol("{")) return dict();
  const Token& token = current();
  Node out = node(Kind::constant);
  if (token.kind == Token::Kind::string) {
    std::string text;
    for (; current().kind == Token::Kind::string; advance()) text += current().text;
    out->value = Text(std::move(text), true);
    return done(std::move(out));
  }
  if (token.kind == Token::Kind::integer) {
    std::int64_t value = 0;
    const auto [end, error] =
        std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    if (error != std::errc())
      return fail_at(token.at, Errc::unsupported, "an integer beyond 64 bits is not supported");
    out->value = value;
  } else if (token.kind == Token::Kind::real) {
    double value = 0;
    std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    out->value = value;
  } else if (token.kind != Token::Kind::name) {
    return unexpected_token("an expression");
  } else if (token.text == "true" || token.text == "True") {
    out->value = true;
  } else if (token.text == "false" || token.text == "False") {
    out->value = false;
  } else if (token.text == "none" || token.text == "None") {
    out->value = None{};
  } else {
    if (macro_depth > 0 &&
        (token.text == "varargs" || token.text == "kwargs" || token.text == "caller"))
      return fail_at(token.at, Errc::unsupported, "'{}' in a macro is not supported", token.text);
    out->kind = Kind::name;
    out->name = token.text;
  }
  advance();
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::parenthesized() {
  Node empty = node(Kind::tuple);
  CHECK_OK(expect_symbol("("));
  if (skip_symbol(")")) return done(std::move(empty));
  TRY(ExpressionPtr out, expressions());
  CHECK_OK(expect_symbol(")"));
  return out;
}

Result<ExpressionPtr> ExpressionParser::list() {
  Node out = node(Kind::list);
  CHECK_OK(expect_symbol("["));
  while (!is_symbol("]")) {
    if (!out->operands.empty()) CHECK_OK(expect_symbol(","));
    if (is_symbol("]")) break;
    TRY(auto item, expression());
    out->operands.push_back(std::move(item));
  }
  CHECK_OK(expect_symbol("]"));
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::dict() {
  Node out = node(Kind::dict);
  CHECK_OK(expect_symbol("{"));
  while (!is_symbol("}")) {
    if (!out->operands.empty()) CHECK_OK(expect_symbol(","));
    if (is_symbol("}")) break;
    TRY(auto key, expression());
    CHECK_OK(expect_symbol(":"));
    TRY(auto value, expression());
    out->operands.push_back(std::move(key));
    out->operands.push_back(std::move(value));
  }
  CHECK_OK(expect_symbol("}"));
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::postfix(ExpressionPtr operand) {
  while (true) {
    if (is_symbol(".")) {
      Node out = node(Kind::attribute);
      advance();
      out->at = current().at;
      if (current().kind == Token::Kind::integer) {
        out->kind = Kind::subscript;
        TRY(auto index, primary());
        out->operands.push_back(std::move(operand));
        out->operands.push_back(std::move(index));
      } else {
        TRY(out->name, expect_name());
        if (is_symbol("(") && !is_method_name(out->name) && out->name != "cycle")
          return fail_at(out->at, Errc::unsupported, "method '{}' is not supported", out->name);
        out->operands.push_back(std::move(operand));
      }
      TRY(operand, done(std::move(out)));
    } else if (is_symbol("[")) {
      TRY(operand, bracket(std::move(operand)));
    } else if (is_symbol("(")) {
      Node out = node(Kind::call);
      out->at = operand->at;
      out->operands.push_back(std::move(operand));
      CHECK_OK(arguments(*out));
      TRY(operand, done(std::move(out)));
    } else {
      return operand;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::bracket(ExpressionPtr operand) {
  Node out = node(Kind::slice);
  CHECK_OK(expect_symbol("["));
  std::vector<ExpressionPtr> parts(1);
  while (!is_symbol("]")) {
    if (skip_symbol(":")) {
      parts.emplace_back();
      continue;
    }
    if (parts.back()) return unexpected_token("']'");
    TRY(parts.back(), expression());
  }
  const Position end = current().at;
  advance();
  if (parts.size() > 3 || (parts.size() == 1 && !parts[0]))
    return fail_at(end, Errc::invalid, "']' where an index belongs");
  if (parts.size() == 1) out->kind = Kind::subscript;
  out->operands.push_back(std::move(operand));
  for (auto& part : parts) out->operands.push_back(std::move(part));
  if (out->kind == Kind::slice) out->operands.resize(4);
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::filters(ExpressionPtr operand) {
  while (true) {
    if (skip_symbol("|")) {
      TRY(operand, filter(std::move(operand)));
    } else if (is_name("is")) {
      TRY(operand, test(std::move(operand)));
    } else if (is_symbol("(")) {
      Node out = node(Kind::call);
      out->operands.push_back(std::move(operand));
      CHECK_OK(arguments(*out));
      TRY(operand, done(std::move(out)));
    } else {
      return operand;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::filter(ExpressionPtr operand) {
  Node out = node(Kind::filter);
  TRY(out->name, expect_name());
  if (!is_filter(out->name))
    return fail_at(out->at, Errc::unsupported, "filter '{}' is not supported", out->name);
  out->operands.push_back(std::move(operand));
  if (is_symbol("(")) CHECK_OK(arguments(*out));
  return done(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::captured_filters() {
  TRY(ExpressionPtr out, done(node(Kind::captured)));
  return filters(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::first_filter() {
  TRY(ExpressionPtr out, done(node(Kind::captured)));
  TRY(out, filter(std::move(out)));
  return filters(std::move(out));
}

Result<ExpressionPtr> ExpressionParser::test(ExpressionPtr operand) {
  advance();
  const bool negated = skip_name("not");
  Node out = node(Kind::test);
  TRY(out->name, expect_name());
  if (!is_predicate(out->name))
    return fail_at(out->at, Errc::unsupported, "test '{}' is not supported", out->name);
  out->operands.push_back(std::move(operand));
  const Token::Kind kind = current().kind;
  if (is_symbol("(")) {
    CHECK_OK(arguments(*out));
  } else if (is_symbol("[") || is_symbol("{") || kind == Token::Kind::string ||
             kind == Token::Kind::integer || kind == Token::Kind::real ||
             (kind == Token::Kind::name && !is_name("else") && !is_name("or") && !is_name("and"))) {
    if (is_name("is"))
      return fail_at(current().at, Errc::invalid, "tests cannot be chained with 'is'");
    TRY(auto argument, primary());
    TRY(argument, postfix(std::move(argument)));
    out->operands.push_back(std::move(argument));
  }
  TRY(ExpressionPtr result, done(std::move(out)));
  if (!negated) return result;
  Node inverse = node(Kind::logical_not);
  inverse->operands.push_back(std::move(result));
  return done(std::move(inverse));
}

Status ExpressionParser::arguments(Expression& call) {
  CHECK_OK(expect_symbol("("));
  bool first = true;
  while (!is_symbol(")")) {
    if (!std::exchange(first, false)) CHECK_OK(expect_symbol(","));
    if (is_symbol(")")) break;
    if (is_symbol("*") || is_symbol("**"))
      return fail_at(current().at, Errc::unsupported, "unpacked arguments are not supported");
    const Token& next = tokens_[std::min(at_ + 1, tokens_.size() - 1)];
    if (current().kind == Token::Kind::name && next.kind == Token::Kind::symbol &&
        next.text == "=") {
      TRY(std::string name, expect_name());
      advance();
      TRY(auto value, expression());
      call.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (!call.named.empty()) return unexpected_token("a named argument");
      TRY(auto value, expression());
      call.operands.push_back(std::move(value));
    }
  }
  return expect_symbol(")");
}

}  // namespace assay::engine::jinja
