// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../disputes/Court.sol";
import {Conviction} from "../market/IMarket.sol";
import {Lease} from "../market/Messages.sol";
import {Evidence} from "../market/Statements.sol";
import {
    AuditRequest,
    Beacon,
    Canary,
    CanaryShown,
    CommitAudit,
    ReportKey,
    RevealAudit,
    SettleAudit
} from "./AuditMessages.sol";

/// Fixed at construction.
struct AuditParameters {
    address host; // signs the beacon's rounds
    bytes32 beacon; // value 0 of its chain; zero: nobody is drawn here
    uint32 burnedBps; // of the fee that a pass earns; at most 5000
}

enum AuditState {
    Waiting,
    Drawn,
    Settled
}

struct AuditRecord {
    address buyer; // zero: no such audit
    uint8 asked; // auditors
    AuditState state;
    uint40 requested;
    uint40 drawnAt; // while waiting: zero
    uint64 feeMax;
    uint64 held; // of fees, still
    uint64 round; // whose value draws
    bytes32 lease;
    bytes32 subject; // digest of the receipt
    bytes32 execution;
    uint32 openDisputes; // about passes of it
}

/// An auditor that was drawn.
struct Drawn {
    address account;
    uint64 fee;
    bool feeHeld; // neither paid nor returned yet
    uint8 verdict; // spec/messages.md: 0 none, 1 pass, 2 fail, 3 unauditable
    bool convicted;
    uint32 openChecks;
    bytes32 nonceHash; // zero: not committed
    bytes32 rootHash;
    bytes32 pass; // digest of the RevealAudit that passed
}

/// @title Hired auditors: from the buyer's request to the settlement of fees
/// @notice spec/audits.md on a chain. Commits come before drawnAt + moveS, verdicts from then on before + 2 moveS,
/// checks from then on before + 3 moveS; while an audit waits, everything is returned from requested + moveS on.
/// @dev Trust: no owner. It trusts the market it was made for, its dispute court for what was committed to, `checks`
/// and `passes` for what convicts an auditor, all fixed at construction. The host of the beacon chose every value
/// before there was anybody to draw; it can withhold a round, and then all that is held goes back.
interface IAudits is ICourt {
    event BeaconPublished(bytes32 indexed id, uint256 indexed round, bytes32 value);
    event AuditRequested(
        bytes32 indexed id,
        bytes32 indexed lease,
        bytes32 indexed subject,
        address buyer,
        uint256 auditors,
        uint256 feeMax,
        uint256 round
    );
    event AuditorDrawn(bytes32 indexed audit, address indexed account, uint256 fee);
    /// After the events of who was drawn: `auditors` of them. None: it is settled.
    event AuditDrawn(bytes32 indexed audit, uint256 auditors, uint256 commitDue);
    event AuditCommitted(
        bytes32 indexed id, bytes32 indexed audit, address indexed account, bytes32 nonceHash, bytes32 rootHash
    );
    event AuditRevealed(bytes32 indexed id, bytes32 indexed audit, address indexed account, uint256 verdict);
    event AuditSettled(bytes32 indexed id, bytes32 indexed audit);
    event CanaryKnown(bytes32 indexed id, bytes32 indexed lease, bytes32 indexed subject);
    event AuditorConvicted(
        bytes32 indexed audit, address indexed auditor, address indexed challenger, Conviction done
    );

    /// @notice The lease's buyer asks for auditors of a receipt; their fees are held. Drawn by the next round's value.
    function requestAudit(AuditRequest calldata m, bytes calldata signature, Lease calldata terms, Evidence calldata evidence)
        external;
    /// @notice The next value of the beacon's chain, and with it the draw of `audits` that waited for it.
    /// @param terms of the lease of each
    function publishBeacon(Beacon calldata m, bytes calldata signature, bytes32[] calldata audits, Lease[] calldata terms)
        external;
    /// @notice Draws an audit whose round was published. Goes on where it stopped, through up to `most` registrations.
    function draw(bytes32 audit, Lease calldata terms, uint256 most) external;
    function commitAudit(CommitAudit calldata m, bytes calldata signature) external;
    function revealAudit(RevealAudit calldata m, bytes calldata signature) external;
    /// @notice Pays or returns the fees. Not while a check of one who is not convicted is open, nor, where somebody said
    /// fail of a receipt not yet known to be false, while a dispute about the lease is.
    function settleAudit(SettleAudit calldata m, bytes calldata signature) external;
    /// @notice Convicts an auditor whose keyed tree's nonce was known to somebody else before it had to commit.
    function reportKey(ReportKey calldata m, bytes calldata signature) external;
    /// @notice Shows that a receipt is false on purpose, as buyer and provider agreed before the first audit of it.
    function showCanary(
        CanaryShown calldata m,
        bytes calldata signature,
        Canary calldata canary,
        bytes calldata canarySignature,
        Lease calldata terms
    ) external;

    // Reading.

    function audit(bytes32 id) external view returns (AuditRecord memory, Drawn[] memory);
    /// @notice Whose pass has this digest, and of which audit; zeros: no pass has.
    function pass(bytes32 id) external view returns (bytes32 audit, address auditor);
    /// @notice When the subject was shown to be a canary; zero: it was not.
    function canary(bytes32 subject) external view returns (uint256);
    /// @notice Since when the subject is known to be false, by conviction or as a canary; zero: it is not.
    function known(bytes32 subject) external view returns (uint256);
    /// @notice Until when a pass of this audit can be disputed; zero: as long as the lease is open.
    function passDisputableUntil(bytes32 audit) external view returns (uint256);
    /// @notice The audits that an account was drawn for and may still answer for, oldest first.
    function auditsOf(address account) external view returns (bytes32[] memory);
    function liable(bytes32 audit, address auditor) external view returns (bool);
    function lastBeacon() external view returns (uint256 round, bytes32 value);
    function beaconAt(uint256 round) external view returns (bytes32);
    function auditParameters() external view returns (AuditParameters memory);
    /// @notice Forgets up to `most` of an account's oldest audits that it answers for no more.
    function forget(address account, uint256 most) external;
    function auditors() external view returns (address);
    function judges() external view returns (address checks, address passes);
}

/// @title What checks, disputes of passes and the market ask of it
interface IAuditAccess {
    // Checks and passes.

    /// @notice Holds a bond. `check`: one more open check of this auditor; else one more open dispute of a pass.
    function hold(bytes32 audit, address auditor, address from, uint128 bond, bool check) external;
    /// @notice Ends it; the bond goes to `to`.
    function end(bytes32 audit, address auditor, address to, uint64 bond, bool check) external;
    /// @notice Slashes the auditor, who is not convicted of this audit yet. Its fee goes back to the buyer.
    function convictAuditor(bytes32 audit, address auditor, address challenger) external returns (Conviction memory);

    // The market, when stake that unbonds is to be released.

    /// @notice When the oldest audit was drawn that the account still answers for; the largest number: there is none.
    /// Forgets those before it.
    function oldestLiable(address account) external returns (uint256);
}
