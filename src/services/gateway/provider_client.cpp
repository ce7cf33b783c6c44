#include "services/gateway/provider_client.hpp"

#include "base/hex.hpp"
#include "io/line_splitter.hpp"

namespace assay::services {
namespace {

io::HttpClientOptions stream_options(const ProviderLimits& limits) {
  io::HttpClientOptions options;
  options.connect_timeout_ms = limits.connect_ms;
  options.idle_timeout_ms = limits.idle_ms;
  options.total_timeout_ms = limits.total_ms;
  options.max_body_bytes = 64u << 20;
  options.tls_beyond_loopback = !limits.plain_http;
  options.peer_word = "provider";
  return options;
}

io::HttpClientOptions call_options(const ProviderLimits& limits) {
  io::HttpClientOptions options = stream_options(limits);
  // A trace is recomputed before the first byte.
  options.idle_timeout_ms = std::max<std::int64_t>(limits.idle_ms, 1'000);
  // Audits and payments wait for these calls: nobody may drip them out.
  options.total_timeout_ms = std::min<std::int64_t>(limits.total_ms, 30'000);
  return options;
}

io::HttpClientOptions states_options(const ProviderLimits& limits) {
  io::HttpClientOptions options = stream_options(limits);
  options.max_body_bytes = 4 * protocol::kStatesBytesMax;  // base64, hexadecimal, braces
  return options;
}

Error refusal(const io::HttpReply& reply) { return io::refusal("provider", reply); }

}  // namespace

ProviderClient::ProviderClient(const ProviderLimits& limits)
    : stream_(stream_options(limits)),
      calls_(call_options(limits)),
      states_(states_options(limits)) {}

Status ProviderClient::infer(const std::string& endpoint, const protocol::InferenceCall& call,
                             const OnEvent& on_event, const std::function<bool()>& cancelled,
                             int& refused_with) {
  io::LineSplitter lines;
  Status outcome = fail(Errc::unavailable, "the provider's stream ended without a receipt");
  bool finished = false;
  const auto on_line = [&](std::string_view line) -> Status {
    if (line.empty() || finished) return {};
    TRY(const protocol::InferenceEvent event, protocol::event_from_line(line));
    TRY(const Next next, on_event(event));
    if (next == Next::done) finished = true;
    return {};
  };
  const auto on_data = [&](std::string_view data) {
    if (const Status fed = lines.feed(data, on_line); !fed) {
      outcome = fed;
      return false;
    }
    return !finished;
  };
  const auto reply = stream_.post_stream(
      endpoint + "/v1/infer", json::dump(protocol::to_json(call)), on_data, {}, cancelled);
  if (finished) return {};
  if (!reply) {
    // on_data's own verdict, where it stopped the transfer, says more than "cancelled".
    const bool ours = reply.error().code == Errc::cancelled && !(cancelled && cancelled());
    return ours ? outcome : std::unexpected(reply.error());
  }
  if (reply->status / 100 == 2) return outcome;
  refused_with = reply->status;
  return std::unexpected(refusal(*reply));
}

Result<json::value> ProviderClient::post(const std::string& url, const json::object& body) {
  TRY(const io::HttpReply reply, calls_.post_json(url, json::dump(body)));
  if (reply.status / 100 != 2) return std::unexpected(refusal(reply));
  return json::parse(reply.body);
}

Result<protocol::ReceiptReply> ProviderClient::receipt(const std::string& endpoint,
                                                       const protocol::Recall& recall) {
  TRY(const json::value body, post(endpoint + "/v1/receipt", protocol::to_json(recall)));
  TRY(const json::object* object, json::as_object(body, "the provider's reply"));
  return protocol::receipt_reply_from_json(*object);
}

Result<protocol::TraceReply> ProviderClient::trace(const std::string& endpoint,
                                                   const protocol::Recall& recall) {
  TRY(const json::value body, post(endpoint + "/v1/trace", protocol::to_json(recall)));
  TRY(const json::object* object, json::as_object(body, "the provider's reply"));
  return protocol::trace_reply_from_json(*object);
}

Result<market::SignedMove> ProviderClient::dispute(const std::string& endpoint,
                                                   const market::FileDispute& dispute) {
  TRY(const json::value body,
      post(endpoint + "/v1/dispute", market::to_json(market::Operation(dispute))));
  market::SignedMove move;
  CHECK_OK(market::decode(body, move));
  return move;
}

Result<protocol::BidReply> ProviderClient::bid(const std::string& endpoint,
                                               const protocol::Signed<protocol::BidCall>& call,
                                               const std::function<bool()>& cancelled) {
  constexpr std::size_t kReplyBytesMax = 4 * protocol::kBidBytesMax;
  std::string body;
  const auto on_data = [&](std::string_view data) {
    body += data;
    return body.size() <= kReplyBytesMax;
  };
  TRY(const io::HttpReply reply,
      calls_.post_stream(endpoint + "/v1/bid", json::dump(protocol::to_json(call)), on_data, {},
                         cancelled));
  if (reply.status / 100 != 2) return std::unexpected(refusal(reply));
  TRY(const json::value parsed, json::parse(body));
  TRY(const json::object* object, json::as_object(parsed, "the provider's bid"));
  return protocol::bid_reply_from_json(*object);
}

Result<protocol::Signed<protocol::Offer>> ProviderClient::award(const std::string& endpoint,
                                                                const protocol::AwardCall& call) {
  TRY(const json::value body, post(endpoint + "/v1/award", protocol::to_json(call)));
  TRY(const json::object* object, json::as_object(body, "the provider's offer"));
  return protocol::signed_from_json<protocol::Offer>(*object);
}

Result<protocol::Signed<protocol::RebateAcceptance>> ProviderClient::rebate(
    const std::string& endpoint, const protocol::RebateCall& call) {
  TRY(const json::value body, post(endpoint + "/v1/rebate", protocol::to_json(call)));
  TRY(const json::object* object, json::as_object(body, "the provider's acceptance"));
  return protocol::signed_from_json<protocol::RebateAcceptance>(*object);
}

Status ProviderClient::states(const std::string& endpoint, const protocol::StatesCall& call,
                              const std::function<Status(protocol::PositionStates)>& take) {
  // One position: its leaves, states and rows.
  io::LineSplitter lines(std::size_t{16} << 20);
  Status outcome = fail(Errc::unavailable, "the provider's states ended before their end");
  bool finished = false;
  const auto on_line = [&](std::string_view line) -> Status {
    if (line.empty() || finished) return {};
    auto event = protocol::states_event_from_line(line);
    if (!event) return fail(Errc::mismatch, "{}", event.error().message);
    if (auto* position = std::get_if<protocol::PositionStates>(&*event))
      return take(std::move(*position));
    if (const auto* error = std::get_if<protocol::ErrorEvent>(&*event))
      return fail(Errc::unavailable, "the provider serves no states: {}",
                  error->message.substr(0, 300));
    finished = true;
    return {};
  };
  const auto on_data = [&](std::string_view data) {
    if (Status fed = lines.feed(data, on_line); !fed) {
      outcome = std::move(fed);
      return false;
    }
    return !finished;
  };
  const auto reply =
      states_.post_stream(endpoint + "/v1/states", json::dump(protocol::to_json(call)), on_data);
  if (finished) return {};
  if (!reply)
    return reply.error().code == Errc::cancelled ? outcome : std::unexpected(reply.error());
  if (reply->status / 100 != 2) return std::unexpected(refusal(*reply));
  return outcome;
}

Result<protocol::TensorsReply> ProviderClient::tensors(const std::string& endpoint,
                                                       const Hash& execution) {
  TRY(const json::value body,
      post(endpoint + "/v1/tensors", json::object{{"execution", to_hex(execution)}}));
  TRY(const json::object* object, json::as_object(body, "the provider's reply"));
  return protocol::tensors_reply_from_json(*object);
}

}  // namespace assay::services
