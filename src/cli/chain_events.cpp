// assay chain events
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/chain_verbs.hpp"
#include "cli/cli.hpp"
#include "io/files.hpp"
#include "settle/evm/chain_view.hpp"
#include "settle/evm/event_fields.hpp"

namespace assay::cli {
namespace {

using settle::evm::Event;
using settle::evm::EventIndex;

struct EventsOptions {
  SettlementFlags chain;
  std::string data, about;
  std::vector<std::string> kinds;
  std::size_t limit = 1'000;
};

json::object event_json(const Event& event) {
  json::array indexed;
  for (std::size_t i = 1; i < event.topics.size(); ++i)
    indexed.emplace_back(to_hex(event.topics[i]));
  json::object out{{"event", event.topics.empty() ? "" : settle::evm::event_name(event.topics[0])},
                   {"block", std::to_string(event.block_num)},
                   {"index", std::to_string(event.log_index)},
                   {"transaction", to_hex(event.transaction)},
                   {"contract", event.address.to_string()},
                   {"indexed", indexed},
                   {"data", to_hex(event.data)}};
  if (const auto fields = settle::evm::event_fields(event)) {
    json::object named;
    for (const auto& field : *fields) named[field.name] = field.value;
    out["fields"] = std::move(named);
  }
  return out;
}

std::string event_line(const Event& event) {
  std::string line =
      fmt::format("{:>10} {:<18}", event.block_num,
                  event.topics.empty() ? "" : settle::evm::event_name(event.topics[0]));
  if (const auto fields = settle::evm::event_fields(event)) {
    for (const auto& field : *fields) line += fmt::format(" {} {}", field.name, field.shown);
    return line;
  }
  for (std::size_t i = 1; i < event.topics.size(); ++i) line += ' ' + to_hex(event.topics[i]);
  return line;
}

// Two indexes in a folder: what the market names is known from its address alone, what only a
// manifest names lies beside it. So either finds the folder that the other made.
Result<std::vector<EventIndex>> open_indexes(io::ChainRpc& rpc, const ChainPlace& place,
                                             const std::string& folder) {
  TRY(const auto at, settle::evm::contracts_of(rpc, place.market));
  std::vector<EventIndex> out;
  const auto add = [&](const char* file, std::vector<crypto::Address> contracts) -> Status {
    TRY(auto index, EventIndex::open(folder + file, rpc, std::move(contracts), place.first_block,
                                     place.confirmations));
    out.push_back(std::move(index));
    return {};
  };
  auto of_market = settle::evm::event_sources(at);
  of_market.push_back(at.programs);
  CHECK_OK(add("/events.db", std::move(of_market)));
  if (!place.manifest) return out;
  std::vector<crypto::Address> named;
  for (const char* name : {"Anchor", "Registry"}) {
    TRY(const auto address, place.manifest->address(name));
    named.push_back(address);
  }
  CHECK_OK(add("/records.db", std::move(named)));
  return out;
}

Result<int> events(const Context& context, const EventsOptions& options) {
  TRY(const ChainPlace place, chain_place(options.chain));
  settle::evm::EventQuery query;
  query.limit = options.limit + 1;  // to know of more
  query.newest = true;
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
  TRY(auto indexes, open_indexes(rpc, place, options.data));
  std::vector<Event> found;
  for (EventIndex& index : indexes) {
    CHECK_OK(index.sync());
    TRY(auto some, index.find(query));
    std::ranges::move(some, std::back_inserter(found));
  }
  std::ranges::sort(found, {}, [](const Event& e) { return std::pair(e.block_num, e.log_index); });
  const bool more = found.size() > options.limit;
  if (more)
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(options.limit));
  if (context.json()) {
    json::array list;
    for (const auto& event : found) list.push_back(event_json(event));
    context.print(json::object{{"events", list}, {"older_left_out", more}});
    return kOk;
  }
  if (more)
    fmt::print("the newest {}; there are older ones (--limit)\n", options.limit);
  for (const auto& event : found) fmt::print("{}\n", event_line(event));
  return kOk;
}

}  // namespace

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
  verb->add_option("--data", o->data, "folder of the index (SQLite)")->required();
  verb->add_option("--kind", o->kinds, "only these events, e.g. LeaseOpened");
  verb->add_option("--about", o->about, "only events that name this address or id");
  verb->add_option("--limit", o->limit, "at most so many, the newest (default 1000)")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000'000}));
  add_chain_flags(verb, o->chain);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return events(context, *o); });
}

}  // namespace assay::cli
