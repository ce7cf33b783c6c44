#include "cli/demo_story.hpp"

#include <thread>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "io/http_client.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"

namespace assay::cli {
namespace {

constexpr const char* kModel = "tern-q8_0";
constexpr const char* kQuestion = "What is 27 + 48?";
constexpr unsigned kCheatBits = 3;  // of the eight that are sold
constexpr std::int64_t kPatienceMs = 60'000;

io::HttpClientOptions gateway_client() {
  io::HttpClientOptions options;
  options.peer_word = "gateway";
  return options;
}

Result<json::object> reply_object(const Result<io::HttpReply>& reply) {
  if (!reply) return std::unexpected(reply.error());
  TRY(const json::value document, json::parse(reply->body));
  TRY(const json::object* o, json::as_object(document, "the gateway's reply"));
  if (reply->status == 200) return *o;
  TRY(const json::object* error, json::get_object(*o, "error"));
  TRY(const std::string message, json::get_string(*error, "message"));
  return fail(Errc::refused, "the gateway answered {}: {}", reply->status, message);
}

}  // namespace

DemoStory::DemoStory(std::string folder, std::string models, bool aloud,
                     std::function<bool()> stopping)
    : folder_(std::move(folder)),
      models_(std::move(models)),
      aloud_(aloud),
      stopping_(std::move(stopping)) {}

Status DemoStory::open_market() {
  const std::string good = models_ + "/" + kModel + ".gguf";
  LocalMarketOptions options;
  options.data = folder_;
  // Short, since a minute's market waits for nobody; hours on a real one.
  const std::vector<std::string> short_moves{"--move-deadline", on_chain_ ? "10" : "5"};
  options.on_chain = on_chain_;
  options.anvil = anvil_;
  (on_chain_ ? options.deploy_flags : options.market_flags) = short_moves;
  options.models = models_;
  options.key_cost.n = 1u << 12;  // keys of a demo guard play money for a minute
  options.providers = {
      {.name = "alder",
       .model = good,
       .claims = {},
       .price_in = "0.30",
       .price_out = "0.60",
       .stake = "5.00",
       .region = "local"},
      {.name = "birch",
       .model = good,
       .claims = {},
       .price_in = "0.35",
       .price_out = "0.70",
       .stake = "5.00",
       .region = "local"},
      {.name = "cuckoo",
       .model = "",
       .claims = good,
       .price_in = "0.10",
       .price_out = "0.20",
       .stake = "5.00",
       .region = "local",
       .bits = kCheatBits},
  };
  TRY(LocalMarket market, LocalMarket::start(options, stopping_));
  market_.emplace(std::move(market));
  ledger_.emplace(market_->market_url());
  market_url_ = market_->market_url();
  names_ = market_->names();
  pids_ = market_->pids();
  return {};
}

Status DemoStory::wait_until(std::string_view what, const std::function<Result<bool>()>& done) {
  const auto deadline = io::steady_ms() + kPatienceMs;
  for (;;) {
    if (stopping_()) return fail(Errc::cancelled, "stopped");
    TRY(const bool ready, done());
    if (ready) return {};
    if (const auto dead = market_->dead(); !dead.empty())
      return fail(Errc::unavailable, "{}", dead);
    if (io::steady_ms() > deadline)
      return fail(Errc::unavailable, "waited {} s for {}; the logs are in {}/logs",
                  kPatienceMs / 1000, what, folder_);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Result<DemoStory::Asked> DemoStory::ask() {
  io::HttpClient client(gateway_client());
  const json::object body{{"model", kModel},
                          {"messages", json::array{{{"role", "user"}, {"content", kQuestion}}}},
                          {"temperature", 0}};
  TRY(const json::object reply,
      reply_object(
          client.post_json(market_->gateway_url() + "/v1/chat/completions", json::dump(body))));
  Asked out;
  TRY(const json::array* choices, json::get_array(reply, "choices"));
  if (choices->empty()) return fail(Errc::invalid, "the gateway's reply has no choices");
  TRY(const json::object* choice, json::as_object(choices->front(), "a choice"));
  TRY(const json::object* message, json::get_object(*choice, "message"));
  TRY(out.answer, json::get_string(*message, "content"));
  TRY(const json::object* assay, json::get_object(reply, "assay"));
  TRY(out.receipt, json::get_string(*assay, "receipt"));
  TRY(out.provider, json::get_string(*assay, "provider"));
  TRY(out.amount, json::get_string(*assay, "amount"));
  return out;
}

Result<DemoStory::Audited> DemoStory::await_audit(const Asked& asked) {
  io::HttpClient client(gateway_client());
  Audited out;
  CHECK_OK(wait_until("the audit", [&]() -> Result<bool> {
    TRY(const json::object reply,
        reply_object(client.get(market_->gateway_url() + "/assay/audits")));
    TRY(const json::array* rows, json::get_array(reply, "data"));
    for (const auto& row : *rows) {
      TRY(const json::object* o, json::as_object(row, "an audit"));
      TRY(const std::string receipt, json::get_string(*o, "receipt"));
      if (receipt != asked.receipt) continue;
      TRY(const std::string audit, json::get_string(*o, "audit"));
      TRY(const std::string stage, json::get_string(*o, "stage"));
      if (audit == "pending" || stage == "mismatch" || stage == "disputed") return false;
      out.match = audit == "match";
      TRY(out.reason, json::get_string(*o, "reason"));
      if (const auto* d = o->if_contains("divergence"); d != nullptr && d->is_object())
        out.divergence = d->get_object();
      if (const auto* id = o->if_contains("dispute"); id != nullptr && id->is_string())
        out.dispute = std::string(id->get_string());
      return true;
    }
    return false;
  }));
  out.receipt = asked.receipt;
  out.provider = asked.provider;
  return out;
}

Result<DemoStory::Balances> DemoStory::balances() {
  Balances out;
  for (const auto& name : names_) {
    TRY(out[name].view, ledger_->account(market_->party(name).address));
    if (const auto it = before_.find(name); it != before_.end())
      out[name].paid = out[name].view.available - it->second.view.available;
  }
  return out;
}

Status DemoStory::await_payment(const std::string& provider, const Balances& before) {
  TRY(const auto address, crypto::Address::parse(provider));
  const std::string name = market_->name_of(address);
  return wait_until("the settlement", [&]() -> Result<bool> {
    TRY(const auto account, ledger_->account(address));
    return account.available > before.at(name).view.available;
  });
}

Status DemoStory::tell() {
  say(fmt::format("{}  a ledger, three providers and a buyer, each a process of its own\n",
                  bold("An inference market on this machine.")));
  CHECK_OK(open_market());
  TRY(before_, balances());
  tell_cast(before_);

  // The cheapest offer wins. Until a provider has a history, everything it answers is audited.
  for (int round = 0; round < 3; ++round) {
    TRY(Asked asked, ask());
    asked_.push_back(asked);
    TRY(Audited audit, await_audit(asked));
    audits_.push_back(audit);
    if (!audit.match) {
      tell_lie(asked, audit);
      if (!audit.dispute.empty()) {
        TRY(const auto id, array_from_hex<32>(audit.dispute));
        TRY(conviction_, ledger_->dispute(id));
      }
      tell_verdict();
      continue;
    }
    CHECK_OK(await_payment(asked.provider, before_));
    tell_truth(asked, audit);
    break;
  }
  TRY(after_, balances());
  TRY(totals_, ledger_->totals());
  if (on_chain_) CHECK_OK(read_gas());
  tell_end();
  market_->stop();
  return {};
}

bool DemoStory::all_happened() const {
  if (audits_.size() != 2 || audits_[0].match || !audits_[1].match) return false;
  if (!conviction_ || conviction_->outcome != protocol::Outcome::provider_wrong) return false;
  const auto& d = *conviction_;
  return d.slashed > 0 && 2 * d.burned >= d.slashed && d.escrow_refunded > 0 &&
         totals_.conserved() && asked_[1].answer.find("75") != std::string::npos;
}

json::object DemoStory::document() const {
  json::array receipts, audits, slashed;
  for (const auto& a : asked_)
    receipts.push_back(json::object{{"id", a.receipt},
                                    {"provider", a.provider},
                                    {"answer", a.answer},
                                    {"amount", a.amount},
                                    {"file", file_of("receipts", a.receipt)},
                                    {"opening", file_of("openings", a.receipt)}});
  for (const auto& a : audits_)
    audits.push_back(
        json::object{{"receipt", a.receipt},
                     {"provider", a.provider},
                     {"match", a.match},
                     {"reason", a.reason},
                     {"divergence", a.match ? json::value(nullptr) : json::value(a.divergence)}});
  if (conviction_ && conviction_->outcome == protocol::Outcome::provider_wrong) {
    const auto& d = *conviction_;
    slashed.push_back(json::object{{"provider", audits_[0].provider},
                                   {"amount", market::format_money(d.slashed)},
                                   {"burned", market::format_money(d.burned)},
                                   {"made_whole", market::format_money(d.made_whole)},
                                   {"reward", market::format_money(d.reward)},
                                   {"escrow_refunded", market::format_money(d.escrow_refunded)},
                                   {"reason", d.reason}});
  }
  const auto table = [&](const Balances& balances) {
    json::object out;
    for (const auto& name : names_) {
      const auto& b = balances.at(name);
      out[name] = json::object{{"address", b.view.address.to_string()},
                               {"available", market::format_money(b.view.available)},
                               {"stake", market::format_money(b.view.stake)},
                               {"paid", market::format_money(b.paid)}};
    }
    return out;
  };
  json::array pids;
  for (const auto pid : pids_) pids.push_back(pid);
  json::array gas;
  for (const auto& g : gas_)
    gas.push_back(json::object{{"what", g.what}, {"transaction", g.transaction}, {"gas", g.gas}});
  const auto ledger =
      on_chain_ ? json::object{{"url", market_url_},
                               {"manifest", folder_ + "/deployer/manifest.json"},
                               {"gas", gas}}
                : json::object{{"url", market_url_}, {"file", folder_ + "/ledger/ledger.db"}};
  return {{"question", kQuestion},
          {"answer", asked_.empty() ? "" : asked_.back().answer},
          {"receipts", receipts},
          {"audits", audits},
          {"slashed", slashed},
          {"balances", {{"before", table(before_)}, {"after", table(after_)}}},
          {"conserved", totals_.conserved()},
          {"ledger", ledger},
          {"processes", pids},
          {"data", folder_}};
}

std::string DemoStory::file_of(std::string_view folder, const std::string& receipt) const {
  return fmt::format("{}/buyer/{}/{}.json", folder_, folder, receipt);
}

}  // namespace assay::cli
