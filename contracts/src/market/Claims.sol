// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Domain} from "./Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "./Errors.sol";
import {BlockShape, IBlocks} from "./IBlocks.sol";
import {Block, Claiming, Contest, LeaseRecord, LeaseState} from "./IMarket.sol";
import {Leases} from "./Leases.sol";
import {Answer, Claim, Dispute, Finalize, Lease, Messages} from "./Messages.sol";

/// Paying without the buyer (src/market/ledger_claims.cpp). The embedded ledger asks a contested claim for all its
/// leaves at once; here a contest asks for one block of them, so that answering one costs no more than its bond is
/// worth and is a transaction that every node takes: below 95,000 bytes (Arbitrum's sequencer; geth's pools 131,072),
/// whatever the buyer's requests hold. Of a claim of up to `BLOCK` leaves that is the same.
abstract contract Claims is Leases {
    uint256 public constant BLOCK = BlockShape.SIZE;
    /// Enough to search 4096 leaves in halves.
    uint256 public constant CONTESTS_MAX = 8;
    uint256 internal constant LEAVES_MAX = 4096;

    uint8 private constant PROVIDER_RIGHT = 0;
    uint8 private constant PROVIDER_WRONG = 1;
    uint8 private constant NOT_JUDGED = 2;

    address private immutable BLOCKS;

    mapping(bytes32 => Contest) internal contests;

    constructor(address blocks_) {
        BLOCKS = blocks_;
    }

    function claim(Claim calldata m, bytes calldata signature, Lease calldata terms) external {
        LeaseRecord storage l = _lease(m.lease, terms);
        bytes32 id = Domain.digest(address(this), Messages.hash(m));
        if (l.claim == id) revert AlreadyApplied(id);
        Domain.checkSigned(terms.provider, id, signature);
        if (l.state != LeaseState.Open) revert Refused(Why.LeaseEnded);
        if (l.claiming == Claiming.Barred) revert Refused(Why.MayNotClaim);
        if (l.claiming == Claiming.Pending) revert Refused(Why.ClaimPending);
        if (block.timestamp > uint256(terms.expires) + terms.window) revert Refused(Why.ClaimsEnded);
        if (m.count == 0) revert Invalid(Why.ClaimCount);
        if (m.count > LEAVES_MAX) revert Refused(Why.ClaimCount);
        if (m.total <= l.paid) revert Conflict(Why.StaleTotal);
        if (m.total - l.paid > l.escrow) revert Refused(Why.EscrowTooSmall);

        l.claiming = Claiming.Pending;
        l.claim = id;
        l.until = uint40(block.timestamp + terms.window);
        emit Claimed(id, m.lease, m.total, m.count, m.root, l.until);
    }

    function contestClaim(Dispute calldata m, bytes calldata signature, Lease calldata terms, Claim calldata pending)
        external
    {
        bytes32 id = Domain.digest(address(this), Messages.hash(m));
        if (contests[id].bond != 0) revert AlreadyApplied(id);
        LeaseRecord storage l = _lease(m.lease, terms);
        if (m.challenger != terms.buyer) revert Refused(Why.NotTheBuyer);
        Domain.checkSigned(m.challenger, id, signature);
        if (l.claiming != Claiming.Pending || l.claim != m.subject) revert NotFound(Why.NoClaim);
        _checkClaim(pending, m.subject);
        uint256 number = m.nonce % BlockShape.count(pending.count);
        uint128 bit = uint128(1) << uint8(number);
        if (l.contested || l.asked & bit != 0) revert Conflict(Why.Contested);
        if (l.contests >= CONTESTS_MAX) revert Refused(Why.ContestsSpent);
        if (block.timestamp >= l.until) revert Refused(Why.WindowEnded);
        _holdBond(m.challenger, m.bond);

        contests[id].bond = uint64(m.bond);
        l.contested = true;
        l.contest = id;
        l.block_ = uint8(number);
        l.asked |= bit;
        ++l.contests;
        ++l.disputes;
        // The provider gets a whole window to answer, whenever the question came.
        l.until = uint40(block.timestamp + terms.window);
        emit ClaimContested(id, m.lease, number * BLOCK, BlockShape.leaves(pending.count, number), l.until);
    }

    function openClaim(
        Answer calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Claim calldata pending,
        Block calldata
    ) external {
        bytes32 id = Domain.digest(address(this), Messages.hash(m));
        Domain.checkSigned(m.account, id, signature);
        Contest storage c = contests[m.contest];
        if (c.bond == 0) revert NotFound(Why.NoContest);
        if (c.decided) revert Conflict(Why.Decided);
        LeaseRecord storage l = _lease(pending.lease, terms);
        if (l.contest != m.contest) revert Mismatch(Why.OtherLease);
        _checkClaim(pending, l.claim);
        _checkBlock(l.block_);

        // What the buyer sees here for the first time it has a whole window to look into.
        l.until = uint40(block.timestamp + terms.window);
        _endContest(l, terms.payout, PROVIDER_RIGHT);
        emit ClaimOpened(id, pending.lease, m.contest, l.until);
    }

    function finalize(Finalize calldata m, bytes calldata signature, Lease calldata terms, Claim calldata pending)
        external
    {
        Domain.checkSigned(m.account, Domain.digest(address(this), Messages.hash(m)), signature);
        LeaseRecord storage l = leases[pending.lease];
        if (l.opened == 0 || l.claiming != Claiming.Pending || l.claim != m.claim) revert NotFound(Why.NoClaim);
        _lease(pending.lease, terms);
        _checkClaim(pending, m.claim);
        if (block.timestamp < l.until) revert Refused(Why.WindowOpen);
        if (l.contested) {
            _endContest(l, terms.buyer, PROVIDER_WRONG);
            _dropClaim(pending.lease, l, 0, Claiming.Barred);
            return;
        }
        if (l.disputes != 0) revert Refused(Why.DisputeOpen);
        uint256 due = pending.total > l.paid ? pending.total - l.paid : 0;
        if (due > 0) _payEscrow(l, terms, due);
        _dropClaim(pending.lease, l, due, Claiming.Free);
    }

    function blocks() external view returns (address) {
        return BLOCKS;
    }

    function contest(bytes32 id) external view returns (Contest memory) {
        return contests[id];
    }

    // Inside.

    function _claimSettled(bytes32 id, LeaseRecord storage l, Claim calldata pending) internal override {
        _checkClaim(pending, l.claim);
        // One under contest has its bond to decide.
        if (pending.total <= l.paid && !l.contested) _dropClaim(id, l, 0, Claiming.Free);
    }

    function _voidClaim(bytes32 id, LeaseRecord storage l, address buyer) internal override {
        if (l.claiming != Claiming.Pending) return;
        if (l.contested) _endContest(l, buyer, NOT_JUDGED);
        _dropClaim(id, l, 0, Claiming.Free);
    }

    function _dropClaim(bytes32 id, LeaseRecord storage l, uint256 paid, Claiming next) private {
        l.claiming = next;
        if (l.contests != 0) {
            l.contests = 0;
            l.asked = 0;
        }
        emit ClaimEnded(l.claim, id, paid, next == Claiming.Free);
    }

    function _endContest(LeaseRecord storage l, address to, uint8 outcome) private {
        Contest storage c = contests[l.contest];
        c.decided = true;
        c.outcome = outcome;
        l.contested = false;
        --l.disputes;
        _returnBond(to, c.bond);
    }

    function _checkClaim(Claim calldata m, bytes32 id) private view {
        if (Domain.digest(address(this), Messages.hash(m)) != id) revert Mismatch(Why.NoClaim);
    }

    /// Passes `openClaim`'s own call on: what may be 90 KB is copied once, and decoded where it is judged.
    function _checkBlock(uint256 number) private view {
        Address.functionStaticCall(
            BLOCKS, abi.encodePacked(IBlocks.check.selector, abi.encode(address(this), number), msg.data[68:])
        );
    }
}
