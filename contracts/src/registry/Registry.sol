// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Domain} from "../market/Domain.sol";
import {Attestation, IRegistry} from "./IRegistry.sol";

/// @title Which file an execution id is the model of; what it promises is in IRegistry.
contract Registry is IRegistry {
    bytes32 private constant ATTESTATION =
        keccak256("Attestation(address by,bytes32 execution,bytes32 file,uint64 sequence)");

    struct Said {
        bytes32 file;
        uint64 sequence;
        uint64 at;
    }

    mapping(address => mapping(bytes32 => Said)) private said;

    function attest(Attestation calldata m, bytes calldata signature) external {
        bytes32 id = Domain.digest(address(this), keccak256(abi.encode(ATTESTATION, m)));
        if (!SignatureChecker.isValidSignatureNowCalldata(m.by, id, signature)) revert NotSigned();
        _record(m.by, m.execution, m.file, m.sequence);
    }

    function attest(bytes32 execution, bytes32 file) external {
        _record(msg.sender, execution, file, said[msg.sender][execution].sequence + 1);
    }

    function fileOf(address by, bytes32 execution) external view returns (bytes32 file, uint64 sequence, uint64 at) {
        Said storage s = said[by][execution];
        return (s.file, s.sequence, s.at);
    }

    function domainSeparator() external view returns (bytes32) {
        return Domain.separator(address(this));
    }

    function _record(address by, bytes32 execution, bytes32 file, uint64 sequence) private {
        Said storage s = said[by][execution];
        if (sequence <= s.sequence) revert Stale(s.sequence);
        s.file = file;
        s.sequence = sequence;
        s.at = uint64(block.timestamp);
        emit Attested(by, execution, file, sequence);
    }
}
