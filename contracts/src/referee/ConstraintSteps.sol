// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Inputs, Reader} from "./Inputs.sol";
import {Kind, OpWord} from "./OpWord.sol";
import {Openings} from "./Openings.sol";
import {StepsBase} from "./StepsBase.sol";
import {Step} from "./Step.sol";
import {Terms} from "./Terms.sol";

/// @title Steps of an answer held to an automaton: one byte of one token, from one row of the table
/// @dev src/verify/referee/step_constraint.cpp; spec/canon.md, "Constraint".
contract ConstraintSteps is StepsBase {
    using OpWord for uint256;
    using Terms for uint256;

    /// Numbers that are no states: no answer begins so; an answer, and the token that ends it.
    uint256 private constant DEAD = 0xffff;
    uint256 private constant ENDED = 0xfffe;
    /// Kinds of pieces that lead anywhere, and how long a text may be.
    uint256 private constant TEXT = 1;
    uint256 private constant END = 2;
    uint256 private constant TEXT_MAX = 64;
    /// The score of a token that may not follow: the least finite number.
    uint256 private constant FORBIDDEN = 0xff7fffff;

    function _execute(Step calldata s, Reader memory r, bytes calldata) internal view override returns (uint256) {
        uint256 kind = s.ops[0].kind();
        if (kind == Kind.ANSWER_STATE) return _answerState(s, r);
        if (kind == Kind.PIECE_STATE) return _pieceState(s, r);
        assert(kind == Kind.CONSTRAIN);
        uint256 score = Inputs.value(s, r, Inputs.A, s.element);
        return _number(Inputs.value(s, r, Inputs.B, s.element) == DEAD ? FORBIDDEN : score);
    }

    /// From the state after the answer's token before, the answer's token of the element.
    function _answerState(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 parts = Openings.constraint(s, r.proof);
        uint256 before = s.last;
        if (s.step == 0 && s.element > 0) before = Inputs.value(s, r, Inputs.SELF, s.element - 1);
        uint256 token = Inputs.token(s, r, s.counts.prompt() - s.counts.continuation() + s.element);
        return _transition(s, r, parts, before, token);
    }

    /// From the state after the answer so far, any token.
    function _pieceState(Step calldata s, Reader memory r) private view returns (uint256) {
        uint256 parts = Openings.constraint(s, r.proof);
        uint256 before = s.last;
        if (s.step == 0 && Inputs.given(s, Inputs.A)) {
            before = Inputs.value(s, r, Inputs.A, s.ops[Inputs.A].values() - 1);
        }
        return _transition(s, r, parts, before, s.element);
    }

    /// Byte `step` of the token's piece from `before`; beyond its end nothing changes. What is no piece a vocabulary
    /// has is never part of an answer.
    function _transition(Step calldata s, Reader memory r, uint256 parts, uint256 before, uint256 token)
        private
        view
        returns (uint256)
    {
        unchecked {
            if (token >= s.vocabulary) return DEAD;
            (uint256 piece, uint256 size) = Openings.piece(s, r.proof, parts, token);
            uint256 kind = Inputs.u8(piece);
            bool text = kind == TEXT && size > 1 && size <= 1 + TEXT_MAX;
            bool end = kind == END && size == 1;
            if (s.step >= (text ? size - 1 : 1)) return before;
            if (!text && !end || before >= Openings.states(parts)) return DEAD;
            uint256 row = Openings.automatonRow(r.proof, parts, before);
            if (end) return Inputs.u8(row + 512) != 0 ? ENDED : DEAD;
            return Inputs.le16(row + 2 * Inputs.u8(piece + 1 + s.step));
        }
    }
}
