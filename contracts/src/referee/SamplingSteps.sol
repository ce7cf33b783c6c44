// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Chain} from "../canon/Chain.sol";
import {Elementary} from "../canon/Elementary.sol";
import {F32} from "../canon/F32.sol";
import {Inputs, Reader} from "./Inputs.sol";
import {IReferee} from "./IReferee.sol";
import {Kind, OpWord} from "./OpWord.sol";
import {Openings} from "./Openings.sol";
import {StepsBase} from "./StepsBase.sol";
import {FAULT_RESULT, Step} from "./Step.sol";
import {Terms} from "./Terms.sol";

/// @title Steps of the choice of a token: penalties from the tape, filters as thresholds, noise, arg-max
/// @dev src/verify/referee/step_sampling.cpp.
contract SamplingSteps is StepsBase {
    using OpWord for uint256;
    using Terms for uint256;

    function _execute(Step calldata s, Reader memory r, bytes calldata biases)
        internal
        view
        override
        returns (uint256)
    {
        uint256 kind = s.ops[0].kind();
        if (kind == Kind.TAPE_COUNT) return _tapeCount(s, r);
        if (kind == Kind.ADJUST) return _adjust(s, r, biases);
        if (kind == Kind.TEMPERATURE) return _temperature(s, r);
        if (kind == Kind.COUNT_AT || kind == Kind.COUNT_ABOVE) return _count(s, r, kind == Kind.COUNT_AT);
        if (kind == Kind.RUNNING_TOTAL) return _runningTotal(s, r);
        if (kind == Kind.THRESHOLD_OK) return _thresholdOk(s, r);
        if (kind == Kind.SHIFTED_EXP) return _shiftedExp(s, r);
        if (kind == Kind.NOISY) return _noisy(s, r);
        if (kind == Kind.BEST_ID) return _bestId(s, r);
        if (kind == Kind.BEST_TOKEN) return _bestToken(s, r);
        assert(kind == Kind.NEXT_TOKEN);
        return Inputs.token(s, r, s.position + 1);
    }

    /// Occurrences of the id among the tokens that count, chunk by chunk: those of the prompt as far as the step's
    /// position, then those of the answer.
    function _tapeCount(Step calldata s, Reader memory r) private view returns (uint256 count) {
        unchecked {
            uint256 prompt = s.counts.prompt();
            uint256 positions = s.position + 1;
            uint256 promptChunks = ((prompt < positions ? prompt : positions) + 255) / 256;
            bool answer = s.step >= promptChunks;
            uint256 chunk = answer ? s.step - promptChunks : s.step;
            (uint256 ptr, uint256 ids) = Openings.tokens(s, r.proof, answer, chunk);
            uint256 first = s.ops[0].fromAnswer() ? prompt - s.counts.continuation() : 0;
            count = s.last;
            uint256 position = (answer ? prompt : 0) + chunk * 256;
            for (uint256 i; i < ids; ++i) {
                if (position + i < first || position + i >= positions) continue;
                if (Openings.le32(ptr + 4 * i) == s.element) ++count;
            }
            return uint32(count);
        }
    }

    /// Bias and penalties.
    function _adjust(Step calldata s, Reader memory r, bytes calldata biases) private view returns (uint256) {
        uint256 l = Inputs.value(s, r, Inputs.A, s.element);
        if (s.biasHash != 0) {
            (bool found, uint256 bias) = _bias(s, biases);
            if (found) l = F32.add(l, bias);
        }
        if (Inputs.given(s, Inputs.B) && Inputs.value(s, r, Inputs.B, s.element) > 0) {
            uint256 penalty = s.sampling.repetition();
            l = F32.gt(l, 0) ? F32.div(l, penalty) : F32.mul(l, penalty);
        }
        if (Inputs.given(s, Inputs.C)) {
            uint256 count = Inputs.value(s, r, Inputs.C, s.element);
            if (count > 0) {
                l = F32.sub(l, F32.mul(F32.fromInt(int256(count)), s.sampling.frequency()));
                l = F32.sub(l, s.sampling.presence());
            }
        }
        return _number(l);
    }

    /// The bias of the element's id among be32 token ‖ be32 bits.
    function _bias(Step calldata s, bytes calldata biases) private pure returns (bool found, uint256 bits) {
        if (keccak256(biases) != s.biasHash) revert IReferee.ProofMismatch();
        for (uint256 ptr; ptr + 8 <= biases.length; ptr += 8) {
            if (uint32(bytes4(biases[ptr:])) == s.element) return (true, uint32(bytes4(biases[ptr + 4:])));
        }
    }

    function _temperature(Step calldata s, Reader memory r) private view returns (uint256) {
        return _number(F32.div(Inputs.value(s, r, Inputs.A, s.element), s.sampling.temperature()));
    }

    /// How many of a chunk are at or above a threshold, or their sum.
    function _count(Step calldata s, Reader memory r, bool inclusive) private view returns (uint256) {
        unchecked {
            (uint256 values, uint256 size) = Inputs.floats(s, r, Inputs.A, s.element);
            uint256 threshold = Inputs.value(s, r, Inputs.B, 0);
            uint256 count;
            for (uint256 i; i < size; ++i) {
                uint256 v = Inputs.word(values + 32 * i);
                if (inclusive ? !F32.ge(v, threshold) : !F32.gt(v, threshold)) continue;
                // Those that count move together.
                Inputs.setWord(values + 32 * count++, v);
            }
            return s.ops[0].valueType() == OpWord.U32 ? count : _number(Chain.sum(values, count));
        }
    }

    function _runningTotal(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 v = Inputs.value(s, r, Inputs.A, s.step);
        if (s.ops[0].valueType() == OpWord.U32) return uint32(s.last + v);
        return _number(F32.add(s.last, v));
    }

    /// 1 if enough is at or above the threshold, and too little above it.
    function _thresholdOk(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 reached = Inputs.value(s, r, Inputs.A, 0);
        uint256 above = Inputs.value(s, r, Inputs.B, 0);
        if (!Inputs.given(s, Inputs.C)) {
            uint256 k = s.sampling.topK();
            return reached >= k && above < k ? 1 : 0;
        }
        uint256 target = F32.mul(s.sampling.topP(), Inputs.value(s, r, Inputs.C, 0));
        return F32.ge(reached, target) && F32.gt(target, above) ? 1 : 0;
    }

    /// exp(z - max), or +0 below the threshold of top-k.
    function _shiftedExp(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 z = Inputs.value(s, r, Inputs.A, s.element);
        uint256 largest = Inputs.value(s, r, Inputs.B, 0);
        if (Inputs.given(s, Inputs.C) && F32.gt(Inputs.value(s, r, Inputs.C, 0), z)) return 0;
        return _expOf(F32.sub(z, largest));
    }

    /// z + G if every filter leaves the id, else -∞.
    function _noisy(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 z = Inputs.value(s, r, Inputs.A, s.element);
        if (Inputs.given(s, Inputs.B) && F32.gt(Inputs.value(s, r, Inputs.B, 0), z)) return F32.MINUS_INFINITY;
        if (Inputs.given(s, Inputs.C)) {
            uint256 p = Inputs.value(s, r, Inputs.C, s.element);
            if (F32.gt(s.sampling.minP(), p)) return F32.MINUS_INFINITY;
            if (Inputs.given(s, Inputs.D) && F32.gt(Inputs.value(s, r, Inputs.D, 0), p)) return F32.MINUS_INFINITY;
        }
        return _number(F32.add(z, Elementary.gumbel(s.counts.seed(), s.position, s.element)));
    }

    /// The lowest id of the chunk among the largest.
    function _bestId(Step calldata s, Reader memory r) private view returns (uint256) {
        unchecked {
            (uint256 values, uint256 count) = Inputs.floats(s, r, Inputs.A, s.element);
            uint256 best;
            for (uint256 i = 1; i < count; ++i) {
                if (F32.gt(Inputs.word(values + 32 * i), Inputs.word(values + 32 * best))) best = i;
            }
            return s.element * 256 + best;
        }
    }

    /// The id of the chunk with the largest maximum so far.
    function _bestToken(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 id = Inputs.value(s, r, Inputs.A, s.step);
        if (s.step == 0) return id;
        if (s.last >= s.vocabulary) return FAULT_RESULT;
        uint256 value = Inputs.value(s, r, Inputs.B, s.step);
        return F32.gt(value, Inputs.value(s, r, Inputs.B, s.last / 256)) ? id : s.last;
    }
}
