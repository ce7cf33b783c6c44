#include "cli/x402_flags.hpp"

#include <CLI/CLI.hpp>

#include "io/files.hpp"
#include "market/money.hpp"

namespace assay::cli {
namespace {

constexpr std::string_view kPublished = "published";

Result<settle::x402::ChannelOptions> channel_options(const X402Flags& flags) {
  settle::x402::ChannelOptions options;
  if (flags.channels != kPublished) {
    const auto at = crypto::Address::parse(flags.channels);
    if (!at) return fail_in("--x402-channels", at.error());
    options.contract = *at;
  }
  if (!flags.collector.empty()) {
    const auto at = crypto::Address::parse(flags.collector);
    if (!at) return fail_in("--x402-collector", at.error());
    options.collector = *at;
  }
  if (!flags.min_deposit.empty()) {
    const auto least = market::parse_money(flags.min_deposit);
    if (!least) return fail_in("--x402-min-deposit", least.error());
    options.min_deposit = *least;
  }
  const auto claim_at = market::parse_money(flags.claim_at);
  if (!claim_at) return fail_in("--x402-claim-at", claim_at.error());
  options.claim_at = *claim_at;
  options.claim_every_s = flags.claim_every_s;
  options.withdraw_delay_s = flags.withdraw_delay_s;
  return options;
}

Result<settle::x402::TillOptions> till_options(const X402Flags& flags,
                                               const crypto::SecretKey& key) {
  settle::x402::TillOptions options;
  const auto asset = crypto::Address::parse(flags.token);
  if (!asset) return fail_in("--x402", asset.error());
  options.asset = *asset;
  options.pay_to = crypto::address_of(key);
  if (!flags.pay_to.empty()) {
    const auto pay_to = crypto::Address::parse(flags.pay_to);
    if (!pay_to) return fail_in("--x402-pay-to", pay_to.error());
    options.pay_to = *pay_to;
  }
  if (!flags.fee.empty()) {
    const auto fee = market::parse_money(flags.fee);
    if (!fee) return fail_in("--x402-fee", fee.error());
    options.fee = *fee;
  }
  options.public_url = flags.url;
  options.otherwise = flags.otherwise;
  options.timeout_s = flags.timeout_s;
  options.patience_ms = std::int64_t{flags.patience_s} * 1000;
  if (!flags.channels.empty()) {
    TRY(options.channels, channel_options(flags));
  }
  return options;
}

Result<settle::x402::PurseOptions> purse_options(const X402Flags& flags) {
  settle::x402::PurseOptions options;
  const auto asset =
      crypto::Address::parse(flags.pay_token.empty() ? flags.token : flags.pay_token);
  if (!asset) return fail_in("--pay-x402-token", asset.error());
  options.asset = *asset;
  const auto most = market::parse_money(flags.pay_most);
  if (!most) return fail_in("--pay-x402-most", most.error());
  options.most = *most;
  const auto budget = market::parse_money(flags.pay_budget);
  if (!budget) return fail_in("--pay-x402-budget", budget.error());
  options.budget = *budget;
  return options;
}

}  // namespace

void add_x402_flags(CLI::App* verb, X402Flags& flags, const std::string& note) {
  const std::string group = "paid by x402";
  auto* token = verb->add_option("--x402", flags.token,
                                 "sell to whoever pays by x402, in this token: 0x…, of 6 decimals, "
                                 "with EIP-3009 (USDC); " +
                                     note);
  token->group(group);
  const auto add = [&](const char* name, auto& value, const char* help) {
    return verb->add_option(name, value, help)->group(group)->needs(token);
  };
  verb->add_option("--x402-rpc", flags.rpc,
                   "JSON-RPC of the token's chain; several are asked in turn (default: --rpc)")
      ->group(group);
  add("--x402-pay-to", flags.pay_to, "address that is paid (default: the key's own)");
  add("--x402-fee", flags.fee, "added to the price of each answer, for gas: 0.002 (default 0)");
  add("--x402-url", flags.url, "public URL in front of this service, for the 402's resource");
  add("--x402-timeout", flags.timeout_s,
      "seconds an authorization should hold: longer than an answer and its block take (default "
      "600)")
      ->check(CLI::Range(30, 86'400));
  add("--x402-patience", flags.patience_s,
      "seconds to wait for a payment's block before a client is told to ask again (default 30)")
      ->check(CLI::Range(1, 600));
  auto* channels = verb->add_option(
      "--x402-channels", flags.channels,
      "also by vouchers of channels (batch-settlement): 'published', or the address of a contract "
      "of that kind; an answer is charged what it cost");
  channels->group(group)->needs(token);
  const auto add_channel = [&](const char* name, auto& value, const char* help) {
    return verb->add_option(name, value, help)->group(group)->needs(channels);
  };
  add_channel("--x402-collector", flags.collector,
              "the contract's collector of deposits by EIP-3009 (default: the published one)");
  add_channel(
      "--x402-withdraw-delay", flags.withdraw_delay_s,
      "seconds a payer waits for its money back, in which vouchers are claimed: longer than "
      "this service is ever away (default 86400)")
      ->check(CLI::Range(900, 2'592'000));
  add_channel("--x402-min-deposit", flags.min_deposit,
              "least deposit, each costs this service gas (default: what the voucher needs)");
  add_channel("--x402-claim-at", flags.claim_at,
              "claim a channel's vouchers when so much is unclaimed (default 1.00)");
  add_channel("--x402-claim-every", flags.claim_every_s,
              "claim everything after so many seconds (default 3600)");
}

void add_pay_x402_flags(CLI::App* verb, X402Flags& flags) {
  const std::string group = "paying by x402";
  auto* sellers =
      verb->add_option("--pay-x402", flags.sellers,
                       "NAME=URL: answer model x402/NAME from this seller, paid by x402 "
                       "and not verified (may be given again)");
  sellers->group(group);
  const auto add = [&](const char* name, auto& value, const char* help) {
    verb->add_option(name, value, help)->group(group)->needs(sellers);
  };
  add("--pay-x402-token", flags.pay_token,
      "token to pay in, of the key's own (default: --x402's); on the chain of --x402-rpc");
  add("--pay-x402-most", flags.pay_most, "most for one answer (default 0.01)");
  add("--pay-x402-budget", flags.pay_budget, "most in a day, UTC (default 1.00)");
}

Result<std::map<std::string, std::string>> x402_sellers(const X402Flags& flags) {
  std::map<std::string, std::string> out;
  for (const std::string& seller : flags.sellers) {
    const std::size_t at = seller.find('=');
    if (at == std::string::npos || at == 0 || !seller.substr(at + 1).starts_with("http"))
      return fail(Errc::invalid, "--pay-x402: '{}' is not NAME=URL, as tern=https://sells.example",
                  seller);
    std::string url = seller.substr(at + 1);
    while (url.ends_with('/')) url.pop_back();
    out[seller.substr(0, at)] = std::move(url);
  }
  return out;
}

Result<OpenTill> OpenTill::open(const X402Flags& flags, const SettlementFlags& ledger,
                                OpenSettlement& settlement, const crypto::SecretKey& key,
                                const std::string& data_dir, const Clock& clock) {
  OpenTill out;
  if (!flags.wanted() && flags.sellers.empty()) return out;
  const std::string folder = data_dir + "/x402";
  CHECK_OK(io::make_directories(folder, 0700));

  settle::evm::EvmLedger* chain = settlement.chain();
  io::ChainRpc* rpc = chain != nullptr ? &chain->rpc() : nullptr;
  io::ChainSender* sender = chain != nullptr ? &chain->transactions() : nullptr;
  io::ChainSenderOptions sending;
  if (!flags.rpc.empty()) {
    io::ChainRpcOptions at;
    at.endpoints = flags.rpc;
    at.ca_file = ledger.ca_file;
    auto own = std::make_unique<io::ChainRpc>(at);
    const auto chain_id = own->chain_id();
    if (!chain_id) return fail_in("--x402-rpc", Error(chain_id.error()));
    const auto settled_on = rpc != nullptr ? rpc->chain_id() : io::ChainResult<std::uint64_t>(0);
    if (!settled_on) return std::unexpected(Error(settled_on.error()));
    if (*settled_on != *chain_id) {
      sending = sending_options(ledger, *chain_id);
      TRY(out.lock_, io::FileLock::acquire(folder));
      auto opened = io::ChainSender::open(folder + "/transactions.db", *own, key, clock, sending);
      if (!opened) return std::unexpected(Error(opened.error()));
      out.rpc_ = std::move(own);
      out.sender_ = std::move(*opened);
      rpc = out.rpc_.get();
      sender = out.sender_.get();
    }
  }
  if (sender != nullptr && out.sender_ == nullptr) {
    // The settlement's own queue: as deep as it calls done.
    const auto chain_id = rpc->chain_id();
    if (!chain_id) return std::unexpected(Error(chain_id.error()));
    sending = sending_options(ledger, *chain_id);
  }
  if (rpc == nullptr)
    return fail(Errc::invalid, "--x402-rpc is required: the JSON-RPC of the token's chain");
  if (flags.wanted()) {
    TRY(settle::x402::TillOptions options, till_options(flags, key));
    options.data_file = folder + "/payments.db";
    options.channels_file = folder + "/channels.db";
    options.confirmations = sending.confirmations;
    auto till = settle::x402::Till::open(std::move(options), *rpc, *sender, clock);
    if (!till) return fail_in("--x402", till.error());
    out.till_ = std::move(*till);
  }
  if (!flags.sellers.empty()) {
    TRY(settle::x402::PurseOptions options, purse_options(flags));
    options.data_file = folder + "/purchases.db";
    options.confirmations = sending.confirmations;
    options.http.ca_file = ledger.ca_file;
    auto purse = settle::x402::Purse::open(std::move(options), *rpc, key, clock);
    if (!purse) return fail_in("--pay-x402", purse.error());
    out.purse_ = std::move(*purse);
  }
  return out;
}

}  // namespace assay::cli
