// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {F32} from "./F32.sol";

/// @title IEEE 754 binary16 and bfloat16 (spec/canon.md section 1)
library Half {
    /// Exact: every binary16 is a binary32.
    function widen(uint256 half) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (half & 0x8000) << 16;
            uint256 exponent = half >> 10 & 31;
            uint256 fraction = half & 1023;
            if (exponent == 31) return sign | F32.INFINITY | fraction << 13;
            if (exponent != 0) return sign | exponent + 112 << 23 | fraction << 13;
            if (fraction == 0) return sign;
            // fraction · 2^-24: its highest bit becomes the hidden one.
            uint256 length = F32.bitLength(fraction);
            return sign | length + 102 << 23 | (fraction << 24 - length & 0x7fffff);
        }
    }

    function finite(uint256 half) internal pure returns (bool) {
        return half & 0x7c00 != 0x7c00;
    }

    /// To nearest, ties to even; |x| ≥ 65520 becomes infinity.
    function narrow(uint256 x) internal pure returns (uint256) {
        unchecked {
            uint256 sign = x >> 16 & 0x8000;
            uint256 magnitude = F32.abs(x);
            if (magnitude > F32.INFINITY) return sign | 0x7e00;
            if (magnitude >= 0x477ff000) return sign | 0x7c00; // ≥ 65520
            if (magnitude <= 0x33000000) return sign; // ≤ 2^-25
            uint256 exponent = magnitude >> 23;
            uint256 significand = magnitude & 0x7fffff | 0x800000;
            bool subnormal = exponent < 113; // below 2^-14
            uint256 shift = subnormal ? 126 - exponent : 13;
            uint256 rounded = significand + (1 << shift - 1) - 1 + (significand >> shift & 1) >> shift;
            // A carry out of the fraction moves into the exponent field, which is what it should do.
            return sign | (subnormal ? rounded : (exponent - 113 << 10) + rounded);
        }
    }
}
