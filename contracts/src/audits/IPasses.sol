// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt, Ending} from "../disputes/Court.sol";
import {DisputeRecord, Filing} from "../disputes/IDisputes.sol";
import {Case, Played} from "../disputes/IGames.sol";
import {Dispute, Lease, Move, Timeout} from "../market/Messages.sol";

/// @title Disputes about an auditor's pass
/// @notice Once a receipt is known to be false, who passed it can be disputed: the game of spec/dispute.md about the same
/// statement, with the digest of the pass for the statement in its first state, in which the auditor plays the
/// provider's part. Calls and events are those of IDisputes; the commitment is made there.
/// @dev Trust: as IDisputes; and the audits of its market, for who passed what.
interface IPasses is ICourt {
    event DisputeFiled(
        bytes32 indexed id,
        bytes32 indexed lease,
        bytes32 indexed subject,
        address challenger,
        address defender,
        uint256 bond,
        Case about
    );
    event Moved(bytes32 indexed dispute, uint256 indexed number, bytes payload, uint256 due);
    event Decided(bytes32 indexed dispute, bytes32 indexed lease, Ending outcome);

    function fileDispute(Dispute calldata m, bytes calldata signature, Lease calldata terms, Filing calldata filing)
        external;
    function move(Move calldata m, bytes calldata signature, Lease calldata terms, Case calldata about, Played calldata played)
        external;
    function timeout(Timeout calldata m, bytes calldata signature, Lease calldata terms, Case calldata about) external;
    function dispute(bytes32 id) external view returns (DisputeRecord memory);
    function games() external view returns (address);
}
