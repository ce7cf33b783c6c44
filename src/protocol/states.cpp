#include "protocol/states.hpp"

#include <algorithm>

#include "base/base64.hpp"
#include "protocol/json_fields.hpp"

namespace assay::protocol {
namespace {

// A head's logits with a vocabulary of 2^20.
constexpr std::size_t kLineBytesMax = std::size_t{16} << 20;

template <class S, class V>
void call_fields(S& s, V&& v) {
  v("request", s.request);
  v("salt_secret", s.salt_secret);
  v("first", s.first);
  v("count", s.count);
  v("states", s.states);
  v("roots", s.roots);
  v("rows", s.rows);
}

Result<Bytes> bytes_of(const json::value& v) {
  const boost::json::string* characters = v.if_string();
  if (characters == nullptr) return fail(Errc::invalid, "must be a string of base64");
  return from_base64({characters->data(), characters->size()});
}

// The elements of a list, each through `read`; the error says which.
template <class T, class Read>
Status list_of(const json::object& o, std::string_view key, std::vector<T>& out, Read&& read) {
  TRY(const json::array* list, json::get_array(o, key));
  if (list->size() > kStatesLayersMax)
    return fail(Errc::invalid, "{}: {} elements, at most {} are allowed", key, list->size(),
                kStatesLayersMax);
  for (const json::value& element : *list) {
    auto value = read(element);
    if (!value) return fail_in(fmt::format("{} {}", key, out.size()), value.error());
    out.push_back(std::move(*value));
  }
  return {};
}

json::value roots_json(const std::optional<LeafRoots>& roots) {
  if (!roots) return nullptr;
  return json::array{encode(roots->x), encode(roots->second), encode(roots->third),
                     encode(roots->token)};
}

Result<std::optional<LeafRoots>> roots_of(const json::value& v) {
  if (v.is_null()) return std::nullopt;
  const json::array* list = v.if_array();
  if (list == nullptr || list->size() != 4)
    return fail(Errc::invalid, "must be null or three roots and a token");
  LeafRoots out;
  CHECK_OK(decode((*list)[0], out.x));
  CHECK_OK(decode((*list)[1], out.second));
  CHECK_OK(decode((*list)[2], out.third));
  CHECK_OK(decode((*list)[3], out.token));
  return out;
}

Result<PositionStates::Rows> rows_of(const json::value& v) {
  const json::array* list = v.if_array();
  if (list == nullptr || list->size() != 2) return fail(Errc::invalid, "must be two vectors");
  TRY(Bytes first, bytes_of((*list)[0]));
  TRY(Bytes second, bytes_of((*list)[1]));
  return PositionStates::Rows{std::move(first), std::move(second)};
}

json::object line_of(const PositionStates& p) {
  json::array states, roots, rows;
  for (const Bytes& x : p.states) states.emplace_back(to_base64(x));
  for (const auto& r : p.roots) roots.push_back(roots_json(r));
  for (const auto& r : p.rows) rows.push_back(json::array{to_base64(r.first), to_base64(r.second)});
  return {{"type", "position"},         {"position", encode(p.position)},
          {"leaves", encode(p.leaves)}, {"states", std::move(states)},
          {"roots", std::move(roots)},  {"rows", std::move(rows)}};
}

Result<StatesEvent> position_of(const json::object& o) {
  PositionStates out;
  TRY(const json::value* position, json::get(o, "position"));
  if (auto ok = decode(*position, out.position); !ok) return fail_in("position", ok.error());
  TRY(const json::value* leaves, json::get(o, "leaves"));
  if (auto ok = decode(*leaves, out.leaves); !ok) return fail_in("leaves", ok.error());
  CHECK_OK(list_of(o, "states", out.states, bytes_of));
  CHECK_OK(list_of(o, "roots", out.roots, roots_of));
  CHECK_OK(list_of(o, "rows", out.rows, rows_of));
  return out;
}

}  // namespace

json::object to_json(const StatesCall& call) {
  json::object out;
  call_fields(call, FieldWriter{out});
  return out;
}

Result<StatesCall> states_call_from_json(const json::object& o) {
  StatesCall out;
  FieldReader reader(o, "states call");
  call_fields(out, reader);
  CHECK_OK(reader.finish());
  for (const auto* list : {&out.states, &out.roots, &out.rows})
    if (list->size() > kStatesLayersMax ||
        std::ranges::adjacent_find(*list, std::greater_equal<>()) != list->end())
      return fail(Errc::invalid, "states call: layers must be ascending and at most {}",
                  kStatesLayersMax);
  if (out.count == 0) return fail(Errc::invalid, "states call: no position is asked for");
  return out;
}

std::string states_line(const StatesEvent& event) {
  if (const auto* p = std::get_if<PositionStates>(&event)) return json::dump(line_of(*p)) + "\n";
  if (const auto* e = std::get_if<ErrorEvent>(&event))
    return json::dump(json::object{{"type", "error"}, {"code", e->code}, {"message", e->message}}) +
           "\n";
  return json::dump(json::object{{"type", "end"}}) + "\n";
}

Result<StatesEvent> states_event_from_line(std::string_view line) {
  TRY(const json::value parsed, json::parse(line, kLineBytesMax));
  TRY(const json::object* o, json::as_object(parsed, "states"));
  TRY(const std::string type, json::get_string(*o, "type"));
  if (type == "position") return position_of(*o);
  if (type == "end") return StatesEnd{};
  if (type == "error") {
    ErrorEvent out;
    TRY(out.code, json::get_string(*o, "code"));
    TRY(out.message, json::get_string(*o, "message"));
    return out;
  }
  return fail(Errc::unsupported, "states: type '{}' is not known", type.substr(0, 40));
}

std::size_t states_bytes(const StatesCall& call, const StatesShape& shape) {
  std::size_t bytes = (std::size_t{shape.layers} + 1) * sizeof(Hash);
  bytes += call.states.size() * shape.dim * sizeof(float);
  bytes += call.roots.size() * (3 * sizeof(Hash) + 4);
  for (const std::uint32_t layer : call.rows)
    bytes += layer == shape.layers ? std::size_t{shape.vocab} * sizeof(float)
                                   : std::size_t{shape.kv_dim} * 2 * sizeof(std::uint16_t);
  return bytes;
}

json::object to_json(const TensorsReply& reply) { return {{"leaves", encode(reply.leaves)}}; }

Result<TensorsReply> tensors_reply_from_json(const json::object& o) {
  TensorsReply out;
  FieldReader reader(o, "tensors");
  reader("leaves", out.leaves);
  CHECK_OK(reader.finish());
  return out;
}

}  // namespace assay::protocol
