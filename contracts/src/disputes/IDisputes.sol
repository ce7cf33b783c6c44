// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CommitDispute, Equivocation, Lease, Request} from "../market/Messages.sol";
import {Statement} from "../market/Statements.sol";
import {DisputeRecord, Filing, IGameCourt} from "./IGameCourt.sol";

/// @title Disputes about what a provider signed
/// @notice A receipt or progress is wrong, or contradicts another.
/// @dev Trust: this contract has no owner and no power but that over its own disputes. It trusts the market it was
/// made for and `games` with its referee, all fixed at construction. A conviction needs the provider's own signature on a
/// statement and, beside it, wrong figures, a contradiction, a proof or a deadline that passed. A dispute that names a
/// program which `Programs` does not hold is refused: post it first.
interface IDisputes is IGameCourt {
    event DisputeCommitted(bytes32 indexed id, address indexed account, bytes32 commitment);

    /// @notice Announces a dispute or a report of which only the hash is told: SHA-256 of its digest, or of its digest
    /// and the SHA-256 of the proof beside it. Lives as long as the longest window, from the next block on.
    function commitDispute(CommitDispute calldata m, bytes calldata signature) external;

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

    /// @notice When `account` made this commitment; zero: never, or it was used.
    function committed(address account, bytes32 commitment) external view returns (uint256);

    /// @notice Uses up a live commitment of an earlier block, for what is filed with the market's audits and their
    /// disputes of passes. Called by those two alone; anybody else is refused.
    /// @return made when
    function consume(address account, bytes32 commitment) external returns (uint256 made);
}
