// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Subject, Verdict} from "../referee/IReferee.sol";

/// What a dispute about a statement is decided from, beside its moves.
struct Case {
    Subject subject;
    bytes32 traceRoot;
    bytes32 saltCommitment;
    uint32 layers;
    uint64 amount; // of the statement
}

enum Phase {
    Positions,
    Leaves,
    Ops,
    Chunks,
    Values,
    Running,
    Step,
    Salt
}

/// Where a game stands. What was revealed is not kept: a move that needs it again brings it along (`Played.earlier`).
struct Game {
    Phase phase;
    bool choosing; // the phase's reveal has been made
    bool fault; // the leaf is the fault that ends the trace; before one is chosen: the position has it
    uint32 first; // the node that is looked at: its first leaf; in values: the chunk
    uint32 leaves; // how many
    uint32 position;
    uint32 leaf;
    uint16 op;
    uint32 element;
    uint16 step;
    bytes32 hash; // of the node, the chunk; in salt: the salt
    bytes32 positionsRoot;
    bytes32 positionRoot;
    uint32 positions;
    uint16 positionLeaves;
    uint16 faultOp; // the op that the provider says faults, its element, the running values before
    uint16 faultRunning;
    uint32 faultElement;
    uint32 last; // running values that the step continues from
    uint32 segment;
    uint64 claimed; // bits of the value, or CLAIMS_FAULT
    bytes32 earlier; // SHA-256 of the payload that a choice has to bring along
    uint256 word; // the op, as OpWord
    bytes32 revealed; // keccak256 of the Revealed that the step needs
}

/// One move, with what the contract does not keep.
struct Played {
    bytes payload;
    /// The choice of a child: its hash, then its path among the children. Of an op, a value, a running value: the
    /// payload of the reveal before. The step: the ABI encoding of its Revealed. Else nothing.
    bytes earlier;
    /// Of the request, packed (IReferee.judge): the step of an op that adjusts logits, else nothing.
    bytes biases;
}

/// @title The games of disputes
/// @notice What spec/dispute.md section 4 says of a dispute about one statement (src/verify/dispute/game.cpp): which of
/// the provider's commitments a challenger looks at, until one step is left for the referee. Whose signature, until
/// when, and what for is the business of the court that calls: each has games of its own here.
/// @dev Trust: no owner, no money. It trusts the referee and the programs it was made with. A move that is refused
/// reverts and changes nothing.
interface IGames {
    /// @notice Refuses a statement that no game exists about.
    function check(Case calldata about) external pure;

    /// @notice Makes the next move of the caller's game `id`; the first one begins it. The caller passes the same case
    /// every time.
    /// @param payloadHash SHA-256 of the payload
    /// @return over the game is
    /// @return verdict then: of the referee
    /// @return challengersTurn otherwise: whose move is next
    function play(bytes32 id, Case calldata about, Played calldata move, bytes32 payloadHash)
        external
        returns (bool over, Verdict verdict, bool challengersTurn);

    /// @notice The dispute without a game, from a proof alone.
    function judgeFinish(Case calldata about, bytes32 stopRoot, bytes calldata biases, bytes calldata proof)
        external
        view
        returns (Verdict);

    /// @notice Layers of a program that `Programs` holds.
    function layersOf(bytes32 program) external view returns (uint32);
    function game(address court, bytes32 id) external view returns (Game memory);
    function referee() external view returns (address);
    function programs() external view returns (address);
}
