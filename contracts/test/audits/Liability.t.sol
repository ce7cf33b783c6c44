// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {Drawn, IAuditAccess, IAudits} from "../../src/audits/IAudits.sol";
import {Filing, IGameCourt} from "../../src/disputes/IGameCourt.sol";
import {IDisputes} from "../../src/disputes/IDisputes.sol";
import {Conflict, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {Account, Conviction, IAuditMoney, LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {CourseWorld} from "./CourseWorld.sol";

/// What holds an auditor to its work, what a conviction takes, and until when anybody answers for anything.
contract LiabilityTest is CourseWorld {
    function access() private view returns (IAuditAccess) {
        return IAuditAccess(address(audits));
    }

    function convictAs(address judge, bytes32 id, address who) private returns (Conviction memory) {
        vm.prank(judge);
        return access().convictAuditor(id, who, other.at);
    }

    // Access.

    function test_onlyChecksAndPassesJudge() public {
        hire(1);
        bytes32 id = drawn(receiptOf(1), 1);
        address a = auditor(0).at;
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.hold, (id, a, other.at, 100_000, true)),
            Refused.selector,
            Why.NotACourt
        );
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.end, (id, a, other.at, 100_000, true)),
            Refused.selector,
            Why.NotACourt
        );
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.convictAuditor, (id, a, other.at)),
            Refused.selector,
            Why.NotACourt
        );
        vm.startPrank(address(checks));
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.hold, ("no audit", a, other.at, 100_000, true)),
            NotFound.selector,
            Why.NoAudit
        );
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.hold, (id, other.at, other.at, 100_000, true)),
            NotFound.selector,
            Why.NotDrawn
        );
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.hold, (id, a, other.at, 99_999, true)),
            Refused.selector,
            Why.BondTooSmall
        );
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.hold, (id, a, other.at, 5_000_001, false)),
            Refused.selector,
            Why.Available
        );
        access().hold(id, a, other.at, 100_000, true);
        vm.assertEq(drawnOf(id, a).openChecks, 1, "a check");
        vm.assertEq(market.totals().bonds, 100_000, "held");
        vm.stopPrank();
        vm.startPrank(address(passes));
        access().hold(id, a, other.at, 100_000, false);
        vm.assertEq(auditOf(id).openDisputes, 1, "a dispute");
        access().end(id, a, other.at, 100_000, false);
        access().end(id, a, a, 100_000, true);
        vm.assertTrue(auditOf(id).openDisputes == 0 && drawnOf(id, a).openChecks == 0, "none");
        vm.assertEq(market.totals().bonds, 0, "nothing");
        vm.assertEq(available(a), 1_100_000, "to whom it was said");
        access().convictAuditor(id, a, other.at);
        refused(
            address(audits),
            abi.encodeCall(IAuditAccess.convictAuditor, (id, a, other.at)),
            Conflict.selector,
            Why.AuditorConvicted
        );
    }

    function test_onlyTheAuditsMoveMoney() public {
        bytes[6] memory calls = [
            abi.encodeCall(IAuditMoney.holdFees, (buyer.at, 1)),
            abi.encodeCall(IAuditMoney.payFees, (buyer.at, 1)),
            abi.encodeCall(IAuditMoney.burnFees, (1)),
            abi.encodeCall(IAuditMoney.holdBond, (buyer.at, 100_000)),
            abi.encodeCall(IAuditMoney.returnBond, (buyer.at, 1)),
            abi.encodeCall(IAuditMoney.slashAuditor, (buyer.at, buyer.at, buyer.at, 1))
        ];
        address[4] memory strangers = [other.at, address(disputes), address(auditors), address(checks)];
        for (uint256 i = 0; i < 6; ++i) {
            for (uint256 k = 0; k < 4; ++k) {
                vm.prank(strangers[k]);
                refused(address(market), calls[i], Refused.selector, Why.NotAnAudit);
            }
        }
    }

    // What a conviction takes.

    function test_aFeeNotYetPaidGoesBackAndTheStakeIsDivided() public {
        hire(1);
        bytes32 id = started(receiptOf(1), 1);
        Party memory a = auditor(0);
        reveal(id, a, PASS);
        accepted(address(market), unbondingAfterEnd(a, 500_000));
        uint256 before = available(buyer.at);
        uint256 held = available(other.at);
        vm.expectEmit(address(audits));
        emit IAudits.AuditorConvicted(id, a.at, other.at, Conviction(2_000_000, 1_000_000, 0, 1_000_000, 0));
        convictAs(address(checks), id, a.at);
        vm.assertEq(available(buyer.at), before + FEE, "the fee is back");
        vm.assertEq(available(other.at), held + 1_000_000, "the reward");
        Account memory left = market.account(a.at);
        vm.assertEq(uint256(left.stake) + left.unbonding + left.bound, 0, "nothing is left");
        vm.assertTrue(left.convictions == 1 && left.slashed == 2_000_000, "counted");
        vm.assertEq(market.totals().fees, 0, "nothing is held");
        vm.assertTrue(!audits.liable(id, a.at), "answered for");
        settle(id);
        vm.assertEq(available(buyer.at), before + FEE, "once");
    }

    function unbondingAfterEnd(Party memory a, uint128 amount) private returns (bytes memory) {
        register(a, FEE, false);
        return unbonding(a, amount);
    }

    function test_aFeeThatWasPaidComesOutOfTheSlash() public {
        hire(1);
        bytes32 id = started(receiptOf(1), 1);
        reveal(id, auditor(0), PASS);
        settle(id);
        uint256 before = available(buyer.at);
        Conviction memory done = convictAs(address(passes), id, auditor(0).at);
        vm.assertEq(done.madeWhole, FEE, "what was burned of it included");
        vm.assertEq(done.slashed, uint256(done.burned) + done.madeWhole + done.reward, "all of it");
        vm.assertEq(available(buyer.at), before + FEE, "the buyer has it");
    }

    // Leaked keys.

    function test_aLeakedKeyConvicts() public {
        hire(1);
        bytes32 id = drawn(receiptOf(1), 1);
        Party memory a = auditor(0);
        ReportKey memory m = reportOf(id, a, other);
        // Nothing is committed that could be leaked.
        refused(address(audits), reporting(other, m), Mismatch.selector, Why.KeyNonce);
        commitAudit(id, a);
        refused(address(audits), reporting(buyer, m), Mismatch.selector, Why.Signature);
        ReportKey memory odd = reportOf(id, a, other);
        odd.audit = "no audit";
        refused(address(audits), reporting(other, odd), NotFound.selector, Why.NoAudit);
        odd = reportOf(id, a, other);
        odd.auditor = other.at;
        refused(address(audits), reporting(other, odd), NotFound.selector, Why.NotDrawn);
        odd = reportOf(id, a, other);
        odd.key_nonce = "another";
        refused(address(audits), reporting(other, odd), Mismatch.selector, Why.KeyNonce);
        refused(address(audits), reporting(other, m), Refused.selector, Why.NotCommitted);
        announce(other, commitmentOf(m));
        // In the same block.
        refused(address(audits), reporting(other, m), Refused.selector, Why.NotCommitted);
        vm.roll(vm.getBlockNumber() + 1);
        later(2 * MOVE_S);
        uint256 before = available(other.at);
        accepted(address(audits), reporting(other, m));
        vm.assertEq(available(other.at), before + 1_000_000, "the reward");
        vm.assertEq(disputes.committed(other.at, commitmentOf(m)), 0, "used");
        refused(address(audits), reporting(other, m), Conflict.selector, Why.AuditorConvicted);
    }

    function test_aReportIsCommittedToBeforeKeysMayBeShown() public {
        hire(1);
        bytes32 id = started(receiptOf(1), 1);
        ReportKey memory m = reportOf(id, auditor(0), other);
        commit(other, commitmentOf(m));
        refused(address(audits), reporting(other, m), Refused.selector, Why.CommittedTooLate);
    }

    function test_whoAnswersNoMoreIsNotReported() public {
        hire(1);
        bytes32 id = started(receiptOf(1), 1);
        reveal(id, auditor(0), FAIL);
        settle(id);
        refused(
            address(audits), reporting(other, reportOf(id, auditor(0), other)), Refused.selector, Why.NotLiable
        );
    }

    function test_onlyAuditsAndPassesConsume() public {
        announce(other, "one");
        bytes memory call = abi.encodeCall(IDisputes.consume, (other.at, "one"));
        vm.roll(vm.getBlockNumber() + 1);
        refused(address(disputes), call, Refused.selector, Why.NotAnAudit);
        vm.prank(address(checks));
        refused(address(disputes), call, Refused.selector, Why.NotAnAudit);
        vm.prank(address(audits));
        vm.assertEq(disputes.consume(other.at, "one"), 1000, "when it was made");
    }

    // Canaries.

    function test_aCanaryIsShownByItsBuyer() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        Canary memory c = canaryOf(e);
        CanaryShown memory m = shownOf(c);
        announce(buyer, commitmentOf(m));
        vm.roll(vm.getBlockNumber() + 1);
        refused(address(audits), showing(buyer, m, c), Refused.selector, Why.NotAsked);
        later(1);
        bytes32 id = started(e, 1);
        Party memory a = drawnParty(id, 0);
        bytes32 pass = reveal(id, a, PASS);

        refused(address(audits), showing(other, m, c), Mismatch.selector, Why.Signature);
        Canary memory odd = canaryOf(e);
        refused(address(audits), showing(buyer, m, odd), Mismatch.selector, Why.CanaryOf);
        odd = canaryOf(e);
        odd.lease = "no lease";
        refused(address(audits), showing(buyer, shownOf(odd), odd), NotFound.selector, Why.NoLease);
        odd = canaryOf(e);
        odd.provider = other.at;
        refused(address(audits), showing(buyer, shownOf(odd), odd), Refused.selector, Why.CanaryOf);
        odd = canaryOf(e);
        CanaryShown memory by = shownOf(odd);
        by.buyer = other.at;
        refused(address(audits), showing(other, by, odd), Refused.selector, Why.CanaryOf);
        bytes memory forged = abi.encodeCall(
            IAudits.showCanary,
            (
                m,
                sign(buyer, keccak256(abi.encode(AuditMessages.CANARY_SHOWN, m))),
                c,
                sign(other, keccak256(abi.encode(AuditMessages.CANARY, c))),
                terms
            )
        );
        refused(address(audits), forged, Mismatch.selector, Why.Signature);
        Lease memory wrong = terms;
        wrong.nonce += 1;
        Lease memory right = terms;
        terms = wrong;
        bytes memory mismatched = showing(buyer, m, c);
        terms = right;
        refused(address(audits), mismatched, Mismatch.selector, Why.OtherLease);

        vm.assertEq(audits.known(c.subject), 0, "nobody knows");
        vm.expectEmit(address(audits));
        emit IAudits.CanaryKnown(
            digest(keccak256(abi.encode(AuditMessages.CANARY_SHOWN, m))), leaseId, c.subject
        );
        accepted(address(audits), showing(buyer, m, c));
        vm.assertEq(audits.canary(c.subject), clock(), "known now");
        vm.assertEq(audits.known(c.subject), clock(), "since now");
        vm.assertEq(audits.passDisputableUntil(id), 0, "while the lease is open");
        refused(address(audits), showing(buyer, m, c), Conflict.selector, Why.CanaryShown);

        // Convicted, its provider loses nothing; the lease ends; who passed it answers.
        uint256 known = clock();
        later(5);
        convict(e);
        vm.assertTrue(market.lease(leaseId).state == LeaseState.Convicted, "the lease has ended");
        Account memory p = market.account(provider.at);
        vm.assertTrue(p.stake == 10_000_000 && p.convictions == 0, "nobody is slashed");
        vm.assertTrue(market.convicted(c.subject) && market.convictedAt(c.subject) == known + 5, "convicted then");
        vm.assertEq(audits.known(c.subject), known, "known before");
        vm.assertEq(audits.passDisputableUntil(id), known + 5 + 100, "from the lease's end");
        bytes32 d = filePass(other, passDispute(pass, other), filingOf(e));
        vm.warp(known + 5 + 20);
        accepted(address(passes), timeoutOf(d, e));
        vm.assertEq(market.account(a.at).convictions, 1, "its auditor is");
    }

    function timeoutOf(bytes32 dispute, Evidence memory e) private view returns (bytes memory) {
        Timeout memory m = Timeout(other.at, dispute);
        bytes memory signature = sign(other, keccak256(abi.encode(Messages.TIMEOUT, m)));
        return abi.encodeCall(IGameCourt.timeout, (m, signature, terms, caseOf(filingOf(e), 2)));
    }

    function test_aCanaryIsCommittedToBeforeTheFirstAudit() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        Canary memory c = canaryOf(e);
        CanaryShown memory m = shownOf(c);
        request(e, 1);
        refused(address(audits), showing(buyer, m, c), Refused.selector, Why.NotCommitted);
        // In the same second is too late.
        commit(buyer, commitmentOf(m));
        refused(address(audits), showing(buyer, m, c), Refused.selector, Why.CommittedTooLate);
        convict(e);
        refused(address(audits), showing(buyer, m, c), Conflict.selector, Why.Convicted);
        later(101);
        Canary memory late = canaryOf(receiptOf(2));
        refused(address(audits), showing(buyer, shownOf(late), late), Refused.selector, Why.NoLongerDisputable);
    }

    function test_aFailOfACanaryIsPaid() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        Canary memory c = canaryOf(e);
        CanaryShown memory m = shownOf(c);
        commit(buyer, commitmentOf(m));
        later(1);
        bytes32 id = started(e, 1);
        reveal(id, auditor(0), FAIL);
        accepted(address(audits), showing(buyer, m, c));
        settle(id);
        vm.assertEq(available(auditor(0).at), 1_000_000 + FEE, "all of it");
    }

    function test_bothStoriesAreKnownToBeFalse() public {
        hire(0);
        Evidence memory a = evidence(terms, 1, 7, keccak256("one"));
        Evidence memory b = evidence(terms, 1, 7, keccak256("another"));
        Equivocation memory m = Equivocation(other.at, leaseId, subjectOf(a), subjectOf(b));
        bytes32 h = keccak256(abi.encode(Messages.EQUIVOCATION, m));
        commit(other, sha256(abi.encodePacked(digest(h))));
        disputes.reportEquivocation(m, sign(other, h), terms, a.request, a.requestSignature, a.statement, b.statement);
        vm.assertEq(audits.known(m.first), clock(), "the first");
        vm.assertEq(audits.known(m.second), clock(), "the second");
    }

    // Until when.

    function test_aPassIsAnsweredForUntilItsLeaseIsPastDispute() public {
        hire(1);
        Party memory a = auditor(0);
        bytes32 id = started(receiptOf(1), 1);
        reveal(id, a, PASS);
        settle(id);
        register(a, FEE, false);
        accepted(address(market), unbonding(a, 2_000_000));
        later(600);
        vm.assertTrue(audits.liable(id, a.at), "its lease is open");
        refused(address(market), releasing(a), Refused.selector, Why.LeaseStillDisputable);
        close(terms, provider);
        uint256 closed = clock();
        vm.assertEq(audits.passDisputableUntil(id), closed + 100, "close and window");
        vm.warp(closed + 100);
        refused(address(market), releasing(a), Refused.selector, Why.LeaseStillDisputable);
        vm.warp(closed + 101);
        vm.assertTrue(!audits.liable(id, a.at), "past dispute");
        accepted(address(market), releasing(a));
        vm.assertEq(available(a.at), 3_000_000 + EARNED, "all of it");
        vm.assertEq(audits.auditsOf(a.at).length, 0, "forgotten");
    }

    function test_openDisputesOfAPassKeepItsAuditorLiable() public {
        hire(1);
        Party memory a = auditor(0);
        bytes32 id = started(receiptOf(1), 1);
        reveal(id, a, PASS);
        settle(id);
        vm.prank(address(passes));
        access().hold(id, a.at, other.at, 100_000, false);
        close(terms, provider);
        later(101);
        vm.assertTrue(audits.liable(id, a.at), "a dispute is open");
        vm.prank(address(passes));
        access().end(id, a.at, other.at, 100_000, false);
        vm.assertTrue(!audits.liable(id, a.at), "it has ended");
    }

    /// What began to unbond before the draw is released, what came later waits.
    function test_onlyStakeOfTheDrawAnswersForIt() public {
        hire(1);
        Party memory a = auditor(0);
        stake(a, 500_000);
        accepted(address(market), unbonding(a, 400_000));
        later(1);
        started(receiptOf(1), 1);
        accepted(address(market), unbonding(a, 100_000));
        later(500);
        accepted(address(market), releasing(a));
        vm.assertEq(available(a.at), 900_000, "the first");
        refused(address(market), releasing(a), Refused.selector, Why.LeaseStillDisputable);
    }

    function test_forgettingStopsAtTheFirstThatCounts() public {
        hire(1);
        Party memory a = auditor(0);
        bytes32[] memory ids = new bytes32[](4);
        for (uint64 i = 0; i < 4; ++i) ids[i] = started(receiptOf(i + 1), 1);
        vm.assertEq(audits.auditsOf(a.at).length, 4, "four");
        audits.forget(a.at, 9);
        vm.assertEq(audits.auditsOf(a.at).length, 4, "all of them count");
        settle(ids[0]);
        settle(ids[1]);
        settle(ids[3]);
        audits.forget(a.at, 1);
        vm.assertEq(audits.auditsOf(a.at).length, 3, "one");
        audits.forget(a.at, 9);
        vm.assertEq(audits.auditsOf(a.at)[0], ids[2], "up to the third");
        vm.assertEq(access().oldestLiable(a.at), drawnAt(ids[2]), "when it was drawn");
        settle(ids[2]);
        vm.assertEq(access().oldestLiable(a.at), type(uint256).max, "none");
        vm.assertEq(audits.auditsOf(a.at).length, 0, "forgotten");
    }
}
