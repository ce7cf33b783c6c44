// assay ledger deposit | transfer | stake | unbond | release | withdraw
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/ledger_verbs.hpp"
#include "cli/signing_key.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

struct LedgerSignOptions {
  std::string market, to, amount;
  KeyOptions key;
};

struct Request {
  market::Domain domain;
  crypto::SecretKey key;
  market::Address self, to;
  market::Micros amount = 0;
  std::uint64_t nonce = 0;
};

using Make = market::Operation (*)(const Request&);

Result<int> run_ledger_sign(const Context& context, const LedgerSignOptions& options, Make make) {
  settle::RemoteLedger remote(options.market);
  Request request;
  if (!options.to.empty()) {
    TRY(request.to, market::Address::parse(options.to));
  }
  if (!options.amount.empty()) {
    TRY(request.amount, market::parse_money(options.amount));
  }
  TRY(request.key, load_key(options.key));
  request.self = crypto::address_of(request.key);
  request.nonce = io::random_u64();
  TRY(const auto info, remote.info());
  request.domain = info.domain;
  const auto operation = make(request);
  TRY(const auto applied, remote.submit(operation));
  const auto whose = options.to.empty() ? request.self : request.to;
  TRY(const auto account, remote.account(whose));
  if (context.json()) {
    context.print(
        json::object{{"applied", market::to_json(applied)}, {"account", market::to_json(account)}});
    return kOk;
  }
  fmt::print("{}  operation {} {}\naccount   {}\navailable {}  stake {}\n", green("ok"),
             applied.sequence, to_hex(applied.id), whose.to_string(),
             market::format_money(account.available), market::format_money(account.stake));
  const auto now = static_cast<std::uint64_t>(io::SystemClock().now_s());
  for (const auto& u : account.unbonding)
    fmt::print("unbonding {}, to be released in {} s, once older leases are settled\n",
               market::format_money(u.amount), u.due > now ? u.due - now : 0);
  return kOk;
}

template <class M>
market::Operation of_account(const Request& r) {
  return protocol::sign(r.domain, M{r.self, r.amount, r.nonce}, r.key);
}
market::Operation deposit(const Request& r) {
  return protocol::sign(r.domain, protocol::Deposit{r.to, r.amount, r.nonce}, r.key);
}
market::Operation transfer(const Request& r) {
  return protocol::sign(r.domain, protocol::Transfer{r.self, r.to, r.amount, r.nonce}, r.key);
}
market::Operation release(const Request& r) {
  return protocol::sign(r.domain, protocol::Release{r.self, r.nonce}, r.key);
}

}  // namespace

void add_ledger_signing(CLI::App& ledger, Context& context) {
  const auto add = [&](const std::string& name, const char* purpose, const std::string& arguments,
                       bool to, bool amount, Make make) {
    CLI::App* verb = context.verb(
        ledger, name, purpose,
        fmt::format("assay ledger {} {} --market http://127.0.0.1:8790", name, arguments));
    const auto o = std::make_shared<LedgerSignOptions>();
    verb->add_option("--market", o->market, "the host's address")->required();
    if (to) verb->add_option("--to", o->to, "receiving account")->required();
    if (amount) verb->add_option("--amount", o->amount, "like 12.50")->required();
    add_key_options(verb, o->key, name == "deposit" ? "the host's key" : "the account's key")
        ->required();
    context.json_flag(verb);
    context.on_run(verb, [&context, o, make] { return run_ledger_sign(context, *o, make); });
  };
  add("deposit", "host: money that came in for an account",
      "--to 0xAb… --amount 25.00 --key host.json", true, true, deposit);
  add("transfer", "to another account", "--to 0xAb… --amount 5.00 --key me.json", true, true,
      transfer);
  add("stake", "put money behind one's own receipts", "--amount 10.00 --key provider.json", false,
      true, of_account<protocol::Stake>);
  add("unbond", "start taking stake out", "--amount 10.00 --key provider.json", false, true,
      of_account<protocol::Unbond>);
  add("release", "unbonded stake back to the account", "--key provider.json", false, false,
      release);
  add("withdraw", "money out of the ledger, paid by its host", "--amount 5.00 --key me.json", false,
      true, of_account<protocol::Withdraw>);
}

}  // namespace assay::cli
