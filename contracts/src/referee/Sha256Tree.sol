// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Hashes of the Merkle trees (RFC 6962 section 2.1 over SHA-256; spec/trace.md, spec/model.md)
/// @dev `at` is an offset in calldata. The preimages lie where the next allocation will: nothing keeps them.
library Sha256Tree {
    /// leaf_hash of `size` bytes.
    function leaf(uint256 ptr, uint256 size) internal view returns (bytes32) {
        uint256 m;
        assembly ("memory-safe") {
            m := mload(0x40)
            mstore8(m, 0)
            calldatacopy(add(m, 1), ptr, size)
        }
        return _hash(m, size + 1);
    }

    /// leaf_hash of one hash.
    function leafOf(bytes32 hash) internal view returns (bytes32) {
        assembly ("memory-safe") {
            mstore8(0, 0)
            mstore(1, hash)
        }
        return _hash(0, 33);
    }

    /// The leaf of a cell; at `at` are its salt and the roots of x, k and v.
    function cell(uint256 position, uint256 layer, uint256 ptr) internal view returns (bytes32) {
        uint256 m;
        uint256 head = uint256(uint32(bytes4("cell"))) << 64 | le32(position) << 32 | le32(layer);
        assembly ("memory-safe") {
            m := mload(0x40)
            mstore(m, shl(152, head)) // one byte 0, then 12
            calldatacopy(add(m, 13), ptr, 128)
        }
        return _hash(m, 141);
    }

    /// The leaf of a chunk of a tensor.
    function weight(uint256 tensor_, uint256 row, uint256 chunk, uint256 ptr, uint256 size)
        internal
        view
        returns (bytes32)
    {
        uint256 m;
        uint256 head = le32(tensor_) << 96 | le32(uint32(row)) << 64 | le32(row >> 32) << 32 | le32(chunk);
        assembly ("memory-safe") {
            m := mload(0x40)
            mstore(m, shl(120, head)) // one byte 0, then 16
            calldatacopy(add(m, 17), ptr, size)
        }
        return _hash(m, size + 17);
    }

    /// What a request's `constraint` is; at `ptr` are table root, le32 states and pieces root.
    function constraint(uint256 ptr) internal view returns (bytes32) {
        uint256 m;
        assembly ("memory-safe") {
            m := mload(0x40)
            mstore(m, "assay/constraint/v0")
            calldatacopy(add(m, 19), ptr, 68)
        }
        return _hash(m, 87);
    }

    /// The leaf of a tensor: its description, then its root.
    function tensor(uint256 ptr, uint256 size, bytes32 root_) internal view returns (bytes32) {
        uint256 m;
        assembly ("memory-safe") {
            m := mload(0x40)
            mstore8(m, 0)
            calldatacopy(add(m, 1), ptr, size)
            mstore(add(add(m, 1), size), root_)
        }
        return _hash(m, size + 33);
    }

    /// The root over leaf hashes, at least one; `hashes` is used up. A level at a time: what is left over at the end of
    /// one goes up as it is, which gives the tree of RFC 6962.
    function root(bytes32[] memory hashes) internal view returns (bytes32) {
        unchecked {
            for (uint256 count = hashes.length; count > 1; count = (count + 1) / 2) {
                for (uint256 i; i < count; i += 2) {
                    hashes[i / 2] = i + 1 < count ? pair(hashes[i], hashes[i + 1]) : hashes[i];
                }
            }
            return hashes[0];
        }
    }

    /// node_hash of two hashes.
    function pair(bytes32 left, bytes32 right) internal view returns (bytes32) {
        uint256 m;
        assembly ("memory-safe") {
            m := mload(0x40)
            mstore8(m, 1)
            mstore(add(m, 1), left)
            mstore(add(m, 33), right)
        }
        return _hash(m, 65);
    }

    /// The four bytes of a number in the other order.
    function le32(uint256 v) internal pure returns (uint256) {
        v = v >> 8 & 0xff00ff | (v & 0xff00ff) << 8;
        return v >> 16 | (v & 0xffff) << 16;
    }

    function _hash(uint256 m, uint256 size) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            if iszero(staticcall(gas(), 2, m, size, 0, 32)) { revert(0, 0) }
            hash := mload(0)
        }
    }
}
