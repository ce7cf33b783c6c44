// Which receipts are audited: decided by the buyer's hash chain, committed in the lease before any
// request, and the receipt digest. The buyer cannot change its chain, the provider cannot see the
// link before it signs, so neither can steer the draw.
#pragma once
#include "protocol/messages.hpp"

namespace assay::protocol {

// link(n) … link(1), link(0) = tip: link(i-1) = sha256("assay/audit/v0" ‖ link(i)).
// The lease commits link(0); the request with sequence i uses link(i).
Hash audit_link(const Hash& seed, std::uint64_t length, std::uint64_t index);
// link(i) is `index` hashes above the tip.
bool audit_link_matches(const Hash& tip, const Hash& link, std::uint64_t index);

// Uniform in [0, 2^32): audited when below rate_q32 (2^32 = always).
std::uint32_t audit_draw(const Hash& link, const Hash& receipt_digest);
bool audit_drawn(const Hash& link, const Hash& receipt_digest, std::uint64_t rate_q32);

}  // namespace assay::protocol
