// assay job submit | verify: an answer bought in a sealed-bid auction, and anybody's check of one.
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "io/files.hpp"
#include "io/http_client.hpp"
#include "market/auction.hpp"
#include "market/money.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

using market::format_money;

constexpr std::size_t kFileBytesMax = 64u << 20;

struct Submit {
  std::string gateway, model, prompt, message, pricing = "second", max_price_out, verification;
  std::uint32_t max_tokens = 64, deadline_s = 2;
  std::vector<std::string> regions;
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

void print_bids(const json::object& auction) {
  if (const auto* bids = auction.if_contains("bids"); bids != nullptr && bids->is_array())
    for (const auto& bid : bids->get_array())
      if (const auto* b = bid.if_object())
        fmt::print("bid      {}  {}\n", text_of(*b, "provider"),
                   b->contains("price") ? text_of(*b, "price") : text_of(*b, "fault"));
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
  TRY(const io::HttpReply reply,
      client.post_json(
          fmt::format("{}/assay/jobs?pricing={}&deadline={}", o.gateway, o.pricing, o.deadline_s),
          json::dump(body_of(o))));
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
      auction != nullptr && auction->is_object())
    print_bids(auction->get_object());
  fmt::print("receipt  {}  {}\n", text_of(assay->get_object(), "receipt"),
             text_of(assay->get_object(), "amount"));
  return kOk;
}

struct Verify {
  std::string file, market;
};

Result<int> run_verify(const Context& context, const Verify& o) {
  TRY(const std::string text, io::read_file(o.file, kFileBytesMax));
  TRY(const json::value parsed, json::parse(text, kFileBytesMax));
  TRY(const json::object* object, json::as_object(parsed, "an auction"));
  TRY(const market::Auction auction, market::auction_from_json(*object));
  settle::RemoteLedger ledger(o.market);
  TRY(const auto info, ledger.info());
  const auto verdict = market::verify(info.domain, auction);
  const auto opened = market::open_bids(info.domain, auction);
  if (context.json()) {
    json::array bids;
    for (const auto& bid : opened)
      bids.push_back(json::object{{"provider", bid.provider.to_string()},
                                  {"price", format_money(bid.price)},
                                  {"fault", bid.fault}});
    context.print(json::object{{"ok", verdict.has_value()},
                               {"problem", verdict ? "" : verdict.error().message},
                               {"winner", verdict ? verdict->winner.to_string() : ""},
                               {"bids", std::move(bids)}});
    return verdict ? kOk : kFailed;
  }
  for (const auto& bid : opened)
    fmt::print("bid      {}  {}\n", bid.provider.to_string(),
               bid.offer ? format_money(bid.price) : bid.fault);
  if (!verdict) {
    fmt::print("{}  {}\n", red("BAD"), verdict.error().message);
    return kFailed;
  }
  fmt::print("{}  {} won and is paid {} in, {} out per million: what the bids say\n", green("ok"),
             verdict->winner.to_string(), format_money(verdict->price_in),
             format_money(verdict->price_out));
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
    verb->add_option("--max-price-out", o->max_price_out, "ceiling per million answer tokens");
    verb->add_option("--regions", o->regions, "only these regions: eu,us")->delimiter(',');
    verb->add_option("--verification", o->verification,
                     "audit, verify-before-stream, stream-then-verify or tee");
    context.json_flag(verb);
    context.on_run(verb, [&context, o] { return run_submit(context, *o); });
  }
  {
    auto* verb = context.verb(*job, "verify",
                              "open every bid of an auction that is over and decide it again",
                              "assay job verify buyer/auctions/0x12….json --market "
                              "http://127.0.0.1:8790");
    const auto o = std::make_shared<Verify>();
    verb->add_option("FILE", o->file,
                     "the record: GET /assay/auctions/{id} of a gateway, or its "
                     "auctions folder")
        ->required();
    verb->add_option("--market", o->market, "URL of the ledger the signatures are for")->required();
    context.json_flag(verb);
    context.on_run(verb, [&context, o] { return run_verify(context, *o); });
  }
}

}  // namespace assay::cli
