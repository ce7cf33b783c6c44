// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FastProduct} from "../canon/FastProduct.sol";
import {Formats} from "../canon/Formats.sol";
import {IReferee} from "./IReferee.sol";
import {Sha256Tree} from "./Sha256Tree.sol";
import {INVALID_MODEL, Step} from "./Step.sol";
import {Terms} from "./Terms.sol";

/// What is left of a proof, in calldata.
struct Proof {
    uint256 ptr;
    uint256 end;
}

/// @title Openings: values with the Merkle paths that tie them to what was committed (spec/dispute.md section 5)
/// @notice Each function reads the next opening of the proof and gives the offset of its values in calldata, or
/// reverts: `ProofInvalid` where the bytes do not suffice or something is asked for that does not exist,
/// `ProofMismatch` where they do not open.
/// @dev src/verify/referee/opening.cpp, function by function.
library Openings {
    /// Longest preimage of a tensor's leaf that a proof may hold.
    uint256 private constant TENSOR_LEAF_MAX = 256;
    /// Longest leaf of a piece that a proof may hold.
    uint256 private constant PIECE_LEAF_MAX = 1024;
    /// le16 next state of each byte, then u8 accepting.
    uint256 private constant ROW_BYTES = 513;

    function take(Proof memory p, uint256 size) internal pure returns (uint256 ptr) {
        unchecked {
            ptr = p.ptr;
            if (p.end - ptr < size) revert IReferee.ProofInvalid();
            p.ptr = ptr + size;
        }
    }

    /// Chunk `chunk` of an op of `chunks` with this root, `size` bytes long.
    function opChunk(Proof memory p, uint256 size, uint256 chunk, uint256 chunks, bytes32 root)
        internal
        view
        returns (uint256 ptr)
    {
        if (chunk >= chunks) revert IReferee.ProofInvalid();
        ptr = take(p, size);
        _expect(p, Sha256Tree.leaf(ptr, size), chunk, chunks, root);
    }

    /// A vector of leaf (position, leaf): row 0 is x, 1 k, 2 v. x also of a head, of the disputed leaf only.
    function leafChunk(Step calldata s, Proof memory p, uint256 row, uint256 position, uint256 leaf, uint256 chunk)
        internal
        view
        returns (uint256 ptr)
    {
        unchecked {
            uint256 values = row == 0 ? s.dim : s.kvHeads * s.headDim;
            uint256 chunks = (values + 255) / 256;
            bool own = position == s.position && leaf == s.leaf;
            if (
                position > s.position || chunk >= chunks || position == s.position && leaf > s.leaf
                    || (own ? s.fault == 1 || leaf == s.layers && row != 0 : leaf >= s.layers)
            ) revert IReferee.ProofInvalid();
            bytes32 root = row == 0 ? s.x : row == 1 ? s.k : s.v;
            if (!own) root = _earlierLeaf(s, p, row, position, leaf);
            uint256 size = (values - chunk * 256 < 256 ? values - chunk * 256 : 256) * (row == 0 ? 4 : 2);
            ptr = take(p, size);
            _expect(p, Sha256Tree.leaf(ptr, size), chunk, chunks, root);
        }
    }

    /// Reads salt and roots of another leaf; the root of one of its rows.
    function _earlierLeaf(Step calldata s, Proof memory p, uint256 row, uint256 position, uint256 leaf)
        private
        view
        returns (bytes32 root)
    {
        uint256 ptr = take(p, 128);
        bytes32 hash = Sha256Tree.cell(position, leaf, ptr);
        if (position == s.position) {
            _expect(p, hash, leaf, s.positionLeaves, s.positionRoot);
        } else {
            uint256 leaves = s.layers + (position >= Terms.firstSampled(s.counts) ? 1 : 0);
            hash = Sha256Tree.leafOf(_climb(p, hash, leaf, leaves));
            _expect(p, hash, position, s.positions, s.positionsRoot);
        }
        assembly ("memory-safe") {
            root := calldataload(add(ptr, shl(5, add(row, 1))))
        }
    }

    /// A chunk of a row of the step's tensor. Where it is none of a valid model the call ends here: the verdict is
    /// reached, and only that the proof ends here as well is still to be seen.
    function weight(Step calldata s, Proof memory p, uint256 row, uint256 chunk) internal view returns (uint256 ptr) {
        unchecked {
            uint256 chunks = (s.columns + 255) / 256;
            if (row >= s.rows || chunk >= chunks) revert IReferee.ProofInvalid();
            uint256 described = take(p, 4);
            uint256 length = le32(described);
            if (length > TENSOR_LEAF_MAX) revert IReferee.ProofInvalid();
            uint256 description = take(p, length);
            bool valid = describes(description, length, s.rows, s.columns, s.format);
            uint256 values = s.columns - chunk * 256 < 256 ? s.columns - chunk * 256 : 256;
            uint256 size = values / Formats.blockValues(s.format) * Formats.blockBytes(s.format);
            bytes32 root;
            if (valid) {
                ptr = take(p, size);
                root = Sha256Tree.weight(s.tensor, row, chunk, ptr, size);
                root = _climb(p, root, row * chunks + chunk, s.rows * chunks);
            } else {
                ptr = take(p, 32);
                assembly ("memory-safe") {
                    root := calldataload(ptr)
                }
            }
            _expect(p, Sha256Tree.tensor(description, length, root), s.tensor, s.tensors, s.weightsRoot);
            if (!valid || !FastProduct.finite(s.format, ptr, values)) {
                if (p.ptr != p.end) revert IReferee.ProofInvalid();
                uint256 result = INVALID_MODEL;
                assembly ("memory-safe") {
                    mstore(0, result)
                    return(0, 32)
                }
            }
        }
    }

    /// 256 floats of the RoPE table.
    function rope(Step calldata s, Proof memory p, uint256 chunk) internal view returns (uint256 ptr) {
        unchecked {
            uint256 values = s.context * s.headDim;
            uint256 size = (values - chunk * 256 < 256 ? values - chunk * 256 : 256) * 4;
            return opChunk(p, size, chunk, (values + 255) / 256, s.ropeRoot);
        }
    }

    /// le32 ids of a chunk of the prompt or of the answer's tape, and how many.
    function tokens(Step calldata s, Proof memory p, bool answer, uint256 chunk)
        internal
        view
        returns (uint256 ptr, uint256 count)
    {
        unchecked {
            uint256 all = answer ? Terms.answer(s.counts) : Terms.prompt(s.counts);
            uint256 chunks = (all + 255) / 256;
            if (chunk >= chunks) revert IReferee.ProofInvalid();
            count = all - chunk * 256 < 256 ? all - chunk * 256 : 256;
            ptr = _salted(p, 4 * count, chunk, chunks, answer ? s.tapeRoot : s.promptRoot);
        }
    }

    /// le32 numbers of the log-probabilities of an answer token.
    function logprobs(Step calldata s, Proof memory p, uint256 token) internal view returns (uint256 ptr) {
        unchecked {
            uint256 asked = Terms.logprobs(s.counts);
            if (asked == 0) revert IReferee.ProofInvalid();
            return _salted(p, 4 * (2 * asked - 1), token, Terms.answer(s.counts), s.logprobsRoot);
        }
    }

    /// What the request's constraint commits to: table root ‖ le32 states ‖ pieces root.
    function constraint(Step calldata s, Proof memory p) internal view returns (uint256 parts) {
        parts = take(p, 68);
        if (Sha256Tree.constraint(parts) != s.constraint) revert IReferee.ProofMismatch();
    }

    /// How many states the automaton has.
    function states(uint256 parts) internal pure returns (uint256) {
        return le32(parts + 32);
    }

    /// What a token of the vocabulary is to an automaton: u8 kind ‖ bytes, and how many that are.
    function piece(Step calldata s, Proof memory p, uint256 parts, uint256 token)
        internal
        view
        returns (uint256 ptr, uint256 size)
    {
        size = le32(take(p, 4));
        if (size == 0 || size > PIECE_LEAF_MAX) revert IReferee.ProofInvalid();
        ptr = opChunk(p, size, token, s.vocabulary, _word(parts + 36));
    }

    /// The row of a state.
    function automatonRow(Proof memory p, uint256 parts, uint256 state) internal view returns (uint256) {
        return opChunk(p, ROW_BYTES, state, states(parts), _word(parts));
    }

    function _word(uint256 ptr) private pure returns (bytes32 v) {
        assembly ("memory-safe") {
            v := calldataload(ptr)
        }
    }

    /// Leaves that begin with a salt nobody needs to know.
    function _salted(Proof memory p, uint256 size, uint256 index, uint256 count, bytes32 root)
        private
        view
        returns (uint256)
    {
        return opChunk(p, 32 + size, index, count, root) + 32;
    }

    /// The preimage of a tensor's leaf, without its root, is that of a tensor of this type and shape: string(name) ‖
    /// u32 type ‖ u32 dimensions ‖ u64 each. Names do not matter, the index does.
    function describes(uint256 ptr, uint256 length, uint256 rows, uint256 columns, uint256 format)
        internal
        pure
        returns (bool)
    {
        unchecked {
            if (length < 4) return false;
            uint256 name = le32(ptr);
            if (name + 12 > length) return false;
            ptr += 4 + name;
            uint256 dimensions = le32(ptr + 4);
            if (le32(ptr) != format || dimensions != 2 && (dimensions != 1 || rows != 1)) return false;
            if (length != name + 12 + 8 * dimensions) return false;
            return le64(ptr + 8) == columns && (dimensions == 1 || le64(ptr + 16) == rows);
        }
    }

    function _expect(Proof memory p, bytes32 leaf, uint256 index, uint256 size, bytes32 root) private view {
        if (_climb(p, leaf, index, size) != root) revert IReferee.ProofMismatch();
    }

    /// The root of a tree of `size` leaves over leaf `index` < size, by the path that comes next (RFC 9162 section
    /// 2.1.3.2: the sides follow from index and size). A proof has a dozen paths at most and up to fifty hashes.
    function _climb(Proof memory p, bytes32 hash, uint256 index, uint256 size) private view returns (bytes32) {
        bool cut;
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore8(m, 1)
            let left := add(m, 1)
            let right := add(m, 33)
            let ptr := mload(p)
            let end := mload(add(p, 32))
            for { let last := sub(size, 1) } last {} {
                cut := gt(add(ptr, 32), end)
                if cut { break }
                switch or(and(index, 1), eq(index, last))
                case 0 {
                    mstore(left, hash)
                    mstore(right, calldataload(ptr))
                }
                default {
                    mstore(left, calldataload(ptr))
                    mstore(right, hash)
                    // A right edge without a sibling was promoted: climb to where it has one.
                    for {} and(iszero(and(index, 1)), lt(0, index)) {} {
                        index := shr(1, index)
                        last := shr(1, last)
                    }
                }
                if iszero(staticcall(gas(), 2, m, 65, 0, 32)) { revert(0, 0) }
                hash := mload(0)
                ptr := add(ptr, 32)
                index := shr(1, index)
                last := shr(1, last)
            }
            mstore(p, ptr)
        }
        if (cut) revert IReferee.ProofInvalid();
        return hash;
    }

    function data(uint256 ptr, uint256 size) internal pure returns (bytes calldata out) {
        assembly ("memory-safe") {
            out.offset := ptr
            out.length := size
        }
    }

    function le32(uint256 ptr) internal pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := shr(224, calldataload(ptr))
            v := or(and(shr(8, v), 0xff00ff), shl(8, and(v, 0xff00ff)))
            v := or(shr(16, v), shl(16, and(v, 0xffff)))
        }
    }

    function le64(uint256 ptr) internal pure returns (uint256) {
        return le32(ptr) | le32(ptr + 4) << 32;
    }
}
