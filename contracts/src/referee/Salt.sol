// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Sha256Tree} from "./Sha256Tree.sol";

/// @title The salts of leaves (spec/trace.md, "Salts")
library Salt {
    /// What a request commits to.
    function commitment(bytes32 secret) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("assay/salt/v0", secret));
    }

    /// HMAC(secret, "assay/leaf/v0" ‖ le32(position) ‖ le32(leaf)), HMAC-SHA-256 (RFC 2104).
    function ofLeaf(bytes32 secret, uint256 position, uint256 leaf) internal pure returns (bytes32) {
        bytes memory message =
            abi.encodePacked("assay/leaf/v0", uint32(Sha256Tree.le32(position)), uint32(Sha256Tree.le32(leaf)));
        bytes32 inner = sha256(abi.encodePacked(_padded(secret, 0x36), message));
        return sha256(abi.encodePacked(_padded(secret, 0x5c), inner));
    }

    /// The key, filled up with zeros to a block of 64 bytes, each byte xor `with`.
    function _padded(bytes32 secret, uint8 with) private pure returns (bytes memory) {
        bytes32 pad = bytes32(uint256(0x0101010101010101010101010101010101010101010101010101010101010101) * with);
        return abi.encodePacked(secret ^ pad, pad);
    }
}
