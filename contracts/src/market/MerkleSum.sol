// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Refused, Why} from "./Errors.sol";

struct SumNode {
    bytes32 hash;
    uint64 sum;
}

/// The tree of a claim (spec/messages.md section 7): a root states what all its leaves add up to.
library MerkleSum {
    uint256 private constant SUM_MAX = uint64(type(int64).max);

    function leaf(bytes32 item, uint256 amount) internal pure returns (SumNode memory) {
        if (amount > SUM_MAX) revert Refused(Why.LeafSum);
        return SumNode(sha256(abi.encodePacked(uint8(2), item, uint64(amount))), uint64(amount));
    }

    function node(SumNode memory left, SumNode memory right) internal pure returns (SumNode memory) {
        // Neither sum can be negative: a right sum above SUM_MAX makes the total so.
        uint256 sum = uint256(left.sum) + right.sum;
        if (sum > SUM_MAX) revert Refused(Why.LeafSum);
        return SumNode(
            sha256(abi.encodePacked(uint8(3), left.hash, left.sum, right.hash, right.sum)), uint64(sum)
        );
    }

    /// Of at least one node; overwrites them. Pairing neighbours, an odd one left as it is, gives the shape of
    /// RFC 6962.
    function root(SumNode[] memory nodes) internal pure returns (SumNode memory) {
        uint256 n = nodes.length;
        while (n > 1) {
            uint256 pairs = n / 2;
            for (uint256 i = 0; i < pairs; ++i) {
                nodes[i] = node(nodes[2 * i], nodes[2 * i + 1]);
            }
            if (n & 1 != 0) nodes[pairs] = nodes[n - 1];
            n = pairs + (n & 1);
        }
        return nodes[0];
    }

    /// The root over leaf (or aligned block) `index` of `size`, index < size, by its siblings from below; false where
    /// the path has another length.
    function climb(SumNode memory at, uint256 index, uint256 size, SumNode[] calldata path)
        internal
        pure
        returns (bool fits, SumNode memory)
    {
        uint256 last = size - 1;
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) return (false, at);
            if (index & 1 != 0 || index == last) {
                at = node(path[i], at);
                while (index & 1 == 0 && index != 0) {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                at = node(at, path[i]);
            }
            index >>= 1;
            last >>= 1;
        }
        return (last == 0, at);
    }
}
