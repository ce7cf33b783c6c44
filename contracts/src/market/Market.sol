// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAuditAccess, IAudits} from "../audits/IAudits.sol";
import {Accounts} from "./Accounts.sol";
import {Claims} from "./Claims.sol";
import {Refused, Why} from "./Errors.sol";
import {
    Account,
    Conviction,
    IAuditMoney,
    ICourtAccess,
    LeaseRecord,
    LeaseState,
    Parameters
} from "./IMarket.sol";
import {Lease} from "./Messages.sol";

/// @title The market's money; what it promises is in IMarket.
/// @dev Accounts, Leases and Claims are what parties do; here is what courts and audits do to them.
contract Market is Claims, ICourtAccess, IAuditMoney {
    /// The arithmetic that execution ids name here. A draft: not yet frozen.
    uint32 public constant CANON = 0;

    address private immutable DISPUTES;
    address private immutable DELIVERIES;
    address private immutable AUDITS;
    address private immutable AUDITORS;

    /// When a statement was.
    mapping(bytes32 => uint256) public convictedAt;

    modifier onlyCourts() {
        if (msg.sender != DISPUTES && msg.sender != DELIVERIES) revert Refused(Why.NotACourt);
        _;
    }

    modifier onlyAudits() {
        if (msg.sender != AUDITS) revert Refused(Why.NotAnAudit);
        _;
    }

    /// @param disputes, deliveries the courts; they and `audits`, `auditors` name this contract at their own construction
    constructor(
        address token_,
        Parameters memory p,
        address disputes,
        address deliveries,
        address audits,
        address auditors,
        address blocks_
    ) Accounts(token_, p) Claims(blocks_) {
        DISPUTES = disputes;
        DELIVERIES = deliveries;
        AUDITS = audits;
        AUDITORS = auditors;
    }

    function courts() external view returns (address disputes, address deliveries) {
        return (DISPUTES, DELIVERIES);
    }

    function auditCourts() external view returns (address audits, address auditors) {
        return (AUDITS, AUDITORS);
    }

    function convicted(bytes32 subject) external view returns (bool) {
        return convictedAt[subject] != 0;
    }

    // ICourtAccess

    function openDispute(bytes32 id, address challenger, uint128 bond, bool demand) external onlyCourts {
        _holdBond(challenger, bond);
        LeaseRecord storage l = leases[id];
        ++l.disputes;
        if (demand) ++l.demands;
    }

    function endDispute(bytes32 id, address to, uint64 bond, bool demand) external onlyCourts {
        LeaseRecord storage l = leases[id];
        --l.disputes;
        if (demand) --l.demands;
        _returnBond(to, bond);
    }

    function convict(
        bytes32 id,
        Lease calldata terms,
        bytes32 subject,
        bytes32 second,
        uint256 amount,
        address challenger
    ) external onlyCourts returns (Conviction memory done) {
        LeaseRecord storage l = leases[id];
        // A canary was false on purpose, and its buyer knew.
        if (IAudits(AUDITS).canary(subject) == 0) {
            // The statement's money comes back out of the slash as far as it had been paid.
            uint256 owed = l.paid - l.madeWhole;
            done = _slash(terms.provider, terms.buyer, challenger, amount < owed ? amount : owed);
            l.madeWhole += done.madeWhole;
        }
        convictedAt[subject] = block.timestamp;
        if (second != 0) convictedAt[second] = block.timestamp;
        if (l.state == LeaseState.Open) done.refunded = _endLease(id, l, terms, LeaseState.Convicted);
        else l.state = LeaseState.Convicted;
        emit Convicted(id, subject, terms.provider, challenger, done);
    }

    function endForInvalidModel(bytes32 id, Lease calldata terms) external onlyCourts returns (uint64 refunded) {
        LeaseRecord storage l = leases[id];
        if (l.state == LeaseState.Open) refunded = _endLease(id, l, terms, LeaseState.Closed);
    }

    // IAuditMoney

    function holdFees(address from, uint256 amount) external onlyAudits {
        _debit(from, amount);
        sums.fees += uint64(amount);
    }

    function payFees(address to, uint64 amount) external onlyAudits {
        sums.fees -= amount;
        _credit(to, amount);
    }

    function burnFees(uint64 amount) external onlyAudits {
        sums.fees -= amount;
        sums.burned += amount;
    }

    function holdBond(address from, uint128 bond) external onlyAudits {
        _holdBond(from, bond);
    }

    function returnBond(address to, uint64 bond) external onlyAudits {
        _returnBond(to, bond);
    }

    function slashAuditor(address auditor, address buyer, address challenger, uint256 owed)
        external
        onlyAudits
        returns (Conviction memory)
    {
        return _slash(auditor, buyer, challenger, owed);
    }

    function bindStake(address who, uint64 weight) external {
        if (msg.sender != AUDITORS) revert Refused(Why.NotAnAudit);
        accounts[who].bound = weight;
    }

    // Inside.

    function _oldestAudit(address who) internal override returns (uint256) {
        return IAuditAccess(AUDITS).oldestLiable(who);
    }

    /// Empties stake and unbonding; what nobody may have is burned, at least the burned share.
    function _slash(address who, address buyer, address challenger, uint256 owed)
        private
        returns (Conviction memory done)
    {
        Account storage a = accounts[who];
        uint256 pool = uint256(a.stake) + a.unbonding;
        uint256 rest = pool - (pool * BURNED_BPS + 9999) / 10000;
        uint256 madeWhole = rest < owed ? rest : owed;
        uint256 reward = rest - madeWhole < REWARD_MAX ? rest - madeWhole : REWARD_MAX;
        done.slashed = uint64(pool);
        done.madeWhole = uint64(madeWhole);
        done.reward = uint64(reward);
        done.burned = uint64(pool - madeWhole - reward);
        a.stake = 0;
        a.unbonding = 0;
        a.bound = 0;
        a.unbondingFirst = a.unbondingNext;
        a.slashed = uint64(a.slashed + pool < AMOUNT_MAX ? a.slashed + pool : AMOUNT_MAX);
        ++a.convictions;
        sums.burned += done.burned;
        _credit(buyer, madeWhole);
        _credit(challenger, reward);
    }
}
