// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cases} from "../disputes/Cases.sol";
import {Court} from "../disputes/Court.sol";
import {IGames} from "../disputes/IGames.sol";
import {Domain} from "../market/Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../market/Errors.sol";
import {IMarket, Parameters} from "../market/IMarket.sol";
import {ExecutionId, Lease, Messages, Timeout} from "../market/Messages.sol";
import {Evidence, Statements} from "../market/Statements.sol";
import {AuditJudge} from "./AuditJudge.sol";
import {AuditCheck, AuditMessages, CheckAnswer} from "./AuditMessages.sol";
import {AuditRecord, Drawn, IAudits} from "./IAudits.sol";
import {CheckRecord, IChecks, IKeyed, KeyedCommit} from "./IChecks.sol";

/// @title Checks of an auditor's pass; what they promise is in IChecks.
contract Checks is IChecks, AuditJudge {
    /// The open checks of one auditor in one audit, in the order in which they came: any one can leave at any time, and
    /// whoever comes first is known without going through the others.
    struct Queue {
        uint32 first; // numbers begin at 1
        uint32 last;
        uint32 count; // of numbers given
        mapping(uint32 => Place) places;
    }

    struct Place {
        address challenger;
        uint32 before;
        uint32 next;
    }

    struct Kept {
        CheckRecord record;
        uint32 number; // in its queue
    }

    uint256 private constant PASS = 1;
    uint256 private constant PAYLOAD_MAX = 16 * 1024;

    IKeyed private immutable KEYED;
    IGames private immutable GAMES;

    mapping(bytes32 => Kept) private checks;
    mapping(bytes32 => mapping(address => Queue)) private queues;

    constructor(address market_, address keyed_, address games_) Court(market_) {
        KEYED = IKeyed(keyed_);
        GAMES = IGames(games_);
    }

    function check(
        AuditCheck calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Evidence calldata evidence,
        ExecutionId calldata execution,
        bytes calldata proof
    ) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        if (checks[id].record.challenger != address(0)) revert AlreadyApplied(id);
        Domain.checkSigned(m.challenger, id, signature);
        (AuditRecord memory a, uint256 due) = _checkPass(m);
        _judged().hold(m.audit, m.auditor, m.challenger, m.bond, true);
        if (proof.length > PAYLOAD_MAX) revert Invalid(Why.TooLong);
        if (m.proof != sha256(proof)) revert Mismatch(Why.Payload);
        _checkAudited(a, terms, evidence);
        if (Messages.hash(execution) != terms.execution) revert Mismatch(Why.OtherExecution);
        KEYED.open(Cases.make(GAMES, execution, evidence), proof);

        Kept storage kept = checks[id];
        CheckRecord storage c = kept.record;
        c.challenger = m.challenger;
        c.bond = uint64(m.bond);
        c.auditor = m.auditor;
        c.due = uint40(due);
        c.audit = m.audit;
        c.proof = m.proof;
        kept.number = _enqueue(queues[m.audit][m.auditor], m.challenger);
        emit CheckAsked(id, m.audit, m.auditor, m.challenger, m.bond, due, proof);
    }

    function answer(CheckAnswer calldata m, bytes calldata signature, bytes calldata proof, bytes calldata reply)
        external
    {
        Domain.checkSigned(m.account, _digest(AuditMessages.hash(m)), signature);
        CheckRecord memory c = _open(m.check);
        if (c.auditor != m.account) revert Refused(Why.OtherAuditor);
        (AuditRecord memory a, Drawn memory d) = _drawn(c.audit, m.account);
        if (d.convicted) revert Conflict(Why.AuditorConvicted);
        if (block.timestamp >= c.due) revert Refused(Why.DeadlinePassed);
        if (reply.length > PAYLOAD_MAX) revert Invalid(Why.TooLong);
        if (c.proof != sha256(proof)) revert Mismatch(Why.Payload);
        bytes32 beacon = IAudits(_audits()).beaconAt(a.round);
        KEYED.judge(proof, KeyedCommit(beacon, c.audit, m.account, d.nonceHash, d.rootHash), reply);
        _end(m.check, c, m.account, true);
    }

    function timeout(Timeout calldata m, bytes calldata signature) external {
        Domain.checkSigned(m.account, _digest(Messages.hash(m)), signature);
        CheckRecord memory c = _open(m.dispute);
        (, Drawn memory d) = _drawn(c.audit, c.auditor);
        if (!d.convicted && block.timestamp < c.due) revert Refused(Why.DeadlineAhead);
        // Whoever asked first is rewarded, not whoever says first that the time is over.
        Queue storage q = queues[c.audit][c.auditor];
        address first = q.places[q.first].challenger;
        _end(m.dispute, c, c.challenger, false);
        if (!d.convicted) _judged().convictAuditor(c.audit, c.auditor, first);
    }

    // Reading.

    function record(bytes32 id) external view returns (CheckRecord memory) {
        return checks[id].record;
    }

    function keyed() external view returns (address) {
        return address(KEYED);
    }

    function games() external view returns (address) {
        return address(GAMES);
    }

    // Inside.

    /// There is a pass of one not convicted, it is the time for checks, and the bond is at least the fee.
    function _checkPass(AuditCheck calldata m) private view returns (AuditRecord memory a, uint256 due) {
        Drawn memory d;
        (a, d) = _drawn(m.audit, m.auditor);
        if (d.convicted) revert Conflict(Why.AuditorConvicted);
        if (d.verdict != PASS) revert Refused(Why.NotAPass);
        Parameters memory p = IMarket(MARKET).parameters();
        if (block.timestamp < a.drawnAt + 2 * p.moveS) revert Refused(Why.NotYet);
        if (block.timestamp >= a.drawnAt + 3 * p.moveS) revert Refused(Why.DeadlinePassed);
        if (m.bond < p.disputeBond || m.bond < d.fee) revert Refused(Why.BondTooSmall);
        // All at the same time: one replay, once no more can come, answers them however many they are.
        due = a.drawnAt + 4 * p.moveS;
    }

    /// The statement is the one audited, whose signatures were checked then, and the request is its own.
    function _checkAudited(AuditRecord memory a, Lease calldata terms, Evidence calldata evidence) private view {
        _checkTerms(a.lease, terms);
        if (Statements.id(MARKET, evidence.statement) != a.subject) revert Mismatch(Why.OtherStatement);
        if (_digest(Messages.hash(evidence.request)) != evidence.statement.figures.request) {
            revert Mismatch(Why.OtherRequest);
        }
    }

    function _open(bytes32 id) private view returns (CheckRecord memory c) {
        c = checks[id].record;
        if (c.challenger == address(0) || c.ended) revert NotFound(Why.NoCheck);
    }

    function _end(bytes32 id, CheckRecord memory c, address bondTo, bool answered) private {
        Kept storage kept = checks[id];
        kept.record.ended = true;
        _dequeue(queues[c.audit][c.auditor], kept.number);
        emit CheckEnded(id, c.audit, answered);
        _judged().end(c.audit, c.auditor, bondTo, c.bond, true);
    }

    function _enqueue(Queue storage q, address challenger) private returns (uint32 number) {
        number = ++q.count;
        q.places[number] = Place(challenger, q.last, 0);
        if (q.last == 0) q.first = number;
        else q.places[q.last].next = number;
        q.last = number;
    }

    function _dequeue(Queue storage q, uint32 number) private {
        Place memory p = q.places[number];
        if (p.before == 0) q.first = p.next;
        else q.places[p.before].next = p.next;
        if (p.next == 0) q.last = p.before;
        else q.places[p.next].before = p.before;
        delete q.places[number];
    }
}
