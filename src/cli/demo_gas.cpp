// What the story cost on the chain: every transaction that the contracts have an event of.
#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/demo_story.hpp"
#include "cli/settlement_flags.hpp"
#include "settle/evm/chain_view.hpp"

namespace assay::cli {
namespace {

using settle::evm::Event;

// In the words of whoever caused it; the last event of a transaction says most.
std::string what_happened(const std::vector<Event>& events) {
  std::size_t moves = 0;
  std::string last;
  for (const Event& event : events) {
    if (event.topics.empty()) continue;
    const std::string name = settle::evm::event_name(event.topics[0]);
    if (name == "Moved") ++moves;
    // A lease that ends with a conviction is told by the conviction.
    if (name != "LeaseEnded" || last.empty()) last = name;
  }
  if (last == "Convicted" && moves > 0) return fmt::format("{} moves, convicted", moves);
  if (last == "Moved") return "move of a dispute";
  if (last == "DisputeCommitted") return "dispute announced";
  std::string out;
  for (const char c : last) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += ' ';
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

}  // namespace

Status DemoStory::read_gas() {
  TRY(const auto manifest, read_manifest(market_->manifest()));
  TRY(const auto market, manifest.address("Market"));
  io::ChainRpc rpc({.endpoints = {market_->chain_url()}, .chain_id = manifest.chain_id});
  TRY(auto chain,
      settle::evm::ChainView::open(rpc, market, folder_ + "/events.db", manifest.first_block, 1));
  for (const auto& contract : manifest.contracts)
    gas_.push_back({contract.name + " deployed", to_hex(contract.transaction), contract.gas_used});
  TRY(const auto events, chain.events().find({}));
  for (std::size_t at = 0; at < events.size();) {
    std::vector<Event> together;
    const Hash transaction = events[at].transaction;
    while (at < events.size() && events[at].transaction == transaction)
      together.push_back(events[at++]);
    const auto receipt = rpc.receipt(transaction);
    if (!receipt) return std::unexpected(Error(receipt.error()));
    if (*receipt)
      gas_.push_back({what_happened(together), to_hex(transaction), (*receipt)->gas_used});
  }
  return {};
}

void DemoStory::tell_gas() const {
  say(fmt::format("{}", bold("   gas of every step")));
  std::uint64_t deployed = 0;
  for (const Gas& g : gas_) {
    if (g.what.ends_with(" deployed"))
      deployed += g.gas;
    else
      say(fmt::format("   {:>12}  {}", g.gas, g.what));
  }
  say(fmt::format("   {:>12}  {}\n", deployed, dim("contracts deployed, once")));
}

}  // namespace assay::cli
