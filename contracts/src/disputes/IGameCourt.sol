// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Dispute, ExecutionId, Lease, Move, Timeout} from "../market/Messages.sol";
import {Evidence} from "../market/Statements.sol";
import {Ending, ICourt, Turn} from "./Court.sol";
import {Case, Played} from "./IGames.sol";

struct DisputeRecord {
    address challenger;
    uint64 bond;
    bool decided;
    Ending outcome; // once decided
    Turn turn;
    address defender; // zero: no such dispute
    uint40 filed;
    uint40 due; // of the move; zero once decided
    uint16 moves;
    bytes32 lease;
    bytes32 subject;
    bytes32 game; // hash over the moves (spec/dispute.md section 6)
    bytes32 about; // keccak256 of the Case
}

/// What a dispute is filed with.
struct Filing {
    Evidence evidence;
    ExecutionId execution;
    Played[] moves; // what was played before the chain was asked, and by whom it was signed
    bytes[] signatures;
    bytes finish; // instead of moves: the proof of a dispute without a game
    bool withoutGame; // there is such a proof, be it empty
}

/// @title A court whose disputes are games about one statement
/// @notice The rules, moves and hashes of spec/dispute.md and spec/ledger.md, decided by deadline or by the referee. Two
/// sides play off the chain and come here when one of them stalls, with what they have played; from then on each move
/// is a transaction that anybody may send. Both sides must watch the chain: whoever is silent until `due` has lost,
/// whatever the reason.
interface IGameCourt is ICourt {
    event DisputeFiled(
        bytes32 indexed id,
        bytes32 indexed lease,
        bytes32 indexed subject,
        address challenger,
        address defender,
        uint256 bond,
        Case about
    );
    /// The payload itself, so that whoever reads the chain can continue the game.
    event Moved(bytes32 indexed dispute, uint256 indexed number, bytes payload, uint256 due);
    event Decided(bytes32 indexed dispute, bytes32 indexed lease, Ending outcome);

    /// @notice Files what was committed to (IDisputes.commitDispute), with bond. Wrong figures, a proof without a game
    /// and a game that is over decide at once.
    function fileDispute(Dispute calldata m, bytes calldata signature, Lease calldata terms, Filing calldata filing)
        external;

    /// @notice The next move, by whose turn it is.
    /// @param terms read by the move that ends the game; before, anything
    function move(Move calldata m, bytes calldata signature, Lease calldata terms, Case calldata about, Played calldata played)
        external;

    /// @notice Ends a dispute whose deadline has passed, or whose defender another one convicted of the same.
    function timeout(Timeout calldata m, bytes calldata signature, Lease calldata terms, Case calldata about) external;

    function dispute(bytes32 id) external view returns (DisputeRecord memory);
    /// @notice Open disputes of one challenger about one lease; of passes: about one audit.
    function openOf(bytes32 place, address challenger) external view returns (uint256);
    function games() external view returns (address);
}
