// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDisputes} from "../disputes/IDisputes.sol";
import {Domain} from "../market/Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../market/Errors.sol";
import {IMarket, LeaseRecord} from "../market/IMarket.sol";
import {Lease, Messages} from "../market/Messages.sol";
import {Evidence, Statements} from "../market/Statements.sol";
import {AuditBook} from "./AuditBook.sol";
import {
    AuditMessages,
    AuditRequest,
    Beacon,
    Canary,
    CanaryShown,
    CommitAudit,
    ReportKey,
    RevealAudit,
    SettleAudit
} from "./AuditMessages.sol";
import {Auditor, IAuditors, Place} from "./IAuditors.sol";
import {AuditParameters, AuditRecord, AuditState, Drawn} from "./IAudits.sol";

/// @title The course of an audit (src/market/ledger_audits.cpp); what it promises is in IAudits.
contract Audits is AuditBook {
    /// A draw that has not gone through all registrations.
    struct Draw {
        uint256 next;
        Place[] best;
    }

    struct OfLease {
        uint16 asked;
        uint8 open;
    }

    uint256 private constant AUDITORS_MAX = 4; // of one audit
    uint256 private constant OPEN_MAX = 8; // of one lease
    uint256 private constant OF_LEASE_MAX = 1024; // over its life

    IDisputes private immutable DISPUTES;
    IAuditors private immutable AUDITORS;
    address private immutable HOST;
    bytes32 private immutable BEACON;
    uint256 private immutable BURNED_BPS;

    uint256 private round; // the last one published
    mapping(uint256 => bytes32) public beaconAt;
    mapping(bytes32 => Draw) private draws;
    mapping(bytes32 => OfLease) private ofLease;
    /// Of a lease's receipt: when its first audit was asked for.
    mapping(bytes32 => mapping(bytes32 => uint256)) private firstAsked;

    constructor(
        address market_,
        address disputes,
        address auditors_,
        address checks,
        address passes,
        AuditParameters memory p
    ) AuditBook(market_, checks, passes) {
        if (p.burnedBps > 5000 || (p.beacon != 0 && p.host == address(0))) revert Invalid(Why.Parameters);
        DISPUTES = IDisputes(disputes);
        AUDITORS = IAuditors(auditors_);
        HOST = p.host;
        BEACON = p.beacon;
        BURNED_BPS = p.burnedBps;
        beaconAt[0] = p.beacon;
    }

    function requestAudit(
        AuditRequest calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Evidence calldata evidence
    ) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        AuditRecord storage a = records[id];
        if (a.buyer != address(0)) revert AlreadyApplied(id);
        Domain.checkSigned(m.buyer, id, signature);
        if (BEACON == 0) revert Refused(Why.NoBeacon);
        _checkAudited(m, terms, evidence);
        if (m.auditors == 0 || m.auditors > AUDITORS_MAX) revert Invalid(Why.AuditorCount);
        uint256 fees = uint256(m.fee_max) * m.auditors;
        if (fees == 0 || fees > Statements.AMOUNT_MAX) revert Invalid(Why.Amount);
        _money().holdFees(m.buyer, fees);
        OfLease storage of_ = ofLease[m.lease];
        if (of_.asked >= OF_LEASE_MAX || of_.open >= OPEN_MAX) revert Refused(Why.TooManyAudits);

        ++of_.asked;
        ++of_.open;
        if (firstAsked[m.lease][m.subject] == 0) firstAsked[m.lease][m.subject] = block.timestamp;
        a.buyer = m.buyer;
        a.asked = uint8(m.auditors);
        a.requested = uint40(block.timestamp);
        a.feeMax = uint64(m.fee_max);
        a.held = uint64(fees);
        a.round = uint64(round + 1);
        a.lease = m.lease;
        a.subject = m.subject;
        a.execution = terms.execution;
        emit AuditRequested(id, m.lease, m.subject, m.buyer, m.auditors, m.fee_max, a.round);
    }

    function publishBeacon(
        Beacon calldata m,
        bytes calldata signature,
        bytes32[] calldata audits,
        Lease[] calldata terms
    ) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        Domain.checkSigned(HOST, id, signature);
        if (m.round != round + 1) revert Conflict(Why.BeaconRound);
        if (sha256(abi.encodePacked("assay/beacon/v0", m.value)) != beaconAt[round]) revert Mismatch(Why.BeaconValue);
        if (audits.length != terms.length) revert Mismatch(Why.OtherLease);
        round = m.round;
        beaconAt[m.round] = m.value;
        emit BeaconPublished(id, m.round, m.value);
        for (uint256 i = 0; i < audits.length; ++i) {
            // One that was taken back meanwhile keeps nobody else from being drawn.
            AuditRecord storage a = records[audits[i]];
            if (a.state == AuditState.Waiting && a.round == m.round) _draw(audits[i], a, terms[i], type(uint256).max);
        }
    }

    function draw(bytes32 id, Lease calldata terms, uint256 most) external {
        AuditRecord storage a = records[id];
        if (a.buyer == address(0)) revert NotFound(Why.NoAudit);
        if (a.state != AuditState.Waiting) revert Conflict(Why.AuditDrawn);
        if (a.round > round) revert Refused(Why.NotYet);
        _draw(id, a, terms, most);
    }

    function commitAudit(CommitAudit calldata m, bytes calldata signature) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        Domain.checkSigned(m.account, id, signature);
        (AuditRecord storage a, Drawn storage d) = _running(m.audit, m.account);
        if (m.nonce_hash == 0 || m.root_hash == 0) revert Invalid(Why.NothingCommitted);
        if (d.nonceHash != 0) revert Conflict(Why.AuditCommitted);
        if (block.timestamp >= a.drawnAt + _moveS()) revert Refused(Why.DeadlinePassed);
        d.nonceHash = m.nonce_hash;
        d.rootHash = m.root_hash;
        emit AuditCommitted(id, m.audit, m.account, m.nonce_hash, m.root_hash);
    }

    function revealAudit(RevealAudit calldata m, bytes calldata signature) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        Domain.checkSigned(m.account, id, signature);
        (AuditRecord storage a, Drawn storage d) = _running(m.audit, m.account);
        if (m.verdict == 0 || m.verdict > UNAUDITABLE) revert Invalid(Why.Verdict);
        if (d.nonceHash == 0) revert Refused(Why.NothingCommitted);
        if (d.verdict != 0) revert Conflict(Why.AuditRevealed);
        uint256 moveS = _moveS();
        if (block.timestamp < a.drawnAt + moveS) revert Refused(Why.NotYet);
        if (block.timestamp >= a.drawnAt + 2 * moveS) revert Refused(Why.DeadlinePassed);
        d.verdict = uint8(m.verdict);
        AUDITORS.count(a.execution, m.account, false, true, false);
        if (m.verdict == PASS) {
            d.pass = id;
            pass[id] = Pass(m.audit, m.account);
        }
        emit AuditRevealed(id, m.audit, m.account, m.verdict);
    }

    function settleAudit(SettleAudit calldata m, bytes calldata signature) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        Domain.checkSigned(m.account, id, signature);
        AuditRecord storage a = records[m.audit];
        if (a.buyer == address(0)) revert NotFound(Why.NoAudit);
        if (a.state == AuditState.Settled) revert Conflict(Why.AuditSettled);
        bool waits = a.state == AuditState.Waiting;
        if (block.timestamp < (waits ? a.requested + _moveS() : a.drawnAt + 3 * _moveS())) revert Refused(Why.NotYet);
        if (waits) _pay(a, a.buyer, a.held);
        else _settleFees(a, drawnOf[m.audit]);
        _settled(a);
        emit AuditSettled(id, m.audit);
    }

    function reportKey(ReportKey calldata m, bytes calldata signature) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        Domain.checkSigned(m.challenger, id, signature);
        (AuditRecord storage a, Drawn storage d) = _unconvicted(m.audit, m.auditor);
        if (d.nonceHash != sha256(abi.encodePacked(m.key_nonce))) revert Mismatch(Why.KeyNonce);
        if (!liable(m.audit, m.auditor)) revert Refused(Why.NotLiable);
        uint256 made = DISPUTES.consume(m.challenger, sha256(abi.encodePacked(id)));
        if (made >= a.drawnAt + _moveS()) revert Refused(Why.CommittedTooLate);
        _convict(m.audit, m.auditor, m.challenger);
    }

    function showCanary(
        CanaryShown calldata m,
        bytes calldata signature,
        Canary calldata agreed,
        bytes calldata canarySignature,
        Lease calldata terms
    ) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        Domain.checkSigned(m.buyer, id, signature);
        if (m.canary != _digest(AuditMessages.hash(agreed))) revert Mismatch(Why.CanaryOf);
        LeaseRecord memory l = _lease(agreed.lease, terms);
        if (m.buyer != terms.buyer || agreed.provider != terms.provider) revert Refused(Why.CanaryOf);
        Domain.checkSigned(terms.provider, m.canary, canarySignature);
        _checkDisputable(l, agreed.subject);
        if (canary[agreed.subject] != 0) revert Conflict(Why.CanaryShown);
        // Before anybody looked: else whoever is caught would say so.
        uint256 first = firstAsked[agreed.lease][agreed.subject];
        if (first == 0) revert Refused(Why.NotAsked);
        if (DISPUTES.consume(m.buyer, sha256(abi.encodePacked(id))) >= first) revert Refused(Why.CommittedTooLate);
        canary[agreed.subject] = block.timestamp;
        emit CanaryKnown(id, agreed.lease, agreed.subject);
    }

    // Reading.

    function lastBeacon() external view returns (uint256, bytes32) {
        return (round, beaconAt[round]);
    }

    function auditParameters() external view returns (AuditParameters memory) {
        return AuditParameters(HOST, BEACON, uint32(BURNED_BPS));
    }

    function auditors() external view returns (address) {
        return address(AUDITORS);
    }

    // Inside.

    /// A receipt of the lease that only executing it can show to be false.
    function _checkAudited(AuditRequest calldata m, Lease calldata terms, Evidence calldata e) private view {
        LeaseRecord memory l = _lease(m.lease, terms);
        if (m.buyer != terms.buyer) revert Refused(Why.NotTheBuyer);
        if (e.statement.progress) revert Invalid(Why.NotAReceipt);
        if (m.subject != Statements.id(MARKET, e.statement)) revert Mismatch(Why.OtherStatement);
        _checkDisputable(l, m.subject);
        _checkEvidence(m.lease, terms, e, m.subject);
        if (Statements.wrongFigures(terms, Messages.withoutBiases(e.request), false, e.statement.figures)) {
            revert Refused(Why.WrongFigures);
        }
    }

    function _running(bytes32 id, address account) private view returns (AuditRecord storage a, Drawn storage d) {
        (a, d) = _find(id, account);
        if (a.state != AuditState.Drawn) revert Conflict(Why.AuditSettled);
        if (d.convicted) revert Conflict(Why.AuditorConvicted);
    }

    /// Goes on with it, through up to `most` registrations; its round was published.
    function _draw(bytes32 id, AuditRecord storage a, Lease calldata terms, uint256 most) private {
        LeaseRecord memory l = _lease(a.lease, terms);
        // What is convicted needs no audit any more.
        if (_convicted(a.subject)) return _start(id, a, new Place[](0));
        Draw storage d = draws[id];
        (Place[] memory best, uint256 next, bool over) = AUDITORS.rank(
            a.execution,
            id,
            beaconAt[a.round],
            l.opened,
            a.feeMax,
            [a.buyer, terms.provider, terms.payout],
            d.best,
            a.asked,
            d.next,
            most
        );
        if (!over) {
            d.next = next;
            d.best = best;
            return;
        }
        if (d.best.length != 0) best = _stillRegistered(a.execution, best, l.opened);
        delete draws[id];
        _start(id, a, best);
    }

    /// Of a draw of several transactions: whoever left between them is not drawn.
    function _stillRegistered(bytes32 execution, Place[] memory best, uint256 opened)
        private
        view
        returns (Place[] memory)
    {
        uint256 used = 0;
        for (uint256 i = 0; i < best.length; ++i) {
            Auditor memory found = AUDITORS.auditor(execution, best[i].account);
            if (found.active && found.since < opened) best[used++] = best[i];
        }
        assembly ("memory-safe") { mstore(best, used) }
        return best;
    }

    function _start(bytes32 id, AuditRecord storage a, Place[] memory places) private {
        a.drawnAt = uint40(block.timestamp);
        uint64 promised = 0;
        for (uint256 i = 0; i < places.length; ++i) {
            (address who, uint64 fee) = (places[i].account, places[i].fee);
            Drawn storage d = drawnOf[id].push();
            d.account = who;
            d.fee = fee;
            d.feeHeld = true;
            promised += fee;
            _bind(id, who);
            AUDITORS.count(a.execution, who, true, false, false);
            emit AuditorDrawn(id, who, fee);
        }
        _pay(a, a.buyer, a.held - promised);
        if (places.length == 0) _settled(a);
        else a.state = AuditState.Drawn;
        emit AuditDrawn(id, places.length, places.length == 0 ? 0 : block.timestamp + _moveS());
    }

    function _settleFees(AuditRecord storage a, Drawn[] storage all) private {
        bool failed = false;
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i].openChecks != 0 && !all[i].convicted) revert Refused(Why.CheckOpen);
            if (all[i].verdict == FAIL) failed = true;
        }
        bool wrong = known(a.subject) != 0;
        if (failed && !wrong && IMarket(MARKET).lease(a.lease).disputes != 0) revert Refused(Why.DisputeOpen);
        for (uint256 i = 0; i < all.length; ++i) _settleFee(a, all[i], wrong);
    }

    /// What the verdict earns; what it does not goes back to the buyer.
    function _settleFee(AuditRecord storage a, Drawn storage d, bool wrong) private {
        uint8 verdict = d.verdict;
        if (verdict == 0 && !d.convicted) AUDITORS.count(a.execution, d.account, false, false, true);
        if (!d.feeHeld) return;
        d.feeHeld = false;
        // Neither side may gain by an opening that does not come, or by saying so; nor may who owns both have a pass for
        // nothing.
        uint256 bps = 0;
        if (verdict == UNAUDITABLE) bps = IMarket(MARKET).parameters().burnedBps;
        else if (verdict == PASS) bps = BURNED_BPS;
        uint64 burned = uint64((uint256(d.fee) * bps + 9999) / 10000);
        _burn(a, burned);
        _pay(a, verdict == PASS || (verdict == FAIL && wrong) ? d.account : a.buyer, d.fee - burned);
    }

    function _settled(AuditRecord storage a) private {
        a.state = AuditState.Settled;
        --ofLease[a.lease].open;
    }
}
