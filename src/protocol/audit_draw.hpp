// Which receipts are audited: decided by the buyer's hash chain, committed in the lease before any
// request, and the receipt digest. The buyer cannot change its chain, the provider cannot see the
// link before it signs, so neither can steer the draw.
#pragma once
#include "protocol/messages.hpp"

namespace assay::protocol {

// The longest chain, hence the most requests of one lease.
inline constexpr std::uint64_t kAuditChainMax = 1u << 20;

// link(n) … link(1), link(0) = tip: link(i-1) = sha256("assay/audit/v0" ‖ link(i)).
// The lease commits link(0); the request with sequence i uses link(i). seed is link(length);
// index ≤ length ≤ kAuditChainMax is the caller's to guarantee (asserted).
Hash audit_link(const Hash& seed, std::uint64_t length, std::uint64_t index);
// `link` is `index` hashes above the tip. Takes hostile input; false above kAuditChainMax.
bool audit_link_matches(const Hash& tip, const Hash& link, std::uint64_t index);

// The first four bytes, big-endian, of sha256("assay/draw/v0" ‖ link ‖ receipt_digest): uniform in
// [0, 2^32): audited when below rate_q32 (2^32 = always).
std::uint32_t audit_draw(const Hash& link, const Hash& receipt_digest);
bool audit_drawn(const Hash& link, const Hash& receipt_digest, std::uint64_t rate_q32);

}  // namespace assay::protocol
