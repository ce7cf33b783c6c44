#include "services/gateway/reply_sink.hpp"

namespace assay::services {
namespace {

constexpr std::string_view kLastEvent = "[DONE]";
constexpr std::size_t kKeptBytesMax = 256u << 20;

}  // namespace

void ClientSink::header(std::string_view name, std::string_view value) {
  response_.set_header(name, value);
}

void ClientSink::whole(int status, const json::object& body) { response_.send_json(status, body); }

bool ClientSink::event(std::string_view data) {
  if (!response_.started()) {
    response_.set_header("cache-control", "no-cache");
    if (!response_.begin_stream(200, "text/event-stream")) return false;
  }
  return response_.write_event(data);
}

void KeptSink::header(std::string_view name, std::string_view value) {
  kept_.headers.emplace_back(name, value);
  client_.header(name, value);
}

void KeptSink::whole(int status, const json::object& body) {
  done_ = true;
  good_ = status == 200;
  kept_.body = body;
  client_.whole(status, body);
}

bool KeptSink::event(std::string_view data) {
  kept_.stream = true;
  kept_.events.emplace_back(data);
  client_.event(data);
  return true;
}

void KeptSink::end_stream() {
  done_ = true;
  good_ = !kept_.events.empty() && kept_.events.back() == kLastEvent;
  client_.end_stream();
}

void KeptAnswer::send(ReplySink& sink) const {
  for (const auto& [name, value] : headers) sink.header(name, value);
  if (!stream) return sink.whole(200, body);
  for (const std::string& event : events)
    if (!sink.event(event)) return;
  sink.end_stream();
}

std::string KeptAnswer::to_text() const {
  json::array fields, sent;
  for (const auto& [name, value] : headers) fields.push_back(json::array{name, value});
  for (const std::string& event : events) sent.emplace_back(event);
  return json::dump(json::object{
      {"headers", std::move(fields)}, {"stream", stream}, {"body", body}, {"events", sent}});
}

Result<KeptAnswer> KeptAnswer::from_text(std::string_view text) {
  TRY(const json::value parsed, json::parse(text, kKeptBytesMax));
  TRY(const json::object* object, json::as_object(parsed, "a kept answer"));
  KeptAnswer out;
  TRY(out.stream, json::get_bool(*object, "stream"));
  TRY(const json::object* body, json::get_object(*object, "body"));
  out.body = *body;
  TRY(const json::array* events, json::get_array(*object, "events"));
  for (const json::value& event : *events)
    if (const auto* s = event.if_string()) out.events.emplace_back(*s);
  TRY(const json::array* fields, json::get_array(*object, "headers"));
  for (const json::value& field : *fields) {
    const auto* pair = field.if_array();
    if (pair == nullptr || pair->size() != 2 || !pair->at(0).is_string() ||
        !pair->at(1).is_string())
      return fail(Errc::mismatch, "a kept answer's header is damaged");
    out.headers.emplace_back(pair->at(0).get_string(), pair->at(1).get_string());
  }
  return out;
}

}  // namespace assay::services
