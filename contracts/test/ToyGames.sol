// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Invalid, Mismatch, Why} from "../src/market/Errors.sol";
import {Verdict} from "../src/referee/IReferee.sol";
import {Case, Game, IGames, Played} from "../src/disputes/IGames.sol";

/// Games whose moves are words, as those of src/market/ledger_testutil: "continue"; "wrong", "right" and "invalid" end
/// one. Deployed by settle/evm's differential test, which plays the same on both ledgers.
contract ToyGames is IGames {
    mapping(address => mapping(bytes32 => bool)) private challengers;

    function check(Case calldata) external pure {}

    function play(bytes32 id, Case calldata, Played calldata move, bytes32)
        external
        returns (bool over, Verdict verdict, bool challengersTurn)
    {
        bool known;
        (known, verdict) = verdictOf(move.payload);
        if (known) return (true, verdict, false);
        if (keccak256(move.payload) != keccak256("continue")) revert Invalid(Why.Payload);
        challengersTurn = !challengers[msg.sender][id];
        challengers[msg.sender][id] = challengersTurn;
    }

    function judgeFinish(Case calldata, bytes32, bytes calldata, bytes calldata proof)
        external
        pure
        returns (Verdict verdict)
    {
        bool known;
        (known, verdict) = verdictOf(proof);
        if (!known) revert Mismatch(Why.Proof);
    }

    function layersOf(bytes32) external pure returns (uint32) {
        return 2;
    }

    function game(address, bytes32) external pure returns (Game memory) {}

    function referee() external view returns (address) {
        return address(this);
    }

    /// It has every program.
    function programs() external view returns (address) {
        return address(this);
    }

    function codeOf(bytes32) external view returns (address) {
        return address(this);
    }

    function verdictOf(bytes calldata word) private pure returns (bool known, Verdict verdict) {
        bytes32 w = keccak256(word);
        if (w == keccak256("right")) return (true, Verdict.follows);
        if (w == keccak256("wrong")) return (true, Verdict.differs);
        return (w == keccak256("invalid"), Verdict.invalidModel);
    }
}
