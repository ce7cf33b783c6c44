// What the demo says on a terminal. Facts only: every number was read back before it is printed.
#include "cli/cli.hpp"
#include "cli/demo_story.hpp"
#include "market/money.hpp"

namespace assay::cli {
namespace {

std::string title(std::string name) {
  if (!name.empty() && name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 32);
  return name;
}

std::string short_id(const std::string& id) { return id.substr(0, 10) + "…"; }

}  // namespace

void DemoStory::say(std::string_view text) const {
  if (!aloud_) return;
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void DemoStory::tell_cast(const Balances& before) const {
  if (on_chain_)
    say(fmt::format("   chain    {}, contracts as in {}", market_->chain_url(),
                    market_->manifest()));
  say(fmt::format("   {}   {}", on_chain_ ? "board " : "ledger", market_url_));
  say(fmt::format("   buyer    {} to spend, through a gateway of its own at {}/v1",
                  market::format_money(before.at("buyer").view.available), market_->gateway_url()));
  say(fmt::format("   alder    sells tern-q8_0 at 0.30 in / 0.60 out per million tokens, stake {}",
                  market::format_money(before.at("alder").view.stake)));
  say(fmt::format("   birch    the same at 0.35 / 0.70, stake {}",
                  market::format_money(before.at("birch").view.stake)));
  say(fmt::format("   cuckoo   the same at 0.10 / 0.20, stake {}: {}\n",
                  market::format_money(before.at("cuckoo").view.stake),
                  dim("it keeps the weights at 3 bits instead of 8, and does not say so")));
}

void DemoStory::tell_lie(const Asked& asked, const Audited& audit) const {
  const auto name = title(market_->name_of(*crypto::Address::parse(asked.provider)));
  say(fmt::format("{} The buyer asks: \"What is 27 + 48?\"", bold("1.")));
  say(fmt::format("   {} is cheapest and wins. It answers: \"{}\"", name, asked.answer));
  say(fmt::format("   It signs a receipt ({}) and asks {}.\n", short_id(asked.receipt),
                  asked.amount));
  say(fmt::format("{} The audit replays the answer with the model that was paid for.", bold("2.")));
  say(fmt::format("   {}", red(audit.reason)));
  const auto at = [&](const char* key) -> std::string {
    const auto* v = audit.divergence.if_contains(key);
    return v == nullptr || v->is_null() ? "" : json::dump(*v);
  };
  const bool from_the_start = at("position") == "0" && at("layer") == "0";
  say(fmt::format("   The two executions part at position {}{}{}.\n", at("position"),
                  at("layer").empty() ? "" : ", layer " + at("layer"),
                  from_the_start ? ", the very first state: other weights were running" : ""));
}

void DemoStory::tell_verdict() const {
  if (!conviction_) return;
  const auto& d = *conviction_;
  say(fmt::format(
      "{} The buyer disputes: {} must open what it signed, down to one step a referee executes.",
      bold("3."), title(market_->name_of(*crypto::Address::parse(audits_.back().provider)))));
  if (on_chain_)
    say(fmt::format("   It is in the Disputes contract's hands, which convicts after {} move{}:",
                    d.moves, d.moves == 1 ? "" : "s"));
  say(fmt::format("   {}", red(d.reason)));
  say(fmt::format("   {}'s stake of {} is slashed: {} burned, {} to the buyer for the challenge.",
                  title(market_->name_of(*crypto::Address::parse(audits_.back().provider))),
                  market::format_money(d.slashed), market::format_money(d.burned),
                  market::format_money(d.reward + d.made_whole)));
  say(fmt::format("   The escrow of {} returns to the buyer. The lie was paid {}.\n",
                  market::format_money(d.escrow_refunded), market::format_money(0)));
}

void DemoStory::tell_truth(const Asked& asked, const Audited& audit) const {
  const auto name = title(market_->name_of(*crypto::Address::parse(asked.provider)));
  say(fmt::format("{} The buyer asks again. Cuckoo is out; {} is next.", bold("4."), name));
  say(fmt::format("   {} answers: \"{}\"", name, asked.answer));
  say(fmt::format("   Audit: {}", green(audit.reason)));
  say(fmt::format("   The buyer signs a settlement and {} is paid {}.\n", name, asked.amount));
}

void DemoStory::tell_end() const {
  say(fmt::format("{}   {:>14} {:>14} {:>14} {:>14}", bold("   who   "), "had", "stake", "has now",
                  "stake now"));
  for (const auto& name : names_) {
    if (name == "ledger" || name == "deployer") continue;
    const auto &b = before_.at(name).view, &a = after_.at(name).view;
    say(fmt::format("   {:<9}{:>14} {:>14} {:>14} {:>14}", name, market::format_money(b.available),
                    market::format_money(b.stake), market::format_money(a.available),
                    market::format_money(a.stake)));
  }
  say(fmt::format("   burned {}, still in escrow {}: {}\n", market::format_money(totals_.burned),
                  market::format_money(totals_.escrow),
                  totals_.conserved() ? green("every micro-unit is accounted for")
                                      : red("MONEY IS NOT CONSERVED")));
  if (on_chain_) tell_gas();
  const std::string good = file_of("receipts", asked_.back().receipt);
  const std::string opening = file_of("openings", asked_.back().receipt);
  const std::string self = io::self_executable();
  say(fmt::format("Everything is in {}. Try next:", folder_));
  say(fmt::format("   {} verify {} \\\n     --opening {} --model {}/tern-q8_0.gguf", self, good,
                  opening, models_));
  say(fmt::format("   {} audit {} \\\n     --opening {} --model {}/tern-q8_0.gguf   {}", self,
                  file_of("receipts", asked_.front().receipt),
                  file_of("openings", asked_.front().receipt), models_, dim("# the lie")));
  if (!on_chain_) say(fmt::format("   {} ledger verify {}/ledger/ledger.db", self, folder_));
  say(fmt::format("   {} up      # a market to point your OpenAI client at", self));
}

}  // namespace assay::cli
