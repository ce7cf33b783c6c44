// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Chain} from "../canon/Chain.sol";
import {Elementary} from "../canon/Elementary.sol";
import {F32} from "../canon/F32.sol";
import {Formats} from "../canon/Formats.sol";
import {Half} from "../canon/Half.sol";
import {Inputs, Reader} from "./Inputs.sol";
import {Kind, OpWord} from "./OpWord.sol";
import {Openings} from "./Openings.sol";
import {StepsBase} from "./StepsBase.sol";
import {FAULT_RESULT, Step} from "./Step.sol";

/// @title Steps of what lies around attention: norms, activations, rotation, residuals, the embedding
/// @dev src/verify/referee/step_layer.cpp. Products are in ProductSteps.
contract LayerSteps is StepsBase {
    using OpWord for uint256;

    function _execute(Step calldata s, Reader memory r, bytes calldata) internal view override returns (uint256) {
        uint256 kind = s.ops[0].kind();
        if (kind == Kind.NORM_SUM) return _normSum(s, r);
        if (kind == Kind.NORM_INVERSE) return _normInverse(s, r);
        if (kind == Kind.NORM_VALUE) return _normValue(s, r);
        if (kind == Kind.Q8_SCALE || kind == Kind.Q8K_SCALE) return _blockScale(s, r);
        if (kind == Kind.Q8_QUANT || kind == Kind.Q8K_QUANT) return _blockQuant(s, r);
        if (kind == Kind.ADD_BIAS) return _addBias(s, r);
        if (kind == Kind.ROPE) return _rope(s, r);
        if (kind == Kind.TO_HALF) return _toHalf(s, r);
        if (kind == Kind.ADD_RESIDUAL) return _addResidual(s, r);
        if (kind == Kind.SWIGLU) return _swiglu(s, r);
        assert(kind == Kind.EMBEDDING);
        return _embedding(s, r);
    }

    /// r + (acc over the segment of fma(x, x, acc)).
    function _normSum(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            uint256 width = s.ops[0].width();
            uint256 begin = s.step * 256;
            uint256 count = width - begin < 256 ? width - begin : 256;
            uint256 x = Inputs.range(s, r, Inputs.A, s.element * width + begin, count);
            return _number(F32.add(s.last, Chain.dot(x, x, 32, count)));
        }
    }

    /// 1 / sqrt(ss / n + ε).
    function _normInverse(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 sum = Inputs.value(s, r, Inputs.A, s.element);
        uint256 mean = F32.div(sum, F32.fromInt(int256(s.ops[0].width())));
        return _number(F32.div(F32.ONE, F32.sqrt(F32.add(mean, s.epsilon))));
    }

    /// (x · inv) · w.
    function _normValue(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 width = s.ops[0].width();
        uint256 x = Inputs.value(s, r, Inputs.A, s.element);
        uint256 inverse = Inputs.value(s, r, Inputs.B, s.element / width);
        uint256 w = Inputs.weight(s, r, s.element % width);
        return _number(F32.mul(F32.mul(x, inverse), w));
    }

    /// d = fp16(max |x| / 127), as f32.
    function _blockScale(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            uint256 block_ = s.ops[0].width();
            uint256 x = Inputs.range(s, r, Inputs.A, s.element * block_, block_);
            // Magnitudes of floats order as their bits do, NaN and infinity on top.
            uint256 largest;
            for (uint256 i; i < block_; ++i) {
                uint256 v = F32.abs(Inputs.word(x + 32 * i));
                if (v > largest) largest = v;
            }
            return _number(Half.widen(Half.narrow(F32.div(largest, 0x42fe0000)))); // 127
        }
    }

    /// clamp(round(x / d), -127, 127); 0 where d = 0.
    function _blockQuant(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            uint256 x = Inputs.value(s, r, Inputs.A, s.element);
            uint256 d = Inputs.value(s, r, Inputs.B, s.element / s.ops[0].width());
            if (F32.isZero(d)) return 0;
            uint256 q = F32.div(x, d);
            if (F32.isNan(q)) return FAULT_RESULT;
            // Beyond the clamp first: rounding to an integer has a range.
            if (F32.ge(q, 0x42fe0000)) return 127;
            if (F32.ge(0xc2fe0000, q)) return 256 - 127;
            // Adding 1.5 · 2^23 leaves the integer in the low bits.
            return uint8(F32.add(q, 0x4b400000));
        }
    }

    function _addBias(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 x = Inputs.value(s, r, Inputs.A, s.element);
        return _number(F32.add(x, Inputs.weight(s, r, s.element)));
    }

    function _addResidual(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 x = Inputs.value(s, r, Inputs.A, s.element);
        return _number(F32.add(x, Inputs.value(s, r, Inputs.B, s.element)));
    }

    function _swiglu(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 gate = Inputs.value(s, r, Inputs.A, s.element);
        uint256 up = Inputs.value(s, r, Inputs.B, s.element);
        return _number(F32.mul(Elementary.silu(gate), up));
    }

    /// One value of a rotated pair.
    function _rope(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            if (s.position >= s.context) return FAULT_RESULT;
            uint256 within = s.element % s.headDim;
            uint256 half = s.headDim / 2;
            bool halves = s.halves == 1;
            uint256 pair = halves ? within % half : within / 2;
            bool first = halves ? within < half : within % 2 == 0;
            uint256 index = s.element - within + (halves ? pair : 2 * pair);
            uint256 a = Inputs.value(s, r, Inputs.A, index);
            uint256 b = Inputs.value(s, r, Inputs.A, index + (halves ? half : 1));
            (uint256 c, uint256 sine) = Inputs.rotation(s, r, pair);
            return _number(
                first ? F32.fma(a, c, F32.neg(F32.mul(b, sine))) : F32.fma(a, sine, F32.mul(b, c))
            );
        }
    }

    function _toHalf(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 half = Half.narrow(Inputs.value(s, r, Inputs.A, s.element));
        return Half.finite(half) ? half : FAULT_RESULT;
    }

    /// A value of the row of the token's embedding.
    function _embedding(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            uint256 token = Inputs.token(s, r, s.position);
            if (token >= s.rows) return FAULT_RESULT;
            uint256 ptr = Openings.weight(s, r.proof, token, s.element / 256);
            return _number(Formats.value(s.format, Openings.data(ptr, 1024), s.element % 256));
        }
    }
}
