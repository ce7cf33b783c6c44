#include "protocol/json_fields.hpp"

namespace assay::protocol {

json::value encode(const Domain& domain) { return domain.to_json(); }

Status decode(const json::value& v, Domain& out) {
  TRY(const json::object* o, json::as_object(v, "domain"));
  TRY(out, Domain::from_json(*o));
  return {};
}

json::value encode(const TracePosition& position) {
  json::object out;
  FieldWriter write{out};
  write("position", position.position);
  write("leaves", position.leaves);
  return out;
}

Status decode(const json::value& v, TracePosition& out) {
  TRY(const json::object* o, json::as_object(v, "position"));
  FieldReader read(*o, "position");
  read("position", out.position);
  read("leaves", out.leaves);
  return read.finish();
}

}  // namespace assay::protocol
