// assay chain deposit
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"

namespace assay::cli {
namespace {

struct ChainDepositOptions {
  SettlementFlags chain;
  KeyOptions key;
  std::string data, to, amount, nonce;
};

Result<int> deposit_on_chain(const Context& context, const ChainDepositOptions& options) {
  TRY(const auto amount, market::parse_money(options.amount));
  TRY(const crypto::SecretKey key, load_key(options.key));
  crypto::Address to = crypto::address_of(key);
  if (!options.to.empty()) {
    TRY(to, crypto::Address::parse(options.to));
  }
  protocol::Deposit message{to, amount, io::random_u64()};
  if (!options.nonce.empty()) {
    TRY(message.nonce, json::parse_u64(options.nonce));
  }
  const io::SystemClock clock;
  TRY(const ChainPlace place, chain_place(options.chain));
  TRY(const auto ledger, open_chain(place, key, options.data, clock));
  TRY(const auto info, ledger->info());
  const auto done = ledger->submit(protocol::sign(info.domain, message, key));
  if (!done)
    return fail(done.error().code, "{} (again with --nonce {} it is the same deposit)",
                done.error().message, message.nonce);
  TRY(const auto account, ledger->account(to));
  if (context.json()) {
    context.print(json::object{{"id", to_hex(done->id)},
                               {"already", done->already},
                               {"account", market::to_json(account)}});
    return kOk;
  }
  fmt::print("{} {}: account {} has {} available\n", market::format_money(amount),
             done->already ? "was deposited before" : "deposited", to.to_string(),
             market::format_money(account.available));
  return kOk;
}

}  // namespace

void add_chain_deposit(CLI::App& chain, Context& context) {
  auto* verb = context.verb(
      chain, "deposit", "moves the key's own tokens into an account of the market",
      "assay chain deposit --rpc URL --market ./deployment/manifest.json --key buyer.json \\\n"
      "    --data ./buyer/chain --amount 25.00");
  const auto o = std::make_shared<ChainDepositOptions>();
  verb->add_option("--market", o->chain.market, "the market's contract, 0x…, or its manifest")
      ->required();
  add_key_options(verb, o->key, "the key whose tokens they are, which pays for gas")->required();
  verb->add_option("--data", o->data,
                   "folder of the key's transactions: DATA/chain of its provider or gateway, which "
                   "must not run meanwhile")
      ->required();
  verb->add_option("--amount", o->amount, "e.g. 25.00")->required();
  verb->add_option("--to", o->to, "account that gets it (default: the key's own)");
  verb->add_option("--nonce", o->nonce, "of a deposit whose outcome is not known: it is made once");
  add_chain_flags(verb, o->chain);
  add_code_flag(verb, o->chain);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return deposit_on_chain(context, *o); });
}

}  // namespace assay::cli
