// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hmac} from "./Hmac.sol";
import {Wanted} from "./IDeliveries.sol";

/// What the bytes of a delivery unseal to, and whether that is what was signed for (spec/messages.md section 5,
/// src/protocol/delivery.cpp).
library SealedAnswer {
    uint256 private constant CHUNK = 256;
    bytes32 private constant NO_LEAVES = sha256("");

    function isRight(Wanted calldata wanted, bytes32 secret, bytes32 demand, bytes calldata answer)
        internal
        view
        returns (bool)
    {
        bytes memory pads = Hmac.prepare(secret);
        bytes memory plain = unseal(pads, demand, answer);
        if (tapeRoot(pads, plain, wanted.count) != wanted.tapeRoot) return false;
        return logprobsRoot(pads, plain, wanted.count, wanted.width) == wanted.logprobsRoot;
    }

    /// Block i of the keystream is HMAC("assay/delivery/v0" ‖ demand ‖ le32(i)).
    function unseal(bytes memory pads, bytes32 demand, bytes calldata answer)
        private
        view
        returns (bytes memory plain)
    {
        // Whole blocks, so that the last one may be written as a word.
        plain = new bytes((answer.length + 31) / 32 * 32);
        bytes32 first = bytes32("assay/delivery/v0") | demand >> 136;
        for (uint256 at = 0; at < answer.length; at += 32) {
            bytes32 second = demand << 120 | bytes32(le32(at / 32) << 88);
            bytes32 key = Hmac.sign(pads, first, second, 53);
            assembly ("memory-safe") {
                mstore(add(add(plain, 32), at), xor(key, calldataload(add(answer.offset, at))))
            }
        }
    }

    function tapeRoot(bytes memory pads, bytes memory plain, uint256 count) private view returns (bytes32) {
        bytes32[] memory leaves = new bytes32[]((count + CHUNK - 1) / CHUNK);
        for (uint256 c = 0; c < leaves.length; ++c) {
            bytes32 salt = Hmac.sign(pads, bytes32("assay/tape/v0") | bytes32(le64(c) << 88), 0, 21);
            uint256 size = count - c * CHUNK < CHUNK ? count - c * CHUNK : CHUNK;
            leaves[c] = leaf(salt, plain, 4 * c * CHUNK, 4 * size);
        }
        return root(leaves);
    }

    /// One leaf a token; its numbers lie behind all the tokens.
    function logprobsRoot(bytes memory pads, bytes memory plain, uint256 count, uint256 width)
        private
        view
        returns (bytes32)
    {
        if (width == 0) return 0;
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 salt = Hmac.sign(pads, bytes32("assay/logprobs/v0") | bytes32(le64(i) << 56), 0, 25);
            leaves[i] = leaf(salt, plain, 4 * (count + i * width), 4 * width);
        }
        return root(leaves);
    }

    /// SHA-256 of 0x00 ‖ salt ‖ `size` bytes of `plain` from `at`.
    function leaf(bytes32 salt, bytes memory plain, uint256 at, uint256 size) private view returns (bytes32 result) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore8(buffer, 0)
            mstore(add(buffer, 1), salt)
            mcopy(add(buffer, 33), add(add(plain, 32), at), size)
            if iszero(staticcall(gas(), 2, buffer, add(33, size), 0, 32)) { revert(0, 0) }
            result := mload(0)
        }
    }

    /// RFC 6962, by pairing neighbours; overwrites the leaves.
    function root(bytes32[] memory nodes) private view returns (bytes32) {
        uint256 n = nodes.length;
        if (n == 0) return NO_LEAVES;
        while (n > 1) {
            uint256 pairs = n / 2;
            assembly ("memory-safe") {
                let buffer := mload(0x40)
                let data := add(nodes, 32)
                mstore8(buffer, 1)
                for { let i := 0 } lt(i, pairs) { i := add(i, 1) } {
                    mcopy(add(buffer, 1), add(data, shl(6, i)), 64)
                    if iszero(staticcall(gas(), 2, buffer, 65, add(data, shl(5, i)), 32)) { revert(0, 0) }
                }
            }
            if (n & 1 != 0) nodes[pairs] = nodes[n - 1];
            n = pairs + (n & 1);
        }
        return nodes[0];
    }

    function le32(uint256 v) private pure returns (uint256) {
        v = v >> 8 & 0xff00ff | (v & 0xff00ff) << 8;
        return v >> 16 | (v & 0xffff) << 16;
    }

    /// Of numbers below 2^32.
    function le64(uint256 v) private pure returns (uint256) {
        return le32(v) << 32;
    }
}
