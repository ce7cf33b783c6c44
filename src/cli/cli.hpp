// The frame every verb of `assay` shares: one file per verb, each adding itself to the app.
//
// Exit codes: 0 it worked; 1 it failed or a check said no; 2 wrong usage. Errors are one line,
// "assay: …" on stderr, or {"error": {"code", "message"}} on stdout with --json.
#pragma once
#include <functional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

inline constexpr int kOk = 0, kFailed = 1, kUsage = 2;

class Context {
 public:
  // What the chosen verb does: an exit code, or an error that main prints (exit code 1).
  using Action = std::function<Result<int>()>;

  // A verb (or a verb of a verb): its one-line purpose, and an example for the end of --help.
  CLI::App* verb(CLI::App& parent, const std::string& name, const std::string& purpose,
                 const std::string& example);
  // Adds --json to a verb; json() then tells whether it was given.
  void json_flag(CLI::App* verb);
  // The action to run if the command line chose this verb.
  void on_run(CLI::App* verb, Action action);

  bool json() const { return json_; }
  // --json: pretty on a terminal, one line elsewhere.
  void print(const json::value& document) const;

  // Used by main only.
  int run();
  int report(const Error& error, int exit_code) const;
  void assume_json() { json_ = true; }

 private:
  Action action_;
  bool json_ = false;
};

// Wraps text in an ANSI colour if stdout is a terminal and NO_COLOR is not set.
std::string bold(std::string_view text);
std::string dim(std::string_view text);
std::string green(std::string_view text);
std::string red(std::string_view text);
bool stdout_is_terminal();
bool stderr_is_terminal();

// The verbs. A new one is a line here and a line in main.cpp's list.
void add_generate(CLI::App& app, Context& context);
void add_tokenize(CLI::App& app, Context& context);
void add_model(CLI::App& app, Context& context);
void add_keys(CLI::App& app, Context& context);
void add_market(CLI::App& app, Context& context);
void add_ledger(CLI::App& app, Context& context);
void add_provider(CLI::App& app, Context& context);
void add_gateway(CLI::App& app, Context& context);
void add_auditor(CLI::App& app, Context& context);
void add_log(CLI::App& app, Context& context);
void add_screen(CLI::App& app, Context& context);
void add_quote(CLI::App& app, Context& context);
void add_reputation(CLI::App& app, Context& context);
void add_job(CLI::App& app, Context& context);
void add_attack(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_receipt(CLI::App& app, Context& context);
void add_audit(CLI::App& app, Context& context);
void add_perplexity(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_up(CLI::App& app, Context& context);
void add_demo(CLI::App& app, Context& context);
void add_chain(CLI::App& app, Context& context);

}  // namespace assay::cli
