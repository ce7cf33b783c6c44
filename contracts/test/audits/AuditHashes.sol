// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";

/// The struct hashes of messages about audits, of a message's words in their order (`Messages.t.sol`).
contract AuditHashes {
    function flat(string calldata name, bytes calldata words) external view returns (bytes32) {
        bytes32 n = keccak256(bytes(name));
        if (n == keccak256("RegisterAuditor")) return this.registration(abi.decode(words, (RegisterAuditor)));
        if (n == keccak256("AuditRequest")) return this.request(abi.decode(words, (AuditRequest)));
        if (n == keccak256("Beacon")) return this.beacon(abi.decode(words, (Beacon)));
        if (n == keccak256("CommitAudit")) return this.commit(abi.decode(words, (CommitAudit)));
        if (n == keccak256("RevealAudit")) return this.reveal(abi.decode(words, (RevealAudit)));
        if (n == keccak256("AuditCheck")) return this.check(abi.decode(words, (AuditCheck)));
        if (n == keccak256("CheckAnswer")) return this.answer(abi.decode(words, (CheckAnswer)));
        if (n == keccak256("ReportKey")) return this.report(abi.decode(words, (ReportKey)));
        if (n == keccak256("Canary")) return this.canary(abi.decode(words, (Canary)));
        if (n == keccak256("CanaryShown")) return this.shown(abi.decode(words, (CanaryShown)));
        if (n == keccak256("SettleAudit")) return this.settle(abi.decode(words, (SettleAudit)));
        return 0;
    }

    function registration(RegisterAuditor calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function request(AuditRequest calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function beacon(Beacon calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function commit(CommitAudit calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function reveal(RevealAudit calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function check(AuditCheck calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function answer(CheckAnswer calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function report(ReportKey calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function canary(Canary calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function shown(CanaryShown calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }

    function settle(SettleAudit calldata m) external pure returns (bytes32) {
        return AuditMessages.hash(m);
    }
}
