// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditRecord, Drawn} from "../../src/audits/IAudits.sol";
import {CheckRecord, IChecks} from "../../src/audits/IChecks.sol";
import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {ToyGames} from "../ToyGames.sol";
import {CourseWorld} from "./CourseWorld.sol";
import {ToyKeyed} from "./ToyKeyed.sol";

/// What checks ask, by when, and whom they convict. Proofs are words: what opens is no matter here.
contract ChecksTest is CourseWorld {
    bytes private constant PROOF = "opens";
    bytes private constant REPLY = "shows";

    Evidence private receipt;
    Party private who;
    bytes32 private audit;

    function setUp() public override {
        super.setUp();
        vm.etch(address(keyed), address(new ToyKeyed()).code);
        vm.etch(address(games), address(new ToyGames()).code);
        hire(2);
        receipt = receiptOf(1);
    }

    /// A pass, at the first second in which checks are taken.
    function passed() private {
        (audit, who,) = judged(receipt, PASS);
        vm.warp(drawnAt(audit) + 2 * MOVE_S);
    }

    function asking(Party memory by, AuditCheck memory m) private view returns (bytes memory) {
        return checking(by, m, receipt, PROOF);
    }

    function ask(Party memory by) private returns (bytes32) {
        AuditCheck memory m = checkOf(audit, who, by, PROOF);
        accepted(address(checks), asking(by, m));
        return idOf(m);
    }

    function answer(bytes32 check) private {
        accepted(address(checks), answering(who, check, PROOF, REPLY));
    }

    function refusedCheck(AuditCheck memory m, bytes4 kind, Why why) private {
        refused(address(checks), asking(other, m), kind, why);
    }

    function test_aCheckAsksAndIsAnswered() public {
        passed();
        uint256 due = drawnAt(audit) + 4 * MOVE_S;
        AuditCheck memory m = checkOf(audit, who, other, PROOF);
        bytes32 id = idOf(m);
        vm.expectEmit(address(checks));
        emit IChecks.CheckAsked(id, audit, who.at, other.at, 100_000, due, PROOF);
        accepted(address(checks), asking(other, m));
        CheckRecord memory r = checks.record(id);
        vm.assertEq(r.challenger, other.at, "challenger");
        vm.assertEq(r.bond, 100_000, "bond");
        vm.assertEq(r.auditor, who.at, "auditor");
        vm.assertEq(r.due, due, "due");
        vm.assertEq(r.audit, audit, "audit");
        vm.assertEq(r.proof, sha256(PROOF), "proof");
        vm.assertTrue(!r.ended, "open");
        vm.assertEq(available(other.at), 4_900_000, "the bond is held");
        vm.assertEq(market.totals().bonds, 100_000, "as a bond");
        vm.assertEq(drawnOf(audit, who.at).openChecks, 1, "counted");
        applied(address(checks), asking(other, m), id);

        bytes memory call = answering(who, id, PROOF, REPLY);
        vm.expectEmit(address(checks));
        emit IChecks.CheckEnded(id, audit, true);
        accepted(address(checks), call);
        vm.assertTrue(checks.record(id).ended, "ended");
        vm.assertEq(available(who.at), 1_100_000, "the bond is the auditor's");
        vm.assertEq(market.totals().bonds, 0, "no bond is left");
        vm.assertEq(drawnOf(audit, who.at).openChecks, 0, "not counted any more");
        refused(address(checks), call, NotFound.selector, Why.NoCheck);
        vm.warp(due);
        refused(address(checks), expiring(other, id), NotFound.selector, Why.NoCheck);
        applied(address(checks), asking(other, m), id);
        vm.assertEq(checks.keyed(), address(keyed), "keyed");
        vm.assertEq(checks.games(), address(games), "games");
        vm.assertEq(checks.market(), address(market), "market");
    }

    // What is refused, in the order of src/market/ledger_checks.cpp.

    function test_onlyAPassInItsTimeIsChecked() public {
        audit = drawn(receipt, 1);
        who = drawnParty(audit, 0);
        AuditCheck memory m = checkOf(audit, who, other, PROOF);
        refused(address(checks), asking(buyer, m), Mismatch.selector, Why.Signature);
        m.audit = 0;
        refusedCheck(m, NotFound.selector, Why.NoAudit);
        m.audit = audit;
        m.auditor = who.at == auditor(0).at ? auditor(1).at : auditor(0).at;
        refusedCheck(m, NotFound.selector, Why.NotDrawn);
        m.auditor = who.at;
        refusedCheck(m, Refused.selector, Why.NotAPass);
        commitAudit(audit, who);
        uint256 from = drawnAt(audit);
        vm.warp(from + MOVE_S);
        reveal(audit, who, PASS);
        refusedCheck(m, Refused.selector, Why.NotYet);
        vm.warp(from + 2 * MOVE_S - 1);
        refusedCheck(m, Refused.selector, Why.NotYet);
        vm.warp(from + 3 * MOVE_S);
        refusedCheck(m, Refused.selector, Why.DeadlinePassed);
        vm.warp(from + 3 * MOVE_S - 1);
        accepted(address(checks), asking(other, m));
        vm.assertEq(checks.record(idOf(m)).due, from + 4 * MOVE_S, "all at the same time");
    }

    function test_whatWasFoundFalseOrNotFoundIsNoPass() public {
        for (uint32 verdict = 2; verdict <= 3; ++verdict) {
            uint256 snapshot = vm.snapshotState();
            (audit, who,) = judged(receipt, verdict);
            vm.warp(drawnAt(audit) + 2 * MOVE_S);
            refusedCheck(checkOf(audit, who, other, PROOF), Refused.selector, Why.NotAPass);
            vm.revertToState(snapshot);
        }
        // Nor is what has not been drawn yet.
        audit = request(receipt, 1);
        refusedCheck(checkOf(audit, auditor(0), other, PROOF), NotFound.selector, Why.NotDrawn);
    }

    function test_theBondIsAtLeastTheFee() public {
        register(auditor(0), 150_000, true);
        register(auditor(1), 150_000, true);
        AuditRequest memory r = requestOf(receipt, 1, 200_000);
        accepted(address(audits), asking(buyer, r, terms, receipt));
        audit = idOf(r);
        publish(list(audit));
        who = drawnParty(audit, 0);
        commitAudit(audit, who);
        vm.warp(drawnAt(audit) + MOVE_S);
        reveal(audit, who, PASS);
        vm.warp(drawnAt(audit) + 2 * MOVE_S);
        AuditCheck memory m = checkOf(audit, who, other, PROOF);
        m.bond = 149_999;
        refusedCheck(m, Refused.selector, Why.BondTooSmall);
        m.bond = 150_000;
        accepted(address(checks), asking(other, m));
    }

    function test_bondsAndProofsAreChecked() public {
        passed();
        AuditCheck memory m = checkOf(audit, who, other, PROOF);
        m.bond = 99_999;
        refusedCheck(m, Refused.selector, Why.BondTooSmall);
        m.bond = 5_000_001;
        refusedCheck(m, Refused.selector, Why.Available);
        m.bond = type(uint128).max;
        refusedCheck(m, Refused.selector, Why.Available);
        m.bond = 100_000;
        bytes memory long = new bytes(16 * 1024 + 1);
        refused(address(checks), checking(other, m, receipt, long), Invalid.selector, Why.TooLong);
        refused(address(checks), checking(other, m, receipt, "open"), Mismatch.selector, Why.Payload);
        m.proof = sha256("shuts");
        refused(address(checks), checking(other, m, receipt, "shuts"), Mismatch.selector, Why.Proof);
        // As long as it may be, and then it does not open.
        m.proof = sha256(new bytes(16 * 1024));
        refused(address(checks), checking(other, m, receipt, new bytes(16 * 1024)), Mismatch.selector, Why.Proof);
        vm.assertEq(market.totals().bonds, 0, "nothing is held");
        vm.assertEq(drawnOf(audit, who.at).openChecks, 0, "nothing is open");
    }

    function test_whatLiesBesideIsTheAuditedReceipt() public {
        passed();
        AuditCheck memory m = checkOf(audit, who, other, PROOF);
        bytes memory signature = sign(other, keccak256(abi.encode(AuditMessages.AUDIT_CHECK, m)));
        Lease memory wrong = terms;
        wrong.window += 1;
        beside(m, signature, wrong, receipt, executionOf(), Mismatch.selector, Why.OtherLease);
        beside(m, signature, terms, receiptOf(2), executionOf(), Mismatch.selector, Why.OtherStatement);
        Evidence memory e = receiptOf(1);
        e.statement.progress = true;
        beside(m, signature, terms, e, executionOf(), Mismatch.selector, Why.OtherStatement);
        // A signature says nothing here: it was checked when the audit was asked for.
        e = receiptOf(1);
        e.request.seed = 9;
        beside(m, signature, terms, e, executionOf(), Mismatch.selector, Why.OtherRequest);
        e = receiptOf(1);
        (e.requestSignature, e.statement.signature) = ("", "");
        ExecutionId memory x = executionOf();
        x.canon = 1;
        beside(m, signature, terms, e, x, Mismatch.selector, Why.OtherExecution);
        accepted(address(checks), abi.encodeCall(IChecks.check, (m, signature, terms, e, executionOf(), PROOF)));
    }

    function beside(
        AuditCheck memory m,
        bytes memory signature,
        Lease memory under,
        Evidence memory e,
        ExecutionId memory x,
        bytes4 kind,
        Why why
    ) private {
        refused(
            address(checks), abi.encodeCall(IChecks.check, (m, signature, under, e, x, PROOF)), kind, why
        );
    }

    function test_theProgramMustBeKept() public {
        passed();
        vm.etch(address(games), address(new NoGames()).code);
        refusedCheck(checkOf(audit, who, other, PROOF), NotFound.selector, Why.NoProgram);
    }

    function test_answersAreChecked() public {
        passed();
        bytes32 id = ask(other);
        CheckAnswer memory m = CheckAnswer(who.at, id);
        bytes memory foreign = sign(other, keccak256(abi.encode(AuditMessages.CHECK_ANSWER, m)));
        refused(
            address(checks), abi.encodeCall(IChecks.answer, (m, foreign, PROOF, REPLY)), Mismatch.selector, Why.Signature
        );
        refused(address(checks), answering(who, 0, PROOF, REPLY), NotFound.selector, Why.NoCheck);
        refused(address(checks), answering(other, id, PROOF, REPLY), Refused.selector, Why.OtherAuditor);
        bytes memory long = new bytes(16 * 1024 + 1);
        refused(address(checks), answering(who, id, PROOF, long), Invalid.selector, Why.TooLong);
        refused(address(checks), answering(who, id, "another", REPLY), Mismatch.selector, Why.Payload);
        refused(address(checks), answering(who, id, PROOF, "hides"), Mismatch.selector, Why.Answer);
        vm.warp(drawnAt(audit) + 4 * MOVE_S);
        refused(address(checks), answering(who, id, PROOF, REPLY), Refused.selector, Why.DeadlinePassed);
        vm.warp(drawnAt(audit) + 4 * MOVE_S - 1);
        accepted(address(checks), answering(who, id, PROOF, REPLY));
    }

    // Conviction.

    function test_whoDoesNotAnswerIsConvicted() public {
        passed();
        bytes32 id = ask(other);
        vm.warp(drawnAt(audit) + 4 * MOVE_S - 1);
        refused(address(checks), expiring(buyer, id), Refused.selector, Why.DeadlineAhead);
        refused(address(checks), expiring(buyer, 0), NotFound.selector, Why.NoCheck);
        Timeout memory t = Timeout(buyer.at, id);
        bytes memory foreign = sign(other, keccak256(abi.encode(Messages.TIMEOUT, t)));
        refused(address(checks), abi.encodeCall(IChecks.timeout, (t, foreign)), Mismatch.selector, Why.Signature);
        vm.warp(drawnAt(audit) + 4 * MOVE_S);
        uint256 before = available(buyer.at);
        bytes memory call = expiring(buyer, id);
        vm.expectEmit(address(checks));
        emit IChecks.CheckEnded(id, audit, false);
        accepted(address(checks), call);
        // Of 2.00 half is burned; the challenger gets at most 1.00, and its bond. The fee was held: it goes back.
        vm.assertEq(available(other.at), 6_000_000, "bond and reward");
        vm.assertEq(available(buyer.at) - before, FEE, "the fee is back");
        vm.assertEq(market.account(who.at).stake, 0, "slashed");
        vm.assertEq(market.account(who.at).convictions, 1, "convicted");
        vm.assertEq(market.totals().bonds, 0, "no bond is left");
        vm.assertTrue(drawnOf(audit, who.at).convicted, "of this audit");
        refused(address(checks), call, NotFound.selector, Why.NoCheck);
    }

    /// Whoever asked first and was not answered is rewarded, not whoever says that the time is over.
    function test_whoAskedFirstIsRewarded() public {
        passed();
        bytes32 first = ask(buyer);
        bytes32 second = ask(other);
        bytes32 third = ask(uint8(0));
        bytes32 fourth = ask(other);
        answer(first);
        vm.warp(drawnAt(audit) + 4 * MOVE_S);
        accepted(address(checks), expiring(payer(0), third));
        vm.assertEq(available(payer(0).at), 1_000_000, "only its bond");
        vm.assertEq(available(other.at), 5_000_000 - 200_000 + 1_000_000, "the reward, two bonds held");
        // Of one convicted already nothing is asked: the bonds come back, once each.
        accepted(address(checks), expiring(payer(0), fourth));
        accepted(address(checks), expiring(payer(0), second));
        vm.assertEq(available(other.at), 6_000_000, "the bonds");
        vm.assertEq(market.account(who.at).convictions, 1, "once");
        vm.assertEq(market.totals().bonds, 0, "no bond is left");
        vm.assertEq(drawnOf(audit, who.at).openChecks, 0, "none is open");
    }

    /// The last leaves, then others come; the first leaves: the order goes on.
    function test_theOrderGoesOn() public {
        passed();
        answer(ask(buyer));
        bytes32 first = ask(other);
        bytes32 second = ask(buyer);
        answer(second);
        bytes32 third = ask(uint8(0));
        ask(buyer);
        answer(first);
        vm.warp(drawnAt(audit) + 4 * MOVE_S);
        accepted(address(checks), expiring(other, third));
        vm.assertEq(available(payer(0).at), 2_000_000, "bond and reward");
    }

    function test_aConvictedAuditorIsAskedNothing() public {
        passed();
        bytes32 id = ask(other);
        // For its key.
        ReportKey memory m = reportOf(audit, who, buyer);
        uint256 now_ = this.clock();
        vm.warp(drawnAt(audit));
        commit(buyer, commitmentOf(m));
        vm.warp(now_);
        accepted(address(audits), reporting(buyer, m));
        refused(address(checks), answering(who, id, PROOF, REPLY), Conflict.selector, Why.AuditorConvicted);
        refusedCheck(checkOf(audit, who, other, PROOF), Conflict.selector, Why.AuditorConvicted);
        uint256 before = available(other.at);
        accepted(address(checks), expiring(payer(0), id));
        vm.assertEq(available(other.at) - before, 100_000, "the bond is back, before it was due");
        vm.assertEq(market.account(who.at).convictions, 1, "once");
    }

    /// Two auditors of one audit, each with its own checks.
    function test_auditorsAreAskedOneByOne() public {
        audit = started(receipt, 2);
        (Party memory a, Party memory b) = (drawnParty(audit, 0), drawnParty(audit, 1));
        reveal(audit, a, PASS);
        reveal(audit, b, PASS);
        vm.warp(drawnAt(audit) + 2 * MOVE_S);
        who = a;
        bytes32 ofA = ask(buyer);
        who = b;
        bytes32 ofB = ask(other);
        refused(address(checks), answering(a, ofB, PROOF, REPLY), Refused.selector, Why.OtherAuditor);
        accepted(address(checks), answering(a, ofA, PROOF, REPLY));
        vm.warp(drawnAt(audit) + 4 * MOVE_S);
        accepted(address(checks), expiring(buyer, ofB));
        vm.assertTrue(!drawnOf(audit, a.at).convicted && drawnOf(audit, b.at).convicted, "the silent one");
        vm.assertEq(available(other.at), 6_000_000, "rewarded");
    }

    // The order in which checks came.

    function payer(uint8 i) private pure returns (Party memory) {
        return party(100 + i);
    }

    function ask(uint8 i) private returns (bytes32) {
        deposit(payer(i).at, 1_000_000);
        return ask(payer(i));
    }

    /// Answered in any order, the first of those left is rewarded, whichever of them is timed out first.
    function testFuzz_whoIsFirstOfThoseLeft(uint256 answered, uint256 order, uint8 which) public {
        passed();
        uint8 count = 7;
        bytes32[] memory ids = new bytes32[](count);
        for (uint8 i = 0; i < count; ++i) ids[i] = ask(i);
        uint256 open = (1 << count) - 1;
        // Each round ends one of those left, as `order` says.
        for (uint256 rounds = answered % count; rounds > 0; --rounds) {
            uint8 i = nth(open, order);
            order >>= 8;
            open &= ~(uint256(1) << i);
            answer(ids[i]);
        }
        vm.warp(drawnAt(audit) + 4 * MOVE_S);
        uint8 first = nth(open, 0);
        accepted(address(checks), expiring(other, ids[nth(open, which)]));
        for (uint8 i = 0; i < count; ++i) {
            uint256 got = i == first ? 1_000_000 : 0;
            bool back = open >> i & 1 == 1 && i == nth(open, which);
            vm.assertEq(available(payer(i).at), (back ? 1_000_000 : 900_000) + got, "rewarded, or not");
        }
        // The rest get their bonds, in any order.
        open &= ~(uint256(1) << nth(open, which));
        while (open != 0) {
            uint8 i = nth(open, order);
            order >>= 8;
            open &= ~(uint256(1) << i);
            accepted(address(checks), expiring(other, ids[i]));
        }
        vm.assertEq(drawnOf(audit, who.at).openChecks, 0, "none is open");
        vm.assertEq(market.totals().bonds, 0, "no bond is left");
    }

    /// The number of a bit that is set, of those that are.
    function nth(uint256 bits, uint256 n) private pure returns (uint8 i) {
        uint256 set = 0;
        for (uint256 b = bits; b != 0; b >>= 1) set += b & 1;
        n %= set;
        while (true) {
            if (bits >> i & 1 == 1) {
                if (n == 0) return i;
                --n;
            }
            ++i;
        }
    }

    /// What many open and many ended checks cost those that come later: nothing.
    function test_noNumberOfChecksMakesOthersExpensive() public {
        passed();
        uint256 alone = costOfAsking();
        uint256 answered = costOfAnswering(lastAsked);
        bytes32[] memory ids = new bytes32[](30);
        for (uint256 i = 0; i < ids.length; ++i) ids[i] = ask(buyer);
        vm.assertLe(costOfAsking(), alone + 10_000, "asking after thirty");
        bytes32 last = lastAsked;
        for (uint256 i = ids.length; i-- > 1;) answer(ids[i]);
        vm.assertLe(costOfAnswering(ids[0]), answered + 15_000, "answering the first after all others");
        bytes32 id = ask(buyer);
        answer(id);
        vm.warp(drawnAt(audit) + 4 * MOVE_S);
        bytes memory call = expiring(buyer, last);
        uint256 gas = gasleft();
        accepted(address(checks), call);
        vm.assertLe(gas - gasleft(), 300_000, "ending the one left");
    }

    bytes32 private lastAsked;

    function costOfAsking() private returns (uint256 gas) {
        AuditCheck memory m = checkOf(audit, who, other, PROOF);
        bytes memory call = asking(other, m);
        lastAsked = idOf(m);
        gas = gasleft();
        accepted(address(checks), call);
        gas -= gasleft();
    }

    function costOfAnswering(bytes32 id) private returns (uint256 gas) {
        bytes memory call = answering(who, id, PROOF, REPLY);
        gas = gasleft();
        accepted(address(checks), call);
        gas -= gasleft();
    }
}

/// Games of programs nobody posted.
contract NoGames {
    function layersOf(bytes32) external pure returns (uint32) {
        revert NotFound(Why.NoProgram);
    }
}
