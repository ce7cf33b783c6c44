#include "cli/settlement_flags.hpp"

#include <CLI/CLI.hpp>
#include <thread>

#include "base/hex.hpp"
#include "cli/contracts_json.hpp"
#include "io/dev_chain.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/system_clock.hpp"
#include "settle/evm/code_check.hpp"

namespace assay::cli {
namespace {

constexpr std::uint64_t kConfirmations = 3;
constexpr std::int64_t kDevPollMs = 50;
constexpr std::uint64_t kGwei = 1'000'000'000;

// Who puts money into a market's contracts, or plays by them, must know their code.
Status refuse_other_code(const ChainPlace& place) {
  TRY(const auto contracts, built_in_contracts());
  io::ChainRpc rpc(place.rpc);
  const auto* manifest = place.manifest ? &*place.manifest : nullptr;
  TRY(const auto checks, settle::evm::check_code(rpc, contracts, place.market, manifest));
  std::string wrong;
  for (const auto& check : checks)
    if (!check.same)
      wrong +=
          fmt::format("{} at {} has other code (code hash {}, built {}); ", check.name,
                      check.address.to_string(), to_hex(check.code_hash), to_hex(check.built_hash));
  if (manifest != nullptr) {
    TRY(const auto said, settle::evm::check_manifest(rpc, *manifest, checks, false));
    for (const auto& difference : said.differences)
      wrong += settle::evm::to_string(difference) + "; ";
  }
  if (wrong.empty()) return {};
  return fail(Errc::mismatch,
              "these are not the contracts this program knows: {}nothing was sent. `assay chain "
              "status` says more; --allow-other-code trusts them all the same",
              wrong);
}

// Why a market's contract does not answer like one: what stands at the address instead.
Error what_is_there(io::ChainRpc& rpc, const crypto::Address& at, const Error& why) {
  const auto code = settle::evm::code_hash_at(rpc, at);
  if (!code || why.code == Errc::unavailable) return why;
  if (!*code)
    return {Errc::not_found,
            fmt::format("there is no contract at {} on this chain, but an account without code or "
                        "nothing: --market takes the market's contract (\"market\" in the "
                        "manifest.json of `assay chain deploy`)",
                        at.to_string())};
  const auto decimals =
      settle::evm::call_view(rpc, at, crypto::AbiWriter().call("decimals()"), "latest");
  return {Errc::mismatch,
          fmt::format("{} at {} is no market of Assay's ({}): --market takes the market's contract "
                      "(\"market\" in the manifest.json of `assay chain deploy`)",
                      decimals ? "the token" : "the contract", at.to_string(), why.message)};
}

void add_rest_of_settlement(CLI::App* verb, SettlementFlags& flags) {
  verb->add_option("--settlement", flags.settlement,
                   "embedded (a ledger behind --market) or evm (contracts; default embedded)")
      ->check(CLI::IsMember({"embedded", "evm"}));
  verb->add_option("--from-block", flags.from_block,
                   "block of the deployment (default: the manifest's, else 0)")
      ->group("on a chain");
  add_chain_flags(verb, flags);
  add_code_flag(verb, flags);
}

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
  verb->add_option("--max-fee-gwei", flags.max_fee_gwei,
                   "most gwei per gas a transaction pays (default 200): above it nothing is sent "
                   "in time, so think of your deadlines")
      ->group(group)
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{4'000'000'000}));
}

void add_code_flag(CLI::App* verb, SettlementFlags& flags) {
  verb->add_flag("--allow-other-code", flags.allow_other_code,
                 "also contracts whose code is not this program's own")
      ->group("on a chain");
}

void add_settlement_flags(CLI::App* verb, SettlementFlags& flags, bool required) {
  auto* market = verb->add_option(
      "--market", flags.market,
      "ledger and board, e.g. http://127.0.0.1:8790; on a chain the market's contract, 0x…, or the "
      "file `assay chain deploy` wrote");
  if (required) market->required();
  add_rest_of_settlement(verb, flags);
  verb->add_option("--board", flags.board,
                   "where offers are listed: an `assay market --settlement evm`")
      ->group("on a chain");
}

void add_boardless_flags(CLI::App* verb, SettlementFlags& flags) {
  verb->add_option("--market", flags.market,
                   "the ledger, e.g. http://127.0.0.1:8790; on a chain the market's contract, 0x…, "
                   "or the file `assay chain deploy` wrote");
  add_rest_of_settlement(verb, flags);
}

Result<settle::evm::Manifest> read_manifest(const std::string& file) {
  TRY(const std::string text, io::read_file(file, 1u << 20));
  const auto document = json::parse(text);
  if (!document)
    return fail(document.error().code,
                "{} is not a whole manifest of `assay chain deploy` ({}): take the file it wrote",
                file, document.error().message);
  TRY(const json::object* o, json::as_object(*document, file));
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
  out.sending = sending_options(flags, *chain_id);
  out.confirmations = out.sending.confirmations;
  out.allow_other_code = flags.allow_other_code;
  if (flags.market.empty())
    return fail(Errc::invalid, "--market is required: the market's contract, 0x…, or its manifest");
  if (flags.market.starts_with("0x")) {
    TRY(out.market, crypto::Address::parse(flags.market));
    // Said here, once for every verb: later the same shows as a call that reverted.
    if (const auto there = settle::evm::contracts_of(rpc, out.market); !there)
      return std::unexpected(what_is_there(rpc, out.market, there.error()));
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

io::ChainSenderOptions sending_options(const SettlementFlags& flags, std::uint64_t chain_id) {
  io::ChainSenderOptions out;
  const bool dev = chain_id == io::DevChain::kChainId;
  out.confirmations = flags.confirmations != 0 ? flags.confirmations : dev ? 1 : kConfirmations;
  if (flags.max_fee_gwei != 0) out.max_fee_ceiling = flags.max_fee_gwei * kGwei;
  if (dev) out.poll_ms = kDevPollMs;
  return out;
}

Result<std::unique_ptr<settle::evm::EvmLedger>> open_chain(const ChainPlace& place,
                                                           const crypto::SecretKey& key,
                                                           const std::string& data_dir,
                                                           const Clock& clock,
                                                           std::function<bool()> stopping) {
  if (!place.allow_other_code) CHECK_OK(refuse_other_code(place));
  settle::evm::EvmOptions options;
  options.rpc = place.rpc;
  options.market = place.market;
  options.first_block = place.first_block;
  options.confirmations = place.confirmations;
  options.data_dir = data_dir;
  options.poll_ms = place.sending.poll_ms;
  options.max_fee_ceiling = place.sending.max_fee_ceiling;
  options.stopping = std::move(stopping);
  if (place.rpc.chain_id == io::DevChain::kChainId) options.view_ms = kDevPollMs;
  return settle::evm::EvmLedger::open(std::move(options), key, clock);
}

Result<OpenSettlement> OpenSettlement::open(const SettlementFlags& flags,
                                            const crypto::SecretKey& key,
                                            const std::string& data_dir, const Clock& clock,
                                            std::function<bool()> stopping) {
  if (flags.on_chain() && flags.board.empty())
    return fail(Errc::invalid,
                "--board is required: offers are not on the chain, but on an `assay market "
                "--settlement evm`");
  TRY(OpenSettlement out, open_boardless(flags, key, data_dir, clock, std::move(stopping)));
  if (flags.on_chain()) out.remote_ = std::make_unique<settle::RemoteLedger>(flags.board);
  return out;
}

Result<OpenSettlement> OpenSettlement::open_boardless(const SettlementFlags& flags,
                                                      const crypto::SecretKey& key,
                                                      const std::string& data_dir,
                                                      const Clock& clock,
                                                      std::function<bool()> stopping) {
  OpenSettlement out;
  if (!flags.on_chain()) {
    if (!flags.rpc.empty() || !flags.board.empty())
      return fail(Errc::invalid, "--rpc and --board belong to --settlement evm");
    out.remote_ = std::make_unique<settle::RemoteLedger>(flags.market);
    return out;
  }
  TRY(const ChainPlace place, chain_place(flags));
  TRY(out.chain_, open_chain(place, key, data_dir + "/chain", clock, std::move(stopping)));
  return out;
}

Result<bool> OpenSettlement::catch_up(const std::function<bool()>& stopping,
                                      std::int64_t patience_ms) {
  if (!chain_) return true;
  constexpr std::int64_t kCatchUpLookMs = 500, kSayEveryMs = 60'000;
  const std::int64_t began_ms = io::steady_ms();
  std::int64_t said_ms = began_ms;
  for (;;) {
    const auto open = chain_->transactions().advance();
    if (open && *open == 0) {
      chain_->read_anew();
      return true;
    }
    if (io::steady_ms() - began_ms >= patience_ms) return false;
    if (stopping()) return fail(Errc::cancelled, "stopped while transactions were under way");
    if (io::steady_ms() - said_ms >= kSayEveryMs) {
      said_ms = io::steady_ms();
      if (open)
        io::log_warn("{} transactions of an earlier start are not final yet: waited for", *open);
      else
        io::log_warn("transactions of an earlier start: {}", open.error().message);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(kCatchUpLookMs));
  }
}

}  // namespace assay::cli
