// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditState, Drawn, IAudits} from "../../src/audits/IAudits.sol";
import {Auditor, IAuditors, Place} from "../../src/audits/IAuditors.sol";
import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {IAuditMoney} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {CourseWorld} from "./CourseWorld.sol";

/// Registrations, and the draw among them.
contract AuditorsTest is CourseWorld {
    function refusedRegistration(RegisterAuditor memory m, string memory endpoint, bytes4 kind, Why why) private {
        refused(address(auditors), registering(auditor(0), m, endpoint), kind, why);
    }

    function test_registeringNeedsStakeAndKeepsIt() public {
        Party memory a = auditor(0);
        deposit(a.at, 3_000_000);
        RegisterAuditor memory good = registration(a, FEE, true);
        refusedRegistration(good, ENDPOINT, Refused.selector, Why.StakeTooSmall);
        stake(a, 999_999);
        refusedRegistration(good, ENDPOINT, Refused.selector, Why.StakeTooSmall);
        stake(a, 1_000_001);
        refused(address(auditors), registering(other, good, ENDPOINT), Mismatch.selector, Why.Signature);
        refusedRegistration(good, "http://elsewhere", Mismatch.selector, Why.Endpoint);
        refusedRegistration(registration(a, 0, true), ENDPOINT, Invalid.selector, Why.Amount);
        refusedRegistration(registration(a, 1 << 63, true), ENDPOINT, Invalid.selector, Why.Amount);
        RegisterAuditor memory odd = registration(a, FEE, true);
        odd.endpoint = keccak256("");
        refusedRegistration(odd, "", Invalid.selector, Why.Endpoint);
        string memory long = string(new bytes(257));
        odd.endpoint = keccak256(bytes(long));
        refusedRegistration(odd, long, Invalid.selector, Why.Endpoint);
        refusedRegistration(registration(a, FEE, false), ENDPOINT, Conflict.selector, Why.NotRegistered);

        vm.expectEmit(address(auditors));
        emit IAuditors.AuditorRegistered(
            digest(keccak256(abi.encode(AuditMessages.REGISTER_AUDITOR, good))), a.at, good.execution, true, ENDPOINT, FEE
        );
        accepted(address(auditors), registering(a, good, ENDPOINT));
        applied(
            address(auditors),
            registering(a, good, ENDPOINT),
            digest(keccak256(abi.encode(AuditMessages.REGISTER_AUDITOR, good)))
        );
        Auditor memory r = registered(a);
        vm.assertTrue(r.active, "active");
        vm.assertEq(r.weight, 2_000_000, "its stake");
        vm.assertEq(r.since, 1000, "since now");
        vm.assertEq(market.account(a.at).bound, 2_000_000, "bound");

        // The stake it registered with stays as long as it is registered.
        refused(address(market), unbonding(a, 1), Refused.selector, Why.AuditorRegistered);
        refused(address(market), unbonding(a, 2_000_001), Refused.selector, Why.Stake);
        stake(a, 500_000);
        accepted(address(market), unbonding(a, 500_000));
        refused(address(market), unbonding(a, 1), Refused.selector, Why.AuditorRegistered);

        // A change keeps its place, another registration does not.
        vm.warp(1005);
        register(a, FEE + 1, true);
        r = registered(a);
        vm.assertEq(r.since, 1000, "since then");
        vm.assertEq(r.fee, FEE + 1, "the new fee");
        vm.assertEq(auditors.registrations(good.execution), 1, "one");
        register(a, FEE, false);
        vm.assertTrue(!registered(a).active, "no more");
        vm.assertEq(market.account(a.at).bound, 0, "free");
        accepted(address(market), unbonding(a, 500_000));
        register(a, FEE, true);
        r = registered(a);
        vm.assertEq(r.since, 1005, "anew");
        vm.assertEq(r.weight, 1_500_000, "with what is there");
        vm.assertEq(auditors.registrations(good.execution), 2, "another");
    }

    function test_exposureComesBeforeTheWeightAndTheWeightBeforeTheNumber() public {
        fund();
        register(provider, FEE);
        lease(29_000_000);
        refused(address(market), unbonding(provider, 9_000_000), Refused.selector, Why.Exposure);
        refused(address(market), unbonding(provider, 1), Refused.selector, Why.AuditorRegistered);
        deposit(provider.at, 100);
        stake(provider, 64);
        for (uint256 i = 0; i < 64; ++i) accepted(address(market), unbonding(provider, 1));
        refused(address(market), unbonding(provider, 1), Refused.selector, Why.AuditorRegistered);
        stake(provider, 1);
        refused(address(market), unbonding(provider, 1), Refused.selector, Why.TooManyUnbondings);
    }

    function test_anAccountAuditsAFewExecutions() public {
        Party memory a = auditor(0);
        deposit(a.at, 3_000_000);
        stake(a, 2_000_000);
        RegisterAuditor memory m;
        for (uint256 i = 0; i < 17; ++i) {
            m = registration(a, FEE, true);
            m.execution = bytes32(i);
            if (i < 16) accepted(address(auditors), registering(a, m, ENDPOINT));
            else refusedRegistration(m, ENDPOINT, Refused.selector, Why.TooManyExecutions);
            if (i == 7) stake(a, 500_000);
        }
        // The heaviest that is left binds; what ended makes room.
        vm.assertEq(market.account(a.at).bound, 2_500_000, "the heaviest");
        for (uint256 i = 8; i < 16; ++i) {
            RegisterAuditor memory end = registration(a, FEE, false);
            end.execution = bytes32(i);
            accepted(address(auditors), registering(a, end, ENDPOINT));
        }
        vm.assertEq(market.account(a.at).bound, 2_000_000, "the next");
        accepted(address(auditors), registering(a, m, ENDPOINT));
        vm.assertEq(market.account(a.at).bound, 2_500_000, "the heaviest again");
    }

    function test_aSlashEndsRegistrations() public {
        hire(1);
        register(provider, FEE, true);
        vm.assertEq(market.account(provider.at).bound, 10_000_000, "bound");
        convict(receiptOf(1));
        vm.assertTrue(!registered(provider).active, "ended");
        vm.assertTrue(registered(auditor(0)).active, "nobody else's");
        vm.assertEq(market.account(provider.at).bound, 0, "nothing bound");
        refused(
            address(auditors),
            registering(provider, registration(provider, FEE, false), ENDPOINT),
            Conflict.selector,
            Why.NotRegistered
        );
        refused(
            address(auditors),
            registering(provider, registration(provider, FEE, true), ENDPOINT),
            Refused.selector,
            Why.StakeTooSmall
        );
        deposit(provider.at, 2_000_000);
        stake(provider, 2_000_000);
        register(provider, FEE, true);
        vm.assertEq(registered(provider).weight, 2_000_000, "anew");
        register(provider, FEE, false);
        vm.assertEq(market.account(provider.at).bound, 0, "what was before does not bind");
    }

    function test_onlyTheAuditsCountAndOnlyAuditorsBind() public {
        refused(
            address(auditors),
            abi.encodeCall(IAuditors.count, (0, other.at, true, false, false)),
            Refused.selector,
            Why.NotAnAudit
        );
        refused(
            address(market), abi.encodeCall(IAuditMoney.bindStake, (other.at, 1)), Refused.selector, Why.NotAnAudit
        );
    }

    // The draw.

    /// By another way: the smallest scores of all who may be drawn, each of two tickets.
    function smallest(bytes32 id, uint256 round, uint8 hired, uint256 place) private pure returns (address) {
        address[] memory who = new address[](hired);
        bytes32[] memory scores = new bytes32[](hired);
        for (uint8 i = 0; i < hired; ++i) {
            who[i] = auditor(i).at;
            for (uint32 j = 0; j < 2; ++j) {
                bytes32 score = sha256(abi.encodePacked("assay/auditors/v0", beaconOf(round), id, who[i], j));
                if (j == 0 || score < scores[i]) scores[i] = score;
            }
        }
        for (uint256 taken = 0;; ++taken) {
            uint256 least = 0;
            for (uint256 i = 1; i < hired; ++i) if (scores[i] < scores[least]) least = i;
            if (taken == place) return who[least];
            scores[least] = bytes32(type(uint256).max);
        }
        revert();
    }

    function test_theNextRoundDrawsTheSmallestScores() public {
        hire(6);
        publishNone();
        uint256 before = available(buyer.at);
        Evidence memory e = receiptOf(1);
        AuditRequest memory m = requestOf(e, 3, FEE + 7);
        accepted(address(audits), asking(buyer, m, terms, e));
        bytes32 id = idOf(m);
        vm.assertEq(auditOf(id).round, 2, "the next");
        vm.assertEq(market.totals().fees, 3 * (FEE + 7), "held");
        vm.recordLogs();
        publish(list(id));
        is_(id, AuditState.Drawn);
        vm.assertEq(countOf(id), 3, "three");
        (, Drawn[] memory all) = audits.audit(id);
        for (uint256 i = 0; i < 3; ++i) vm.assertEq(all[i].account, smallest(id, 2, 6, i), "in their order");
        vm.assertEq(auditOf(id).drawnAt, clock(), "now");
        // Nobody is paid more than it asks.
        vm.assertEq(auditOf(id).held, 3 * FEE, "held");
        vm.assertEq(market.totals().fees, 3 * FEE, "held in all");
        vm.assertEq(available(buyer.at), before - 3 * FEE, "the rest is back");
        vm.assertEq(registered(drawnParty(id, 0)).drawn, 1, "counted");
        vm.assertEq(audits.auditsOf(all[0].account)[0], id, "answers for it");
        vm.assertTrue(audits.liable(id, all[0].account) && !audits.liable(id, other.at), "liable");
    }

    /// What a host could do once it has seen the request and knows the beacon moves nobody else, and brings nobody in.
    function test_nobodyComesIntoTheDrawAfterTheLease() public {
        hire(2);
        deposit(auditor(7).at, 20_000_000);
        stake(auditor(7), 16_000_000);
        register(auditor(7), FEE);
        register(auditor(0), FEE, false);
        register(auditor(0), FEE, true);
        stake(auditor(1), 1_000_000);
        register(auditor(1), FEE);
        bytes32 id = drawn(receiptOf(1), 4);
        vm.assertEq(countOf(id), 1, "who was there, with what it had");
        vm.assertEq(drawnParty(id, 0).at, auditor(1).at, "the second");
        vm.assertEq(registered(auditor(1)).weight, 2_000_000, "its weight of then");
    }

    function test_inTheSameSecondAsTheLeaseIsTooLate() public {
        hire(1);
        deposit(auditor(2).at, 3_000_000);
        stake(auditor(2), 2_000_000);
        register(auditor(2), FEE);
        (terms, leaseId) = lease(1_000_000);
        bytes32 id = drawn(receiptOf(1), 4);
        vm.assertEq(countOf(id), 1, "one");
        vm.assertEq(drawnParty(id, 0).at, auditor(0).at, "the first");
    }

    function test_theirOwnPeopleAreNotDrawn() public {
        hire(1);
        Party[3] memory own = [buyer, provider, payout];
        for (uint256 i = 0; i < 3; ++i) {
            deposit(own[i].at, 3_000_000);
            stake(own[i], 2_000_000);
            register(own[i], FEE);
        }
        register(auditor(0), FEE + 1); // asks for too much
        later(1);
        (terms, leaseId) = lease(1_000_000);
        uint256 before = available(buyer.at);
        bytes32 id = request(receiptOf(1), 4);
        vm.expectEmit(address(audits));
        emit IAudits.AuditDrawn(id, 0, 0);
        publish(list(id));
        vm.assertEq(countOf(id), 0, "nobody");
        is_(id, AuditState.Settled);
        vm.assertEq(available(buyer.at), before, "all is back");
    }

    /// Each ticket of up to sixteen is one hash; more stake than that counts for nothing.
    function test_ticketsAreBounded() public {
        fund();
        Party memory a = auditor(0);
        deposit(a.at, 60_000_000);
        stake(a, 50_000_000);
        register(a, FEE);
        later(1);
        Place[] memory none = new Place[](0);
        address[3] memory nobody;
        bytes32 execution = Messages.hash(executionOf());
        for (uint256 i = 0; i < 8; ++i) {
            bytes32 id = bytes32(i);
            (Place[] memory best, uint256 next, bool over) =
                auditors.rank(execution, id, "beacon", clock(), FEE, nobody, none, 1, 0, 9);
            bytes32 least = bytes32(type(uint256).max);
            for (uint32 j = 0; j < 16; ++j) {
                bytes32 score = sha256(abi.encodePacked("assay/auditors/v0", bytes32("beacon"), id, a.at, j));
                if (score < least) least = score;
            }
            vm.assertEq(best[0].score, least, "the least of sixteen");
            vm.assertTrue(next == 1 && over, "through");
        }
    }

    function test_aDrawInPiecesIsTheSame() public {
        hire(9);
        register(auditor(3), FEE, false);
        Evidence memory e = receiptOf(1);
        bytes32 id = request(e, 3);
        refused(address(audits), drawing(id, terms, 9), Refused.selector, Why.NotYet);
        refused(address(audits), drawing("none", terms, 9), NotFound.selector, Why.NoAudit);
        publishNone();
        Lease memory wrong = terms;
        wrong.nonce += 1;
        refused(address(audits), drawing(id, wrong, 9), Mismatch.selector, Why.OtherLease);
        for (uint256 i = 0; i < 4; ++i) {
            is_(id, AuditState.Waiting);
            accepted(address(audits), drawing(id, terms, 2));
        }
        is_(id, AuditState.Waiting);
        // In one piece, for comparison.
        uint256 before = vm.snapshotState();
        (Place[] memory best,,) = auditors.rank(
            Messages.hash(executionOf()),
            id,
            beaconOf(1),
            market.lease(leaseId).opened,
            FEE,
            [buyer.at, provider.at, payout.at],
            new Place[](0),
            3,
            0,
            type(uint256).max
        );
        accepted(address(audits), drawing(id, terms, 2));
        is_(id, AuditState.Drawn);
        refused(address(audits), drawing(id, terms, 2), Conflict.selector, Why.AuditDrawn);
        vm.assertEq(countOf(id), 3, "three");
        for (uint256 i = 0; i < 3; ++i) vm.assertEq(drawnParty(id, i).at, best[i].account, "the same");

        // Whoever left between the pieces is not drawn, nor who came back.
        vm.revertToState(before);
        register(party(best[0].account), FEE, false);
        register(party(best[1].account), FEE, false);
        register(party(best[1].account), FEE, true);
        accepted(address(audits), drawing(id, terms, 2));
        vm.assertEq(countOf(id), 1, "one is left");
        vm.assertEq(drawnParty(id, 0).at, best[2].account, "the third");
    }

    function test_whatIsConvictedMeanwhileDrawsNobody() public {
        hire(2);
        Evidence memory e = receiptOf(1);
        bytes32 id = request(e, 2);
        convict(e);
        uint256 before = available(buyer.at);
        publish(list(id));
        is_(id, AuditState.Settled);
        vm.assertEq(countOf(id), 0, "nobody");
        vm.assertEq(available(buyer.at), before + 2 * FEE, "all is back");
    }

    function party(address at) private pure returns (Party memory) {
        for (uint8 i = 0; i < 16; ++i) if (auditor(i).at == at) return auditor(i);
        revert("not one of ours");
    }

    function drawing(bytes32 id, Lease memory under, uint256 most) private pure returns (bytes memory) {
        return abi.encodeCall(IAudits.draw, (id, under, most));
    }
}
