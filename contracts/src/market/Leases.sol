// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Accounts} from "./Accounts.sol";
import {Domain} from "./Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "./Errors.sol";
import {Account, Claiming, LeaseRecord, LeaseState} from "./IMarket.sol";
import {Claim, Close, ExecutionId, Lease, Messages, Offer, OfferModel, Settlement, TopUp} from "./Messages.sol";

/// Escrow between one buyer and one provider (src/market/ledger_leases.cpp).
abstract contract Leases is Accounts {
    /// Of an offer, so that a forgotten one dies.
    uint256 internal constant OFFER_LIFETIME_MAX = 7 days;
    uint256 internal constant OFFER_MODELS_MAX = 64;
    uint256 internal constant REBATE_MAX = 500_000;

    function openLease(
        Lease calldata terms,
        bytes calldata signature,
        Offer calldata offer,
        bytes calldata offerSignature,
        OfferModel calldata model,
        uint256 index
    ) external {
        bytes32 id = Domain.digest(address(this), Messages.hash(terms));
        LeaseRecord storage l = leases[id];
        if (l.opened != 0) revert AlreadyApplied(id);
        _checkTerms(terms);
        Domain.checkSigned(terms.buyer, id, signature);
        bytes32 offerId = Domain.digest(address(this), Messages.hash(offer));
        if (terms.offer != offerId) revert Mismatch(Why.OtherOffer);
        Domain.checkSignedByKey(offer.provider, offerId, offerSignature);
        _checkOffer(offer);
        _checkAgreement(terms, offer, model, index);
        _checkExposure(terms.provider, terms.escrow);

        l.opened = uint40(block.timestamp);
        l.window = uint32(terms.window);
        Account storage provider = accounts[terms.provider];
        liveLeases[terms.provider][provider.leaseNext++] = id;
        _lockEscrow(l, terms, terms.escrow);
        emit LeaseOpened(id, terms.buyer, terms.provider, terms);
    }

    function topUp(TopUp calldata m, bytes calldata signature, Lease calldata terms) external {
        _topUp(m, signature, terms);
    }

    function topUpWithPermit(
        TopUp calldata m,
        bytes calldata signature,
        Lease calldata terms,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        _permit(m.amount, deadline, v, r, s);
        _deposit(m.buyer, m.amount);
        _topUp(m, signature, terms);
    }

    function settle(Settlement calldata m, bytes calldata signature, Lease calldata terms, Claim calldata pending)
        external
    {
        LeaseRecord storage l = _openLease(m.lease, terms);
        bytes32 id = Domain.digest(address(this), Messages.hash(m));
        Domain.checkSigned(terms.buyer, id, signature);
        if (m.cumulative <= l.paid) revert Conflict(Why.StaleTotal);
        if (m.cumulative - l.paid > l.escrow) revert Refused(Why.EscrowTooSmall);
        _payEscrow(l, terms, m.cumulative - l.paid);
        emit Settled(id, m.lease, m.cumulative);
        if (l.claiming == Claiming.Pending) _claimSettled(m.lease, l, pending);
    }

    function close(Close calldata m, bytes calldata signature, Lease calldata terms) external {
        Domain.checkSigned(m.account, Domain.digest(address(this), Messages.hash(m)), signature);
        LeaseRecord storage l = _openLease(m.lease, terms);
        // Whoever is still bound by the lease may end it once nothing can be claimed.
        if (m.account != terms.provider && block.timestamp <= uint256(terms.expires) + terms.window) {
            revert Refused(Why.CloseTooEarly);
        }
        if (l.claiming == Claiming.Pending) revert Refused(Why.ClaimPending);
        if (l.disputes != 0) revert Refused(Why.DisputeOpen);
        _endLease(m.lease, l, terms, LeaseState.Closed);
    }

    function lease(bytes32 id) external view returns (LeaseRecord memory) {
        return leases[id];
    }

    // Inside.

    /// Drops the pending claim if it asks for no more than is paid now.
    function _claimSettled(bytes32 id, LeaseRecord storage l, Claim calldata pending) internal virtual;
    /// Drops the pending claim, whatever it asks for.
    function _voidClaim(bytes32 id, LeaseRecord storage l, address buyer) internal virtual;

    function _lease(bytes32 id, Lease calldata terms) internal view returns (LeaseRecord storage l) {
        l = leases[id];
        if (l.opened == 0) revert NotFound(Why.NoLease);
        if (Domain.digest(address(this), Messages.hash(terms)) != id) revert Mismatch(Why.OtherLease);
    }

    function _openLease(bytes32 id, Lease calldata terms) internal view returns (LeaseRecord storage l) {
        l = _lease(id, terms);
        if (l.state != LeaseState.Open) revert Refused(Why.LeaseEnded);
    }

    function _topUp(TopUp calldata m, bytes calldata signature, Lease calldata terms) internal {
        bytes32 id = _once(Messages.hash(m));
        _positive(m.amount);
        Domain.checkSigned(m.buyer, id, signature);
        LeaseRecord storage l = _openLease(m.lease, terms);
        if (m.buyer != terms.buyer) revert Refused(Why.NotTheBuyer);
        if (terms.expires <= block.timestamp) revert Refused(Why.LeaseExpired);
        _checkExposure(terms.provider, m.amount);
        _lockEscrow(l, terms, m.amount);
        emit ToppedUp(id, m.lease, m.amount);
    }

    function _lockEscrow(LeaseRecord storage l, Lease calldata terms, uint256 amount) internal {
        _debit(terms.buyer, amount);
        l.escrow += uint64(amount);
        accounts[terms.provider].exposure += uint64(amount);
    }

    function _payEscrow(LeaseRecord storage l, Lease calldata terms, uint256 amount) internal {
        l.escrow -= uint64(amount);
        l.paid += uint64(amount);
        accounts[terms.provider].exposure -= uint64(amount);
        _credit(terms.payout, amount);
    }

    function _endLease(bytes32 id, LeaseRecord storage l, Lease calldata terms, LeaseState state)
        internal
        returns (uint64 refunded)
    {
        _voidClaim(id, l, terms.buyer);
        refunded = l.escrow;
        l.escrow = 0;
        accounts[terms.provider].exposure -= refunded;
        _credit(terms.buyer, refunded);
        l.state = state;
        l.until = uint40(block.timestamp);
        emit LeaseEnded(id, state, refunded);
    }

    function _checkTerms(Lease calldata terms) private view {
        _positive(terms.escrow);
        if (terms.price_in > AMOUNT_MAX || terms.price_out > AMOUNT_MAX) revert Invalid(Why.Price);
        if (terms.payout == address(0)) revert Invalid(Why.ZeroAddress);
        if (terms.disclosure > 2) revert Invalid(Why.Disclosure);
        if (terms.window < WINDOW_MIN_S || terms.window > WINDOW_MAX_S) revert Refused(Why.Window);
        if (terms.expires <= block.timestamp) revert Refused(Why.LeaseExpired);
        if (terms.expires > block.timestamp + LEASE_MAX_S) revert Refused(Why.LeaseTooLong);
    }

    /// What concerns the parties; texts are the board's business.
    function _checkOffer(Offer calldata offer) private view {
        if (offer.payout == address(0)) revert Invalid(Why.ZeroAddress);
        if (offer.expires <= block.timestamp) revert Refused(Why.OfferExpired);
        if (offer.expires - block.timestamp > OFFER_LIFETIME_MAX) revert Refused(Why.OfferTooLong);
        if (offer.slots == 0) revert Invalid(Why.OfferSlots);
        if (offer.rebate_ppm > REBATE_MAX) revert Invalid(Why.OfferRebate);
        if (offer.models.length == 0 || offer.models.length > OFFER_MODELS_MAX) revert Invalid(Why.OfferModels);
    }

    function _checkAgreement(Lease calldata terms, Offer calldata offer, OfferModel calldata model, uint256 index)
        private
        pure
    {
        if (terms.provider != offer.provider || terms.payout != offer.payout) revert Refused(Why.OfferDiffers);
        if (index >= offer.models.length || offer.models[index] != Messages.hash(model)) {
            revert Mismatch(Why.OfferModels);
        }
        bytes32 execution = Messages.hash(ExecutionId(model.weights_root, model.program_hash, model.canon));
        if (execution != terms.execution || model.price_in != terms.price_in || model.price_out != terms.price_out) {
            revert Refused(Why.OfferDiffers);
        }
    }

    function _checkExposure(address who, uint256 more) private view {
        Account storage provider = accounts[who];
        if (provider.stake < STAKE_MIN) revert Refused(Why.StakeTooSmall);
        if (provider.exposure + more > exposureLimit(provider.stake)) revert Refused(Why.Exposure);
    }
}
