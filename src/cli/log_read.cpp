// assay log: prove, verify, check
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/log_verbs.hpp"
#include "cli/receipt_input.hpp"
#include "crypto/merkle.hpp"
#include "io/files.hpp"
#include "services/log/tile_folder.hpp"
#include "settle/log_client.hpp"
#include "tlog/check.hpp"
#include "tlog/prove.hpp"
#include "tlog/receipt_entry.hpp"

namespace assay::cli {
namespace {

struct LogReadOptions {
  std::string source, out, entry, leaf, receipt, opening;
  std::optional<std::uint64_t> index;
  PolicyOptions policy;
};

Result<int> prove(const Context& context, const LogReadOptions& options) {
  TRY(const auto policy, policy_of(options.policy));
  const LogSource source = open_source(options.source);
  TRY(std::string checkpoint, source.checkpoint());
  std::optional<tlog::LogEntry> place;
  if (!options.index) {
    TRY(const auto receipt, read_receipt(options.receipt));
    place = tlog::place_of(receipt);
  }
  TRY(const tlog::ProofFile proof,
      place ? tlog::prove_entry(*place, std::move(checkpoint), policy, *source.tiles)
            : tlog::prove_entry(*options.index, std::move(checkpoint), policy, *source.tiles));
  TRY(const auto opened, tlog::open_checkpoint(proof.checkpoint, policy));
  const std::uint64_t size = opened.checkpoint.size;
  const Hash leaf = crypto::leaf_hash(*proof.extra);
  const std::string text = to_string(proof);
  if (!options.out.empty()) CHECK_OK(io::write_file_atomic(options.out, view(text)));
  if (context.json())
    context.print(json::object{
        {"index", proof.index}, {"size", size}, {"leaf", to_hex(leaf)}, {"proof", text}});
  else if (options.out.empty())
    std::fwrite(text.data(), 1, text.size(), stdout);
  else
    fmt::print("{}  entry {} of {}, leaf {}\n", options.out, proof.index, size, to_hex(leaf));
  return kOk;
}

Result<int> verify(const Context& context, const LogReadOptions& options) {
  TRY(const auto policy, policy_of(options.policy));
  TRY(const std::string text, io::read_file(options.source));
  TRY(const auto proof, tlog::parse_proof_file(text));
  Hash leaf{};
  if (!options.leaf.empty()) {
    TRY(leaf, array_from_hex<32>(options.leaf));
  } else if (!options.entry.empty()) {
    TRY(const Bytes entry, from_hex(options.entry));
    leaf = crypto::leaf_hash(entry);
  } else {
    if (!proof.extra || options.opening.empty())
      return fail(Errc::invalid,
                  "a receipt is checked with --opening and a proof that carries its "
                  "entry (`assay log prove` writes it)");
    TRY(const auto receipt, read_receipt(options.receipt));
    TRY(const auto opening, read_opening(options.opening));
    TRY(const auto entry, tlog::LogEntry::parse(*proof.extra));
    CHECK_OK(
        tlog::check_receipt_entry(entry, receipt, tlog::entry_salt(receipt, opening.salt_secret)));
    leaf = crypto::leaf_hash(*proof.extra);
  }
  TRY(const auto opened, tlog::verify_proof_file(proof, leaf, policy));
  const auto& c = opened.checkpoint;
  json::array witnesses;
  std::string words;
  for (const auto& v : opened.verified)
    if (v.key >= policy.log.size()) {
      const auto& name = policy.witnesses[v.key - policy.log.size()].name;
      witnesses.push_back(json::object{{"name", name}, {"time", v.time.value_or(0)}});
      words += fmt::format("    cosigned by {} at {} (Unix seconds)\n", name, v.time.value_or(0));
    }
  if (context.json())
    context.print(json::object{{"ok", true},
                               {"origin", c.origin},
                               {"index", proof.index},
                               {"size", c.size},
                               {"root", to_hex(c.root)},
                               {"witnesses", std::move(witnesses)}});
  else
    fmt::print("{}  entry {} of the {} in {}\n{}", green("ok"), proof.index, c.size, c.origin,
               words);
  return kOk;
}

Result<int> check(const Context& context, const LogReadOptions& options) {
  TRY(const auto policy, policy_of(options.policy));
  const LogSource source = open_source(options.source);
  TRY(const std::string note, source.checkpoint());
  TRY(const auto opened, tlog::open_checkpoint(note, policy));
  const auto& c = opened.checkpoint;
  CHECK_OK(tlog::check_log(c, *source.tiles, [](std::uint64_t, ByteView) { return Status(); }));
  if (context.json())
    context.print(json::object{{"ok", true}, {"size", c.size}, {"root", to_hex(c.root)}});
  else
    fmt::print("{}  {} entries, every tile is what they make, root {}\n", green("ok"), c.size,
               to_hex(c.root));
  return kOk;
}

}  // namespace

void add_policy_options(CLI::App* verb, PolicyOptions& options, bool required) {
  verb->add_option("--vkey", options.vkey, "public key of the log")->required(required);
  verb->add_option("--origin", options.origin, "origin line (default: the key's name)");
  verb->add_option("--witness-key", options.witnesses, "public key of a witness; repeat for more");
  verb->add_option("--quorum", options.quorum, "how many of them must have cosigned (default 0)");
}

Result<tlog::LogPolicy> policy_of(const PolicyOptions& options) {
  const auto key = tlog::VerifierKey::parse(options.vkey);
  if (!key) return fail_in("--vkey", key.error());
  tlog::LogPolicy out = tlog::LogPolicy::of(*key);
  if (!options.origin.empty()) out.origin = options.origin;
  for (const auto& text : options.witnesses) {
    const auto witness = tlog::VerifierKey::parse(text);
    if (!witness) return fail_in("--witness-key", witness.error());
    out.witnesses.push_back(*witness);
  }
  out.quorum = options.quorum;
  return out;
}

LogSource open_source(const std::string& url_or_folder) {
  if (url_or_folder.starts_with("http://") || url_or_folder.starts_with("https://")) {
    auto reader = std::make_unique<settle::LogReader>(url_or_folder);
    auto* raw = reader.get();
    return {std::move(reader), [raw] { return raw->checkpoint(); }};
  }
  auto folder = std::make_unique<services::TileFolder>(url_or_folder);
  auto* raw = folder.get();
  return {std::move(folder), [raw] { return raw->checkpoint(); }};
}

void add_log_reading(CLI::App& log, Context& context) {
  const auto add = [&](const char* name, const char* purpose, const char* example,
                       Result<int> (*run)(const Context&, const LogReadOptions&)) {
    auto* verb = context.verb(log, name, purpose, example);
    const auto o = std::make_shared<LogReadOptions>();
    add_policy_options(verb, o->policy);
    context.json_flag(verb);
    context.on_run(verb, [&context, o, run] { return run(context, *o); });
    return std::pair(verb, o);
  };
  {
    const auto [verb, o] = add("prove", "write a .tlog-proof of one entry",
                               "assay log prove http://127.0.0.1:8795 --vkey example.com/log+… "
                               "--receipt r.json --out r.tlog-proof",
                               prove);
    verb->add_option("LOG", o->source, "URL of the log, or its folder")->required();
    auto* group = verb->add_option_group("which entry");
    group->add_option("--index", o->index, "its index, from 0");
    group->add_option("--receipt", o->receipt, "or the receipt whose number it has");
    group->require_option(1);
    verb->add_option("--out", o->out, "file (default: standard output)");
  }
  {
    const auto [verb, o] =
        add("verify", "check a .tlog-proof offline",
            "assay log verify r.tlog-proof --vkey example.com/log+… --receipt r.json --opening "
            "o.json",
            verify);
    verb->add_option("FILE", o->source, "the .tlog-proof")->required();
    auto* group = verb->add_option_group("what is proven to be in the log");
    group->add_option("--entry", o->entry, "the entry, hex");
    group->add_option("--leaf", o->leaf, "or the hash of its leaf, hex");
    group->add_option("--receipt", o->receipt, "or a receipt, with --opening");
    group->require_option(1);
    verb->add_option("--opening", o->opening,
                     "the receipt's opening: its salt ties it to the entry");
  }
  {
    const auto [verb, o] =
        add("check", "read a whole log: every entry, every tile, the signed root",
            "assay log check ./log --vkey example.com/log+…", check);
    verb->add_option("LOG", o->source, "URL of the log, or its folder")->required();
  }
}

}  // namespace assay::cli
