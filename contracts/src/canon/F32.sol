// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IEEE 754 binary32 by integer arithmetic (spec/canon.md section 1)
/// @notice A number is its bits in the low 32 of a word. Every operation rounds to nearest, ties to even; subnormals
/// are kept. A NaN comes out as `NAN`: what reaches a committed value is a fault, so that payloads never matter.
/// @dev The readable version, and the one that hostile numbers meet. `Chain` does long sums of ordinary ones faster.
library F32 {
    uint256 internal constant NAN = 0x7fc00000;
    uint256 internal constant INFINITY = 0x7f800000;
    uint256 internal constant MINUS_INFINITY = 0xff800000;
    uint256 internal constant ONE = 0x3f800000;
    uint256 private constant SIGN = 0x80000000;
    uint256 private constant MAGNITUDE = 0x7fffffff;

    /// Neither NaN nor infinity.
    function finite(uint256 a) internal pure returns (bool) {
        return a & INFINITY != INFINITY;
    }

    function isNan(uint256 a) internal pure returns (bool) {
        return a & MAGNITUDE > INFINITY;
    }

    function isZero(uint256 a) internal pure returns (bool) {
        return a & MAGNITUDE == 0;
    }

    function neg(uint256 a) internal pure returns (uint256) {
        return a ^ SIGN;
    }

    function abs(uint256 a) internal pure returns (uint256) {
        return a & MAGNITUDE;
    }

    /// a > b; false with a NaN. −0 equals +0.
    function gt(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNan(a) && !isNan(b) && _ordered(a) > _ordered(b);
    }

    /// a ≥ b; false with a NaN.
    function ge(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNan(a) && !isNan(b) && _ordered(a) >= _ordered(b);
    }

    /// a = b; false with a NaN.
    function eq(uint256 a, uint256 b) internal pure returns (bool) {
        return !isNan(a) && !isNan(b) && _ordered(a) == _ordered(b);
    }

    function add(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            if (!finite(a) || !finite(b)) {
                if (isNan(a) || isNan(b)) return NAN;
                if (finite(b)) return a;
                if (finite(a)) return b;
                return a == b ? a : NAN; // ∞ − ∞
            }
            if (isZero(a) && isZero(b)) return a & b; // −0 of two −0 only
            (int256 ma, int256 ea) = _signed(a);
            (int256 mb, int256 eb) = _signed(b);
            return _sum(ma, ea, mb, eb);
        }
    }

    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        return add(a, neg(b));
    }

    function mul(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) & SIGN;
            if (!finite(a) || !finite(b)) {
                if (isNan(a) || isNan(b) || isZero(a) || isZero(b)) return NAN; // 0 · ∞ too
                return sign | INFINITY;
            }
            (uint256 ma, int256 ea) = _unpack(a);
            (uint256 mb, int256 eb) = _unpack(b);
            return sign | _round(ma * mb, ea + eb);
        }
    }

    function div(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) & SIGN;
            if (isNan(a) || isNan(b)) return NAN;
            if (!finite(a)) return finite(b) ? sign | INFINITY : NAN;
            if (!finite(b)) return sign;
            if (isZero(b)) return isZero(a) ? NAN : sign | INFINITY;
            (uint256 ma, int256 ea) = _unpack(a);
            (uint256 mb, int256 eb) = _unpack(b);
            // At least 40 bits of the quotient, and whether anything is left below them.
            uint256 quotient = (ma << 64) / mb;
            uint256 rest = (ma << 64) % mb == 0 ? 0 : 1;
            return sign | _round(quotient << 1 | rest, ea - eb - 65);
        }
    }

    function sqrt(uint256 a) internal pure returns (uint256) {
        unchecked {
            if (isZero(a) || a == INFINITY) return a;
            if (a & SIGN != 0 || isNan(a)) return NAN;
            (uint256 m, int256 e) = _unpack(a);
            if (e & 1 != 0) {
                m <<= 1;
                e -= 1;
            }
            // m ≥ 1, so that the root has at least 40 bits.
            m <<= 80;
            uint256 root = _isqrt(m);
            uint256 rest = root * root == m ? 0 : 1;
            return _round(root << 1 | rest, e / 2 - 41);
        }
    }

    /// a · b + c, rounded once.
    function fma(uint256 a, uint256 b, uint256 c) internal pure returns (uint256) {
        unchecked {
            uint256 sign = (a ^ b) & SIGN; // of the product
            if (!finite(a) || !finite(b) || !finite(c)) {
                if (isNan(a) || isNan(b) || isNan(c)) return NAN;
                if (finite(a) && finite(b)) return c;
                if (isZero(a) || isZero(b)) return NAN;
                return finite(c) || c & SIGN == sign ? sign | INFINITY : NAN;
            }
            if (isZero(a) || isZero(b)) return isZero(c) ? sign & c : c;
            (int256 ma, int256 ea) = _signed(a);
            (int256 mb, int256 eb) = _signed(b);
            (int256 mc, int256 ec) = _signed(c);
            return _sum(ma * mb, ea + eb, mc, ec);
        }
    }

    /// An integer of less than 2^200, rounded.
    function fromInt(int256 v) internal pure returns (uint256) {
        unchecked {
            return v < 0 ? SIGN | _round(uint256(-v), 0) : _round(uint256(v), 0);
        }
    }

    /// Order of the numbers that are none NaN.
    function _ordered(uint256 a) private pure returns (int256) {
        unchecked {
            int256 magnitude = int256(a & MAGNITUDE);
            return a & SIGN == 0 ? magnitude : -magnitude;
        }
    }

    /// |a| = m · 2^e of a finite a.
    function _unpack(uint256 a) private pure returns (uint256 m, int256 e) {
        unchecked {
            m = a & 0x7fffff;
            uint256 exponent = a >> 23 & 255;
            if (exponent == 0) return (m, -149);
            return (m | 0x800000, int256(exponent) - 150);
        }
    }

    function _signed(uint256 a) private pure returns (int256 m, int256 e) {
        unchecked {
            uint256 magnitude;
            (magnitude, e) = _unpack(a);
            m = a & SIGN == 0 ? int256(magnitude) : -int256(magnitude);
        }
    }

    /// a · 2^ea + b · 2^eb, rounded; |a| < 2^49, |b| < 2^49, not both zero. An exact zero is +0.
    function _sum(int256 a, int256 ea, int256 b, int256 eb) private pure returns (uint256) {
        unchecked {
            if (a == 0) return _pack(b, eb);
            if (b == 0) return _pack(a, ea);
            if (ea < eb) (a, ea, b, eb) = (b, eb, a, ea);
            if (ea - eb > 128) {
                // b is far below every bit that decides: which side of a it is on is all that counts.
                return _pack((a << 128) + (b < 0 ? -1 : int256(1)), ea - 128);
            }
            return _pack((a << uint256(ea - eb)) + b, eb);
        }
    }

    function _pack(int256 m, int256 e) private pure returns (uint256) {
        unchecked {
            return m < 0 ? SIGN | _round(uint256(-m), e) : _round(uint256(m), e);
        }
    }

    /// m · 2^e to nearest, ties to even. m < 2^200.
    function _round(uint256 m, int256 e) private pure returns (uint256) {
        unchecked {
            if (m == 0) return 0;
            int256 drop = int256(bitLength(m)) - 24; // bits below the last of the result
            if (drop < -149 - e) drop = -149 - e; // subnormal: the last is 2^-149
            if (drop > 0) {
                if (drop > 255) return 0;
                uint256 n = uint256(drop);
                m = (m + (1 << (n - 1)) - 1 + (m >> n & 1)) >> n;
            } else {
                m <<= uint256(-drop);
            }
            // 2^23 ≤ m ≤ 2^24, or e = -149 now: a carry moves into the exponent, which is what it should do.
            uint256 bits = (uint256(e + drop + 149) << 23) + m;
            return bits < INFINITY ? bits : INFINITY;
        }
    }

    /// Bits of x up to its highest one; 0 of 0.
    function bitLength(uint256 x) internal pure returns (uint256 n) {
        assembly ("memory-safe") {
            n := shl(7, lt(0xffffffffffffffffffffffffffffffff, x))
            n := or(n, shl(6, lt(0xffffffffffffffff, shr(n, x))))
            n := or(n, shl(5, lt(0xffffffff, shr(n, x))))
            n := or(n, shl(4, lt(0xffff, shr(n, x))))
            n := or(n, shl(3, lt(0xff, shr(n, x))))
            n := add(n, mul(3, lt(31, shr(n, x))))
            // Of what is left, less than 32: byte i is the length of i.
            n := add(n, byte(shr(n, x), 0x0001020203030303040404040404040405050505050505050505050505050505))
        }
    }

    /// ⌊√x⌋ for 0 < x < 2^128.
    function _isqrt(uint256 x) private pure returns (uint256 r) {
        unchecked {
            r = 1 << (bitLength(x) + 1) / 2; // above the root: Newton falls from there
            while (true) {
                uint256 next = (r + x / r) / 2;
                if (next >= r) return r;
                r = next;
            }
        }
    }
}
