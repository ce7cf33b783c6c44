// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// How a tree is walked in a dispute (src/verify/dispute/tree.cpp): six levels of an RFC 6962 tree over SHA-256 at a
/// time. Shapes follow from the number of leaves alone.
library Tree {
    uint256 private constant LEVELS = 6;

    function leafHash(bytes calldata data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), data));
    }

    /// Nodes six levels below one over `leaves` ≥ 1 leaves; leaves that come earlier are among them.
    function children(uint256 leaves) internal pure returns (uint256 count) {
        uint256 levels = LEVELS;
        while (levels != 0 && leaves != 1) {
            uint256 split = splitOf(leaves);
            --levels;
            count += perfect(split, levels);
            leaves -= split;
        }
        return count + 1;
    }

    /// The leaves of child `choice` < children(leaves).
    function child(uint256 first, uint256 leaves, uint256 choice) internal pure returns (uint256, uint256) {
        uint256 levels = LEVELS;
        while (levels != 0 && leaves != 1) {
            uint256 split = splitOf(leaves);
            --levels;
            uint256 left = perfect(split, levels);
            if (choice < left) {
                uint256 each = split / left;
                return (first + choice * each, each);
            }
            choice -= left;
            first += split;
            leaves -= split;
        }
        return (first, leaves);
    }

    /// The root over hashes that lie side by side; at least one.
    function root(bytes calldata hashes) internal view returns (bytes32 result) {
        uint256 n = hashes.length / 32;
        assembly ("memory-safe") {
            let nodes := mload(0x40)
            calldatacopy(nodes, hashes.offset, mul(n, 32))
            let buffer := add(nodes, mul(n, 32))
            mstore8(buffer, 1)
            // Pairing neighbours, an odd one left as it is, gives the shape of RFC 6962.
            for {} gt(n, 1) {} {
                let pairs := shr(1, n)
                for { let i := 0 } lt(i, pairs) { i := add(i, 1) } {
                    mcopy(add(buffer, 1), add(nodes, shl(6, i)), 64)
                    if iszero(staticcall(gas(), 2, buffer, 65, add(nodes, shl(5, i)), 32)) { revert(0, 0) }
                }
                if and(n, 1) { mcopy(add(nodes, shl(5, pairs)), add(nodes, shl(5, sub(n, 1))), 32) }
                n := add(pairs, and(n, 1))
            }
            result := mload(nodes)
        }
    }

    /// The root over node `index` of `size`, index < size, by its siblings from below; zero where the path has
    /// another length.
    function climb(bytes32 at, uint256 index, uint256 size, bytes calldata path) internal pure returns (bytes32) {
        if (path.length % 32 != 0) return 0;
        uint256 last = size - 1;
        for (uint256 i = 0; i < path.length; i += 32) {
            if (last == 0) return 0;
            bytes32 sibling = bytes32(path[i:i + 32]);
            if (index & 1 != 0 || index == last) {
                at = sha256(abi.encodePacked(uint8(1), sibling, at));
                while (index & 1 == 0 && index != 0) {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                at = sha256(abi.encodePacked(uint8(1), at, sibling));
            }
            index >>= 1;
            last >>= 1;
        }
        return last == 0 ? at : bytes32(0);
    }

    /// The largest power of two below n ≥ 2.
    function splitOf(uint256 n) private pure returns (uint256 split) {
        split = 1;
        while (split * 2 < n) split *= 2;
    }

    /// Nodes `levels` below one over 2^k leaves.
    function perfect(uint256 leaves, uint256 levels) private pure returns (uint256) {
        return leaves < 1 << levels ? leaves : 1 << levels;
    }
}
