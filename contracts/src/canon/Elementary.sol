// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {F32} from "./F32.sol";

/// @title exp, log and what is made of them (spec/canon.md sections 5, 7 and 10)
/// @dev Polynomials by fma; the constants are the bits of the numbers on that page.
library Elementary {
    uint256 private constant EXP_CUT = 0xc28a0000; // -69
    uint256 private constant LOG2_E = 0x3fb8aa3b;
    uint256 private constant MAGIC = 0x4b400000; // 1.5 · 2^23
    uint256 private constant MINUS_LN2_HIGH = 0xbf317218;
    uint256 private constant LN2_LOW = 0x3102e308;
    uint256 private constant SQRT_HALF = 0x3f3504f3;
    uint256 private constant LOG_LN2_HIGH = 0x3f318000;
    uint256 private constant LOG_LN2_LOW = 0xb95e8083;
    /// Coefficients, eight to a word, the first on top; of log the one before them apart.
    uint256 private constant EXP = 0x395069673ab743ce3c0889083d2aa9c13e2aaaaa3f0000003f8000003f800000;
    uint256 private constant LOG_FIRST = 0x3d9021bb;
    uint256 private constant LOG = 0xbdebd1b83def251abdfe5d4f3e11e9bfbe2aae503e4cceacbe7ffffc3eaaaaaa;

    /// e^x for x ≤ 0; +0 of what is below -69 or NaN.
    function exp(uint256 x) internal pure returns (uint256) {
        unchecked {
            if (!F32.ge(x, EXP_CUT)) return 0;
            // Adding the magic number leaves round(x / ln 2) in the low bits of t.
            uint256 t = F32.fma(x, LOG2_E, MAGIC);
            uint256 n = F32.sub(t, MAGIC);
            uint256 r = F32.fma(n, MINUS_LN2_HIGH, x);
            r = F32.fma(n, LN2_LOW, r);
            uint256 p = _polynomial(EXP >> 224, EXP << 32, 7, r);
            return uint32(p + (t << 23));
        }
    }

    /// ln x for 2^-24 ≤ x ≤ 2^24.
    function log(uint256 x) internal pure returns (uint256) {
        unchecked {
            // x = 2^e m with m in [√½, √2).
            int256 e = int256(x) - int256(SQRT_HALF) >> 23;
            uint256 m = uint256(int256(x) - (e << 23));
            uint256 f = F32.sub(m, F32.ONE);
            uint256 z = F32.mul(f, f);
            uint256 p = _polynomial(LOG_FIRST, LOG, 8, f);
            uint256 exponent = F32.fromInt(e);
            uint256 y = F32.mul(F32.mul(p, f), z);
            y = F32.fma(exponent, LOG_LN2_LOW, y);
            y = F32.fma(0xbf000000, z, y); // -0.5
            y = F32.add(f, y);
            return F32.fma(exponent, LOG_LN2_HIGH, y);
        }
    }

    /// silu(g) = g · sigmoid(g).
    function silu(uint256 g) internal pure returns (uint256) {
        uint256 e = exp(F32.abs(g) | 0x80000000);
        uint256 below = F32.add(F32.ONE, e);
        return F32.ge(g, 0) ? F32.div(g, below) : F32.div(F32.mul(g, e), below);
    }

    /// The noise of token `id` at a position: -log(-log u), u from Philox4x32-10.
    function gumbel(uint256 seed, uint256 position, uint256 id) internal pure returns (uint256) {
        unchecked {
            uint256 k = philox(position, id, seed) >> 9;
            uint256 u = F32.mul(F32.fromInt(int256(2 * k + 1)), 0x33800000); // · 2^-24, exact
            return F32.neg(log(F32.neg(log(u))));
        }
    }

    /// The first output word of Philox4x32-10 (Salmon et al. 2011), counter (c0, c1, 0, 0).
    function philox(uint256 c0, uint256 c1, uint256 seed) internal pure returns (uint256) {
        unchecked {
            uint256 c2;
            uint256 c3;
            uint256 k0 = uint32(seed);
            uint256 k1 = seed >> 32;
            for (uint256 round; round < 10; ++round) {
                uint256 p = 0xD2511F53 * c0;
                uint256 q = 0xCD9E8D57 * c2;
                (c0, c1, c2, c3) = (q >> 32 ^ c1 ^ k0, uint32(q), p >> 32 ^ c3 ^ k1, uint32(p));
                k0 = uint32(k0 + 0x9E3779B9);
                k1 = uint32(k1 + 0xBB67AE85);
            }
            return c0;
        }
    }

    /// p = fma(p, x, c) for the `count` coefficients on top of a word.
    function _polynomial(uint256 p, uint256 coefficients, uint256 count, uint256 x) private pure returns (uint256) {
        unchecked {
            for (uint256 i; i < count; ++i) {
                p = F32.fma(p, x, coefficients >> 224 - 32 * i & 0xffffffff);
            }
            return p;
        }
    }
}
