// assay chain anchor, assay chain attest: what a key says for all to see, one transaction each
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "cli/contracts_json.hpp"
#include "cli/log_verbs.hpp"
#include "cli/model_file.hpp"
#include "crypto/sha256.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"
#include "settle/evm/code_check.hpp"
#include "settle/evm/refusal.hpp"

namespace assay::cli {
namespace {

constexpr std::int64_t kRecordMs = 300'000;

struct RecordOptions {
  SettlementFlags chain;
  KeyOptions key;
  std::string data, contract;
};
struct AnchorOptions {
  RecordOptions record;
  std::string log;
  PolicyOptions policy;
};
struct AttestOptions {
  RecordOptions record;
  std::string model, execution, file;
};

// The contract of this name, at the address given or the manifest's: a call to anything else would
// be mined, and say nothing.
Result<crypto::Address> known_contract(io::ChainRpc& rpc, const RecordOptions& options,
                                       const std::string& name) {
  crypto::Address at;
  if (options.contract.starts_with("0x")) {
    TRY(at, crypto::Address::parse(options.contract));
  } else {
    TRY(const auto manifest, read_manifest(options.contract));
    TRY(at, manifest.address(name));
  }
  TRY(const auto contracts, built_in_contracts());
  TRY(const auto check, settle::evm::check_code_at(rpc, contracts, name, at));
  if (!check.same && !options.chain.allow_other_code)
    return fail(Errc::mismatch,
                "the contract at {} is not the {} this program knows: nothing was sent; "
                "--allow-other-code sends to it all the same",
                at.to_string(), name);
  return at;
}

// A sender that opens when something is to be sent.
class Recorder {
 public:
  explicit Recorder(const RecordOptions& options)
      : options_(options),
        rpc_({.endpoints = options.chain.rpc, .ca_file = options.chain.ca_file}) {}

  io::ChainRpc& rpc() { return rpc_; }

  // One transaction for what `about` says, however often it is asked for.
  Result<io::TxStatus> send(const crypto::SecretKey& key, const crypto::Address& to,
                            const Bytes& about, const Bytes& data) {
    const auto chain_id = rpc_.chain_id();
    if (!chain_id) return std::unexpected(Error(chain_id.error()));
    CHECK_OK(io::make_directories(options_.data, 0700));
    auto sender = io::ChainSender::open(options_.data + "/transactions.db", rpc_, key, clock_,
                                        sending_options(options_.chain, *chain_id));
    if (!sender) return std::unexpected(Error(sender.error()));
    const Hash id = crypto::sha256(about);
    const auto sent = (*sender)->submit({.id = id, .to = to, .value = {}, .data = data});
    if (!sent) return std::unexpected(settle::evm::refusal_of(sent.error()));
    if (auto poor = settle::evm::poverty_of(*sent, (*sender)->address(), *chain_id))
      return std::unexpected(std::move(*poor));
    const auto done = (*sender)->wait(id, kRecordMs);
    if (!done) return std::unexpected(Error(done.error()));
    if (done->state != io::TxState::confirmed)
      return fail(Errc::refused, "the contract did not take it: {}", done->reason);
    return *done;
  }

 private:
  const RecordOptions& options_;
  io::ChainRpc rpc_;
  const io::SystemClock clock_{};
};

Bytes about(std::string_view what, const crypto::Address& at, const Bytes& arguments) {
  Bytes out;
  append(out, view(what));
  append(out, at.bytes);
  append(out, arguments);
  return out;
}

Result<int> anchor(const Context& context, const AnchorOptions& options) {
  if (options.record.chain.rpc.empty())
    return context.report({Errc::invalid, "--rpc is required (see --help)"}, kUsage);
  Recorder recorder(options.record);
  TRY(const crypto::Address at, known_contract(recorder.rpc(), options.record, "Anchor"));
  TRY(const auto policy, policy_of(options.policy));
  TRY(const std::string note, open_source(options.log).checkpoint());
  TRY(const auto opened, tlog::open_checkpoint(note, policy));
  const auto& checkpoint = opened.checkpoint;
  TRY(const crypto::SecretKey key, load_key(options.record.key));
  const Hash origin = crypto::sha256(view(checkpoint.origin));
  crypto::AbiWriter arguments;
  arguments.bytes32(origin).uint(checkpoint.size).bytes32(checkpoint.root);
  TRY(const io::TxStatus done,
      recorder.send(key, at, about("assay/anchor/v0", at, arguments.encode()),
                    arguments.call("anchor(bytes32,uint64,bytes32)")));
  if (context.json()) {
    context.print(json::object{{"origin", checkpoint.origin},
                               {"size", std::to_string(checkpoint.size)},
                               {"root", to_hex(checkpoint.root)},
                               {"transaction", to_hex(done.hash)},
                               {"block", std::to_string(done.block_num)},
                               {"gas", std::to_string(done.gas_used)}});
    return kOk;
  }
  fmt::print("anchored {} entries of {} in block {}, {} gas, transaction {}\n", checkpoint.size,
             checkpoint.origin, done.block_num, done.gas_used, to_hex(done.hash));
  return kOk;
}

// Execution id and SHA-256: of a model's file, or as given.
Result<std::pair<Hash, Hash>> attested_pair(const AttestOptions& options) {
  if (!options.model.empty()) {
    TRY(const ModelFile file, ModelFile::open(options.model));
    ThreadPool pool(thread_count(0));
    TRY(const auto identity, file.identity(pool));
    return std::pair(protocol::struct_hash(verify::execution_id(identity)), identity.file_sha256);
  }
  if (options.execution.empty() || options.file.empty())
    return fail(Errc::invalid, "--model, or --execution and --file-sha256, are required");
  const auto execution = array_from_hex<32>(options.execution);
  if (!execution) return fail_in("--execution", execution.error());
  const auto file = array_from_hex<32>(options.file);
  if (!file) return fail_in("--file-sha256", file.error());
  return std::pair(*execution, *file);
}

Result<int> attest(const Context& context, const AttestOptions& options) {
  if (options.record.chain.rpc.empty())
    return context.report({Errc::invalid, "--rpc is required (see --help)"}, kUsage);
  Recorder recorder(options.record);
  TRY(const crypto::Address at, known_contract(recorder.rpc(), options.record, "Registry"));
  TRY(const auto pair, attested_pair(options));
  const auto& [execution, file] = pair;
  TRY(const crypto::SecretKey key, load_key(options.record.key));
  const crypto::Address by = crypto::address_of(key);
  crypto::AbiWriter question;
  question.address(by).bytes32(execution);
  TRY(const Bytes said, settle::evm::call_view(recorder.rpc(), at,
                                               question.call("fileOf(address,bytes32)"), "latest"));
  crypto::AbiReader in(said);
  TRY(const Hash before, in.bytes32());
  TRY(const std::uint64_t sequence, in.u64());
  json::object document{{"by", by.to_string()},
                        {"execution", to_hex(execution)},
                        {"file_sha256", to_hex(file)},
                        {"already", before == file}};
  if (before != file) {
    crypto::AbiWriter arguments;
    arguments.bytes32(execution).bytes32(file);
    crypto::AbiWriter one = arguments;  // the key may change its mind, and change it back
    one.uint(sequence);
    TRY(const io::TxStatus done, recorder.send(key, at, about("assay/attest/v0", at, one.encode()),
                                               arguments.call("attest(bytes32,bytes32)")));
    document["transaction"] = to_hex(done.hash);
    document["block"] = std::to_string(done.block_num);
    document["gas"] = std::to_string(done.gas_used);
  }
  if (context.json()) {
    context.print(document);
    return kOk;
  }
  fmt::print("{} {} that {} is of the file with SHA-256 {}\n", by.to_string(),
             before == file ? "has said before" : "says", to_hex(execution), to_hex_bare(file));
  return kOk;
}

void add_record_options(CLI::App* verb, RecordOptions& o, const std::string& contract) {
  add_chain_flags(verb, o.chain);
  add_code_flag(verb, o.chain);
  verb->add_option("--contract", o.contract, contract + ", 0x…, or a deployment's manifest")
      ->required();
  add_key_options(verb, o.key, "the key whose word it is, which pays for gas")->required();
  verb->add_option("--data", o.data, "folder of its transactions")->required();
}

}  // namespace

void add_chain_anchor(CLI::App& chain, Context& context) {
  auto* verb = context.verb(chain, "anchor", "records a log's latest checkpoint on the chain",
                            "assay chain anchor --rpc URL --contract ./deployment/manifest.json "
                            "--key key.json \\\n    --data ./anchor --log https://log.example "
                            "--vkey 'log.example+1a2b3c4d+…'");
  const auto o = std::make_shared<AnchorOptions>();
  add_record_options(verb, o->record, "the Anchor");
  verb->add_option("--log", o->log, "the log's readers' side: a URL or a folder")->required();
  add_policy_options(verb, o->policy);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return anchor(context, *o); });
}

void add_chain_attest(CLI::App& chain, Context& context) {
  auto* verb = context.verb(
      chain, "attest", "says on the chain which file an execution id is the model of",
      "assay chain attest --rpc URL --contract ./deployment/manifest.json --key key.json \\\n"
      "    --data ./attest --model models/tern-q8_0.gguf");
  const auto o = std::make_shared<AttestOptions>();
  add_record_options(verb, o->record, "the Registry");
  auto* model = verb->add_option("--model", o->model, "GGUF file: both are computed from it");
  verb->add_option("--execution", o->execution, "the execution id, 0x…")->excludes(model);
  verb->add_option("--file-sha256", o->file, "SHA-256 of the file")->excludes(model);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return attest(context, *o); });
}

}  // namespace assay::cli
