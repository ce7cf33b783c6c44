// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Elementary} from "../canon/Elementary.sol";
import {F32} from "../canon/F32.sol";
import {Inputs, Reader} from "./Inputs.sol";
import {Kind, OpWord} from "./OpWord.sol";
import {Openings} from "./Openings.sol";
import {StepsBase} from "./StepsBase.sol";
import {FAULT_RESULT, Step} from "./Step.sol";
import {Terms} from "./Terms.sol";

/// @title Steps of the log-probabilities of a token and its alternatives
/// @dev src/verify/referee/step_logprob.cpp.
contract LogprobSteps is StepsBase {
    using OpWord for uint256;
    using Terms for uint256;

    function _execute(Step calldata s, Reader memory r, bytes calldata) internal view override returns (uint256) {
        uint256 kind = s.ops[0].kind();
        if (kind == Kind.LOG_SUM) return _logSum(s, r);
        if (kind == Kind.LOGPROB) return _logprob(s, r);
        if (kind == Kind.RANK_COUNT) return _rankCount(s, r);
        assert(kind == Kind.LOGPROB_LEAF);
        uint256 ptr = Openings.logprobs(s, r.proof, s.position + 1 - s.counts.prompt());
        return Openings.le32(ptr + 4 * s.element);
    }

    function _logSum(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 sum = Inputs.value(s, r, Inputs.A, 0);
        // 2^-24 and 2^24.
        if (!F32.ge(sum, 0x33800000) || !F32.ge(0x4b800000, sum)) return FAULT_RESULT;
        return _number(Elementary.log(sum));
    }

    /// First the token's log-probability, then id and log-probability of each alternative.
    function _logprob(Step calldata s, Reader memory r) private view returns (uint256) {
        if (s.element % 2 == 1) return _alternative(s, r);
        uint256 id = s.element == 0
            ? Inputs.value(s, r, Inputs.B, 0)
            : Inputs.value(s, r, Inputs.SELF, s.element - 1);
        if (id >= s.vocabulary) return FAULT_RESULT;
        uint256 logit = Inputs.value(s, r, Inputs.A, id);
        uint256 largest = Inputs.value(s, r, Inputs.C, 0);
        uint256 out = F32.sub(F32.sub(logit, largest), Inputs.value(s, r, Inputs.D, 0));
        return out == F32.MINUS_INFINITY ? out : _number(out);
    }

    /// The id the provider names, if it ranks below the one it names before.
    function _alternative(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 id = Inputs.value(s, r, Inputs.SELF, s.element);
        if (id >= s.vocabulary) return FAULT_RESULT;
        if (s.element == 1) return id;
        uint256 above = Inputs.value(s, r, Inputs.SELF, s.element - 2);
        if (above >= s.vocabulary) return FAULT_RESULT;
        uint256 logit = Inputs.value(s, r, Inputs.A, id);
        uint256 logitAbove = Inputs.value(s, r, Inputs.A, above);
        bool below = F32.gt(logitAbove, logit) || F32.eq(logitAbove, logit) && above < id;
        return below ? id : FAULT_RESULT;
    }

    /// Ids of a chunk that rank at or above the last alternative.
    function _rankCount(Step calldata s, Reader memory r) private view returns (uint256 count) {
        unchecked {
            uint256 last = Inputs.value(s, r, Inputs.B, 2 * (s.counts.logprobs() - 1) - 1);
            if (last >= s.vocabulary) return FAULT_RESULT;
            uint256 lowest = Inputs.value(s, r, Inputs.A, last);
            (uint256 logits, uint256 size) = Inputs.floats(s, r, Inputs.A, s.element);
            for (uint256 i; i < size; ++i) {
                uint256 v = Inputs.word(logits + 32 * i);
                if (F32.gt(v, lowest) || F32.eq(v, lowest) && s.element * 256 + i <= last) ++count;
            }
        }
    }
}
