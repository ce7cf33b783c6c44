// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Checkpoints of transparency logs, kept by the chain
/// @notice Whoever sends a checkpoint has it recorded under its own address, with the chain's time. Nothing is
/// checked: not that the root belongs to a log, nor that a later one extends an earlier one. What an anchor adds
/// to a checkpoint is that everybody who reads the chain reads the same one, and no later than its block.
/// @dev Trust: none in this contract or its deployer; it has no owner, no storage, no money. A reader trusts the
/// chain, looks only at the anchors of addresses it knows for a log's key or witness, and checks consistency
/// between the checkpoints it finds with the log's own proofs. Two anchors by one address whose roots are not
/// consistent show a split view, dated.
interface IAnchor {
    /// @param by who sent it
    /// @param origin SHA-256 of the log's origin line (the name in its checkpoints)
    /// @param size number of the log's entries
    /// @param root the RFC 6962 root over them
    event Anchored(address indexed by, bytes32 indexed origin, uint64 indexed size, bytes32 root);

    /// @notice Records a checkpoint.
    function anchor(bytes32 origin, uint64 size, bytes32 root) external;
}
