#include "cli/settlement_flags.hpp"

#include <CLI/CLI.hpp>

#include "io/dev_chain.hpp"
#include "io/files.hpp"

namespace assay::cli {
namespace {

constexpr std::uint64_t kConfirmations = 3;
constexpr std::int64_t kDevPollMs = 50;

}  // namespace

void add_chain_flags(CLI::App* verb, SettlementFlags& flags) {
  const std::string group = "on a chain";
  verb->add_option("--rpc", flags.rpc, "the chain's JSON-RPC; several are asked in turn")
      ->group(group);
  verb->add_option("--ca-file", flags.ca_file, "PEM of whoever signs the endpoints' certificates")
      ->group(group);
  verb->add_option("--confirmations", flags.confirmations,
                   "blocks until something counts as done (default 3; 1 on a devnet of one node)")
      ->group(group)
      ->check(CLI::Range(1, 1'000'000));
}

void add_settlement_flags(CLI::App* verb, SettlementFlags& flags, bool required) {
  auto* market = verb->add_option(
      "--market", flags.market,
      "ledger and board, e.g. http://127.0.0.1:8790; on a chain the market's contract, 0x…, or the "
      "file `assay chain deploy` wrote");
  if (required) market->required();
  verb->add_option("--settlement", flags.settlement,
                   "embedded (a ledger behind --market) or evm (contracts; default embedded)")
      ->check(CLI::IsMember({"embedded", "evm"}));
  const std::string group = "on a chain";
  verb->add_option("--board", flags.board,
                   "where offers are listed: an `assay market --settlement evm`")
      ->group(group);
  verb->add_option("--from-block", flags.from_block,
                   "block of the deployment (default: the manifest's, else 0)")
      ->group(group);
  add_chain_flags(verb, flags);
}

Result<settle::evm::Manifest> read_manifest(const std::string& file) {
  TRY(const std::string text, io::read_file(file, 1u << 20));
  TRY(const json::value document, json::parse(text));
  TRY(const json::object* o, json::as_object(document, file));
  auto manifest = settle::evm::manifest_from_json(*o);
  if (!manifest) return fail_in(file, manifest.error());
  return manifest;
}

Result<ChainPlace> chain_place(const SettlementFlags& flags) {
  if (flags.rpc.empty())
    return fail(Errc::invalid, "--rpc is required: the JSON-RPC endpoint of the chain");
  ChainPlace out;
  out.rpc.endpoints = flags.rpc;
  out.rpc.ca_file = flags.ca_file;
  io::ChainRpc rpc(out.rpc);
  const auto chain_id = rpc.chain_id();
  if (!chain_id) return std::unexpected(Error(chain_id.error()));
  out.rpc.chain_id = *chain_id;
  out.first_block = flags.from_block;
  out.confirmations = flags.confirmations;
  if (out.confirmations == 0)
    out.confirmations = *chain_id == io::DevChain::kChainId ? 1 : kConfirmations;
  if (flags.market.empty())
    return fail(Errc::invalid, "--market is required: the market's contract, 0x…, or its manifest");
  if (flags.market.starts_with("0x")) {
    TRY(out.market, crypto::Address::parse(flags.market));
    return out;
  }
  TRY(out.manifest, read_manifest(flags.market));
  if (out.manifest->chain_id != *chain_id)
    return fail(Errc::mismatch, "{} is of chain {}, --rpc serves chain {}", flags.market,
                out.manifest->chain_id, *chain_id);
  TRY(out.market, out.manifest->address("Market"));
  if (out.first_block == 0) out.first_block = out.manifest->first_block;
  return out;
}

Result<std::unique_ptr<settle::evm::EvmLedger>> open_chain(const ChainPlace& place,
                                                           const crypto::SecretKey& key,
                                                           const std::string& data_dir,
                                                           const Clock& clock) {
  settle::evm::EvmOptions options;
  options.rpc = place.rpc;
  options.market = place.market;
  options.first_block = place.first_block;
  options.confirmations = place.confirmations;
  options.data_dir = data_dir;
  if (place.rpc.chain_id == io::DevChain::kChainId) options.poll_ms = options.view_ms = kDevPollMs;
  return settle::evm::EvmLedger::open(std::move(options), key, clock);
}

Result<OpenSettlement> OpenSettlement::open(const SettlementFlags& flags,
                                            const crypto::SecretKey& key,
                                            const std::string& data_dir, const Clock& clock) {
  OpenSettlement out;
  if (!flags.on_chain()) {
    if (!flags.rpc.empty() || !flags.board.empty())
      return fail(Errc::invalid, "--rpc and --board belong to --settlement evm");
    out.remote_ = std::make_unique<settle::RemoteLedger>(flags.market);
    return out;
  }
  if (flags.board.empty())
    return fail(Errc::invalid,
                "--board is required: offers are not on the chain, but on an `assay market "
                "--settlement evm`");
  TRY(const ChainPlace place, chain_place(flags));
  TRY(out.chain_, open_chain(place, key, data_dir + "/chain", clock));
  out.remote_ = std::make_unique<settle::RemoteLedger>(flags.board);
  return out;
}

}  // namespace assay::cli
