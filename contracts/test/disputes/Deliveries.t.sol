// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ending, Turn} from "../../src/disputes/Court.sol";
import {DemandRecord, IDeliveries, Wanted} from "../../src/disputes/IDeliveries.sol";
import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {World} from "../World.sol";
import {Trees} from "./DisputeWorld.sol";

/// Answers that are demanded: delivered, another one delivered, none.
contract DeliveriesTest is World {
    Lease private terms;
    bytes32 private id;
    uint32 private numbers; // logprobs of the requests

    function setUp() public {
        build(address(0), address(0));
        fund();
        (terms, id) = lease(5_000_000);
    }

    function request(Lease memory t, uint64 sequence) internal view override returns (Request memory r) {
        r = super.request(t, sequence);
        r.logprobs = numbers;
    }

    // HMAC and the roots once more, as the specification says them.

    function hmac(bytes memory message) private pure returns (bytes32) {
        bytes memory inner = new bytes(64);
        bytes memory outer = new bytes(64);
        for (uint256 i = 0; i < 64; ++i) {
            bytes1 k = i < 32 ? SECRET[i] : bytes1(0);
            inner[i] = k ^ 0x36;
            outer[i] = k ^ 0x5c;
        }
        return sha256(abi.encodePacked(outer, sha256(abi.encodePacked(inner, message))));
    }

    function le(uint256 v, uint256 width) private pure returns (bytes memory out) {
        for (uint256 i = 0; i < width; ++i) out = abi.encodePacked(out, uint8(v >> (8 * i)));
    }

    function plainOf(uint32 count, uint32 width) private pure returns (bytes memory out) {
        for (uint256 i = 0; i < uint256(count) * (1 + width); ++i) out = abi.encodePacked(out, le(i * 7 + 3, 4));
    }

    function part(bytes memory b, uint256 at, uint256 size) private pure returns (bytes memory out) {
        out = new bytes(size);
        for (uint256 i = 0; i < size; ++i) out[i] = b[at + i];
    }

    function rootsOf(bytes memory plain, uint32 count, uint32 width)
        private
        pure
        returns (bytes32 tape, bytes32 logprobs)
    {
        bytes32[] memory leaves = new bytes32[]((count + 255) / 256);
        for (uint256 c = 0; c < leaves.length; ++c) {
            uint256 size = count - 256 * c < 256 ? count - 256 * c : 256;
            bytes32 salt = hmac(abi.encodePacked("assay/tape/v0", le(c, 8)));
            leaves[c] = Trees.leaf(abi.encodePacked(salt, part(plain, 1024 * c, 4 * size)));
        }
        tape = Trees.root(leaves, 0, leaves.length);
        if (width == 0) return (tape, 0);
        leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 salt = hmac(abi.encodePacked("assay/logprobs/v0", le(i, 8)));
            leaves[i] = Trees.leaf(abi.encodePacked(salt, part(plain, 4 * (count + i * width), 4 * width)));
        }
        logprobs = Trees.root(leaves, 0, count);
    }

    function sealed_(bytes memory plain, bytes32 demand) private pure returns (bytes memory out) {
        out = new bytes(plain.length);
        for (uint256 i = 0; i < plain.length; ++i) {
            if (i % 32 == 0 && i + 32 < plain.length) {
                bytes32 key = hmac(abi.encodePacked("assay/delivery/v0", demand, le(i / 32, 4)));
                for (uint256 k = 0; k < 32; ++k) out[i + k] = plain[i + k] ^ key[k];
            } else if (i / 32 == (plain.length - 1) / 32) {
                bytes32 key = hmac(abi.encodePacked("assay/delivery/v0", demand, le(i / 32, 4)));
                out[i] = plain[i] ^ key[i % 32];
            }
        }
    }

    // Making things.

    function signedFor(uint64 sequence, uint32 count) private view returns (Evidence memory e, bytes memory plain) {
        uint32 width = numbers == 0 ? 0 : 2 * numbers - 1;
        plain = plainOf(count, width);
        e = evidence(terms, sequence, count, 0);
        (e.statement.figures.tape_root, e.statement.figures.logprobs_root) = rootsOf(plain, count, width);
        signStatement(e);
    }

    function wantedOf(Evidence memory e) private view returns (Wanted memory w) {
        w.provider = provider.at;
        w.count = e.statement.figures.count;
        w.width = numbers == 0 ? 0 : 2 * numbers - 1;
        w.saltCommitment = e.request.salt_commitment;
        w.tapeRoot = e.statement.figures.tape_root;
        w.logprobsRoot = e.statement.figures.logprobs_root;
    }

    function demandOf(Evidence memory e) private returns (Demand memory) {
        return Demand(buyer.at, id, subjectOf(e), 100_000, ++nonce);
    }

    function idOfDemand(Demand memory m) private view returns (bytes32) {
        return digest(keccak256(abi.encode(Messages.DEMAND, m)));
    }

    function demanding(Party memory by, Demand memory m, Evidence memory e) private view returns (bytes memory) {
        return
            abi.encodeCall(IDeliveries.demand, (m, sign(by, keccak256(abi.encode(Messages.DEMAND, m))), terms, e));
    }

    function demand(Evidence memory e) private returns (bytes32 d) {
        Demand memory m = demandOf(e);
        accepted(address(deliveries), demanding(buyer, m, e));
        return idOfDemand(m);
    }

    function delivering(Party memory by, bytes32 d, Wanted memory w, bytes memory answer)
        private
        view
        returns (bytes memory)
    {
        Delivery memory m = Delivery(by.at, d, sha256(answer));
        return
            abi.encodeCall(IDeliveries.deliver, (m, sign(by, keccak256(abi.encode(Messages.DELIVERY, m))), w, answer));
    }

    function reporting(Party memory by, bytes32 d, Wanted memory w, bytes memory answer, bytes32 secret)
        private
        view
        returns (bytes memory)
    {
        DeliveryReport memory m = DeliveryReport(by.at, d, secret);
        return abi.encodeCall(
            IDeliveries.report,
            (
                m,
                sign(by, keccak256(abi.encode(Messages.DELIVERY_REPORT, m))),
                terms,
                w,
                Delivery(provider.at, d, sha256(answer)),
                answer
            )
        );
    }

    function timingOut(Party memory by, bytes32 d) private view returns (bytes memory) {
        Timeout memory m = Timeout(by.at, d);
        return abi.encodeCall(IDeliveries.timeout, (m, sign(by, keccak256(abi.encode(Messages.TIMEOUT, m))), terms));
    }

    // Tests.

    function test_demandsAreChecked() public {
        (Evidence memory e,) = signedFor(1, 3);
        Demand memory m = demandOf(e);
        m.lease = 0;
        refused(address(deliveries), demanding(buyer, m, e), NotFound.selector, Why.NoLease);
        m.lease = id;
        m.buyer = other.at;
        refused(address(deliveries), demanding(other, m, e), Refused.selector, Why.NotTheBuyer);
        m.buyer = buyer.at;
        refused(address(deliveries), demanding(other, m, e), Mismatch.selector, Why.Signature);
        m.subject = 0;
        refused(address(deliveries), demanding(buyer, m, e), Mismatch.selector, Why.OtherStatement);
        m = demandOf(e);
        m.bond = 99_999;
        refused(address(deliveries), demanding(buyer, m, e), Refused.selector, Why.BondTooSmall);
        m.bond = 95_000_001;
        refused(address(deliveries), demanding(buyer, m, e), Refused.selector, Why.Available);
        m = demandOf(e);
        accepted(address(deliveries), demanding(buyer, m, e));
        applied(address(deliveries), demanding(buyer, m, e), idOfDemand(m));
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Conflict.selector, Why.Demanded);
        e.statement.figures.amount += 1;
        signStatement(e);
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Refused.selector, Why.WrongFigures);
        e = evidence(terms, 2, 0, 0);
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Refused.selector, Why.NoSuchAnswer);
        e = evidence(terms, 2, 16_385, keccak256("more than fits"));
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Refused.selector, Why.NoSuchAnswer);
        numbers = 22;
        e = evidence(terms, 2, 1, keccak256("tape"));
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Refused.selector, Why.NoSuchAnswer);
    }

    function test_whatIsDeliveredEndsTheDemand() public {
        (Evidence memory e, bytes memory plain) = signedFor(1, 300);
        bytes32 d = demand(e);
        Wanted memory w = wantedOf(e);
        bytes memory answer = sealed_(plain, d);
        refused(address(deliveries), delivering(provider, 0, w, answer), NotFound.selector, Why.NoDemand);
        refused(address(deliveries), delivering(other, d, w, answer), Refused.selector, Why.NotTheProvider);
        refused(address(deliveries), delivering(provider, d, w, "short"), Invalid.selector, Why.AnswerLength);
        Wanted memory wrong = wantedOf(e);
        wrong.count = 299;
        refused(address(deliveries), delivering(provider, d, wrong, answer), Mismatch.selector, Why.OtherStatement);
        Delivery memory m = Delivery(provider.at, d, 0);
        bytes memory signature = sign(provider, keccak256(abi.encode(Messages.DELIVERY, m)));
        refused(
            address(deliveries),
            abi.encodeCall(IDeliveries.deliver, (m, signature, w, answer)),
            Mismatch.selector,
            Why.Answer
        );
        m.answer = sha256(answer);
        refused(
            address(deliveries),
            abi.encodeCall(IDeliveries.deliver, (m, signature, w, answer)),
            Mismatch.selector,
            Why.Signature
        );
        refused(address(deliveries), reporting(buyer, d, w, answer, SECRET), Refused.selector, Why.NotDelivered);
        accepted(address(deliveries), delivering(provider, d, w, answer));
        refused(address(deliveries), delivering(provider, d, w, answer), Conflict.selector, Why.Delivered);

        refused(address(deliveries), reporting(buyer, d, w, answer, SECRET), Refused.selector, Why.AnswerIsRight);
        refused(address(deliveries), timingOut(other, d), Refused.selector, Why.DeadlineAhead);
        accepted(address(deliveries), timingOut(buyer, d));
        vm.assertEq(available(payout.at), 100_000, "the bond is the provider's");
        vm.assertTrue(deliveries.record(d).outcome == Ending.ProviderRight, "met");
        refused(address(deliveries), timingOut(buyer, d), Conflict.selector, Why.Decided);
        vm.assertEq(market.lease(id).demands, 0, "none open");
    }

    function test_logprobsAreDeliveredToo() public {
        numbers = 3;
        (Evidence memory e, bytes memory plain) = signedFor(1, 9);
        bytes32 d = demand(e);
        Wanted memory w = wantedOf(e);
        uint256 snapshot = vm.snapshotState();
        bytes memory answer = sealed_(plain, d);
        accepted(address(deliveries), delivering(provider, d, w, answer));
        refused(address(deliveries), reporting(buyer, d, w, answer, SECRET), Refused.selector, Why.AnswerIsRight);
        vm.revertToState(snapshot);
        plain[plain.length - 1] ^= 0x01;
        answer = sealed_(plain, d);
        accepted(address(deliveries), delivering(provider, d, w, answer));
        accepted(address(deliveries), reporting(buyer, d, w, answer, SECRET));
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "another number convicts");
    }

    function test_anotherAnswerConvicts() public {
        (Evidence memory e, bytes memory plain) = signedFor(1, 300);
        settle(terms, 1_000_000);
        bytes32 d = demand(e);
        Wanted memory w = wantedOf(e);
        plain[1199] ^= 0x80;
        bytes memory answer = sealed_(plain, d);
        accepted(address(deliveries), delivering(provider, d, w, answer));
        refused(address(deliveries), reporting(other, d, w, answer, SECRET), Refused.selector, Why.NotTheBuyer);
        refused(address(deliveries), reporting(buyer, d, w, plain, SECRET), Mismatch.selector, Why.Answer);
        refused(address(deliveries), reporting(buyer, d, w, answer, 0), Mismatch.selector, Why.Secret);
        DeliveryReport memory m = DeliveryReport(buyer.at, d, SECRET);
        refused(
            address(deliveries),
            abi.encodeCall(
                IDeliveries.report,
                (
                    m,
                    sign(other, keccak256(abi.encode(Messages.DELIVERY_REPORT, m))),
                    terms,
                    w,
                    Delivery(provider.at, d, sha256(answer)),
                    answer
                )
            ),
            Mismatch.selector,
            Why.Signature
        );
        uint256 snapshot = vm.snapshotState();
        accepted(address(deliveries), reporting(buyer, d, w, answer, SECRET));
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "convicted");
        vm.assertTrue(deliveries.record(d).outcome == Ending.ProviderWrong, "the provider was wrong");
        vm.assertEq(market.account(provider.at).stake, 0, "slashed");
        vm.revertToState(snapshot);
        vm.warp(1020);
        refused(address(deliveries), reporting(buyer, d, w, answer, SECRET), Refused.selector, Why.DeadlinePassed);
        accepted(address(deliveries), timingOut(other, d));
        vm.assertTrue(deliveries.record(d).outcome == Ending.ProviderRight, "left unreported");
    }

    function test_silenceConvicts() public {
        (Evidence memory e, bytes memory plain) = signedFor(1, 3);
        (Evidence memory f,) = signedFor(2, 3);
        bytes32 d = demand(e);
        bytes32 second = demand(f);
        bytes memory answer = sealed_(plain, d);
        refused(address(deliveries), timingOut(buyer, d), Refused.selector, Why.DeadlineAhead);
        refused(address(deliveries), timingOut(buyer, 0), NotFound.selector, Why.NoDemand);
        Timeout memory m = Timeout(buyer.at, d);
        refused(
            address(deliveries),
            abi.encodeCall(
                IDeliveries.timeout, (m, sign(other, keccak256(abi.encode(Messages.TIMEOUT, m))), terms)
            ),
            Mismatch.selector,
            Why.Signature
        );
        vm.warp(1020);
        refused(
            address(deliveries),
            delivering(provider, d, wantedOf(e), answer),
            Refused.selector,
            Why.DeadlinePassed
        );
        accepted(address(deliveries), timingOut(other, d));
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "convicted");
        // The other demand is about another statement: its provider lost it too.
        accepted(address(deliveries), timingOut(other, second));
        vm.assertEq(market.account(provider.at).convictions, 2, "both");
        vm.assertEq(market.totals().bonds, 0, "all bonds are back");
    }

    function test_aStatementThatWasConvictedMeanwhile() public {
        (Evidence memory e, bytes memory plain) = signedFor(1, 3);
        bytes32 d = demand(e);
        Evidence memory f = evidence(terms, 1, 3, keccak256("another tape"));
        Equivocation memory m = Equivocation(other.at, id, subjectOf(e), subjectOf(f));
        commit(other, sha256(abi.encodePacked(digest(keccak256(abi.encode(Messages.EQUIVOCATION, m))))));
        disputes.reportEquivocation(
            m,
            sign(other, keccak256(abi.encode(Messages.EQUIVOCATION, m))),
            terms,
            e.request,
            e.requestSignature,
            e.statement,
            f.statement
        );
        bytes memory answer = sealed_(plain, d);
        refused(address(deliveries), delivering(provider, d, wantedOf(e), answer), Conflict.selector, Why.Convicted);
        refused(address(deliveries), demanding(buyer, demandOf(f), f), Conflict.selector, Why.Convicted);
        accepted(address(deliveries), timingOut(other, d));
        vm.assertTrue(deliveries.record(d).outcome == Ending.NotJudged, "the bond is back");
        vm.assertEq(market.account(provider.at).convictions, 1, "once");
    }

    function test_demandsDoNotHoldAClaimForEver() public {
        Claim memory c = Claim(id, 0, 1_000_000, 1);
        market.claim(c, sign(provider, keccak256(abi.encode(Messages.CLAIM, c))), terms);
        (Evidence memory e,) = signedFor(1, 3);
        vm.warp(1100);
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Refused.selector, Why.WindowEnded);
        Finalize memory m = Finalize(other.at, idOf(c));
        market.finalize(m, sign(other, keccak256(abi.encode(Messages.FINALIZE, m))), terms, c);
        close(terms, provider);
        vm.warp(1201);
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Refused.selector, Why.NoLongerDisputable);
    }

    function test_nothingIsDemandedOfALeaseThatIsOver() public {
        (Evidence memory e,) = signedFor(1, 3);
        vm.warp(uint256(terms.expires) + terms.window + 1);
        refused(address(deliveries), demanding(buyer, demandOf(e), e), Refused.selector, Why.CloseFirst);
        close(terms, other);
        accepted(address(deliveries), demanding(buyer, demandOf(e), e));
    }

    function test_openDemandsAreFew() public {
        for (uint64 i = 1; i <= 64; ++i) {
            Evidence memory e = evidence(terms, i, 3, keccak256("tape"));
            demand(e);
        }
        Evidence memory f = evidence(terms, 65, 3, keccak256("tape"));
        refused(address(deliveries), demanding(buyer, demandOf(f), f), Refused.selector, Why.TooManyOpen);
    }
}
