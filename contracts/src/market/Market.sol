// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Accounts} from "./Accounts.sol";
import {Claims} from "./Claims.sol";
import {Refused, Why} from "./Errors.sol";
import {Account, Conviction, ICourtAccess, LeaseRecord, LeaseState, Parameters} from "./IMarket.sol";
import {Lease} from "./Messages.sol";

/// @title The market's money; what it promises is in IMarket.
/// @dev Accounts, Leases and Claims are what parties do; here is what the courts do to them.
contract Market is Claims, ICourtAccess {
    /// The arithmetic that execution ids name here. A draft: not yet frozen.
    uint32 public constant CANON = 0;

    address private immutable DISPUTES;
    address private immutable DELIVERIES;

    mapping(bytes32 => bool) public convicted;

    modifier onlyCourts() {
        if (msg.sender != DISPUTES && msg.sender != DELIVERIES) revert Refused(Why.NotACourt);
        _;
    }

    /// @param disputes, deliveries the courts, which name this contract at their own construction
    constructor(address token_, Parameters memory p, address disputes, address deliveries) Accounts(token_, p) {
        DISPUTES = disputes;
        DELIVERIES = deliveries;
    }

    function courts() external view returns (address disputes, address deliveries) {
        return (DISPUTES, DELIVERIES);
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
        // The statement's money comes back out of the slash as far as it had been paid.
        uint256 owed = l.paid - l.madeWhole;
        done = _slash(terms.provider, terms.buyer, challenger, amount < owed ? amount : owed);
        l.madeWhole += done.madeWhole;
        convicted[subject] = true;
        if (second != 0) convicted[second] = true;
        if (l.state == LeaseState.Open) done.refunded = _endLease(id, l, terms, LeaseState.Convicted);
        else l.state = LeaseState.Convicted;
        emit Convicted(id, subject, terms.provider, challenger, done);
    }

    function endForInvalidModel(bytes32 id, Lease calldata terms) external onlyCourts returns (uint64 refunded) {
        LeaseRecord storage l = leases[id];
        if (l.state == LeaseState.Open) refunded = _endLease(id, l, terms, LeaseState.Closed);
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
        a.unbondingFirst = a.unbondingNext;
        a.slashed = uint64(a.slashed + pool < AMOUNT_MAX ? a.slashed + pool : AMOUNT_MAX);
        ++a.convictions;
        sums.burned += done.burned;
        _credit(buyer, madeWhole);
        _credit(challenger, reward);
    }
}
