// assay job submit | verify: an answer bought in a sealed-bid auction, and anybody's check of one.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "base/hex.hpp"
#include "cli/api_key.hpp"
#include "cli/cli.hpp"
#include "cli/log_verbs.hpp"
#include "cli/option_checks.hpp"
#include "io/files.hpp"
#include "io/http_client.hpp"
#include "market/auction.hpp"
#include "market/money.hpp"
#include "settle/log_client.hpp"
#include "settle/remote.hpp"
#include "tlog/prove.hpp"

namespace assay::cli {
namespace {

using market::format_money;

constexpr std::size_t kJobBytesMax = 64u << 20;

struct Submit {
  std::string gateway, model, prompt, message, pricing = "second", max_price_out, verification;
  std::uint32_t max_tokens = 64, deadline_s = 2;
  std::vector<std::string> regions;
  ApiKeyOptions api_key;
};

json::object body_of(const Submit& o) {
  json::object body{{"model", o.model}, {"max_tokens", o.max_tokens}, {"temperature", 0}};
  if (o.message.empty())
    body["prompt"] = o.prompt;
  else
    body["messages"] = json::array{json::object{{"role", "user"}, {"content", o.message}}};
  json::object provider;
  if (!o.max_price_out.empty()) provider["max_price"] = {{"completion", o.max_price_out}};
  if (!o.verification.empty()) provider["verification"] = o.verification;
  json::array regions;
  for (const auto& region : o.regions) regions.emplace_back(region);
  if (!regions.empty()) provider["regions"] = std::move(regions);
  if (!provider.empty()) body["provider"] = std::move(provider);
  return body;
}

std::string_view text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

// The answer's text, of a chat or a completion; empty where it is neither.
std::string_view answer_of(const json::object& reply) {
  const auto* choices = reply.if_contains("choices");
  if (choices == nullptr || !choices->is_array() || choices->get_array().empty()) return "";
  const auto* choice = choices->get_array()[0].if_object();
  if (choice == nullptr) return "";
  const auto* message = choice->if_contains("message");
  return message != nullptr && message->is_object() ? text_of(message->get_object(), "content")
                                                    : text_of(*choice, "text");
}

// Those that say something.
std::vector<std::string_view> words_of(std::string_view price, std::string_view fault) {
  std::vector<std::string_view> out;
  for (const auto word : {price, fault})
    if (!word.empty()) out.push_back(word);
  return out;
}

void print_bids(const json::object& auction) {
  if (const auto* bids = auction.if_contains("bids"); bids != nullptr && bids->is_array())
    for (const auto& bid : bids->get_array())
      if (const auto* b = bid.if_object())
        fmt::print("bid      {}  {}\n", text_of(*b, "provider"),
                   fmt::join(words_of(text_of(*b, "price"), text_of(*b, "fault")), "  "));
  fmt::print("winner   {} at {} in, {} out per million\n", text_of(auction, "winner"),
             text_of(auction, "price_in"), text_of(auction, "price_out"));
  fmt::print("auction  {}\n", text_of(auction, "id"));
}

Result<int> run_submit(const Context& context, const Submit& o) {
  if (o.prompt.empty() == o.message.empty())
    return fail(Errc::invalid, "give --message (a chat) or --prompt (text as it is), one of them");
  io::HttpClientOptions options;
  options.total_timeout_ms = 0;
  options.idle_timeout_ms = 600'000;
  options.peer_word = "gateway";
  io::HttpClient client(options);
  TRY(const auto headers, authorization(o.api_key));
  TRY(const io::HttpReply reply,
      client.post_json(
          fmt::format("{}/assay/jobs?pricing={}&deadline={}", o.gateway, o.pricing, o.deadline_s),
          json::dump(body_of(o)), headers));
  if (reply.status == 401)
    return fail(Errc::refused, "{}: give it with --api-key-file FILE or in $ASSAY_API_KEY",
                io::refusal("gateway", reply).message);
  if (reply.status / 100 != 2) return std::unexpected(io::refusal("gateway", reply));
  TRY(const json::value parsed, json::parse(reply.body));
  TRY(const json::object* object, json::as_object(parsed, "the gateway's reply"));
  if (context.json()) {
    context.print(*object);
    return kOk;
  }
  fmt::print("{}\n\n", answer_of(*object));
  const auto* assay = object->if_contains("assay");
  if (assay == nullptr || !assay->is_object()) return kOk;
  if (const auto* auction = assay->get_object().if_contains("auction");
      auction != nullptr && auction->is_object()) {
    print_bids(auction->get_object());
    const std::string_view winner = text_of(auction->get_object(), "winner");
    if (const auto who = text_of(assay->get_object(), "provider"); who != winner)
      fmt::print("answered by {}: the winner did not\n", who);
  }
  fmt::print("receipt  {}  {}\n", text_of(assay->get_object(), "receipt"),
             text_of(assay->get_object(), "amount"));
  return kOk;
}

struct Verify {
  std::string what, market, log, bidder;
  PolicyOptions policy;
};

// An auction's record, and for which ledger; by a log also where it lies there.
struct Record {
  protocol::Domain domain;
  market::Auction auction;
  std::optional<std::uint64_t> index;
};

Result<market::Auction> read_auction(std::string_view text) {
  TRY(const json::value parsed, json::parse(text, kJobBytesMax));
  TRY(const json::object* object, json::as_object(parsed, "an auction"));
  return market::auction_from_json(*object);
}

// The log's word for nothing: the entry is in the tree of its signed checkpoint, the buyer signed
// it, and it commits to the record that the log shows.
Result<Record> from_log(const Hash& call, const Verify& o) {
  TRY(const auto policy, policy_of(o.policy));
  settle::LogReader log(o.log);
  TRY(auto kept, log.auction(call));
  TRY(std::string checkpoint, log.checkpoint());
  const auto proof = tlog::prove_entry(kept.index, std::move(checkpoint), policy, log);
  if (!proof) return fail_in("the log's entry of this auction", proof.error());
  settle::AuctionEntry entry;
  TRY(entry.entry, tlog::LogEntry::parse(*proof->extra));
  entry.domain = kept.domain;
  entry.record = std::move(kept.record);
  auto checked = settle::check(entry);
  if (!checked) return fail_in("the log's record", checked.error());
  if (checked->call != call) return fail(Errc::mismatch, "the log shows another auction's record");
  return Record{kept.domain, std::move(checked->auction), kept.index};
}

Result<Record> read_record(const Verify& o) {
  Record out;
  std::optional<Hash> call;
  if (!io::path_exists(o.what)) {
    const auto digest = array_from_hex<32>(o.what);
    if (!digest || o.log.empty())
      return fail(Errc::not_found,
                  "no file {}: give a record, or the digest of an auction's call and --log",
                  o.what);
    call = *digest;
  } else {
    TRY(const std::string text, io::read_file(o.what, kJobBytesMax));
    auto auction = read_auction(text);
    if (!auction) return fail_in(o.what, auction.error());
    out.auction = std::move(*auction);
    if (o.log.empty() && o.market.empty())
      return fail(Errc::invalid, "give --market (the ledger the signatures are for) or --log");
  }
  if (!o.market.empty()) {
    settle::RemoteLedger ledger(o.market);
    TRY(const auto info, ledger.info());
    out.domain = info.domain;
  }
  if (o.log.empty()) return out;
  if (!call) {
    // Its digest is the ledger's, which the log names where nobody else does.
    if (o.market.empty())
      return fail(Errc::invalid, "a file is looked up in a log with --market, too");
    call = protocol::digest(out.domain, out.auction.call.message);
  }
  TRY(Record logged, from_log(*call, o));
  if (!o.market.empty() && logged.domain != out.domain)
    return fail(Errc::mismatch, "the log's record is of another ledger than {}", o.market);
  if (io::path_exists(o.what) &&
      json::dump(to_json(logged.auction)) != json::dump(to_json(out.auction)))
    return fail(Errc::mismatch, "the log has another record of this auction than {}", o.what);
  return logged;
}

Result<int> verify_job(const Context& context, const Verify& o) {
  TRY(const Record record, read_record(o));
  auto verdict = market::verify(record.domain, record.auction);
  const auto opened = market::open_bids(record.domain, record.auction);
  bool is_in = true;
  if (!o.bidder.empty()) {
    TRY(const auto bidder, market::Address::parse(o.bidder));
    is_in = std::ranges::find(opened, bidder, &market::OpenedBid::provider) != opened.end();
    if (!is_in)
      verdict = fail(Errc::mismatch, "there is no bid of {} in it: whoever made one was left out",
                     bidder.to_string());
  }
  const auto ceiling = [&](std::optional<market::Micros> market::Ceilings::* of) {
    const auto& ceilings = record.auction.ceilings;
    return ceilings && (*ceilings).*of ? json::value(format_money(*((*ceilings).*of)))
                                       : json::value();
  };
  if (context.json()) {
    json::array bids;
    for (const auto& bid : opened)
      bids.push_back(json::object{{"provider", bid.provider.to_string()},
                                  {"price", format_money(bid.price)},
                                  {"within_ceilings", bid.within},
                                  {"fault", bid.fault}});
    context.print(json::object{
        {"ok", verdict.has_value()},
        {"problem", verdict ? "" : verdict.error().message},
        {"ceilings",
         {{"price_in", ceiling(&market::Ceilings::price_in)},
          {"price_out", ceiling(&market::Ceilings::price_out)}}},
        {"winner", verdict ? verdict->winner.to_string() : ""},
        {"log_index", record.index ? json::value(std::to_string(*record.index)) : json::value()},
        {"bids", std::move(bids)}});
    return verdict ? kOk : kFailed;
  }
  for (const auto& bid : opened)
    fmt::print("bid      {}  {}\n", bid.provider.to_string(),
               fmt::join(words_of(bid.offer ? format_money(bid.price) : "", bid.fault), "  "));
  for (const auto& [what, price] : {std::pair("in", ceiling(&market::Ceilings::price_in)),
                                    std::pair("out", ceiling(&market::Ceilings::price_out))})
    if (price.is_string())
      fmt::print("ceiling  {} {} per million, fixed before any bid was made\n",
                 std::string_view(price.get_string()), what);
  if (!verdict) {
    fmt::print("{}  {}\n", red("BAD"), verdict.error().message);
    return kFailed;
  }
  fmt::print("{}  {} won and is paid {} in, {} out per million: what the bids say\n", green("ok"),
             verdict->winner.to_string(), format_money(verdict->price_in),
             format_money(verdict->price_out));
  if (record.index)
    fmt::print("{}  entry {} of the log commits to this\n", green("ok"), *record.index);
  return kOk;
}

}  // namespace

void add_job(CLI::App& app, Context& context) {
  CLI::App* job = context.verb(app, "job", "buy an answer in a sealed-bid auction, or check one",
                               "assay job submit --gateway http://127.0.0.1:8787 --model tern-q8_0 "
                               "--message 'Why is the sky blue?'");
  job->require_subcommand(1);
  {
    auto* verb = context.verb(*job, "submit",
                              "ask the providers that fit for sealed bids; the winner answers",
                              "assay job submit --gateway http://127.0.0.1:8787 --model tern-q8_0 "
                              "--message 'Why is the sky blue?' --pricing second --deadline 2");
    const auto o = std::make_shared<Submit>();
    verb->add_option("--gateway", o->gateway, "URL of your gateway")->required();
    verb->add_option("--model", o->model, "model")->required();
    verb->add_option("--message", o->message, "what a user says, in a chat");
    verb->add_option("--prompt", o->prompt, "text to go on from, as it is");
    verb->add_option("--max-tokens", o->max_tokens, "of the answer (default 64)");
    verb->add_option("--pricing", o->pricing,
                     "what the winner is paid: its bid (first), or the second best (second, the "
                     "default)")
        ->check(CLI::IsMember({"first", "second"}));
    verb->add_option("--deadline", o->deadline_s, "seconds for bids, 1 to 60 (default 2)")
        ->check(CLI::Range(1, 60));
    verb->add_option("--max-price-out", o->max_price_out, "ceiling per million answer tokens")
        ->check(money_value());
    verb->add_option("--regions", o->regions, "only these regions: eu,us")->delimiter(',');
    verb->add_option("--verification", o->verification,
                     "audit, verify-before-stream, stream-then-verify or tee")
        ->check(proof_value());
    add_api_key_options(verb, o->api_key);
    context.json_flag(verb);
    context.on_run(verb, [&context, o] { return run_submit(context, *o); });
  }
  {
    auto* verb = context.verb(*job, "verify",
                              "open every bid of an auction that is over and decide it again",
                              "assay job verify buyer/auctions/0x12….json --market "
                              "http://127.0.0.1:8790\nassay job verify 0x12… --log "
                              "http://127.0.0.1:8791 --vkey log.example+… --bidder 0xAb…");
    const auto o = std::make_shared<Verify>();
    verb->add_option("RECORD", o->what,
                     "a file (GET /assay/auctions/{id} of a gateway, or its auctions folder), or "
                     "with --log the digest of the call, as gateway and bidders log it")
        ->required();
    verb->add_option("--market", o->market, "URL of the ledger the signatures are for");
    auto* log = verb->add_option("--log", o->log,
                                 "URL of the transparency log: the record is taken from it, or "
                                 "compared with its, and proven to be in it");
    verb->add_option("--bidder", o->bidder, "this provider's bid must be in it");
    add_policy_options(verb, o->policy, false);
    log->needs("--vkey");
    context.json_flag(verb);
    context.on_run(verb, [&context, o] { return verify_job(context, *o); });
  }
}

}  // namespace assay::cli
