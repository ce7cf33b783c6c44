// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Half} from "../canon/Half.sol";
import {Openings, Proof} from "./Openings.sol";
import {OpWord} from "./OpWord.sol";
import {IReferee} from "./IReferee.sol";
import {Step} from "./Step.sol";
import {Terms} from "./Terms.sol";

/// A proof, and the chunk read last.
struct Reader {
    Proof proof;
    uint256 held; // which chunk; 0: none
    uint256 heldAt; // where in calldata
}

/// @title What steps share: their inputs as numbers
/// @notice Asks for the inputs in the order of the calls; a chunk of an op or leaf that is needed twice in a row is
/// opened once. A source is 0 for the op itself, 1 to 4 for its sources a to d.
/// @dev src/verify/referee/step_reader.cpp.
library Inputs {
    using OpWord for uint256;

    uint256 internal constant SELF = 0;
    uint256 internal constant A = 1;
    uint256 internal constant B = 2;
    uint256 internal constant C = 3;
    uint256 internal constant D = 4;

    uint256 internal constant ROW_X = 0;
    uint256 internal constant ROW_K = 1;
    uint256 internal constant ROW_V = 2;

    function given(Step calldata s, uint256 source) internal pure returns (bool) {
        return _source(s, source) != OpWord.NONE;
    }

    /// The bits of a value of 32 bits, by its element number: chunk n / 256, place n % 256 in it.
    function value(Step calldata s, Reader memory r, uint256 source, uint256 element) internal view returns (uint256) {
        unchecked {
            uint256 from = _source(s, source);
            if (from.isOp() && s.ops[source].scalar()) {
                r.held = 1 << 248 | from << 64;
                return Openings.le32(_rootAt(s, source));
            }
            return Openings.le32(chunk(s, r, source, element / 256) + 4 * (element % 256));
        }
    }

    /// Where in calldata the bytes of a chunk are.
    function chunk(Step calldata s, Reader memory r, uint256 source, uint256 index) internal view returns (uint256) {
        unchecked {
            uint256 from = _source(s, source);
            if (from.isLeaf()) return row(s, r, ROW_X, s.position, from.index(), index);
            uint256 asked = 1 << 248 | from << 64 | index;
            if (r.held == asked) return r.heldAt;
            uint256 op = s.ops[source];
            uint256 size = op.chunkValues(index, s.position) * op.valueBytes();
            r.heldAt = Openings.opChunk(r.proof, size, index, op.chunks(), s.roots[source]);
            r.held = asked;
            return r.heldAt;
        }
    }

    /// The same of a row of leaf (position, leaf).
    function row(Step calldata s, Reader memory r, uint256 which, uint256 position, uint256 leaf, uint256 index)
        internal
        view
        returns (uint256)
    {
        uint256 asked = 2 << 248 | which << 240 | position << 128 | leaf << 64 | index;
        if (r.held == asked) return r.heldAt;
        r.heldAt = Openings.leafChunk(s, r.proof, which, position, leaf, index);
        r.held = asked;
        return r.heldAt;
    }

    /// `count` ≤ 256 floats in a row from element `begin` on, as words in memory.
    function range(Step calldata s, Reader memory r, uint256 source, uint256 begin, uint256 count)
        internal
        view
        returns (uint256 words)
    {
        unchecked {
            words = allocate(count);
            for (uint256 done; done < count;) {
                uint256 within = (begin + done) % 256;
                uint256 part = 256 - within < count - done ? 256 - within : count - done;
                widen(chunk(s, r, source, (begin + done) / 256) + 4 * within, part, words + 32 * done);
                done += part;
            }
        }
    }

    /// A whole chunk of floats, and how many.
    function floats(Step calldata s, Reader memory r, uint256 source, uint256 index)
        internal
        view
        returns (uint256 words, uint256 count)
    {
        uint256 ptr = chunk(s, r, source, index);
        count = s.ops[source].chunkValues(index, s.position);
        words = allocate(count);
        widen(ptr, count, words);
    }

    /// Numbers of the row of the cache that the op's layer has at a position; `own`: the source that is the row of
    /// the disputed position where no leaf has it.
    function cache(
        Step calldata s,
        Reader memory r,
        uint256 which,
        uint256 own,
        uint256 position,
        uint256 begin,
        uint256 count
    ) internal view returns (uint256 words) {
        unchecked {
            words = allocate(count);
            bool here = position == s.position && given(s, own);
            uint256 layer = s.ops[SELF].layer();
            for (uint256 done; done < count;) {
                (uint256 index, uint256 within) = ((begin + done) / 256, (begin + done) % 256);
                uint256 part = 256 - within < count - done ? 256 - within : count - done;
                uint256 ptr = here ? chunk(s, r, own, index) : row(s, r, which, position, layer, index);
                widenHalves(ptr + 2 * within, part, words + 32 * done);
                done += part;
            }
        }
    }

    /// cos and sin of a pair at the step's position, which is in the table.
    function rotation(Step calldata s, Reader memory r, uint256 pair) internal view returns (uint256 c, uint256 sine) {
        unchecked {
            uint256 index = s.position * s.headDim + 2 * pair;
            uint256 data = Openings.rope(s, r.proof, index / 256) + 4 * (index % 256);
            return (Openings.le32(data), Openings.le32(data + 4));
        }
    }

    /// Token `index` of prompt ‖ answer.
    function token(Step calldata s, Reader memory r, uint256 index) internal view returns (uint256) {
        unchecked {
            uint256 prompt = Terms.prompt(s.counts);
            bool answer = index >= prompt;
            if (answer) index -= prompt;
            if (answer && index >= Terms.answer(s.counts)) revert IReferee.ProofInvalid();
            (uint256 ptr,) = Openings.tokens(s, r.proof, answer, index / 256);
            return Openings.le32(ptr + 4 * (index % 256));
        }
    }

    /// Value `column` of a tensor of one row of F32.
    function weight(Step calldata s, Reader memory r, uint256 column) internal view returns (uint256) {
        return Openings.le32(Openings.weight(s, r.proof, 0, column / 256) + 4 * (column % 256));
    }

    function allocate(uint256 count) internal pure returns (uint256 words) {
        assembly ("memory-safe") {
            words := mload(0x40)
            // Eight more: `widen` writes them at a time.
            mstore(0x40, add(words, shl(5, add(count, 8))))
        }
    }

    /// `count` little-endian f32 in calldata as words in memory.
    function widen(uint256 ptr, uint256 count, uint256 words) internal pure {
        assembly ("memory-safe") {
            let m := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
            let n := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
            for { let end := add(words, shl(5, count)) } lt(words, end) { words := add(words, 256) } {
                let v := calldataload(ptr)
                ptr := add(ptr, 32)
                v := or(and(shr(8, v), m), shl(8, and(v, m)))
                v := or(and(shr(16, v), n), shl(16, and(v, n)))
                mstore(words, shr(224, v))
                mstore(add(words, 32), and(shr(192, v), 0xffffffff))
                mstore(add(words, 64), and(shr(160, v), 0xffffffff))
                mstore(add(words, 96), and(shr(128, v), 0xffffffff))
                mstore(add(words, 128), and(shr(96, v), 0xffffffff))
                mstore(add(words, 160), and(shr(64, v), 0xffffffff))
                mstore(add(words, 192), and(shr(32, v), 0xffffffff))
                mstore(add(words, 224), and(v, 0xffffffff))
            }
        }
    }

    /// The same of binary16.
    function widenHalves(uint256 ptr, uint256 count, uint256 words) internal pure {
        unchecked {
            for (uint256 end = ptr + 2 * count; ptr < end; ptr += 2) {
                uint256 half = le16(ptr);
                uint256 exponent = half & 0x7c00;
                bool ordinary = exponent != 0 && exponent != 0x7c00;
                setWord(
                    words, ordinary ? (half & 0x8000) << 16 | ((half & 0x7fff) << 13) + (112 << 23) : Half.widen(half)
                );
                words += 32;
            }
        }
    }

    function word(uint256 ptr) internal pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := mload(ptr)
        }
    }

    function setWord(uint256 ptr, uint256 v) internal pure {
        assembly ("memory-safe") {
            mstore(ptr, v)
        }
    }

    function u8(uint256 ptr) internal pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := byte(0, calldataload(ptr))
        }
    }

    function le16(uint256 ptr) internal pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := calldataload(ptr)
            v := or(byte(0, v), shl(8, byte(1, v)))
        }
    }

    /// The source as the op's word has it.
    function _source(Step calldata s, uint256 source) private pure returns (uint256) {
        unchecked {
            return source == SELF ? OpWord.FROM_OP | s.index : uint24(s.ops[SELF] >> 104 + 24 * source);
        }
    }

    function _rootAt(Step calldata s, uint256 source) private pure returns (uint256 ptr) {
        bytes32[5] calldata roots = s.roots;
        assembly ("memory-safe") {
            ptr := add(roots, shl(5, source))
        }
    }
}
