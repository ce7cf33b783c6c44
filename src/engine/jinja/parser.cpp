#include "engine/jinja/parser.hpp"

namespace assay::engine::jinja {
namespace {

using StatementKind = Statement::Kind;
using StatementPtr = std::unique_ptr<const Statement>;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : p_(std::move(tokens)) {}

  Result<Body> run() {
    TRY(Body out, body({}));
    return out;
  }

 private:
  using Node = std::unique_ptr<Statement>;

  // Statements up to a tag named one of `ends`, whose name is then in ended_by_
  // and passed.
  Result<Body> body(std::initializer_list<std::string_view> ends) {
    if (depth_ >= kMaxDepth)
      return fail_at(p_.current().at, Errc::refused, "the blocks nest deeper than {}", kMaxDepth);
    ++depth_;
    Body out;
    while (true) {
      const Token token = p_.current();
      p_.advance();
      if (token.kind == Token::Kind::end) {
        if (ends.size() == 0) break;
        return fail_at(token.at, Errc::invalid, "the template ends where '{}' belongs",
                       *(ends.end() - 1));
      }
      if (token.kind == Token::Kind::data) {
        Node node = make(StatementKind::data, token.at);
        node->text = Text(token.text, true);
        out.push_back(std::move(node));
      } else if (token.kind == Token::Kind::print_begin) {
        Node node = make(StatementKind::print, token.at);
        TRY(node->value, p_.expressions());
        if (p_.current().kind != Token::Kind::print_end)
          return p_.unexpected_token("the end of the tag");
        p_.advance();
        out.push_back(std::move(node));
      } else {
        tag_ = p_.current().at;
        TRY(ended_by_, p_.expect_name());
        bool end = false;
        for (const std::string_view name : ends) end = end || name == ended_by_;
        if (end) break;
        TRY(StatementPtr node, statement(ended_by_));
        out.push_back(std::move(node));
      }
    }
    --depth_;
    return out;
  }

  Result<StatementPtr> statement(const std::string& name) {
    if (name == "if") return branch();
    if (name == "for") return loop();
    if (name == "set") return set();
    if (name == "macro") return macro();
    if (name == "filter") return filter();
    if (name == "generation") {
      Node node = make(StatementKind::group, tag_);
      CHECK_OK(tag_end());
      TRY(node->body, body({"endgeneration"}));
      CHECK_OK(tag_end());
      return node;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) return fail_at(tag_, Errc::invalid, "'{}' outside of a loop", name);
      Node node = make(name == "break" ? StatementKind::stop : StatementKind::next, tag_);
      CHECK_OK(tag_end());
      return node;
    }
    if (name.starts_with("end") || name == "else" || name == "elif")
      return fail_at(tag_, Errc::invalid, "'{}' closes nothing", name);
    return fail_at(tag_, Errc::unsupported, "tag '{}' is not supported", name);
  }

  Result<StatementPtr> branch() {
    Node node = make(StatementKind::branch, tag_);
    while (true) {
      Branch& branch = node->branches.emplace_back();
      if (ended_by_ != "else") {
        TRY(branch.condition, p_.expressions(false));
      }
      CHECK_OK(tag_end());
      TRY(branch.body, branch.condition ? body({"elif", "else", "endif"}) : body({"endif"}));
      if (ended_by_ == "endif") break;
    }
    CHECK_OK(tag_end());
    return node;
  }

  Result<StatementPtr> loop() {
    Node node = make(StatementKind::loop, tag_);
    TRY(node->target, names());
    if (!p_.skip_name("in")) return p_.unexpected_token("'in'");
    TRY(node->value, p_.expressions(false));
    if (p_.skip_name("if")) {
      TRY(node->condition, p_.expression());
    }
    if (p_.is_name("recursive"))
      return fail_at(p_.current().at, Errc::unsupported, "recursive loops are not supported");
    CHECK_OK(tag_end());
    ++loops_;
    TRY(node->body, body({"else", "endfor"}));
    --loops_;
    if (ended_by_ == "else") {
      CHECK_OK(tag_end());
      TRY(node->otherwise, body({"endfor"}));
    }
    CHECK_OK(tag_end());
    return node;
  }

  // "a", "a, b" or "(a, b)".
  Result<Target> names() {
    Target out;
    const bool parenthesized = p_.skip_symbol("(");
    do {
      if (!out.names.empty() && (p_.is_name("in") || p_.is_symbol("="))) break;
      const Position at = p_.current().at;
      TRY(std::string name, p_.expect_name());
      for (const std::string_view reserved : {"true", "false", "none", "True", "False", "None"})
        if (name == reserved) return fail_at(at, Errc::invalid, "'{}' cannot be assigned", name);
      out.names.push_back(std::move(name));
      if (p_.is_symbol(",")) out.unpacked = true;
    } while (p_.skip_symbol(","));
    if (parenthesized) CHECK_OK(p_.expect_symbol(")"));
    return out;
  }

  Result<StatementPtr> set() {
    Node node = make(StatementKind::set, tag_);
    TRY(node->target, names());
    if (!node->target.unpacked && p_.skip_symbol(".")) {
      TRY(node->target.member, p_.expect_name());
    }
    if (p_.skip_symbol("=")) {
      TRY(node->value, p_.expressions());
      CHECK_OK(tag_end());
      return node;
    }
    node->kind = StatementKind::capture;
    TRY(node->value, p_.captured_filters());
    CHECK_OK(tag_end());
    TRY(node->body, unlooped({"endset"}));
    CHECK_OK(tag_end());
    return node;
  }

  Result<StatementPtr> filter() {
    Node node = make(StatementKind::filter, tag_);
    // The first filter has no '|' in front.
    TRY(node->value, p_.first_filter());
    CHECK_OK(tag_end());
    TRY(node->body, unlooped({"endfilter"}));
    CHECK_OK(tag_end());
    return node;
  }

  Result<StatementPtr> macro() {
    Node node = make(StatementKind::macro, tag_);
    TRY(node->name, p_.expect_name());
    CHECK_OK(p_.expect_symbol("("));
    while (!p_.is_symbol(")")) {
      if (!node->parameters.empty()) CHECK_OK(p_.expect_symbol(","));
      if (p_.is_symbol(")")) break;
      Parameter& parameter = node->parameters.emplace_back();
      TRY(parameter.name, p_.expect_name());
      if (p_.skip_symbol("=")) {
        TRY(parameter.otherwise, p_.expression());
      } else if (node->parameters.size() > 1 &&
                 node->parameters[node->parameters.size() - 2].otherwise) {
        return p_.unexpected_token("a default");
      }
    }
    CHECK_OK(p_.expect_symbol(")"));
    CHECK_OK(tag_end());
    ++p_.macro_depth;
    TRY(node->body, unlooped({"endmacro"}));
    --p_.macro_depth;
    CHECK_OK(tag_end());
    return node;
  }

  // A body that is run apart from the loop it stands in: break and continue do
  // not reach out.
  Result<Body> unlooped(std::initializer_list<std::string_view> ends) {
    const std::uint32_t loops = std::exchange(loops_, 0);
    auto out = body(ends);
    loops_ = loops;
    return out;
  }

  Status tag_end() {
    if (p_.current().kind != Token::Kind::block_end)
      return p_.unexpected_token("the end of the tag");
    p_.advance();
    return {};
  }

  static Node make(StatementKind kind, Position at) {
    auto out = std::make_unique<Statement>();
    out->kind = kind;
    out->at = at;
    return out;
  }

  ExpressionParser p_;
  std::string ended_by_;
  Position tag_;  // where the name of the current tag stands
  std::uint32_t depth_ = 0, loops_ = 0;
};

}  // namespace

Result<Body> parse_template(std::string_view source) {
  if (source.size() > kMaxTemplateBytes)
    return fail(Errc::refused, "it has {} bytes, at most {} are accepted", source.size(),
                kMaxTemplateBytes);
  TRY(auto tokens, tokenize(source));
  return Parser(std::move(tokens)).run();
}

}  // namespace assay::engine::jinja
