// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegisterAuditor} from "./AuditMessages.sol";

/// One account's offer to audit one execution.
struct Auditor {
    uint64 fee; // of one audit
    uint64 weight; // stake when it registered, which unbonding does not go below; counts in the draw
    uint40 since; // drawn only for leases opened later
    bool active; // false as well once the account was slashed
    uint32 drawn; // audits, over its life
    uint32 revealed;
    uint32 missed;
}

/// Whom a draw takes, the earliest first.
struct Place {
    bytes32 score;
    address account;
    uint64 fee;
}

/// @title Who offers to audit
/// @notice The registrations of spec/audits.md. An account registers with its stake in the market; a slash of any kind
/// ends all its registrations, and unbonding below the largest weight is refused while they last.
/// @dev Trust: no owner, no money. It trusts the market it was made for.
interface IAuditors {
    event AuditorRegistered(
        bytes32 indexed id,
        address indexed account,
        bytes32 indexed execution,
        bool active,
        string endpoint,
        uint256 fee
    );

    /// @notice Offers audits from now on, changes endpoint and fee, or ends it.
    /// @param endpoint the text that the message has the hash of
    function registerAuditor(RegisterAuditor calldata m, bytes calldata signature, string calldata endpoint) external;

    function auditor(bytes32 execution, address account) external view returns (Auditor memory);
    /// @notice Registrations so far, in their order, those that have ended among them: what a draw goes through.
    function registrations(bytes32 execution) external view returns (uint256);

    // For the audits of its market alone.

    /// @notice Goes through up to `most` registrations from number `from` on and merges those who may be drawn into
    /// `best`, which is in order of scores and has at most `count` places.
    /// @param opened of the lease: registrations of that second and later are not drawn
    /// @param excluded buyer, provider and payout of the lease
    /// @return merged the new best
    /// @return next the number to go on from
    /// @return over there is none
    function rank(
        bytes32 execution,
        bytes32 audit,
        bytes32 beacon,
        uint256 opened,
        uint256 feeMax,
        address[3] calldata excluded,
        Place[] calldata best,
        uint256 count,
        uint256 from,
        uint256 most
    ) external view returns (Place[] memory merged, uint256 next, bool over);
    /// @notice Counts one more drawn, revealed, missed.
    function count(bytes32 execution, address account, bool drawn, bool revealed, bool missed) external;
}
