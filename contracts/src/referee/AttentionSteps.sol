// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Chain} from "../canon/Chain.sol";
import {F32} from "../canon/F32.sol";
import {Inputs, Reader} from "./Inputs.sol";
import {Kind, OpWord} from "./OpWord.sol";
import {StepsBase} from "./StepsBase.sol";
import {Step} from "./Step.sol";

/// @title Steps of attention, and the maxima and sums of chunks that sampling shares with it
/// @dev src/verify/referee/step_attention.cpp.
contract AttentionSteps is StepsBase {
    using OpWord for uint256;

    function _execute(Step calldata s, Reader memory r, bytes calldata) internal view override returns (uint256) {
        uint256 kind = s.ops[0].kind();
        if (kind == Kind.SCORE) return _score(s, r);
        if (kind == Kind.SEGMENT_MAX) return _segmentMax(s, r);
        if (kind == Kind.SEGMENT_EXP) return _segmentExp(s, r);
        if (kind == Kind.SEGMENT_SUM) return _segmentSum(s, r);
        if (kind == Kind.WEIGHTED_VALUE) return _weightedValue(s, r);
        if (kind == Kind.RUNNING_MAX) return _runningMax(s, r);
        if (kind == Kind.SEGMENT_WEIGHT) return _segmentWeight(s, r);
        if (kind == Kind.ATTENTION_SUM) return _attentionSum(s, r);
        assert(kind == Kind.ATTENTION_OUT);
        return _attentionOut(s, r);
    }

    /// One segment of q · K_j; the last step multiplies the sum by the scale.
    function _score(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            uint256 chunk = s.element / 256;
            uint256 head = chunk / _segments(s);
            uint256 position = chunk % _segments(s) * 256 + s.element % 256;
            uint256 begin = s.step * 256;
            uint256 count = s.headDim - begin < 256 ? s.headDim - begin : 256;
            uint256 q = Inputs.range(s, r, Inputs.A, head * s.headDim + begin, count);
            uint256 k =
                Inputs.cache(s, r, Inputs.ROW_K, Inputs.B, position, _kvHead(s, head) * s.headDim + begin, count);
            uint256 dot = F32.add(s.last, Chain.dot(q, k, 32, count));
            if (s.step + 1 < s.ops[0].steps()) return _number(dot);
            return _number(F32.mul(dot, F32.div(F32.ONE, F32.sqrt(F32.fromInt(int256(s.headDim))))));
        }
    }

    /// The first of a chunk, then every larger one.
    function _segmentMax(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            (uint256 values, uint256 count) = Inputs.floats(s, r, Inputs.A, s.element);
            uint256 largest = Inputs.word(values);
            for (uint256 i = 1; i < count; ++i) {
                uint256 v = Inputs.word(values + 32 * i);
                if (F32.gt(v, largest)) largest = v;
            }
            // A chunk of y has none left.
            return largest == F32.MINUS_INFINITY ? largest : _number(largest);
        }
    }

    function _segmentExp(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 score = Inputs.value(s, r, Inputs.A, s.element);
        return _expOf(F32.sub(score, Inputs.value(s, r, Inputs.B, s.element / 256)));
    }

    function _segmentSum(Step calldata s, Reader memory r) private view returns (uint256) {
        (uint256 values, uint256 count) = Inputs.floats(s, r, Inputs.A, s.element);
        return _number(Chain.sum(values, count));
    }

    /// fma(p_j, V_j[d], r).
    function _weightedValue(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            uint256 chunk = s.element / s.headDim; // of sp
            uint256 segment = chunk % _segments(s);
            uint256 weight = Inputs.value(s, r, Inputs.A, chunk * 256 + s.step);
            uint256 column = _kvHead(s, chunk / _segments(s)) * s.headDim + s.element % s.headDim;
            uint256 v = Inputs.cache(s, r, Inputs.ROW_V, Inputs.B, segment * 256 + s.step, column, 1);
            return _number(F32.fma(weight, Inputs.word(v), s.last));
        }
    }

    function _runningMax(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 v = Inputs.value(s, r, Inputs.A, s.element * s.ops[0].steps() + s.step);
        return _number(s.step == 0 || F32.gt(v, s.last) ? v : s.last);
    }

    function _segmentWeight(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 local = Inputs.value(s, r, Inputs.A, s.element);
        return _expOf(F32.sub(local, Inputs.value(s, r, Inputs.B, s.element / _segments(s))));
    }

    function _attentionSum(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 index = s.element * _segments(s) + s.step;
        uint256 w = Inputs.value(s, r, Inputs.A, index);
        return _number(_chainStep(s, w, Inputs.value(s, r, Inputs.B, index)));
    }

    /// The last step divides by l.
    function _attentionOut(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 head = s.element / s.headDim;
        uint256 index = head * _segments(s) + s.step;
        uint256 w = Inputs.value(s, r, Inputs.A, index);
        uint256 out = _chainStep(s, w, Inputs.value(s, r, Inputs.B, index * s.headDim + s.element % s.headDim));
        if (s.step + 1 < s.ops[0].steps()) return _number(out);
        return _number(F32.div(out, Inputs.value(s, r, Inputs.C, head)));
    }

    /// One term of a chain over segments. A step inside 256 of them is their accumulator, the last of them adds it
    /// to the total before.
    function _chainStep(Step calldata s, uint256 a, uint256 b) private pure returns (uint256) {
        uint256 acc = F32.fma(a, b, s.step % 256 == 0 ? 0 : s.last);
        bool last = s.step % 256 == 255 || s.step + 1 == s.ops[0].steps();
        return last ? F32.add(s.segment, acc) : acc;
    }

    function _segments(Step calldata s) private pure returns (uint256) {
        return s.position / 256 + 1;
    }

    function _kvHead(Step calldata s, uint256 head) private pure returns (uint256) {
        return head / (s.heads / s.kvHeads);
    }
}
