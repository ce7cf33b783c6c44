// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// HMAC-SHA256 (RFC 2104) under one key of 32 bytes: what of the key is hashed is prepared once.
library Hmac {
    /// `pads`: 192 bytes. The inner pad and room for a message of up to 64 bytes, then the outer pad and room for a
    /// hash.
    function prepare(bytes32 key) internal pure returns (bytes memory pads) {
        bytes32 inner = bytes32(hex"3636363636363636363636363636363636363636363636363636363636363636");
        bytes32 outer = bytes32(hex"5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c");
        pads = abi.encodePacked(key ^ inner, inner, bytes32(0), bytes32(0), key ^ outer, outer, bytes32(0));
    }

    /// Of the message's first `size` ≤ 64 bytes, which lie in two words.
    function sign(bytes memory pads, bytes32 first, bytes32 second, uint256 size)
        internal
        view
        returns (bytes32 result)
    {
        assembly ("memory-safe") {
            let inner := add(pads, 32)
            mstore(add(inner, 64), first)
            mstore(add(inner, 96), second)
            if iszero(staticcall(gas(), 2, inner, add(64, size), add(inner, 192), 32)) { revert(0, 0) }
            if iszero(staticcall(gas(), 2, add(inner, 128), 96, 0, 32)) { revert(0, 0) }
            result := mload(0)
        }
    }
}
