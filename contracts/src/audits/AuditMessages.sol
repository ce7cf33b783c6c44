// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// Messages about hired auditors (spec/messages.md, src/protocol/audits.hpp), as market/Messages.sol has the others.

/// With its endpoint hashed.
struct RegisterAuditor {
    address account;
    bytes32 execution;
    bool active;
    bytes32 endpoint;
    uint128 fee;
    uint64 nonce;
}

struct AuditRequest {
    address buyer;
    bytes32 lease;
    bytes32 subject;
    uint32 auditors;
    uint128 fee_max;
    bytes32 nonce;
}

struct Beacon {
    uint64 round;
    bytes32 value;
}

struct CommitAudit {
    address account;
    bytes32 audit;
    bytes32 nonce_hash;
    bytes32 root_hash;
}

struct RevealAudit {
    address account;
    bytes32 audit;
    uint32 verdict;
}

struct AuditCheck {
    address challenger;
    bytes32 audit;
    address auditor;
    uint128 bond;
    bytes32 proof;
    uint64 nonce;
}

struct CheckAnswer {
    address account;
    bytes32 check;
}

struct ReportKey {
    address challenger;
    bytes32 audit;
    address auditor;
    bytes32 key_nonce;
}

struct Canary {
    address provider;
    bytes32 lease;
    bytes32 subject;
    uint64 nonce;
}

struct CanaryShown {
    address buyer;
    bytes32 canary;
}

struct SettleAudit {
    address account;
    bytes32 audit;
}

library AuditMessages {
    bytes32 internal constant REGISTER_AUDITOR = keccak256(
        "RegisterAuditor(address account,bytes32 execution,bool active,string endpoint,uint128 fee,uint64 nonce)"
    );
    bytes32 internal constant AUDIT_REQUEST = keccak256(
        "AuditRequest(address buyer,bytes32 lease,bytes32 subject,uint32 auditors,uint128 fee_max,bytes32 nonce)"
    );
    bytes32 internal constant BEACON = keccak256("Beacon(uint64 round,bytes32 value)");
    bytes32 internal constant COMMIT_AUDIT =
        keccak256("CommitAudit(address account,bytes32 audit,bytes32 nonce_hash,bytes32 root_hash)");
    bytes32 internal constant REVEAL_AUDIT = keccak256("RevealAudit(address account,bytes32 audit,uint32 verdict)");
    bytes32 internal constant AUDIT_CHECK = keccak256(
        "AuditCheck(address challenger,bytes32 audit,address auditor,uint128 bond,bytes32 proof,uint64 nonce)"
    );
    bytes32 internal constant CHECK_ANSWER = keccak256("CheckAnswer(address account,bytes32 check)");
    bytes32 internal constant REPORT_KEY =
        keccak256("ReportKey(address challenger,bytes32 audit,address auditor,bytes32 key_nonce)");
    bytes32 internal constant CANARY =
        keccak256("Canary(address provider,bytes32 lease,bytes32 subject,uint64 nonce)");
    bytes32 internal constant CANARY_SHOWN = keccak256("CanaryShown(address buyer,bytes32 canary)");
    bytes32 internal constant SETTLE_AUDIT = keccak256("SettleAudit(address account,bytes32 audit)");

    // Of static members alone, each: a struct's ABI encoding is its members' words.

    function hash(RegisterAuditor calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(REGISTER_AUDITOR, m));
    }

    function hash(AuditRequest calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(AUDIT_REQUEST, m));
    }

    function hash(Beacon calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(BEACON, m));
    }

    function hash(CommitAudit calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(COMMIT_AUDIT, m));
    }

    function hash(RevealAudit calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(REVEAL_AUDIT, m));
    }

    function hash(AuditCheck calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(AUDIT_CHECK, m));
    }

    function hash(CheckAnswer calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(CHECK_ANSWER, m));
    }

    function hash(ReportKey calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(REPORT_KEY, m));
    }

    function hash(Canary calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(CANARY, m));
    }

    function hash(CanaryShown calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(CANARY_SHOWN, m));
    }

    function hash(SettleAudit calldata m) internal pure returns (bytes32) {
        return keccak256(abi.encode(SETTLE_AUDIT, m));
    }
}
