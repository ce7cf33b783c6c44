// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditParameters, AuditState, Drawn, IAuditAccess, IAudits} from "../../src/audits/IAudits.sol";
import {Filing} from "../../src/disputes/IGameCourt.sol";
import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {CourseWorld} from "./CourseWorld.sol";

/// An audit from the buyer's request to the settlement of its fees. Every rule of spec/audits.md has a refusal here.
contract AuditsTest is CourseWorld {
    function refusedRequest(AuditRequest memory m, Evidence memory e, bytes4 kind, Why why) private {
        refused(address(audits), asking(buyer, m, terms, e), kind, why);
    }

    // Asking.

    function test_onlyTheBuyerAsksAboutAReceiptThatCanBeDisputed() public {
        hire(2);
        Evidence memory e = receiptOf(1);
        AuditRequest memory good = requestOf(e, 3, FEE);
        refused(address(audits), asking(other, good, terms, e), Mismatch.selector, Why.Signature);
        AuditRequest memory m = requestOf(e, 3, FEE);
        m.buyer = other.at;
        refused(address(audits), asking(other, m, terms, e), Refused.selector, Why.NotTheBuyer);
        m = requestOf(e, 3, FEE);
        m.lease = "another";
        refusedRequest(m, e, NotFound.selector, Why.NoLease);
        Lease memory wrong = terms;
        wrong.nonce += 1;
        refused(address(audits), asking(buyer, good, wrong, e), Mismatch.selector, Why.OtherLease);
        m = requestOf(e, 3, FEE);
        m.subject = "another";
        refusedRequest(m, e, Mismatch.selector, Why.OtherStatement);
        refusedRequest(requestOf(e, 0, FEE), e, Invalid.selector, Why.AuditorCount);
        refusedRequest(requestOf(e, 5, FEE), e, Invalid.selector, Why.AuditorCount);
        refusedRequest(requestOf(e, 1, 0), e, Invalid.selector, Why.Amount);
        refusedRequest(requestOf(e, 2, uint128(1) << 62), e, Invalid.selector, Why.Amount);
        refusedRequest(requestOf(e, 1, type(uint128).max), e, Invalid.selector, Why.Amount);
        refusedRequest(requestOf(e, 1, 1_000_000_000), e, Refused.selector, Why.Available);

        uint256 before = available(buyer.at);
        vm.expectEmit(address(audits));
        emit IAudits.AuditRequested(idOf(good), leaseId, good.subject, buyer.at, 3, FEE, 1);
        accepted(address(audits), asking(buyer, good, terms, e));
        applied(address(audits), asking(buyer, good, terms, e), idOf(good));
        vm.assertEq(available(buyer.at), before - 3 * FEE, "held");
        vm.assertEq(market.totals().fees, 3 * FEE, "held in all");
        vm.assertEq(auditOf(idOf(good)).requested, clock(), "now");
        is_(idOf(good), AuditState.Waiting);
    }

    /// As for a dispute.
    function test_theEvidenceOfARequest() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        e.statement.signature = sign(other, keccak256(abi.encode(Messages.RECEIPT, e.statement.figures)));
        refusedRequest(requestOf(e, 1, FEE), e, Mismatch.selector, Why.Signature);
        e = receiptOf(1);
        e.statement.figures.amount += 1;
        signStatement(e);
        refusedRequest(requestOf(e, 1, FEE), e, Refused.selector, Why.WrongFigures);
        e = receiptOf(1);
        e.request.lease = "another";
        refusedRequest(requestOf(e, 1, FEE), e, Refused.selector, Why.OtherLease);
        e = receiptOf(1);
        e.statement.progress = true;
        signStatement(e);
        refusedRequest(requestOf(e, 1, FEE), e, Invalid.selector, Why.NotAReceipt);
        e = receiptOf(1);
        convict(e);
        refusedRequest(requestOf(e, 1, FEE), e, Conflict.selector, Why.Convicted);
        later(101);
        e = receiptOf(2);
        refusedRequest(requestOf(e, 1, FEE), e, Refused.selector, Why.NoLongerDisputable);
    }

    function test_aFewAuditsOfALeaseAtATime() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        bytes32[] memory ids = new bytes32[](8);
        for (uint256 i = 0; i < 8; ++i) ids[i] = request(e, 1);
        refusedRequest(requestOf(e, 1, FEE), e, Refused.selector, Why.TooManyAudits);
        later(MOVE_S);
        accepted(address(audits), settling(other, ids[0]));
        request(e, 1);
        refusedRequest(requestOf(e, 1, FEE), e, Refused.selector, Why.TooManyAudits);
        // Of another lease there may be others.
        (terms, leaseId) = lease(1_000);
        request(receiptOf(1), 1);
    }

    function test_aLeaseHasABoundedNumberOfAudits() public {
        hire(0);
        Evidence memory e = receiptOf(1);
        for (uint256 i = 0; i < 1024; i += 8) {
            bytes32[] memory ids = new bytes32[](8);
            for (uint256 k = 0; k < 8; ++k) ids[k] = request(e, 1);
            later(MOVE_S);
            for (uint256 k = 0; k < 8; ++k) accepted(address(audits), settling(other, ids[k]));
        }
        refusedRequest(requestOf(e, 1, FEE), e, Refused.selector, Why.TooManyAudits);
        vm.assertEq(market.totals().fees, 0, "all is back");
    }

    function test_withoutABeaconNobodyIsDrawn() public {
        AuditParameters memory p = AuditParameters(address(0), 0, 0);
        hire(1);
        address at = make(p);
        Evidence memory e = receiptOf(1);
        refused(at, asking(buyer, requestOf(e, 1, FEE), terms, e), Refused.selector, Why.NoBeacon);
        vm.assertEq(abi.encode(IAudits(at).auditParameters()), abi.encode(p), "as given");
    }

    function make(AuditParameters memory p) public returns (address) {
        return vm.deployCode(
            "Audits.sol:Audits",
            abi.encode(address(market), address(disputes), address(auditors), address(checks), address(passes), p)
        );
    }

    function test_parametersAreCheckedOnce() public {
        bytes memory code = vm.getCode("Audits.sol:Audits");
        AuditParameters[3] memory wrong =
            [AuditParameters(host.at, "b", 5001), AuditParameters(address(0), "b", 0), AuditParameters(host.at, 0, 9999)];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory all = abi.encodePacked(
                code,
                abi.encode(address(market), address(disputes), address(auditors), address(checks), address(passes), wrong[i])
            );
            (bool made, bytes memory answer) = address(this).call(abi.encodeCall(this.create, (all)));
            vm.assertTrue(!made, "refused");
            vm.assertEq(answer, abi.encodeWithSelector(Invalid.selector, Why.Parameters), "the error");
        }
        vm.assertEq(abi.encode(audits.auditParameters()), abi.encode(smallAudits()), "as given");
        (address c, address p_) = audits.judges();
        vm.assertTrue(c == address(checks) && p_ == address(passes), "judges");
        vm.assertEq(audits.auditors(), address(auditors), "auditors");
        (address a, address r) = market.auditCourts();
        vm.assertTrue(a == address(audits) && r == address(auditors), "of the market");
        vm.assertEq(market.blocks(), address(blocks), "blocks");
    }

    function create(bytes memory code) external returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                returndatacopy(code, 0, returndatasize())
                revert(code, returndatasize())
            }
        }
    }

    // The beacon.

    function test_theBeaconIsTheHostsChainInOrder() public {
        hire(1);
        bytes32[] memory none = new bytes32[](0);
        Lease[] memory noTerms = new Lease[](0);
        Beacon memory first = Beacon(1, beaconOf(1));
        refused(address(audits), publishing(other, first, none, noTerms), Mismatch.selector, Why.Signature);
        refused(
            address(audits), publishing(host, Beacon(2, beaconOf(2)), none, noTerms), Conflict.selector, Why.BeaconRound
        );
        refused(
            address(audits), publishing(host, Beacon(1, beaconOf(2)), none, noTerms), Mismatch.selector, Why.BeaconValue
        );
        refused(address(audits), publishing(host, first, list("one"), noTerms), Mismatch.selector, Why.OtherLease);
        vm.expectEmit(address(audits));
        emit IAudits.BeaconPublished(digest(keccak256(abi.encode(AuditMessages.BEACON, first))), 1, first.value);
        accepted(address(audits), publishing(host, first, none, noTerms));
        refused(address(audits), publishing(host, first, none, noTerms), Conflict.selector, Why.BeaconRound);
        publishNone();
        (uint256 round, bytes32 value) = audits.lastBeacon();
        vm.assertTrue(round == 2 && value == beaconOf(2), "the second");
        vm.assertEq(audits.beaconAt(0), beaconOf(0), "where it began");
        vm.assertEq(audits.beaconAt(1), beaconOf(1), "the first");
    }

    function test_whatWaitsNoMoreKeepsNobodyWaiting() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        bytes32[] memory ids = new bytes32[](3);
        ids[0] = request(e, 1);
        later(MOVE_S);
        accepted(address(audits), settling(other, ids[0]));
        ids[1] = "no audit";
        ids[2] = request(e, 1);
        publish(ids);
        is_(ids[0], AuditState.Settled);
        is_(ids[2], AuditState.Drawn);
        vm.assertEq(countOf(ids[0]), 0, "nobody");
        // One that was drawn is not drawn again by a later round.
        publish(ids);
        vm.assertEq(countOf(ids[2]), 1, "one");
    }

    function test_aRoundDrawsOnlyWhatWasAskedForBeforeIt() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        bytes32 early = request(e, 1);
        publishNone();
        bytes32 late = request(e, 1);
        vm.assertEq(auditOf(late).round, 2, "the next");
        refused(address(audits), abi.encodeCall(IAudits.draw, (late, terms, 9)), Refused.selector, Why.NotYet);
        bytes32[] memory both = new bytes32[](2);
        (both[0], both[1]) = (early, late);
        publish(both);
        is_(early, AuditState.Waiting);
        is_(late, AuditState.Drawn);
        // By the value of its own round, whenever that is.
        accepted(address(audits), abi.encodeCall(IAudits.draw, (early, terms, 9)));
        is_(early, AuditState.Drawn);
    }

    function test_withoutABeaconEverythingComesBack() public {
        hire(1);
        uint256 before = available(buyer.at);
        bytes32 id = request(receiptOf(1), 4);
        refused(address(audits), settling(other, id), Refused.selector, Why.NotYet);
        later(MOVE_S);
        vm.expectEmit(address(audits));
        emit IAudits.AuditSettled(digest(keccak256(abi.encode(AuditMessages.SETTLE_AUDIT, SettleAudit(other.at, id)))), id);
        accepted(address(audits), settling(other, id));
        vm.assertEq(available(buyer.at), before, "all of it");
        refused(address(audits), settling(other, id), Conflict.selector, Why.AuditSettled);
        publish(list(id));
        vm.assertEq(countOf(id), 0, "nobody");
    }

    // Commitments and verdicts.

    function test_commitmentsComeOnceAndInTime() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        bytes32 id = request(e, 1);
        Party memory a = auditor(0);
        refused(address(audits), committing(a, id, "n", "r"), NotFound.selector, Why.NotDrawn);
        publish(list(id));
        CommitAudit memory forged = CommitAudit(a.at, id, "n", "r");
        refused(
            address(audits),
            abi.encodeCall(
                IAudits.commitAudit, (forged, sign(other, keccak256(abi.encode(AuditMessages.COMMIT_AUDIT, forged))))
            ),
            Mismatch.selector,
            Why.Signature
        );
        refused(address(audits), committing(other, id, "n", "r"), NotFound.selector, Why.NotDrawn);
        refused(address(audits), committing(a, "no audit", "n", "r"), NotFound.selector, Why.NoAudit);
        refused(address(audits), committing(a, id, 0, "r"), Invalid.selector, Why.NothingCommitted);
        refused(address(audits), committing(a, id, "n", 0), Invalid.selector, Why.NothingCommitted);
        uint256 start = drawnAt(id);
        vm.warp(start + MOVE_S);
        refused(address(audits), committing(a, id, "n", "r"), Refused.selector, Why.DeadlinePassed);
        vm.warp(start + MOVE_S - 1);
        vm.expectEmit(address(audits));
        forged = CommitAudit(a.at, id, "n", "r");
        emit IAudits.AuditCommitted(
            digest(keccak256(abi.encode(AuditMessages.COMMIT_AUDIT, forged))), id, a.at, "n", "r"
        );
        accepted(address(audits), committing(a, id, "n", "r"));
        refused(address(audits), committing(a, id, "m", "r"), Conflict.selector, Why.AuditCommitted);
        vm.assertEq(drawnOf(id, a.at).nonceHash, "n", "the first");
    }

    function test_verdictsComeAfterCommitmentsOnceAndInTime() public {
        hire(2);
        Evidence memory e = receiptOf(1);
        bytes32 id = drawn(e, 2);
        (Party memory a, Party memory b) = (drawnParty(id, 0), drawnParty(id, 1));
        commitAudit(id, a);
        uint256 start = drawnAt(id);
        vm.warp(start + MOVE_S - 1);
        refused(address(audits), revealing(a, id, PASS), Refused.selector, Why.NotYet);
        vm.warp(start + 2 * MOVE_S);
        refused(address(audits), revealing(a, id, PASS), Refused.selector, Why.DeadlinePassed);
        vm.warp(start + MOVE_S);
        refused(address(audits), revealing(b, id, PASS), Refused.selector, Why.NothingCommitted);
        refused(address(audits), revealing(a, id, 0), Invalid.selector, Why.Verdict);
        refused(address(audits), revealing(a, id, 4), Invalid.selector, Why.Verdict);
        refused(address(audits), revealing(other, id, PASS), NotFound.selector, Why.NotDrawn);
        refused(address(audits), revealing(a, "no audit", PASS), NotFound.selector, Why.NoAudit);
        RevealAudit memory m = RevealAudit(a.at, id, PASS);
        bytes32 h = keccak256(abi.encode(AuditMessages.REVEAL_AUDIT, m));
        refused(
            address(audits), abi.encodeCall(IAudits.revealAudit, (m, sign(b, h))), Mismatch.selector, Why.Signature
        );
        vm.expectEmit(address(audits));
        emit IAudits.AuditRevealed(digest(h), id, a.at, PASS);
        accepted(address(audits), revealing(a, id, PASS));
        refused(address(audits), revealing(a, id, FAIL), Conflict.selector, Why.AuditRevealed);
        (bytes32 of_, address by) = audits.pass(digest(h));
        vm.assertTrue(of_ == id && by == a.at, "whose pass");
        vm.assertEq(drawnOf(id, a.at).pass, digest(h), "its pass");

        // The one that did not come gets nothing and is counted.
        uint256 before = available(buyer.at);
        uint256 burned = market.totals().burned;
        vm.warp(start + 3 * MOVE_S - 1);
        refused(address(audits), settling(other, id), Refused.selector, Why.NotYet);
        settle(id);
        refused(address(audits), settling(other, id), Conflict.selector, Why.AuditSettled);
        vm.assertEq(available(a.at), 1_000_000 + EARNED, "what a pass earns");
        vm.assertEq(market.totals().burned, burned + FEE - EARNED, "the rest of it is burned");
        vm.assertEq(available(buyer.at), before + FEE, "the other's is back");
        vm.assertEq(market.totals().fees, 0, "nothing is held");
        vm.assertTrue(registered(a).revealed == 1 && registered(a).missed == 0, "who came");
        vm.assertTrue(registered(b).revealed == 0 && registered(b).missed == 1, "who did not");
        vm.assertTrue(audits.liable(id, a.at) && !audits.liable(id, b.at), "who answers for it");
        refused(address(audits), committing(b, id, "n", "r"), Conflict.selector, Why.AuditSettled);
        refused(address(audits), revealing(b, id, PASS), Conflict.selector, Why.AuditSettled);
    }

    function test_aConvictedAuditorSaysNothingMore() public {
        hire(2);
        bytes32 id = drawn(receiptOf(1), 2);
        (Party memory a, Party memory b) = (drawnParty(id, 0), drawnParty(id, 1));
        commitAudit(id, a);
        vm.startPrank(address(checks));
        IAuditAccess(address(audits)).convictAuditor(id, a.at, other.at);
        IAuditAccess(address(audits)).convictAuditor(id, b.at, other.at);
        vm.stopPrank();
        refused(address(audits), committing(b, id, "n", "r"), Conflict.selector, Why.AuditorConvicted);
        vm.warp(drawnAt(id) + MOVE_S);
        refused(address(audits), revealing(a, id, PASS), Conflict.selector, Why.AuditorConvicted);
        settle(id);
        vm.assertEq(registered(b).missed, 0, "nor was it missed");
    }

    // Fees.

    function test_nobodyGainsByAnOpeningThatDoesNotCome() public {
        hire(1);
        bytes32 id = started(receiptOf(1), 1);
        Party memory a = drawnParty(id, 0);
        reveal(id, a, UNAUDITABLE);
        uint256 burned = market.totals().burned;
        uint256 before = available(buyer.at);
        settle(id);
        vm.assertEq(market.totals().burned, burned + FEE / 2, "half is burned");
        vm.assertEq(available(buyer.at), before + FEE / 2, "half is back");
        vm.assertEq(available(a.at), 1_000_000, "nothing for it");
        vm.assertTrue(!audits.liable(id, a.at), "and nothing to answer for");
    }

    function test_whatIsBurnedIsRoundedUp() public {
        hire(1);
        register(auditor(0), 50_001);
        Evidence memory e = receiptOf(1);
        AuditRequest memory m = requestOf(e, 1, 50_001);
        accepted(address(audits), asking(buyer, m, terms, e));
        publish(list(idOf(m)));
        commitAudit(idOf(m), auditor(0));
        vm.warp(drawnAt(idOf(m)) + MOVE_S);
        reveal(idOf(m), auditor(0), PASS);
        settle(idOf(m));
        vm.assertEq(market.totals().burned, 10_001, "20 % of 50,001");
        vm.assertEq(available(auditor(0).at), 1_040_000, "the rest");
    }

    function test_aFailEarnsItsFeeByAConviction() public {
        hire(1);
        Evidence memory e = receiptOf(1);
        Party memory a = auditor(0);
        bytes32 lonely = started(e, 1);
        reveal(lonely, a, FAIL);
        settle(lonely);
        vm.assertEq(available(a.at), 1_000_000, "nobody was convicted");

        bytes32 id = started(e, 1);
        reveal(id, a, FAIL);
        Filing memory f = filingOf(e);
        Dispute memory m = disputeOf(e, a);
        bytes32 dispute = file(a, m, terms, f);
        vm.warp(drawnAt(id) + 3 * MOVE_S);
        // Its dispute is under way.
        refused(address(audits), settling(other, id), Refused.selector, Why.DisputeOpen);
        accepted(address(disputes), timingOut(other, dispute, terms, caseOf(f, 2)));
        vm.assertTrue(market.lease(leaseId).state == LeaseState.Convicted, "convicted");
        uint256 before = available(a.at);
        settle(id);
        vm.assertEq(available(a.at), before + FEE, "all of it");
    }

    /// Another receipt's dispute holds the fee of a fail as well; that of a pass waits for none.
    function test_anyDisputeAboutTheLeaseHoldsTheFeesOfAFailOnly() public {
        hire(2);
        bytes32 failed = started(receiptOf(1), 1);
        reveal(failed, drawnParty(failed, 0), FAIL);
        bytes32 passed = started(receiptOf(2), 1);
        reveal(passed, drawnParty(passed, 0), PASS);
        Evidence memory third = receiptOf(3);
        file(other, disputeOf(third, other), terms, filingOf(third));
        vm.warp(drawnAt(passed) + 3 * MOVE_S);
        refused(address(audits), settling(other, failed), Refused.selector, Why.DisputeOpen);
        accepted(address(audits), settling(other, passed));
    }

    function test_feesWaitForChecks() public {
        hire(2);
        bytes32 id = started(receiptOf(1), 2);
        Party memory a = drawnParty(id, 0);
        reveal(id, a, PASS);
        reveal(id, drawnParty(id, 1), PASS);
        vm.prank(address(checks));
        IAuditAccess(address(audits)).hold(id, a.at, other.at, 100_000, true);
        vm.warp(drawnAt(id) + 3 * MOVE_S);
        refused(address(audits), settling(other, id), Refused.selector, Why.CheckOpen);
        // Those of a convicted one hold up nobody.
        uint256 snapshot = vm.snapshotState();
        vm.prank(address(passes));
        IAuditAccess(address(audits)).convictAuditor(id, a.at, other.at);
        accepted(address(audits), settling(other, id));
        vm.revertToState(snapshot);
        vm.prank(address(checks));
        IAuditAccess(address(audits)).end(id, a.at, a.at, 100_000, true);
        accepted(address(audits), settling(other, id));
    }

    function test_settlementsAreSignedAndNameAnAudit() public {
        hire(1);
        refused(address(audits), settling(other, "no audit"), NotFound.selector, Why.NoAudit);
        SettleAudit memory m = SettleAudit(buyer.at, "no audit");
        refused(
            address(audits),
            abi.encodeCall(
                IAudits.settleAudit, (m, sign(other, keccak256(abi.encode(AuditMessages.SETTLE_AUDIT, m))))
            ),
            Mismatch.selector,
            Why.Signature
        );
    }
}
