// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Court} from "../disputes/Court.sol";
import {Conflict, NotFound, Refused, Why} from "../market/Errors.sol";
import {Conviction, IAuditMoney, IMarket, LeaseRecord, LeaseState} from "../market/IMarket.sol";
import {AuditRecord, AuditState, Drawn, IAuditAccess, IAudits} from "./IAudits.sol";

/// What is kept of audits, who answers for them until when, and what a conviction takes
/// (src/market/ledger_liability.cpp).
abstract contract AuditBook is IAudits, IAuditAccess, Court {
    struct Pass {
        bytes32 audit;
        address auditor;
    }

    struct Queue {
        uint128 first; // audits [first, next) of an account may still be answered for
        uint128 next;
    }

    uint8 internal constant PASS = 1;
    uint8 internal constant FAIL = 2;
    uint8 internal constant UNAUDITABLE = 3;

    address private immutable CHECKS;
    address private immutable PASSES;

    mapping(bytes32 => AuditRecord) internal records;
    mapping(bytes32 => Drawn[]) internal drawnOf;
    mapping(bytes32 => Pass) public pass;
    mapping(bytes32 => uint256) public canary;
    mapping(address => Queue) private queues;
    mapping(address => mapping(uint256 => bytes32)) private queued;

    modifier onlyJudges() {
        if (msg.sender != CHECKS && msg.sender != PASSES) revert Refused(Why.NotACourt);
        _;
    }

    constructor(address market_, address checks, address passes) Court(market_) {
        CHECKS = checks;
        PASSES = passes;
    }

    // IAuditAccess

    function hold(bytes32 id, address auditor, address from, uint128 bond, bool check) external onlyJudges {
        (AuditRecord storage a, Drawn storage d) = _find(id, auditor);
        if (check) ++d.openChecks;
        else ++a.openDisputes;
        _money().holdBond(from, bond);
    }

    function end(bytes32 id, address auditor, address to, uint64 bond, bool check) external onlyJudges {
        (AuditRecord storage a, Drawn storage d) = _find(id, auditor);
        if (check) --d.openChecks;
        else --a.openDisputes;
        _money().returnBond(to, bond);
    }

    function convictAuditor(bytes32 id, address auditor, address challenger)
        external
        onlyJudges
        returns (Conviction memory)
    {
        return _convict(id, auditor, challenger);
    }

    function oldestLiable(address account) external returns (uint256) {
        return _forget(account, type(uint256).max);
    }

    function forget(address account, uint256 most) external {
        _forget(account, most);
    }

    // Reading.

    function audit(bytes32 id) external view returns (AuditRecord memory, Drawn[] memory) {
        return (records[id], drawnOf[id]);
    }

    function known(bytes32 subject) public view returns (uint256) {
        // What is convicted is no canary any more: it was one before, or never.
        uint256 shown = canary[subject];
        return shown != 0 ? shown : _money().convictedAt(subject);
    }

    function passDisputableUntil(bytes32 id) external view returns (uint256) {
        AuditRecord storage a = records[id];
        LeaseRecord memory l = IMarket(MARKET).lease(a.lease);
        return l.state == LeaseState.Open ? 0 : _disputableUntil(l, a.subject);
    }

    function auditsOf(address account) external view returns (bytes32[] memory list) {
        Queue storage q = queues[account];
        list = new bytes32[](q.next - q.first);
        for (uint256 i = 0; i < list.length; ++i) list[i] = queued[account][q.first + i];
    }

    function liable(bytes32 id, address auditor) public view returns (bool) {
        AuditRecord storage a = records[id];
        Drawn[] storage all = drawnOf[id];
        uint256 i = 0;
        while (i < all.length && all[i].account != auditor) ++i;
        if (i == all.length || all[i].convicted) return false;
        if (a.state != AuditState.Settled) return true;
        if (all[i].verdict != PASS) return false;
        if (a.openDisputes != 0) return true;
        LeaseRecord memory l = IMarket(MARKET).lease(a.lease);
        if (l.state == LeaseState.Open || l.disputes != 0) return true;
        return block.timestamp <= _disputableUntil(l, a.subject);
    }

    function judges() external view returns (address checks, address passes) {
        return (CHECKS, PASSES);
    }

    // Inside.

    function _money() internal view returns (IAuditMoney) {
        return IAuditMoney(MARKET);
    }

    function _pay(AuditRecord storage a, address to, uint64 amount) internal {
        if (amount == 0) return;
        a.held -= amount;
        _money().payFees(to, amount);
    }

    function _burn(AuditRecord storage a, uint64 amount) internal {
        if (amount == 0) return;
        a.held -= amount;
        _money().burnFees(amount);
    }

    function _find(bytes32 id, address account) internal view returns (AuditRecord storage a, Drawn storage) {
        a = records[id];
        if (a.buyer == address(0)) revert NotFound(Why.NoAudit);
        Drawn[] storage all = drawnOf[id];
        for (uint256 i = 0; i < all.length; ++i) if (all[i].account == account) return (a, all[i]);
        revert NotFound(Why.NotDrawn);
    }

    function _unconvicted(bytes32 id, address account)
        internal
        view
        returns (AuditRecord storage a, Drawn storage d)
    {
        (a, d) = _find(id, account);
        if (d.convicted) revert Conflict(Why.AuditorConvicted);
    }

    function _convict(bytes32 id, address auditor, address challenger) internal returns (Conviction memory done) {
        (AuditRecord storage a, Drawn storage d) = _unconvicted(id, auditor);
        d.convicted = true;
        // What it had not got yet goes back; what it had comes out of the slash.
        uint256 owed = !d.feeHeld && d.verdict == PASS ? d.fee : 0;
        if (d.feeHeld) {
            d.feeHeld = false;
            _pay(a, a.buyer, d.fee);
        }
        done = _money().slashAuditor(auditor, a.buyer, challenger, owed);
        emit AuditorConvicted(id, auditor, challenger, done);
    }

    /// It answers for this audit from now on.
    function _bind(bytes32 id, address account) internal {
        queued[account][queues[account].next++] = id;
    }

    /// Of what ended later than its lease's disputes, the end does not move any more.
    function _forget(address account, uint256 most) private returns (uint256 oldest) {
        Queue storage q = queues[account];
        (uint256 first, uint256 next) = (q.first, q.next);
        oldest = type(uint256).max;
        for (; first < next; ++first) {
            bytes32 id = queued[account][first];
            if (most == 0 || liable(id, account)) {
                oldest = records[id].drawnAt;
                break;
            }
            --most;
        }
        q.first = uint128(first);
    }

    /// Of a lease that has ended.
    function _disputableUntil(LeaseRecord memory l, bytes32 subject) private view returns (uint256) {
        uint256 from = known(subject);
        return (from < l.until ? l.until : from) + l.window;
    }
}
