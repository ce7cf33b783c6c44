// assay attack: adversaries for one's own market. They are documented and open, need no secret
// knowledge, and exist so that what the market catches can be watched (`assay demo`) and tested
// (tests/attacks).
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "base/hex.hpp"
#include "cli/attack_delivery.hpp"
#include "cli/attacks.hpp"
#include "cli/cheats.hpp"
#include "cli/cli.hpp"
#include "cli/coarse_weights.hpp"
#include "cli/provider_verb.hpp"
#include "protocol/all_messages.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

struct AttackOptions {
  ProviderFlags flags;
  std::string serve, claim;           // model-swap
  unsigned bits = 0;                  // model-swap, instead of serve
  std::string model, how, cheap;      // compute
  std::uint32_t layer = 0, from = 0;  // compute skip
  std::string market;                 // sign
  KeyOptions key;
};

// The service computes with one file what its offer and receipts say about another; nothing in it
// knows.
Result<int> model_swap(const Context& context, AttackOptions options) {
  if (options.serve.empty() == (options.bits == 0))
    return context.report({Errc::invalid, "either --serve or --bits (see --help)"}, kUsage);
  TRY(const ModelFile claim, ModelFile::open(options.claim));
  if (options.bits != 0) {
    CHECK_OK(io::make_directories(options.flags.service.data_dir, 0700));
    options.serve = options.flags.service.data_dir + "/served.gguf";
    CHECK_OK(write_coarse_copy(claim, options.bits, options.serve));
  }
  TRY(const ModelFile serve, ModelFile::open(options.serve));
  if (serve.model->hyper().vocab != claim.model->hyper().vocab)
    return fail(Errc::invalid, "{} has {} tokens, {} has {}: nobody would be fooled", options.serve,
                serve.model->hyper().vocab, options.claim, claim.model->hyper().vocab);
  const Offered offered[] = {{&serve, &claim}};
  fmt::print(stderr,
             "assay: this provider cheats on purpose: it computes with {} and signs for {}. It "
             "loses its stake when it is audited.\n",
             options.serve, options.claim);
  return run_provider(context, options.flags, offered);
}

Result<int> compute(const Context& context, const AttackOptions& options) {
  TRY(const ModelFile model, ModelFile::open(options.model));
  if (options.layer >= model.model->hyper().layers)
    return fail(Errc::invalid, "--layer {}: {} has {} layers, from 0", options.layer, options.model,
                model.model->hyper().layers);
  std::optional<ModelFile> cheap;
  if (options.how == "cheap-decode") {
    if (options.cheap.empty())
      return context.report({Errc::invalid, "cheap-decode needs --cheap (see --help)"}, kUsage);
    TRY(cheap, ModelFile::open(options.cheap));
    if (cheap->model->hyper().vocab != model.model->hyper().vocab)
      return fail(Errc::invalid, "{} has other tokens than {}", options.cheap, options.model);
  }
  const Offered offered[] = {{&model, &model,
                              make_cheat({.name = options.how,
                                          .model = model.model,
                                          .cheap = cheap ? cheap->model : nullptr,
                                          .tokenizer = model.tokenizer,
                                          .layer = options.layer,
                                          .from = options.from})}};
  fmt::print(stderr,
             "assay: this provider cheats on purpose ({}) and loses its stake when it is audited\n",
             options.how);
  return run_provider(context, options.flags, offered);
}

Result<json::object> sign_line(const protocol::Domain& domain, const crypto::SecretKey& key,
                               const std::string& line) {
  TRY(const json::value parsed, json::parse(line));
  TRY(const json::object* o, json::as_object(parsed, "a message to sign"));
  TRY(const std::string type, json::get_string(*o, "type"));
  TRY(const json::object* fields, json::get_object(*o, "message"));
  std::optional<Result<json::object>> out;
  protocol::for_each_message([&]<class M>() {
    if (type != M::kName) return;
    out = [&]() -> Result<json::object> {
      TRY(const M message, protocol::from_json<M>(*fields));
      json::object made = protocol::to_json(protocol::sign(domain, message, key));
      made["digest"] = to_hex(protocol::digest(domain, message));
      return made;
    }();
  });
  if (!out) return fail(Errc::unsupported, "there is no message '{}'", type.substr(0, 40));
  return std::move(*out);
}

// Lines in, lines out, until the end of the input.
Result<int> sign(const Context&, const AttackOptions& options) {
  TRY(const crypto::SecretKey key, load_key(options.key));
  settle::RemoteLedger remote(options.market);
  TRY(const auto info, remote.info());
  const auto tell = [](const json::object& o) {
    fmt::print("{}\n", json::dump(o));
    std::fflush(stdout);
  };
  tell({{"ready", "sign"}, {"address", crypto::address_of(key).to_string()}});
  for (std::string line; std::getline(std::cin, line);) {
    const auto made = sign_line(info.domain, key, line);
    tell(made ? *made : json::object{{"error", made.error().message}});
  }
  return kOk;
}

void add_model_swap(CLI::App& attack, Context& context) {
  CLI::App* verb = context.verb(
      attack, "model-swap", "a provider that runs a worse model under a better one's name",
      "assay attack model-swap --serve models/tern-worse-q8_0.gguf --claim models/tern-q8_0.gguf "
      "\\\n    --price-in 0.10 --price-out 0.40 --market http://127.0.0.1:8790 --key key.json \\\n"
      "    --data ./cheat --stake 5.00");
  const auto options = std::make_shared<AttackOptions>();
  verb->add_option("--serve", options->serve, "GGUF file that computes");
  verb->add_option(
          "--bits", options->bits,
          "instead: the claimed file's own Q8_0 weights at so few bits, written to --data. "
          "It has the shape that was sold, so that a dispute about it ends at a step")
      ->check(CLI::Range(1, 7));
  verb->add_option("--claim", options->claim, "GGUF file it says it is")->required();
  add_provider_flags(verb, options->flags);
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return model_swap(context, *options); });
}

void add_compute(CLI::App& attack, Context& context) {
  CLI::App* verb = context.verb(
      attack, "compute", "a provider that has the model and computes less, or something else",
      "assay attack compute --how kv8 --model models/tern-q8_0.gguf --price-in 0.10 \\\n"
      "    --price-out 0.40 --market http://127.0.0.1:8790 --key key.json --data ./cheat "
      "--stake 5.00");
  const auto options = std::make_shared<AttackOptions>();
  std::string list = "how it cheats:";
  std::vector<std::string> names;
  for (const CheatName& cheat : cheat_names()) {
    names.emplace_back(cheat.name);
    list += fmt::format("\n{}: {}", cheat.name, cheat.what);
  }
  verb->add_option("--how", options->how, list)->required()->check(CLI::IsMember(names));
  verb->add_option("--model", options->model, "GGUF file it signs for")->required();
  verb->add_option("--cheap", options->cheap, "cheap-decode: GGUF file that decodes");
  verb->add_option("--layer", options->layer, "skip: the layer, from 0");
  verb->add_option("--from", options->from, "skip: the first position without it");
  add_provider_flags(verb, options->flags);
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return compute(context, *options); });
}

void add_sign(CLI::App& attack, Context& context) {
  CLI::App* verb = context.verb(
      attack, "sign",
      "signs any message with a key one has, however false: {\"type\", \"message\"} a line in, "
      "{\"message\", \"signature\", \"digest\"} a line out",
      "echo '{\"type\": \"Stake\", \"message\": {\"account\": \"0x…\", \"amount\": \"1\", "
      "\"nonce\": \"1\"}}' | \\\n    assay attack sign --market http://127.0.0.1:8790 --key "
      "key.json");
  const auto options = std::make_shared<AttackOptions>();
  verb->add_option("--market", options->market, "the ledger whose domain is signed for")
      ->required();
  add_key_options(verb, options->key, "the key")->required();
  context.on_run(verb, [&context, options] { return sign(context, *options); });
}

}  // namespace

void add_attack(CLI::App& app, Context& context) {
  CLI::App* attack =
      context.verb(app, "attack", "adversaries to try on your own market",
                   "assay attack model-swap --serve worse.gguf --claim better.gguf …");
  attack->require_subcommand(1);
  add_model_swap(*attack, context);
  add_compute(*attack, context);
  add_sign(*attack, context);
  add_attack_delivery(*attack, context);
  add_auditor_attacks(*attack, context);
}

}  // namespace assay::cli
