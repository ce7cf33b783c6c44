// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Trees} from "../disputes/DisputeWorld.sol";

/// Executions of which nothing is known but their shape, their traces and keyed trees, and the openings of both
/// (src/verify/trace_testutil and PlaceRecorder, by a recursion of their own).
library Traces {
    struct Shape {
        uint256 positions;
        uint256 layers;
        uint256 dim;
        uint256 kv;
        uint256 vocabulary;
        uint256 firstHead;
        bytes32 seed; // of the values
    }

    struct Place {
        uint256 position;
        uint256 leaf;
        uint256 vector; // x, k, v, logits
        uint256 chunk;
    }

    /// Whose tree: with the request's secret the trace's, with a nonce a keyed one.
    struct Key {
        bytes32 salt;
        bool keyed;
    }

    uint256 internal constant TOKEN = 7;

    function values(Shape memory s, uint256 position, uint256 leaf, uint256 vector) internal pure returns (bytes memory out) {
        uint256 size = vector == 0 ? 4 * s.dim : vector == 3 ? 4 * s.vocabulary : 2 * s.kv;
        out = new bytes(size + 64);
        bytes32 seed = keccak256(abi.encode(s.seed, position, leaf, vector));
        // A word at a time: there is room for all of the last one.
        assembly ("memory-safe") {
            let end := add(add(out, 32), size)
            for { let at := add(out, 32) } lt(at, end) { at := add(at, 32) } {
                mstore(0, seed)
                mstore(32, sub(at, out))
                mstore(at, keccak256(0, 64))
            }
            mstore(out, size)
        }
    }

    function chunkOf(Shape memory s, Place memory at) internal pure returns (bytes memory) {
        bytes memory all = values(s, at.position, at.leaf, at.vector);
        uint256 each = at.vector == 0 || at.vector == 3 ? 1024 : 512;
        return slice(all, each * at.chunk, each);
    }

    function slice(bytes memory all, uint256 from, uint256 most) internal pure returns (bytes memory out) {
        uint256 size = all.length - from < most ? all.length - from : most;
        out = new bytes(size);
        assembly ("memory-safe") { mcopy(add(out, 32), add(add(all, 32), from), size) }
    }

    function chunks(Key memory key, Shape memory s, uint256 position, uint256 leaf, uint256 vector)
        internal
        pure
        returns (bytes32[] memory out)
    {
        bytes memory all = values(s, position, leaf, vector);
        uint256 each = vector == 0 || vector == 3 ? 1024 : 512;
        out = new bytes32[]((all.length + each - 1) / each);
        for (uint256 i = 0; i < out.length; ++i) {
            bytes memory chunk = slice(all, i * each, each);
            out[i] = Trees.leaf(key.keyed ? bytes.concat(key.salt, chunk) : chunk);
        }
    }

    function rootOf(bytes32[] memory leaves) internal pure returns (bytes32) {
        return Trees.root(leaves, 0, leaves.length);
    }

    function pathOf(bytes32[] memory leaves, uint256 index) internal pure returns (bytes memory) {
        bytes memory siblings = Trees.path(leaves, 0, leaves.length, index);
        return abi.encodePacked(uint8(siblings.length / 32), siblings);
    }

    /// Of x, k and v; of x and logits, and zero.
    function roots(Key memory key, Shape memory s, uint256 position, uint256 leaf)
        internal
        pure
        returns (bytes memory)
    {
        bytes32 x = rootOf(chunks(key, s, position, leaf, 0));
        if (leaf == s.layers) return abi.encodePacked(x, rootOf(chunks(key, s, position, leaf, 3)), bytes32(0));
        return abi.encodePacked(
            x, rootOf(chunks(key, s, position, leaf, 1)), rootOf(chunks(key, s, position, leaf, 2))
        );
    }

    function salt(Key memory key, uint256 position, uint256 leaf) internal pure returns (bytes32) {
        bytes32 inner = bytes32(hex"3636363636363636363636363636363636363636363636363636363636363636");
        bytes32 outer = bytes32(hex"5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c");
        bytes32 h = sha256(abi.encodePacked(key.salt ^ inner, inner, "assay/leaf/v0", le32(position), le32(leaf)));
        return sha256(abi.encodePacked(key.salt ^ outer, outer, h));
    }

    function leafOf(Key memory key, Shape memory s, uint256 position, uint256 leaf) internal pure returns (bytes32) {
        bytes memory r = roots(key, s, position, leaf);
        bytes32 salt_ = salt(key, position, leaf);
        if (leaf == s.layers) {
            return Trees.leaf(abi.encodePacked("head", le32(position), salt_, slice(r, 0, 64), le32(TOKEN)));
        }
        return Trees.leaf(abi.encodePacked("cell", le32(position), le32(leaf), salt_, r));
    }

    function leavesOf(Key memory key, Shape memory s, uint256 position) internal pure returns (bytes32[] memory out) {
        out = new bytes32[](s.layers + (position >= s.firstHead ? 1 : 0));
        for (uint256 i = 0; i < out.length; ++i) out[i] = leafOf(key, s, position, i);
    }

    function positionsOf(Key memory key, Shape memory s) internal pure returns (bytes32[] memory out) {
        out = new bytes32[](s.positions);
        for (uint256 i = 0; i < s.positions; ++i) {
            out[i] = Trees.leaf(abi.encodePacked(rootOf(leavesOf(key, s, i))));
        }
    }

    function root(Key memory key, Shape memory s) internal pure returns (bytes32) {
        return finish(s, rootOf(positionsOf(key, s)));
    }

    function finish(Shape memory s, bytes32 tree) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("assay/trace/v0", le32(s.positions), le32(s.layers), tree));
    }

    function path(Key memory key, Shape memory s, Place memory at) internal pure returns (bytes memory) {
        bytes32[] memory leaves = leavesOf(key, s, at.position);
        bytes32[] memory positions = positionsOf(key, s);
        return bytes.concat(
            roots(key, s, at.position, at.leaf),
            pathOf(chunks(key, s, at.position, at.leaf, at.vector), at.chunk),
            rootOf(leaves),
            pathOf(leaves, at.leaf),
            rootOf(positions),
            pathOf(positions, at.position)
        );
    }

    function proof(bytes32 secret, Shape memory s, Place memory at) internal pure returns (bytes memory) {
        Key memory key = Key(secret, false);
        bytes memory chunk = chunkOf(s, at);
        return bytes.concat(front(key, s, at), path(key, s, at), le32(chunk.length), chunk);
    }

    function front(Key memory key, Shape memory s, Place memory at) internal pure returns (bytes memory) {
        uint256 width = at.vector == 0 ? s.dim : at.vector == 3 ? s.vocabulary : s.kv;
        return bytes.concat(
            abi.encodePacked(le32(at.position), le32(at.leaf), uint8(at.vector), le32(at.chunk)),
            abi.encodePacked(
                le32(s.positions), le32(s.layers), le32(s.layers + (at.position >= s.firstHead ? 1 : 0))
            ),
            abi.encodePacked(
                le32((width + 255) / 256), salt(key, at.position, at.leaf), le32(at.leaf == s.layers ? TOKEN : 0)
            )
        );
    }

    function reply(bytes32 secret, bytes32 nonce, Shape memory s, Place memory at)
        internal
        pure
        returns (bytes memory)
    {
        return bytes.concat(secret, path(Key(nonce, true), s, at));
    }

    function le32(uint256 v) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(v), uint8(v >> 8), uint8(v >> 16), uint8(v >> 24));
    }

    /// A program of this shape, one head of the width of its keys.
    function program(Shape memory s) internal pure returns (bytes memory) {
        uint256 tensors = 9 * s.layers + 3;
        return bytes.concat(
            abi.encodePacked(le32(15), "assay/program/0", le32(5), "llama"),
            abi.encodePacked(le32(s.vocabulary), le32(s.dim), le32(s.layers), le32(1), le32(1), le32(s.kv)),
            abi.encodePacked(le32(16), le32(1000), le32(0x3727c5ac), le32(0x461c4000), uint8(0)),
            abi.encodePacked(keccak256("rope"), bytes32(uint256(7)), le32(tensors), new bytes(tensors), uint8(0))
        );
    }
}
