// The JSON of the unsigned structs that files and calls share.
#pragma once
#include "protocol/files.hpp"
#include "protocol/json_codec.hpp"

namespace assay::protocol {

json::value encode(const Domain& domain);
Status decode(const json::value& v, Domain& out);
json::value encode(const TracePosition& position);
Status decode(const json::value& v, TracePosition& out);

}  // namespace assay::protocol
