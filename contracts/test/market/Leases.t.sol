// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {IMarket, LeaseRecord, LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {World} from "../World.sol";

/// A buyer whose contract says what it likes of a signature (ERC-1271).
contract ContractBuyer {
    bytes32 private yes;

    function approve(bytes32 id) external {
        yes = id;
    }

    function isValidSignature(bytes32 id, bytes calldata) external view returns (bytes4) {
        return id == yes ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// Leases, settlements, closing.
contract LeasesTest is World {
    Claim private none;

    function setUp() public {
        build(address(0), address(0));
        fund();
    }

    function opening(Made memory m) private pure returns (bytes memory) {
        return abi.encodeCall(IMarket.openLease, (m.terms, m.signature, m.offer, m.offerSignature, m.model, 0));
    }

    function settling(Party memory by, Lease memory terms, uint128 cumulative) private view returns (bytes memory) {
        Settlement memory m = Settlement(idOf(terms), cumulative);
        return
            abi.encodeCall(IMarket.settle, (m, sign(by, keccak256(abi.encode(Messages.SETTLEMENT, m))), terms, none));
    }

    function closing(Party memory by, Lease memory terms) private view returns (bytes memory) {
        Close memory m = Close(by.at, idOf(terms));
        return abi.encodeCall(IMarket.close, (m, sign(by, keccak256(abi.encode(Messages.CLOSE, m))), terms));
    }

    function toppingUp(Party memory by, TopUp memory m, Lease memory terms) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.topUp, (m, sign(by, keccak256(abi.encode(Messages.TOP_UP, m))), terms));
    }

    function test_openLease() public {
        Made memory made = makeLease(5_000_000);
        bytes32 id = idOf(made.terms);
        accepted(address(market), opening(made));
        LeaseRecord memory l = market.lease(id);
        vm.assertEq(l.escrow, 5_000_000, "escrow");
        vm.assertEq(l.opened, 1000, "opened");
        vm.assertEq(l.window, 100, "window");
        vm.assertEq(available(buyer.at), 95_000_000, "the buyer's");
        vm.assertEq(market.account(provider.at).exposure, 5_000_000, "exposure");
        applied(address(market), opening(made), id);
    }

    function test_termsAreChecked() public {
        for (uint256 i = 0; i < 11; ++i) {
            Made memory m = makeLease(1_000_000);
            (bytes4 kind, Why why) = (Invalid.selector, Why.Price);
            if (i == 0) (m.terms.escrow, why) = (0, Why.Amount);
            else if (i == 1) m.terms.price_in = 1 << 63;
            else if (i == 2) m.terms.price_out = 1 << 63;
            else if (i == 3) (m.terms.payout, why) = (address(0), Why.ZeroAddress);
            else if (i == 4) (m.terms.disclosure, why) = (3, Why.Disclosure);
            else if (i == 5) (m.terms.window, kind, why) = (49, Refused.selector, Why.Window);
            else if (i == 6) (m.terms.window, kind, why) = (201, Refused.selector, Why.Window);
            else if (i == 7) (m.terms.expires, kind, why) = (1000, Refused.selector, Why.LeaseExpired);
            else if (i == 8) (m.terms.expires, kind, why) = (2001, Refused.selector, Why.LeaseTooLong);
            else if (i == 9) (m.terms.escrow, kind, why) = (30_000_001, Refused.selector, Why.Exposure);
            else (m.terms.provider, kind, why) = (other.at, Refused.selector, Why.OfferDiffers);
            signLease(m);
            refused(address(market), opening(m), kind, why);
        }
    }

    function test_moneyAndStakeAreThere() public {
        Made memory m = makeLease(1_000_000);
        m.terms.buyer = other.at;
        m.terms.escrow = 5_000_001;
        m.terms.nonce = 77;
        signLease(m);
        refused(address(market), opening(m), Mismatch.selector, Why.Signature);
        m.signature = sign(other, keccak256(abi.encode(Messages.LEASE, m.terms)));
        refused(address(market), opening(m), Refused.selector, Why.Available);

        (Party memory poor, Party memory was) = (party(9), provider);
        provider = poor;
        m = makeLease(1_000_000);
        refused(address(market), opening(m), Refused.selector, Why.StakeTooSmall);
        provider = was;
    }

    function test_theOfferIsTheProvidersConsent() public {
        for (uint256 i = 0; i < 10; ++i) {
            Made memory m = makeLease(1_000_000);
            (bytes4 kind, Why why) = (Refused.selector, Why.OfferDiffers);
            if (i == 0) (m.offer.payout, kind, why) = (address(0), Invalid.selector, Why.ZeroAddress);
            else if (i == 1) (m.offer.expires, why) = (1000, Why.OfferExpired);
            else if (i == 2) (m.offer.expires, why) = (1001 + 7 days, Why.OfferTooLong);
            else if (i == 3) (m.offer.slots, kind, why) = (0, Invalid.selector, Why.OfferSlots);
            else if (i == 9) (m.offer.rebate_ppm, kind, why) = (500_001, Invalid.selector, Why.OfferRebate);
            else if (i == 4) m.offer.payout = other.at;
            else if (i == 5) m.model.price_in += 1;
            else if (i == 6) m.model.price_out += 1;
            else if (i == 7) m.model.canon = 1;
            else (m.offer.models, kind, why) = (new bytes32[](65), Invalid.selector, Why.OfferModels);
            signLease(m);
            refused(address(market), opening(m), kind, why);
        }
        Made memory made = makeLease(1_000_000);
        made.offer.sequence = 2;
        refused(address(market), opening(made), Mismatch.selector, Why.OtherOffer);
        made = makeLease(1_000_000);
        made.offerSignature = made.signature;
        refused(address(market), opening(made), Mismatch.selector, Why.Signature);
        made = makeLease(1_000_000);
        made.model.context = 1;
        refused(address(market), opening(made), Mismatch.selector, Why.OfferModels);
        refused(
            address(market),
            abi.encodeCall(
                IMarket.openLease, (made.terms, made.signature, made.offer, made.offerSignature, made.model, 1)
            ),
            Mismatch.selector,
            Why.OfferModels
        );
    }

    function test_topUp() public {
        (Lease memory terms, bytes32 id) = lease(5_000_000);
        TopUp memory m = TopUp(buyer.at, id, 1_000_000, 1);
        accepted(address(market), toppingUp(buyer, m, terms));
        vm.assertEq(market.lease(id).escrow, 6_000_000, "escrow");
        applied(address(market), toppingUp(buyer, m, terms), digest(keccak256(abi.encode(Messages.TOP_UP, m))));

        refused(
            address(market), toppingUp(buyer, TopUp(buyer.at, id, 0, 2), terms), Invalid.selector, Why.Amount
        );
        refused(
            address(market), toppingUp(other, TopUp(buyer.at, id, 1, 2), terms), Mismatch.selector, Why.Signature
        );
        refused(
            address(market), toppingUp(other, TopUp(other.at, id, 1, 2), terms), Refused.selector, Why.NotTheBuyer
        );
        refused(
            address(market), toppingUp(buyer, TopUp(buyer.at, 0, 1, 2), terms), NotFound.selector, Why.NoLease
        );
        Lease memory wrong = terms;
        wrong.nonce += 1;
        refused(
            address(market), toppingUp(buyer, TopUp(buyer.at, id, 1, 2), wrong), Mismatch.selector, Why.OtherLease
        );
        wrong.nonce -= 1;
        refused(
            address(market),
            toppingUp(buyer, TopUp(buyer.at, id, 94_000_001, 2), terms),
            Refused.selector,
            Why.Exposure
        );
        vm.warp(1500);
        refused(
            address(market), toppingUp(buyer, TopUp(buyer.at, id, 1, 2), terms), Refused.selector, Why.LeaseExpired
        );
        close(terms, provider);
        refused(address(market), toppingUp(buyer, TopUp(buyer.at, id, 1, 2), terms), Refused.selector, Why.LeaseEnded);
    }

    function test_topUpWithPermit() public {
        (Lease memory terms, bytes32 id) = lease(5_000_000);
        TopUp memory m = TopUp(buyer.at, id, 3, 1);
        bytes memory signature = sign(buyer, keccak256(abi.encode(Messages.TOP_UP, m)));
        token.mint(other.at, 3);
        bytes32 type_ = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 hash = keccak256(abi.encode(type_, other.at, address(market), uint256(3), uint256(0), uint256(2000)));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(other.key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), hash)));
        vm.prank(other.at);
        market.topUpWithPermit(m, signature, terms, 2000, v, r, s);
        vm.assertEq(market.lease(id).escrow, 5_000_003, "topped up");
        vm.assertEq(available(buyer.at), 95_000_000, "not from the buyer's");
    }

    function test_settle() public {
        (Lease memory terms, bytes32 id) = lease(5_000_000);
        accepted(address(market), settling(buyer, terms, 2_000_000));
        vm.assertEq(available(payout.at), 2_000_000, "paid at once");
        vm.assertEq(market.lease(id).paid, 2_000_000, "counted");
        vm.assertEq(market.account(provider.at).exposure, 3_000_000, "exposure");
        refused(address(market), settling(buyer, terms, 2_000_000), Conflict.selector, Why.StaleTotal);
        refused(address(market), settling(buyer, terms, 1), Conflict.selector, Why.StaleTotal);
        refused(address(market), settling(buyer, terms, 5_000_001), Refused.selector, Why.EscrowTooSmall);
        refused(address(market), settling(provider, terms, 3_000_000), Mismatch.selector, Why.Signature);
        close(terms, provider);
        refused(address(market), settling(buyer, terms, 3_000_000), Refused.selector, Why.LeaseEnded);
    }

    function test_close() public {
        (Lease memory terms, bytes32 id) = lease(5_000_000);
        settle(terms, 1_000_000);
        refused(address(market), closing(buyer, terms), Refused.selector, Why.CloseTooEarly);
        vm.warp(1600);
        refused(address(market), closing(other, terms), Refused.selector, Why.CloseTooEarly);
        Close memory m = Close(buyer.at, id);
        refused(
            address(market),
            abi.encodeCall(IMarket.close, (m, sign(other, keccak256(abi.encode(Messages.CLOSE, m))), terms)),
            Mismatch.selector,
            Why.Signature
        );
        vm.warp(1601);
        accepted(address(market), closing(other, terms));
        vm.assertEq(available(buyer.at), 99_000_000, "the rest");
        vm.assertTrue(market.lease(id).state == LeaseState.Closed, "closed");
        vm.assertEq(market.account(provider.at).exposure, 0, "exposure");
        refused(address(market), closing(buyer, terms), Refused.selector, Why.LeaseEnded);
    }

    function test_aBuyerMayBeAContract() public {
        ContractBuyer vault = new ContractBuyer();
        deposit(address(vault), 9_000_000);
        Made memory made = makeLease(1_000_000);
        made.terms.buyer = address(vault);
        signLease(made);
        refused(address(market), opening(made), Mismatch.selector, Why.Signature);
        bytes32 id = idOf(made.terms);
        vault.approve(id);
        accepted(address(market), opening(made));
        Settlement memory m = Settlement(id, 5);
        vault.approve(digest(keccak256(abi.encode(Messages.SETTLEMENT, m))));
        market.settle(m, "", made.terms, none);
        vm.assertEq(available(payout.at), 5, "settled");
    }

    function test_aKeySignsForItselfWhateverCodeItsAccountHas() public {
        Made memory made = makeLease(1_000_000);
        vm.etch(buyer.at, hex"fe");
        vm.etch(provider.at, hex"fe");
        accepted(address(market), opening(made));
    }

    function test_onlyCourtsConvict() public {
        (Lease memory terms, bytes32 id) = lease(1_000_000);
        bytes4 kind = Refused.selector;
        refused(address(market), abi.encodeCall(market.openDispute, (id, buyer.at, 1, false)), kind, Why.NotACourt);
        refused(address(market), abi.encodeCall(market.endDispute, (id, buyer.at, 1, false)), kind, Why.NotACourt);
        refused(address(market), abi.encodeCall(market.convict, (id, terms, 0, 0, 1, buyer.at)), kind, Why.NotACourt);
        refused(address(market), abi.encodeCall(market.endForInvalidModel, (id, terms)), kind, Why.NotACourt);
    }
}
