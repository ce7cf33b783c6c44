#include "services/gateway/x402_door.hpp"

#include "base/hex.hpp"
#include "market/money.hpp"

namespace assay::services {
namespace {

constexpr std::uint32_t kPaymentsListed = 100;

// Holds an answer back until it is paid for.
class HeldSink : public ReplySink {
 public:
  explicit HeldSink(io::HttpResponse& response) : response_(response) {}
  void header(std::string_view name, std::string_view value) override {
    answer_.headers.emplace_back(name, value);
  }
  void whole(int status, const json::object& body) override {
    status_ = status;
    answer_.body = body;
  }
  bool event(std::string_view data) override {
    answer_.stream = true;
    answer_.events.emplace_back(data);
    return true;
  }
  void end_stream() override {}
  bool started() const override { return answer_.stream; }
  bool gone() override { return response_.client_gone(); }

  void send() const {
    ClientSink client(response_);
    answer_.send(client);
  }
  // Of an answer that did not become one: nothing of it is given.
  void send_error() const {
    ClientSink client(response_);
    for (const auto& [name, value] : answer_.headers) client.header(name, value);
    if (status_ != 200) return client.whole(status_, answer_.body);
    const auto last = json::parse(answer_.events.empty() ? "" : answer_.events.back());
    if (last && last->is_object() && last->get_object().contains("error"))
      return client.whole(502, last->get_object());
    client.whole(500,
                 io::error_body(500, "the answer cannot be kept, and is not charged", "internal"));
  }

 private:
  io::HttpResponse& response_;
  KeptAnswer answer_;
  int status_ = 200;
};

}  // namespace

bool X402Door::is_open(const io::HttpRequest& request) {
  if (request.path == "/v1/models" || request.path.starts_with("/v1/models/"))
    return request.method == "GET" || request.method == "HEAD";
  return (request.method == "POST" || request.method == "GET") &&
         (request.path == "/v1/chat/completions" || request.path == "/v1/completions");
}

void X402Door::refund(const io::HttpRequest& request, io::HttpResponse& response) {
  settle::x402::refund(till_, request, response);
}

void X402Door::list_channels(io::HttpResponse& response) {
  if (till_.channels() == nullptr) {
    response.send_error(404, "channels are not taken here");
    return;
  }
  const auto rows = till_.channels()->book().newest(kPaymentsListed);
  if (!rows) return send_api_error(response, to_api_error(rows.error()));
  json::array all;
  for (const settle::x402::ChannelRow& row : *rows)
    all.push_back(
        {{"channel", to_hex(row.id)},
         {"payer", row.channel.payer.to_string()},
         {"balance", market::format_money(row.funds.balance)},
         {"charged", market::format_money(row.charged)},
         {"claimed", market::format_money(row.funds.claimed)},
         {"withdraw_requested", static_cast<std::int64_t>(row.funds.withdraw_requested_at)},
         {"seen", row.seen_s}});
  response.send_json(200, json::object{{"object", "list"}, {"data", std::move(all)}});
}

void X402Door::list(io::HttpResponse& response) {
  const auto rows = till_.payments().newest(kPaymentsListed);
  if (!rows) return send_api_error(response, to_api_error(rows.error()));
  json::array all;
  for (const settle::x402::PaymentRow& row : *rows) {
    const protocol::x402::Authorization& a = row.payment.authorization;
    all.push_back(
        {{"payer", a.from.to_string()},
         {"nonce", to_hex(a.nonce)},
         {"amount", market::format_money(a.value)},
         {"state", settle::x402::to_string(row.state)},
         {"taken", row.taken_s},
         {"transaction", row.transaction ? json::value(to_hex(*row.transaction)) : nullptr},
         {"reason", row.reason}});
  }
  response.send_json(200, json::object{{"object", "list"}, {"data", std::move(all)}});
}

void X402Door::handle(ApiRequest::Kind kind, const io::HttpRequest& request,
                      io::HttpResponse& response) {
  Micros audits = 0;
  const auto price = [&]() -> std::optional<Micros> {
    const auto found = completions_.price(kind, request.body);
    if (!found) {
      send_api_error(response, found.error());
      return std::nullopt;
    }
    audits = found->audits;
    return found->most;
  };
  auto sale = settle::x402::accept(till_, request, response, price);
  if (!sale) return;
  // It failed before: unless it is paid after all, there is nothing to look up.
  const bool failed = sale->failed();
  if (failed && !settle::x402::collect(till_, *sale, 0, request, response)) return;
  HeldSink held(response);
  const Caller caller{.spender = {.api_key = "x402"}, .key = {}, .prepaid = true};
  const std::string job = "x402 " + to_hex_bare(sale->id());
  if (!completions_.once(kind, request.body, caller, job, held)) {
    settle::x402::release(till_, *sale);
    return held.send_error();
  }
  if (response.client_gone() && sale->needs_its_payer()) return;  // the answer is kept
  const auto spent = completions_.spent(caller, job);
  if (!spent) return send_api_error(response, to_api_error(spent.error()));
  if (!failed && !settle::x402::collect(till_, *sale, *spent + audits, request, response)) return;
  held.send();
}

}  // namespace assay::services
