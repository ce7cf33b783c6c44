// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {F32} from "./F32.sol";
import {Half} from "./Half.sol";

/// @title Weight formats: the GGUF bytes of at most 256 values (spec/canon.md sections 3 and 4)
/// @notice The readable version: one byte, one value, one operation at a time. `FastProduct` is checked against it.
library Formats {
    /// ggml's numbers of the types.
    uint256 internal constant F32_ = 0;
    uint256 internal constant F16 = 1;
    uint256 internal constant Q4_0 = 2;
    uint256 internal constant Q8_0 = 8;
    uint256 internal constant Q4_K = 12;
    uint256 internal constant Q5_K = 13;
    uint256 internal constant Q6_K = 14;
    uint256 internal constant BF16 = 30;

    /// What a row is multiplied with.
    uint256 internal constant PLAIN = 0;
    uint256 internal constant Q8 = 1;
    uint256 internal constant Q8K = 2;

    /// The 256 integers of a superblock, their scales and minimums by group.
    struct Superblock {
        uint256 d; // binary16
        uint256 dmin;
        uint256 group; // values that share a scale
        int256[16] scales;
        int256[8] mins; // by 32 values
        int256[256] quants;
    }

    function known(uint256 format) internal pure returns (bool) {
        return format < 31 && 1 << format & (1 << F32_ | 1 << F16 | 1 << Q4_0 | 1 << Q8_0 | 1 << Q4_K | 1 << Q5_K | 1 << Q6_K | 1 << BF16) != 0;
    }

    function activation(uint256 format) internal pure returns (uint256) {
        if (format == Q8_0 || format == Q4_0) return Q8;
        return format >= Q4_K && format <= Q6_K ? Q8K : PLAIN;
    }

    function blockValues(uint256 format) internal pure returns (uint256) {
        if (format == Q8_0 || format == Q4_0) return 32;
        return format >= Q4_K && format <= Q6_K ? 256 : 1;
    }

    function blockBytes(uint256 format) internal pure returns (uint256) {
        if (format == F32_) return 4;
        if (format == Q8_0) return 34;
        if (format == Q4_0) return 18;
        if (format == Q4_K) return 144;
        if (format == Q5_K) return 176;
        if (format == Q6_K) return 210;
        return 2;
    }

    /// Whether `values` values hold a NaN or an infinity: then no valid model has them.
    function finite(uint256 format, bytes calldata data, uint256 values) internal pure returns (bool) {
        unchecked {
            uint256 size = blockBytes(format);
            for (uint256 ptr; ptr < values / blockValues(format) * size; ptr += size) {
                if (!_blockFinite(format, data, ptr)) return false;
            }
            return true;
        }
    }

    function _blockFinite(uint256 format, bytes calldata data, uint256 ptr) private pure returns (bool) {
        if (format == F32_) return F32.finite(le(data, ptr, 4));
        if (format == BF16) return F32.finite(le(data, ptr, 2) << 16);
        if (format == Q6_K) return Half.finite(le(data, ptr + 208, 2));
        bool d = Half.finite(le(data, ptr, 2));
        return format == Q4_K || format == Q5_K ? d && Half.finite(le(data, ptr + 2, 2)) : d;
    }

    /// Value `i` as a number (spec/canon.md, "Embedding").
    function value(uint256 format, bytes calldata data, uint256 i) internal pure returns (uint256) {
        unchecked {
            if (format == F32_) return le(data, 4 * i, 4);
            if (format == F16) return Half.widen(le(data, 2 * i, 2));
            if (format == BF16) return le(data, 2 * i, 2) << 16;
            if (format == Q8_0 || format == Q4_0) {
                uint256 ptr = i / 32 * blockBytes(format);
                return F32.mul(F32.fromInt(quant(format, data, ptr, i % 32)), Half.widen(le(data, ptr, 2)));
            }
            Superblock memory s = superblock(format, data);
            uint256 scale = F32.mul(Half.widen(s.d), F32.fromInt(s.scales[i / s.group]));
            uint256 v = F32.mul(scale, F32.fromInt(s.quants[i]));
            return format == Q6_K ? v : F32.sub(v, F32.mul(Half.widen(s.dmin), F32.fromInt(s.mins[i / 32])));
        }
    }

    /// The accumulator of a segment of Q8_0 or Q4_0 blocks with `q` and their f32 scales, words in memory.
    function blocks(uint256 format, bytes calldata w, bytes calldata q, uint256 scales) internal pure returns (uint256 acc) {
        unchecked {
            uint256 size = blockBytes(format);
            for (uint256 b; b < q.length / 32; ++b) {
                int256 dot;
                for (uint256 i; i < 32; ++i) {
                    dot += quant(format, w, b * size, i) * signed(q, 32 * b + i);
                }
                uint256 scale;
                assembly ("memory-safe") {
                    scale := mload(add(scales, shl(5, b)))
                }
                acc = F32.fma(F32.fromInt(dot), F32.mul(Half.widen(le(w, b * size, 2)), scale), acc);
            }
        }
    }

    /// The integers of a superblock with those of its activations: Σ scale · quant · q, and Σ minimum · q.
    function sums(uint256 format, bytes calldata w, bytes calldata q) internal pure returns (int256 isum, int256 msum) {
        unchecked {
            Superblock memory s = superblock(format, w);
            for (uint256 i; i < 256; ++i) {
                isum += s.scales[i / s.group] * s.quants[i] * signed(q, i);
                msum += s.mins[i / 32] * signed(q, i);
            }
        }
    }

    /// The accumulator of a superblock from its sums, d and dmin, and the scale of the activations.
    function combine(uint256 format, int256 isum, int256 msum, bytes calldata w, uint256 scale) internal pure returns (uint256) {
        unchecked {
            uint256 d = Half.widen(le(w, format == Q6_K ? 208 : 0, 2));
            uint256 acc = F32.fma(F32.fromInt(isum), F32.mul(d, scale), 0);
            if (format == Q6_K) return acc;
            uint256 dmin = Half.widen(le(w, 2, 2));
            return F32.fma(F32.neg(F32.fromInt(msum)), F32.mul(dmin, scale), acc);
        }
    }

    /// Integer `i` of the block of Q8_0 or Q4_0 that begins at `at`.
    function quant(uint256 format, bytes calldata data, uint256 ptr, uint256 i) internal pure returns (int256) {
        unchecked {
            if (format == Q8_0) return signed(data, ptr + 2 + i);
            uint256 pair = uint8(data[ptr + 2 + i % 16]);
            return int256(i < 16 ? pair & 15 : pair >> 4) - 8;
        }
    }

    function superblock(uint256 format, bytes calldata data) internal pure returns (Superblock memory s) {
        unchecked {
            if (format == Q6_K) {
                s.group = 16;
                s.d = le(data, 208, 2);
                for (uint256 j; j < 16; ++j) {
                    s.scales[j] = signed(data, 192 + j);
                }
            } else {
                s.group = 32;
                s.d = le(data, 0, 2);
                s.dmin = le(data, 2, 2);
                for (uint256 j; j < 8; ++j) {
                    (s.scales[j], s.mins[j]) = _scale(data, j);
                }
            }
            for (uint256 i; i < 256; ++i) {
                s.quants[i] = int256(_superquant(format, data, i)) - (format == Q6_K ? int256(32) : int256(0));
            }
        }
    }

    /// Six bits each of twelve bytes: the first four whole, of the last four the two high bits elsewhere.
    function _scale(bytes calldata data, uint256 j) private pure returns (int256, int256) {
        unchecked {
            uint256 s = 4; // where the twelve begin
            if (j < 4) return (int256(_byte(data, s + j) & 63), int256(_byte(data, s + j + 4) & 63));
            uint256 low = _byte(data, s + j + 4);
            return (
                int256(low & 15 | _byte(data, s + j - 4) >> 6 << 4), int256(low >> 4 | _byte(data, s + j) >> 6 << 4)
            );
        }
    }

    function _superquant(uint256 format, bytes calldata data, uint256 i) private pure returns (uint256) {
        unchecked {
            uint256 l = i % 32;
            if (format == Q6_K) {
                uint256 half = i / 128;
                uint256 b = i / 32 % 4;
                return _byte(data, 64 * half + 32 * (b % 2) + l) >> 4 * (b / 2) & 15
                    | (_byte(data, 128 + 32 * half + l) >> 2 * b & 3) << 4;
            }
            uint256 low = _byte(data, (format == Q4_K ? 16 : 48) + 32 * (i / 64) + l) >> 4 * (i / 32 % 2) & 15;
            return format == Q4_K ? low : low | (_byte(data, 16 + l) >> i / 32 & 1) << 4;
        }
    }

    /// A little-endian number of `size` ≤ 8 bytes.
    function le(bytes calldata data, uint256 ptr, uint256 size) internal pure returns (uint256 v) {
        unchecked {
            for (uint256 i; i < size; ++i) {
                v |= _byte(data, ptr + i) << 8 * i;
            }
        }
    }

    function signed(bytes calldata data, uint256 ptr) internal pure returns (int256) {
        return int8(uint8(data[ptr]));
    }

    function _byte(bytes calldata data, uint256 ptr) private pure returns (uint256) {
        return uint8(data[ptr]);
    }
}
