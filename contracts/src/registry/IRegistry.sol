// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What somebody says: the model of the GGUF file with this SHA-256 is the execution `execution` names, or (`file`
/// zero) that it says so no longer. EIP-712, in the domain {name: "Assay", version: "0", chainId, verifyingContract:
/// the registry}.
struct Attestation {
    address by;
    bytes32 execution; // struct hash of an ExecutionId
    bytes32 file;
    uint64 sequence; // a higher one replaces a lower
}

/// @title Which file an execution id is the model of, according to whom
/// @notice An execution id is computed from a file, but it is no hash of it (spec/model.md). Whoever computed it may
/// say so here; a reader decides whom it believes, or computes it itself.
/// @dev Trust: none in this contract or its deployer; no owner, no money. An attestation proves who made it and
/// nothing else: not that it is true, not that its maker has the file. Two attestations about one execution may
/// contradict each other, and both stand. Nothing in the market depends on any. That a model is invalid (a scale that
/// is not finite) is found by a dispute and refunds the request; it is not registered.
interface IRegistry {
    event Attested(address indexed by, bytes32 indexed execution, bytes32 indexed file, uint64 sequence);

    error NotSigned();
    /// `by` has made attestation `sequence` about this execution, or a later one.
    error Stale(uint64 sequence);

    /// @notice Records what `by` signed; anyone may send it.
    function attest(Attestation calldata m, bytes calldata signature) external;
    /// @notice Records what the sender says.
    function attest(bytes32 execution, bytes32 file) external;

    /// @notice The latest of `by` about an execution: zero file where there is none.
    function fileOf(address by, bytes32 execution) external view returns (bytes32 file, uint64 sequence, uint64 at);
    function domainSeparator() external view returns (bytes32);
}
