// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    CommitDispute,
    Dispute,
    Equivocation,
    ExecutionId,
    Lease,
    Move,
    Request,
    Timeout
} from "../market/Messages.sol";
import {Evidence, Statement} from "../market/Statements.sol";
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

/// @title Disputes about what a provider signed
/// @notice A receipt or progress is wrong, or contradicts another: the rules, moves and hashes of spec/dispute.md and
/// spec/ledger.md, decided by deadline or by the referee. Two sides play off the chain and come here when one of them
/// stalls, with what they have played; from then on each move is a transaction that anybody may send.
/// @dev Trust: this contract has no owner and no power but that over its own disputes. It trusts the market it was
/// made for and `games` with its referee, all fixed at construction. A conviction needs the provider's own signature on a
/// statement and, beside it, wrong figures, a contradiction, a proof or a deadline that passed. Both sides must watch
/// the chain: whoever is silent until `due` has lost, whatever the reason. A dispute that names a program which
/// `Programs` does not hold is refused: post it first.
interface IDisputes is ICourt {
    event DisputeCommitted(bytes32 indexed id, address indexed account, bytes32 commitment);
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

    /// @notice Announces a dispute or a report of which only the hash is told: SHA-256 of its digest, or of its digest
    /// and the SHA-256 of the proof beside it. Lives as long as the longest window, from the next block on.
    function commitDispute(CommitDispute calldata m, bytes calldata signature) external;

    /// @notice Files what was committed to, with bond. Wrong figures, a proof without a game and a game that is over
    /// decide at once.
    function fileDispute(Dispute calldata m, bytes calldata signature, Lease calldata terms, Filing calldata filing)
        external;

    /// @notice The next move, by whose turn it is.
    /// @param terms read by the move that ends the game; before, anything
    function move(Move calldata m, bytes calldata signature, Lease calldata terms, Case calldata about, Played calldata played)
        external;

    /// @notice Ends a dispute whose deadline has passed, or whose statement another one convicted.
    function timeout(Timeout calldata m, bytes calldata signature, Lease calldata terms, Case calldata about) external;

    /// @notice Convicts a provider that signed two statements which cannot both be true. One transaction, no bond.
    function reportEquivocation(
        Equivocation calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Request calldata request,
        bytes calldata requestSignature,
        Statement calldata first,
        Statement calldata second
    ) external;

    function dispute(bytes32 id) external view returns (DisputeRecord memory);
    /// @notice When `account` made this commitment; zero: never, or it was used.
    function committed(address account, bytes32 commitment) external view returns (uint256);
    /// @notice Open disputes of one challenger about one lease.
    function openOf(bytes32 lease, address challenger) external view returns (uint256);
    function games() external view returns (address);
}
