// Hashes around a hired audit (spec/audits.md): the beacon, the draw, and what an auditor commits.
#pragma once
#include "crypto/secp256k1.hpp"
#include "protocol/messages.hpp"

namespace assay::protocol {

// The value before this one in the beacon's chain: sha256("assay/beacon/v0" ‖ value).
Hash beacon_before(const Hash& value);

// How early an auditor comes in the draw of an audit: the smallest over its tickets j of
// sha256("assay/auditors/v0" ‖ beacon value ‖ audit ‖ address ‖ be32 j). Smallest first. Nobody's
// place depends on who else is there.
Hash draw_score(const Hash& beacon, const Hash& audit, const Address& auditor,
                std::uint32_t tickets);

// The nonce of an auditor's keyed tree:
// sha256("assay/audit-key/v0" ‖ beacon value ‖ audit ‖ address ‖ key). `key` is secret.
Hash key_nonce(const Hash& beacon, const Hash& audit, const Address& auditor, const Hash& key);
Hash nonce_hash(const Hash& key_nonce);                         // sha256
Hash keyed_root_hash(const Hash& keyed_root, const Hash& key);  // sha256(keyed_root ‖ key)

}  // namespace assay::protocol
