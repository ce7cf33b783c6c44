// assay chain anchor, assay chain events
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "cli/log_verbs.hpp"
#include "crypto/sha256.hpp"
#include "io/dev_chain.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"
#include "settle/evm/events.hpp"
#include "settle/evm/refusal.hpp"

namespace assay::cli {
namespace {

struct AnchorOptions {
  SettlementFlags chain;
  KeyOptions key;
  std::string data, contract, log;
  PolicyOptions policy;
};

// The Anchor's address: given, or the manifest's.
Result<crypto::Address> anchor_of(const std::string& text) {
  if (text.starts_with("0x")) return crypto::Address::parse(text);
  TRY(const auto manifest, read_manifest(text));
  return manifest.address("Anchor");
}

Result<int> anchor(const Context& context, const AnchorOptions& options) {
  if (options.chain.rpc.empty())
    return context.report({Errc::invalid, "--rpc is required (see --help)"}, kUsage);
  TRY(const crypto::Address at, anchor_of(options.contract));
  TRY(const auto policy, policy_of(options.policy));
  TRY(const std::string note, open_source(options.log).checkpoint());
  TRY(const auto opened, tlog::open_checkpoint(note, policy));
  const auto& checkpoint = opened.checkpoint;
  TRY(const crypto::SecretKey key, load_key(options.key));
  CHECK_OK(io::make_directories(options.data, 0700));
  io::ChainRpc rpc({.endpoints = options.chain.rpc, .ca_file = options.chain.ca_file});
  io::ChainSenderOptions sending;
  const auto chain_id = rpc.chain_id();
  if (!chain_id) return std::unexpected(Error(chain_id.error()));
  if (options.chain.confirmations != 0) sending.confirmations = options.chain.confirmations;
  if (*chain_id == io::DevChain::kChainId) {
    if (options.chain.confirmations == 0) sending.confirmations = 1;
    sending.poll_ms = 50;
  }
  const io::SystemClock clock;
  auto sender = io::ChainSender::open(options.data + "/transactions.db", rpc, key, clock, sending);
  if (!sender) return std::unexpected(Error(sender.error()));
  const Hash origin = crypto::sha256(view(checkpoint.origin));
  crypto::AbiWriter arguments;
  arguments.bytes32(origin).uint(checkpoint.size).bytes32(checkpoint.root);
  // One checkpoint is one transaction, however often it is asked for.
  Bytes about;
  append(about, view("assay/anchor/v0"));
  append(about, at.bytes);
  append(about, arguments.encode());
  const Hash id = crypto::sha256(about);
  const auto sent = (*sender)->submit(
      {.id = id, .to = at, .value = {}, .data = arguments.call("anchor(bytes32,uint64,bytes32)")});
  if (!sent) return std::unexpected(settle::evm::refusal_of(sent.error()));
  const auto done = (*sender)->wait(id, 300'000);
  if (!done) return std::unexpected(Error(done.error()));
  if (done->state != io::TxState::confirmed)
    return fail(Errc::refused, "the anchor was not taken: {}", done->reason);
  if (context.json()) {
    context.print(json::object{{"origin", checkpoint.origin},
                               {"size", std::to_string(checkpoint.size)},
                               {"root", to_hex(checkpoint.root)},
                               {"transaction", to_hex(done->hash)},
                               {"block", std::to_string(done->block_num)},
                               {"gas", std::to_string(done->gas_used)}});
    return kOk;
  }
  fmt::print("anchored {} entries of {} in block {}, {} gas, transaction {}\n", checkpoint.size,
             checkpoint.origin, done->block_num, done->gas_used, to_hex(done->hash));
  return kOk;
}

struct EventsOptions {
  SettlementFlags chain;
  std::string data, about;
  std::vector<std::string> kinds;
  std::size_t limit = 1'000;
};

json::object event_json(const settle::evm::Event& event) {
  json::array indexed;
  for (std::size_t i = 1; i < event.topics.size(); ++i)
    indexed.emplace_back(to_hex(event.topics[i]));
  return {{"event", event.topics.empty() ? "" : settle::evm::event_name(event.topics[0])},
          {"block", std::to_string(event.block_num)},
          {"index", std::to_string(event.log_index)},
          {"transaction", to_hex(event.transaction)},
          {"contract", event.address.to_string()},
          {"indexed", indexed},
          {"data", to_hex(event.data)}};
}

Result<int> events(const Context& context, const EventsOptions& options) {
  TRY(const ChainPlace place, chain_place(options.chain));
  settle::evm::EventQuery query;
  query.limit = options.limit;
  for (const std::string& name : options.kinds) {
    TRY(const Hash kind, settle::evm::event_named(name));
    query.kinds.push_back(kind);
  }
  if (!options.about.empty()) {
    Hash word{};
    if (options.about.size() == 42) {
      TRY(const auto address, crypto::Address::parse(options.about));
      std::ranges::copy(address.bytes, word.begin() + 12);
    } else {
      TRY(word, array_from_hex<32>(options.about));
    }
    query.about = word;
  }
  CHECK_OK(io::make_directories(options.data, 0700));
  io::ChainRpc rpc(place.rpc);
  TRY(const auto at, settle::evm::contracts_of(rpc, place.market));
  std::vector<crypto::Address> contracts{at.market, at.disputes, at.deliveries, at.programs};
  if (place.manifest)
    for (const char* name : {"Anchor", "Registry"}) {
      TRY(const auto address, place.manifest->address(name));
      contracts.push_back(address);
    }
  TRY(auto index,
      settle::evm::EventIndex::open(options.data + "/events.db", rpc, std::move(contracts),
                                    place.first_block, place.confirmations));
  CHECK_OK(index.sync());
  TRY(const auto found, index.find(query));
  if (context.json()) {
    json::array list;
    for (const auto& event : found) list.push_back(event_json(event));
    context.print(json::object{{"events", list}});
    return kOk;
  }
  for (const auto& event : found) {
    std::string line =
        fmt::format("{:>10} {:<18}", event.block_num,
                    event.topics.empty() ? "" : settle::evm::event_name(event.topics[0]));
    for (std::size_t i = 1; i < event.topics.size(); ++i) line += ' ' + to_hex(event.topics[i]);
    fmt::print("{}\n", line);
  }
  return kOk;
}

}  // namespace

void add_chain_anchor(CLI::App& chain, Context& context) {
  auto* verb = context.verb(chain, "anchor", "records a log's latest checkpoint on the chain",
                            "assay chain anchor --rpc URL --contract ./deployment/manifest.json "
                            "--key key.json \\\n    --data ./anchor --log https://log.example "
                            "--vkey 'log.example+1a2b3c4d+…'");
  const auto o = std::make_shared<AnchorOptions>();
  add_chain_flags(verb, o->chain);
  verb->add_option("--contract", o->contract, "the Anchor, 0x…, or a deployment's manifest")
      ->required();
  add_key_options(verb, o->key, "the key whose word the anchor is")->required();
  verb->add_option("--data", o->data, "folder of its transactions")->required();
  verb->add_option("--log", o->log, "the log's readers' side: a URL or a folder")->required();
  add_policy_options(verb, o->policy);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return anchor(context, *o); });
}

void add_chain_events(CLI::App& chain, Context& context) {
  auto* verb = context.verb(
      chain, "events", "what happened on a market's contracts, read once and kept in an index",
      "assay chain events --rpc URL --market ./deployment/manifest.json --data ./index "
      "--kind Convicted");
  const auto o = std::make_shared<EventsOptions>();
  verb->add_option("--market", o->chain.market, "the market's contract, 0x…, or its manifest")
      ->required();
  verb->add_option("--from-block", o->chain.from_block,
                   "block of the deployment (default: the manifest's, else 0)");
  verb->add_option("--data", o->data, "folder of the index (SQLite, events.db)")->required();
  verb->add_option("--kind", o->kinds, "only these events, e.g. LeaseOpened");
  verb->add_option("--about", o->about, "only events that name this address or id");
  verb->add_option("--limit", o->limit, "at most so many (default 1000)");
  add_chain_flags(verb, o->chain);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return events(context, *o); });
}

}  // namespace assay::cli
