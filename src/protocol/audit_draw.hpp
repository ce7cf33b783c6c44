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

// Which `count` of `layers` layers a sampled audit of this receipt recomputes, ascending: the
// first `count` places of a Fisher-Yates shuffle of 0 … layers-1, whose step i swaps place i with
// place i + (the first eight bytes, big-endian, of sha256("assay/layers/v0" ‖ link ‖
// receipt_digest ‖ be32(i)) mod (layers - i)). As unsteerable as the draw. All layers where count
// is larger.
std::vector<std::uint32_t> audit_layers(const Hash& link, const Hash& receipt_digest,
                                        std::uint32_t layers, std::uint32_t count);

}  // namespace assay::protocol
