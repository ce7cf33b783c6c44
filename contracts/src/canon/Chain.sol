// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {F32} from "./F32.sol";

/// @title The accumulator of one segment of a chain (spec/canon.md section 2)
/// @notice acc = fma(a_i, b_i, acc) from +0, in order. Numbers lie in memory, one in each word; a step of 32 goes to
/// the next one, a step of 0 stays.
library Chain {
    /// Σ a_i · b_i. The fast version, and the readable one where the numbers are none of the ordinary ones.
    function dot(uint256 a, uint256 b, uint256 stepB, uint256 count) internal pure returns (uint256) {
        (bool ordinary, uint256 acc) = fast(a, b, stepB, count);
        return ordinary ? acc : readable(a, b, stepB, count);
    }

    /// Σ a_i, which is Σ a_i · 1.
    function sum(uint256 a, uint256 count) internal pure returns (uint256) {
        uint256 one;
        assembly ("memory-safe") {
            one := mload(0x40)
            mstore(0x40, add(one, 32))
            mstore(one, 0x3f800000)
        }
        return dot(a, one, 0, count);
    }

    function readable(uint256 a, uint256 b, uint256 stepB, uint256 count) internal pure returns (uint256 acc) {
        unchecked {
            for (uint256 i; i < count; ++i) {
                acc = F32.fma(_load(a + 32 * i), _load(b + stepB * i), acc);
            }
        }
    }

    function _load(uint256 ptr) private pure returns (uint256 v) {
        assembly ("memory-safe") {
            v := mload(ptr)
        }
    }

    /// The accumulator is kept as m · 2^(u - 149), m signed, |m| ≤ 2^24, u ≥ 0: a number of f32 whose bits are made
    /// at the end only. `ordinary` is false where that does not say everything: with a NaN or an infinity, near
    /// overflow, and where a sum vanishes by rounding (the sign of its zero).
    function fast(uint256 a, uint256 b, uint256 stepB, uint256 count)
        internal
        pure
        returns (bool ordinary, uint256 acc)
    {
        assembly ("memory-safe") {
            function bitLength(x) -> n {
                // x < 2^128
                n := shl(6, lt(0xffffffffffffffff, x))
                n := or(n, shl(5, lt(0xffffffff, shr(n, x))))
                n := or(n, shl(4, lt(0xffff, shr(n, x))))
                n := or(n, shl(3, lt(0xff, shr(n, x))))
                n := add(n, mul(3, lt(31, shr(n, x))))
                n := add(n, byte(shr(n, x), 0x0001020203030303040404040404040405050505050505050505050505050505))
            }
            let m := 0
            let u := 0
            let special := 0
            let end := add(a, shl(5, count))
            for {} lt(a, end) {} {
                let x := mload(a)
                let y := mload(b)
                a := add(a, 32)
                b := add(b, stepB)
                let ex := and(shr(23, x), 255)
                let ey := and(shr(23, y), 255)
                special := or(special, or(eq(ex, 255), eq(ey, 255)))
                // A subnormal has the exponent field of the smallest normal number, without the hidden bit.
                let v := mul(or(and(x, 0x7fffff), shl(23, lt(0, ex))), or(and(y, 0x7fffff), shl(23, lt(0, ey))))
                if iszero(v) { continue }
                // The product is v · 2^(t - 149).
                let t := sub(add(add(ex, iszero(ex)), add(ey, iszero(ey))), 151)
                if and(xor(x, y), 0x80000000) { v := sub(0, v) }
                if m {
                    let above := sub(t, u)
                    switch slt(above, 0)
                    case 0 {
                        // Farther than every bit that decides: which side m is on is all that counts.
                        switch gt(above, 70)
                        case 0 {
                            v := add(shl(above, v), m)
                            t := u
                        }
                        default {
                            v := add(shl(70, v), or(sar(255, m), 1))
                            t := sub(t, 70)
                        }
                    }
                    default {
                        switch slt(above, sub(0, 80))
                        case 0 { v := add(v, shl(sub(0, above), m)) }
                        default {
                            v := add(shl(80, m), or(sar(255, v), 1))
                            t := sub(u, 80)
                        }
                    }
                }
                // Of a negative v one less than |v|: the rounding is the same.
                let drop := sub(bitLength(xor(v, sar(255, v))), 24)
                if slt(drop, sub(0, t)) { drop := sub(0, t) }
                if sgt(drop, 0) {
                    v := sar(drop, add(add(v, sub(shl(sub(drop, 1), 1), 1)), and(sar(drop, v), 1)))
                    t := add(t, drop)
                    special := or(special, iszero(v))
                }
                m := v
                u := t
                special := or(special, sgt(u, 252))
            }
            ordinary := iszero(special)
            if m {
                let magnitude := sub(xor(m, sar(255, m)), sar(255, m))
                let up := sub(24, bitLength(magnitude))
                if sgt(up, u) { up := u }
                if sgt(up, 0) {
                    magnitude := shl(up, magnitude)
                    u := sub(u, up)
                }
                // As in F32: a magnitude of 2^24 carries into the exponent.
                acc := or(add(shl(23, u), magnitude), and(sar(255, m), 0x80000000))
            }
        }
    }
}
