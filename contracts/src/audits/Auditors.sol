// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Court} from "../disputes/Court.sol";
import {Domain} from "../market/Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, Refused, Why} from "../market/Errors.sol";
import {Account, IAuditMoney, IMarket} from "../market/IMarket.sol";
import {Statements} from "../market/Statements.sol";
import {AuditMessages, RegisterAuditor} from "./AuditMessages.sol";
import {Auditor, IAuditors, Place} from "./IAuditors.sol";

/// @title Registrations of auditors (src/market/ledger_auditors.cpp); what they promise is in IAuditors.
contract Auditors is IAuditors, Court {
    /// Of one account and execution, through all its registrations.
    struct Record {
        uint64 fee;
        uint64 weight;
        uint40 since;
        bool active; // unless the account was slashed since
        uint32 convictions; // that the account had when it registered
        uint32 number; // of the entry that is its registration
        uint32 drawn;
        uint32 revealed;
        uint32 missed;
    }

    struct Entry {
        address account;
        uint40 since;
    }

    /// What one account is registered for, as long as it has this many convictions.
    struct Held {
        uint32 convictions;
        bytes32[] executions;
    }

    /// What a draw asks.
    struct Wanted {
        bytes32 audit;
        bytes32 beacon;
        uint256 feeMax;
        address[3] excluded;
        uint256 stakeMin;
    }

    uint256 private constant ENDPOINT_BYTES_MAX = 256;
    uint256 private constant EXECUTIONS_MAX = 16; // of one account
    /// A draw hashes once a ticket. Who stakes more than this many times the least registers a second account.
    uint256 private constant TICKETS_MAX = 16;

    mapping(bytes32 => mapping(address => Record)) private records;
    mapping(bytes32 => Entry[]) private entries;
    mapping(address => Held) private held;
    mapping(bytes32 => bool) private applied;

    constructor(address market_) Court(market_) {}

    function registerAuditor(RegisterAuditor calldata m, bytes calldata signature, string calldata endpoint) external {
        bytes32 id = _digest(AuditMessages.hash(m));
        if (applied[id]) revert AlreadyApplied(id);
        Domain.checkSigned(m.account, id, signature);
        if (m.endpoint != keccak256(bytes(endpoint))) revert Mismatch(Why.Endpoint);
        applied[id] = true;
        Record storage r = records[m.execution][m.account];
        Account memory a = IMarket(MARKET).account(m.account);
        bool was = r.active && r.convictions == a.convictions;
        if (m.active) {
            if (m.fee == 0 || m.fee > Statements.AMOUNT_MAX) revert Invalid(Why.Amount);
            uint256 size = bytes(endpoint).length;
            if (size == 0 || size > ENDPOINT_BYTES_MAX) revert Invalid(Why.Endpoint);
            r.fee = uint64(m.fee);
            if (!was) _enter(r, m.execution, m.account, a);
        } else {
            if (!was) revert Conflict(Why.NotRegistered);
            r.active = false;
            _leave(m.execution, m.account);
        }
        emit AuditorRegistered(id, m.account, m.execution, m.active, endpoint, m.fee);
    }

    function rank(
        bytes32 execution,
        bytes32 audit,
        bytes32 beacon,
        uint256 opened,
        uint256 feeMax,
        address[3] calldata excluded,
        Place[] calldata best,
        uint256 count_,
        uint256 from,
        uint256 most
    ) external view returns (Place[] memory merged, uint256 next, bool over) {
        Wanted memory wanted = Wanted(audit, beacon, feeMax, excluded, IMarket(MARKET).parameters().stakeMin);
        Entry[] storage list = entries[execution];
        uint256 last = list.length - from < most ? list.length : from + most;
        merged = new Place[](count_);
        uint256 used = best.length;
        for (uint256 i = 0; i < used; ++i) merged[i] = best[i];
        for (next = from; next < last && list[next].since < opened; ++next) {
            address account = list[next].account;
            Record storage r = records[execution][account];
            if (!_eligible(r, account, next, wanted)) continue;
            used = _merge(merged, used, Place(_score(wanted, account, r.weight), account, r.fee));
        }
        over = next == list.length || list[next].since >= opened;
        assembly ("memory-safe") { mstore(merged, used) }
    }

    function count(bytes32 execution, address account, bool drawn, bool revealed, bool missed) external {
        (address audits,) = IAuditMoney(MARKET).auditCourts();
        if (msg.sender != audits) revert Refused(Why.NotAnAudit);
        Record storage r = records[execution][account];
        if (drawn) ++r.drawn;
        if (revealed) ++r.revealed;
        if (missed) ++r.missed;
    }

    // Reading.

    function auditor(bytes32 execution, address account) external view returns (Auditor memory) {
        Record storage r = records[execution][account];
        return Auditor(r.fee, r.weight, r.since, _active(r, account), r.drawn, r.revealed, r.missed);
    }

    function registrations(bytes32 execution) external view returns (uint256) {
        return entries[execution].length;
    }

    // Inside.

    function _enter(Record storage r, bytes32 execution, address account, Account memory a) private {
        if (a.stake == 0 || a.stake < IMarket(MARKET).parameters().stakeMin) revert Refused(Why.StakeTooSmall);
        Held storage h = held[account];
        if (h.convictions != a.convictions) {
            // A slash ended all that were.
            delete h.executions;
            h.convictions = a.convictions;
        }
        if (h.executions.length >= EXECUTIONS_MAX) revert Refused(Why.TooManyExecutions);
        h.executions.push(execution);
        r.active = true;
        r.weight = a.stake;
        r.since = uint40(block.timestamp);
        r.convictions = a.convictions;
        r.number = uint32(entries[execution].length);
        entries[execution].push(Entry(account, uint40(block.timestamp)));
        // No less than any weight before: the stake could not go below it.
        IAuditMoney(MARKET).bindStake(account, a.stake);
    }

    function _leave(bytes32 execution, address account) private {
        bytes32[] storage list = held[account].executions;
        uint64 weight = 0;
        for (uint256 i = 0; i < list.length;) {
            if (list[i] == execution) {
                list[i] = list[list.length - 1];
                list.pop();
                continue;
            }
            uint64 other = records[list[i]][account].weight;
            if (other > weight) weight = other;
            ++i;
        }
        IAuditMoney(MARKET).bindStake(account, weight);
    }

    function _active(Record storage r, address account) private view returns (bool) {
        return r.active && r.convictions == IMarket(MARKET).account(account).convictions;
    }

    /// Nothing in here may depend on what a host can still change once it has seen the audit asked for, except to an
    /// auditor's own loss: an account is in the draw with the stake it had before the lease was opened, or not at all.
    function _eligible(Record storage r, address account, uint256 number, Wanted memory wanted)
        private
        view
        returns (bool)
    {
        if (r.number != number || r.fee > wanted.feeMax) return false;
        for (uint256 i = 0; i < 3; ++i) if (account == wanted.excluded[i]) return false;
        return _active(r, account);
    }

    function _score(Wanted memory wanted, address account, uint256 weight) private pure returns (bytes32 least) {
        uint256 tickets = wanted.stakeMin == 0 ? 1 : weight / wanted.stakeMin;
        if (tickets > TICKETS_MAX) tickets = TICKETS_MAX;
        least = bytes32(type(uint256).max);
        for (uint32 i = 0; i < tickets; ++i) {
            bytes32 score = sha256(abi.encodePacked("assay/auditors/v0", wanted.beacon, wanted.audit, account, i));
            if (score < least) least = score;
        }
    }

    /// Into the first `used` of `places`, which are in order; the last falls out where there is no room.
    function _merge(Place[] memory places, uint256 used, Place memory place) private pure returns (uint256) {
        uint256 at = used;
        while (at > 0 && place.score < places[at - 1].score) {
            if (at < places.length) places[at] = places[at - 1];
            --at;
        }
        if (at < places.length) places[at] = place;
        return used < places.length ? used + 1 : used;
    }
}
