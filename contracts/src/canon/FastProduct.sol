// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Chain} from "./Chain.sol";
import {F32} from "./F32.sol";
import {Formats} from "./Formats.sol";
import {Half} from "./Half.sol";

/// @title Segments of quantized rows, 32 products at a time
/// @notice What `Formats.blocks` and `Formats.sums` give, faster. `w` and `q` are the offsets in calldata of the
/// weights' bytes and of the int8 activations.
/// @dev A word of 32 signed bytes b is held as b + 128. Four masked words hold eight 32-bit slots each; of the product
/// of two such words, one with its slots in reverse, the highest slot is the sum of the eight products.
library FastProduct {
    uint256 private constant SLOTS = 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;
    uint256 private constant BIAS_SLOTS = 0x0000008000000080000000800000008000000080000000800000008000000080;
    uint256 private constant FIRST = 0xffffffffffffffffffffffffffffffff << 128; // the first 16 bytes
    uint256 private constant BIAS = 0x8080808080808080808080808080808080808080808080808080808080808080;
    uint256 private constant NIBBLES = 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;

    /// The accumulator of `count` blocks of Q8_0 or Q4_0; the f32 scales of the activations are words in memory.
    function blocks(uint256 format, uint256 w, uint256 q, uint256 scales, uint256 count)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            uint256 dots;
            assembly ("memory-safe") {
                dots := mload(0x40)
                mstore(0x40, add(dots, shl(6, count)))
            }
            uint256 products = dots + 32 * count;
            uint256 size = Formats.blockBytes(format);
            for (uint256 ptr; ptr < 32 * count; ptr += 32) {
                uint256 d = Half.widen(_half(w));
                uint256 bytes_ = _word(w + 2);
                if (format == Formats.Q8_0) bytes_ ^= BIAS;
                else bytes_ = _nibbles(bytes_ >> 128) + 0x78 * ONES; // -8, + 128
                int256 dot = _dot(bytes_, _reversed(_word(q + ptr) ^ BIAS));
                uint256 a = F32.fromInt(dot);
                uint256 b = F32.mul(d, _at(scales + ptr));
                assembly ("memory-safe") {
                    mstore(add(dots, ptr), a)
                    mstore(add(products, ptr), b)
                }
                w += size;
            }
            return Chain.dot(dots, products, 32, count);
        }
    }

    /// Σ scale · quant · q and Σ minimum · q of a superblock.
    function sums(uint256 format, uint256 w, uint256 q) internal pure returns (int256 isum, int256 msum) {
        if (format == Formats.Q6_K) return (_sumsQ6(w, q), 0);
        unchecked {
            uint256 twelve = _word(w + 4);
            uint256 high = _word(w + 16); // of Q5_K: bit j of byte l belongs to value 32 j + l
            uint256 nibbles = w + (format == Formats.Q4_K ? 16 : 48);
            for (uint256 j; j < 8; ++j) {
                uint256 quants = _word(nibbles + 32 * (j / 2)) >> 4 * (j % 2) & NIBBLES;
                if (format == Formats.Q5_K) quants |= (high >> j & ONES) << 4;
                uint256 a = _word(q + 32 * j) ^ BIAS;
                (int256 scale, int256 minimum) = _scale(twelve, j);
                isum += scale * _dot(quants | BIAS, _reversed(a));
                msum += minimum * _total(a);
            }
        }
    }

    function _sumsQ6(uint256 w, uint256 q) private pure returns (int256 isum) {
        unchecked {
            uint256 scales = _word(w + 192);
            for (uint256 i; i < 8; ++i) {
                uint256 half = i / 4;
                uint256 b = i % 4;
                uint256 low = _word(w + 64 * half + 32 * (b % 2)) >> 4 * (b / 2) & NIBBLES;
                uint256 top = _word(w + 128 + 32 * half) >> 2 * b & 3 * ONES;
                uint256 quants = (low | top << 4) + 0x60 * ONES; // -32, + 128
                uint256 a = _reversed(_word(q + 32 * i) ^ BIAS);
                (int256 first, int256 second) = _dots(quants, a);
                isum += int256(int8(uint8(scales >> 248 - 16 * i))) * first
                    + int256(int8(uint8(scales >> 240 - 16 * i))) * second;
            }
        }
    }

    /// Scale and minimum j of the twelve bytes that begin a word.
    function _scale(uint256 twelve, uint256 j) private pure returns (int256 scale, int256 minimum) {
        assembly ("memory-safe") {
            switch lt(j, 4)
            case 1 {
                scale := and(byte(j, twelve), 63)
                minimum := and(byte(add(j, 4), twelve), 63)
            }
            default {
                let low := byte(add(j, 4), twelve)
                scale := or(and(low, 15), shl(4, shr(6, byte(sub(j, 4), twelve))))
                minimum := or(shr(4, low), shl(4, shr(6, byte(j, twelve))))
            }
        }
    }

    /// 16 bytes as 32 nibbles: the low ones first.
    function _nibbles(uint256 c) private pure returns (uint256) {
        return (c << 128 | c >> 4) & NIBBLES;
    }

    /// The 32-bit slots in reverse order.
    function _reversed(uint256 v) private pure returns (uint256) {
        uint256 m = 0xffffffffffffffff0000000000000000ffffffffffffffff;
        v = v >> 128 | v << 128;
        v = v >> 64 & m | (v & m) << 64;
        m = 0xffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        return v >> 32 & m | (v & m) << 32;
    }

    /// Σ of 32 products of two biased words, the second reversed.
    function _dot(uint256 w, uint256 x) private pure returns (int256 dot) {
        assembly ("memory-safe") {
            let p := mul(sub(and(w, SLOTS), BIAS_SLOTS), sub(and(x, SLOTS), BIAS_SLOTS))
            p := add(p, mul(sub(and(shr(8, w), SLOTS), BIAS_SLOTS), sub(and(shr(8, x), SLOTS), BIAS_SLOTS)))
            p := add(p, mul(sub(and(shr(16, w), SLOTS), BIAS_SLOTS), sub(and(shr(16, x), SLOTS), BIAS_SLOTS)))
            p := add(p, mul(sub(and(shr(24, w), SLOTS), BIAS_SLOTS), sub(and(shr(24, x), SLOTS), BIAS_SLOTS)))
            // The slots below are signed, too: a negative one has borrowed from the highest.
            dot := sar(224, add(p, shl(223, 1)))
        }
    }

    /// The same of the first 16 products and of the last.
    function _dots(uint256 w, uint256 x) private pure returns (int256 first, int256 second) {
        assembly ("memory-safe") {
            let p := 0
            let r := 0
            for { let shift := 0 } lt(shift, 32) { shift := add(shift, 8) } {
                let slots := and(shr(shift, w), SLOTS)
                let y := sub(and(shr(shift, x), SLOTS), BIAS_SLOTS)
                p := add(p, mul(sub(and(slots, FIRST), and(BIAS_SLOTS, FIRST)), y))
                r := add(r, mul(sub(and(slots, not(FIRST)), and(BIAS_SLOTS, not(FIRST))), y))
            }
            first := sar(224, add(p, shl(223, 1)))
            second := sar(224, add(r, shl(223, 1)))
        }
    }

    /// Σ of the 32 bytes of a biased word.
    function _total(uint256 x) private pure returns (int256) {
        unchecked {
            uint256 m = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
            uint256 pairs = (x & m) + (x >> 8 & m);
            return int256(pairs * 0x0001000100010001000100010001000100010001000100010001000100010001 >> 240) - 4096;
        }
    }

    function _word(uint256 ptr) private pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := calldataload(ptr)
        }
    }

    /// A little-endian binary16.
    function _half(uint256 ptr) private pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := calldataload(ptr)
            v := or(byte(0, v), shl(8, byte(1, v)))
        }
    }

    function _at(uint256 ptr) private pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := mload(ptr)
        }
    }
}
