// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditRecord, Drawn, IAudits} from "../../src/audits/IAudits.sol";
import {Ending, Turn} from "../../src/disputes/Court.sol";
import {IDisputes} from "../../src/disputes/IDisputes.sol";
import {DisputeRecord, Filing, IGameCourt} from "../../src/disputes/IGameCourt.sol";
import {Case, Played} from "../../src/disputes/IGames.sol";
import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {ToyGames} from "../ToyGames.sol";
import {CourseWorld} from "./CourseWorld.sol";

/// Disputes of passes. Moves are words: games are no matter here.
contract PassesTest is CourseWorld {
    Evidence private receipt;
    Party private who;
    bytes32 private audit;
    bytes32 private pass;

    function setUp() public override {
        super.setUp();
        vm.etch(address(games), address(new ToyGames()).code);
        hire(2);
        receipt = receiptOf(1);
        (audit, who, pass) = judged(receipt, PASS);
    }

    function filingPass(Dispute memory m, Filing memory f) private view returns (bytes memory) {
        return filing(other, m, terms, f);
    }

    /// Committed to before, or refused for another reason that comes first.
    function refusedFiling(Dispute memory m, Filing memory f, bytes4 kind, Why why) private {
        refused(address(passes), filingPass(m, f), kind, why);
    }

    function filed() private returns (bytes32) {
        return filePass(other, passDispute(pass, other), filingOf(receipt));
    }

    function finished(bytes memory proof) private returns (bytes32) {
        Filing memory f = filingOf(receipt);
        (f.withoutGame, f.finish) = (true, proof);
        return filePass(other, passDispute(pass, other), f);
    }

    function about() private view returns (Case memory) {
        return caseOf(filingOf(receipt), 2);
    }

    function timingOutPass(bytes32 id, Case memory of_) private view returns (bytes memory) {
        return timingOut(buyer, id, terms, of_);
    }

    function play(Party memory by, bytes32 id, bytes memory word) private {
        accepted(address(passes), movingPass(by, id, about(), word));
    }

    function outcome(bytes32 id) private view returns (Ending) {
        DisputeRecord memory d = passes.dispute(id);
        vm.assertTrue(d.decided && d.turn == Turn.Over && d.due == 0, "decided");
        vm.assertEq(passes.openOf(audit, d.challenger), 0, "not open any more");
        (AuditRecord memory a,) = audits.audit(audit);
        vm.assertEq(a.openDisputes, 0, "nor for the audit");
        return d.outcome;
    }

    // Filing.

    function test_onlyAPassOfWhatIsKnownToBeFalse() public {
        Filing memory f = filingOf(receipt);
        Dispute memory m = passDispute(pass, other);
        refused(address(passes), filing(buyer, m, terms, f), Mismatch.selector, Why.Signature);
        m.lease = 0;
        refusedFiling(m, f, NotFound.selector, Why.NoLease);
        m.lease = leaseId;
        Lease memory wrong = terms;
        wrong.window += 1;
        refused(address(passes), filing(other, m, wrong, f), Mismatch.selector, Why.OtherLease);
        m.subject = subjectOf(receipt);
        refusedFiling(m, f, Mismatch.selector, Why.NotAPass);
        m.subject = pass;
        refusedFiling(m, f, Refused.selector, Why.NotKnownFalse);
        // Disputes is about statements: there a pass is none.
        commit(other, commitmentOf(m, f));
        refused(address(disputes), filingPass(m, f), Mismatch.selector, Why.OtherStatement);

        convict(receipt);
        accepted(address(passes), filingPass(m, f));
        applied(address(passes), filingPass(m, f), idOf(m));
    }

    function test_aFailIsNoPass() public {
        (,, bytes32 fail) = judged(receiptOf(2), FAIL);
        convict(receiptOf(2));
        refusedFiling(passDispute(fail, other), filingOf(receiptOf(2)), Mismatch.selector, Why.NotAPass);
    }

    function test_whatLiesBesideBelongsTogether() public {
        convict(receipt);
        Filing memory f = filingOf(receipt);
        Dispute memory m = passDispute(pass, other);
        f.evidence = receiptOf(2);
        refusedFiling(m, f, Mismatch.selector, Why.OtherStatement);
        f = filingOf(receipt);
        f.execution.canon = 1;
        refusedFiling(m, f, Mismatch.selector, Why.OtherExecution);
        f = filingOf(receipt);
        f.evidence.requestSignature = "";
        refusedFiling(m, f, Mismatch.selector, Why.Signature);
        f = filingOf(receipt);
        f.evidence.statement.signature = "";
        refusedFiling(m, f, Mismatch.selector, Why.Signature);
        f = filingOf(receipt);
        f.evidence.request.lease = 0;
        refusedFiling(m, f, Refused.selector, Why.OtherLease);
        f = filingOf(receipt);
        f.evidence.request.execution = 0;
        refusedFiling(m, f, Refused.selector, Why.OtherExecution);
        f = filingOf(receipt);
        f.evidence.request.seed = 9;
        f.evidence.requestSignature = sign(buyer, this.hashRequest(f.evidence.request));
        refusedFiling(m, f, Refused.selector, Why.OtherRequest);
    }

    function test_theAuditIsOfThisLease() public {
        convict(receipt);
        Lease memory first = terms;
        deposit(provider.at, 10_000_000);
        stake(provider, 10_000_000);
        (terms, leaseId) = lease(1_000_000);
        Dispute memory m = passDispute(pass, other);
        Evidence memory e = receiptOf(3);
        refused(address(passes), filing(other, m, terms, filingOf(e)), Mismatch.selector, Why.OtherLease);
        (terms, leaseId) = (first, idOf(first));
        filed();
    }

    /// Known since when it was convicted, and the lease ended then: a window later it is over.
    function test_aPassIsDisputableForAWindow() public {
        vm.warp(1050);
        convict(receipt);
        Filing memory f = filingOf(receipt);
        Dispute memory m = passDispute(pass, other);
        vm.warp(1151);
        commit(other, commitmentOf(m, f));
        refusedFiling(m, f, Refused.selector, Why.NoLongerDisputable);
        vm.warp(1150);
        accepted(address(passes), filingPass(m, f));
    }

    /// A canary does not end the lease: as long as it is open passes of it are disputed, and a window longer.
    function test_aCanarysPassIsDisputableUntilCloseAndWindow() public {
        Evidence memory e = receiptOf(2);
        Canary memory c = canaryOf(e);
        CanaryShown memory shown = shownOf(c);
        commit(buyer, commitmentOf(shown));
        later(1);
        (bytes32 id,, bytes32 passed) = judged(e, PASS);
        accepted(address(audits), showing(buyer, shown, c));
        audit = id;
        later(200);
        uint256 snapshot = vm.snapshotState();
        filePass(other, passDispute(passed, other), filingOf(e));
        vm.revertToState(snapshot);
        close(terms, provider);
        Dispute memory m = passDispute(passed, other);
        later(101);
        commit(other, commitmentOf(m, filingOf(e)));
        refusedFiling(m, filingOf(e), Refused.selector, Why.NoLongerDisputable);
        vm.warp(this.clock() - 1);
        accepted(address(passes), filingPass(m, filingOf(e)));
    }

    function test_bondsCommitmentsAndNumberAreChecked() public {
        convict(receipt);
        Filing memory f = filingOf(receipt);
        Dispute memory m = passDispute(pass, other);
        refusedFiling(m, f, Refused.selector, Why.NotCommitted);
        announce(other, commitmentOf(m, f));
        refusedFiling(m, f, Refused.selector, Why.NotCommitted);
        vm.roll(vm.getBlockNumber() + 1);
        uint256 snapshot = vm.snapshotState();
        accepted(address(passes), filingPass(m, f));
        vm.assertEq(disputes.committed(other.at, commitmentOf(m, f)), 0, "used up");
        vm.revertToState(snapshot);
        m.bond = 99_999;
        commit(other, commitmentOf(m, f));
        refusedFiling(m, f, Refused.selector, Why.BondTooSmall);
        m.bond = 50_000_000;
        commit(other, commitmentOf(m, f));
        refusedFiling(m, f, Refused.selector, Why.Available);
        for (uint256 i = 0; i < 8; ++i) filed();
        vm.assertEq(passes.openOf(audit, other.at), 8, "open");
        vm.assertEq(disputes.openOf(leaseId, other.at), 0, "of the audit, not of the lease");
        m = passDispute(pass, other);
        commit(other, commitmentOf(m, f));
        refusedFiling(m, f, Refused.selector, Why.TooManyOpen);
        filePass(buyer, passDispute(pass, buyer), f);
        // A proof is named by its commitment.
        (f.withoutGame, f.finish) = (true, "wrong");
        m = passDispute(pass, payout);
        refused(address(passes), filing(payout, m, terms, f), Refused.selector, Why.NotCommitted);
    }

    function test_transcriptsAndProofsHaveAForm() public {
        convict(receipt);
        Filing memory f = filingOf(receipt);
        Dispute memory m = passDispute(pass, other);
        commit(other, commitmentOf(m, f));
        f.moves = new Played[](1);
        refusedFiling(m, f, Invalid.selector, Why.TooLong);
        (f.moves, f.signatures) = (new Played[](65), new bytes[](65));
        refusedFiling(m, f, Invalid.selector, Why.TooLong);
        (f.moves, f.signatures) = (new Played[](1), new bytes[](1));
        f.moves[0].payload = new bytes(16 * 1024 + 1);
        refusedFiling(m, f, Invalid.selector, Why.TooLong);
        f.moves[0].payload = "wrong";
        refusedFiling(m, f, Mismatch.selector, Why.Signature);
        f.signatures[0] = sign(provider, moveHash(idOf(m), 0, firstState(idOf(m)), "wrong"));
        refusedFiling(m, f, Mismatch.selector, Why.Signature);
        f.signatures[0] = sign(who, moveHash(idOf(m), 0, firstState(idOf(m)), "?"));
        f.moves[0].payload = "?";
        refusedFiling(m, f, Invalid.selector, Why.Payload);
        f = filingOf(receipt);
        (f.withoutGame, f.finish) = (true, "neither");
        commit(other, commitmentOf(m, f));
        refusedFiling(m, f, Mismatch.selector, Why.Proof);
        f.moves = new Played[](1);
        refusedFiling(m, f, Invalid.selector, Why.TwoKindsOfEvidence);
        f.moves = new Played[](0);
        f.finish = new bytes(16 * 1024 + 1);
        commit(other, commitmentOf(m, f));
        refusedFiling(m, f, Invalid.selector, Why.TooLong);
        // Two moves, of which the first ends the game.
        f = filingOf(receipt);
        (f.moves, f.signatures) = (new Played[](2), new bytes[](2));
        f.moves[0].payload = "right";
        f.signatures[0] = sign(who, moveHash(idOf(m), 0, firstState(idOf(m)), "right"));
        refusedFiling(m, f, Refused.selector, Why.Decided);
    }

    function moveHash(bytes32 id, uint32 number, bytes32 state, bytes memory payload) private pure returns (bytes32) {
        return keccak256(abi.encode(Messages.MOVE, Move(id, number, state, sha256(payload))));
    }

    /// With the pass for the statement (spec/audits.md, "Passes and games").
    function firstState(bytes32 id) private view returns (bytes32) {
        return sha256(abi.encodePacked("assay/dispute/v0", id, pass));
    }

    // The game.

    function test_theAuditorPlaysTheProvidersPart() public {
        convict(receipt);
        Filing memory f = filingOf(receipt);
        Dispute memory m = passDispute(pass, other);
        commit(other, commitmentOf(m, f));
        bytes memory call = filingPass(m, f);
        vm.expectEmit(address(passes));
        emit IGameCourt.DisputeFiled(idOf(m), leaseId, pass, other.at, who.at, 100_000, about());
        accepted(address(passes), call);
        bytes32 id = idOf(m);
        DisputeRecord memory d = passes.dispute(id);
        vm.assertEq(d.defender, who.at, "the auditor");
        vm.assertEq(d.challenger, other.at, "the challenger");
        vm.assertEq(d.bond, 100_000, "bond");
        vm.assertEq(d.filed, this.clock(), "filed");
        vm.assertEq(d.due, this.clock() + MOVE_S, "due");
        vm.assertEq(d.lease, leaseId, "lease");
        vm.assertEq(d.subject, pass, "subject");
        vm.assertEq(d.game, firstState(id), "the first state");
        vm.assertEq(d.about, keccak256(abi.encode(about())), "the case of the audited statement");
        vm.assertTrue(d.turn == Turn.Provider && !d.decided, "open");
        (AuditRecord memory a,) = audits.audit(audit);
        vm.assertEq(a.openDisputes, 1, "counted");
        vm.assertEq(market.lease(leaseId).disputes, 0, "and not for the lease");
        vm.assertEq(passes.games(), address(games), "games");
        vm.assertEq(passes.market(), address(market), "market");

        refused(address(passes), movingPass(provider, id, about(), "continue"), Mismatch.selector, Why.Signature);
        call = movingPass(who, id, about(), "continue");
        vm.expectEmit(address(passes));
        emit IGameCourt.Moved(id, 0, "continue", this.clock() + MOVE_S);
        accepted(address(passes), call);
        d = passes.dispute(id);
        vm.assertTrue(d.turn == Turn.Challenger, "the challenger's turn");
        vm.assertEq(d.game, sha256(abi.encodePacked("assay/move/v0", firstState(id), sha256("continue"))), "state");
        refused(address(passes), movingPass(who, id, about(), "wrong"), Mismatch.selector, Why.Signature);
        call = movingPass(other, id, about(), "wrong");
        vm.expectEmit(address(passes));
        emit IGameCourt.Decided(id, leaseId, Ending.ProviderWrong);
        accepted(address(passes), call);
        vm.assertTrue(outcome(id) == Ending.ProviderWrong, "wrong");
        vm.assertTrue(drawnOf(audit, who.at).convicted, "convicted");
        vm.assertEq(market.account(who.at).stake, 0, "slashed");
    }

    function test_movesAreChecked() public {
        convict(receipt);
        bytes32 id = filed();
        refused(address(passes), movingPass(who, 0, about(), "continue"), NotFound.selector, Why.NoDispute);
        Played memory p;
        p.payload = "continue";
        Move memory m = Move(id, 1, firstState(id), sha256(p.payload));
        refused(address(passes), signedMove(m, p), Conflict.selector, Why.MoveNumber);
        m.number = 0;
        m.state = 0;
        refused(address(passes), signedMove(m, p), Mismatch.selector, Why.MoveState);
        m.state = firstState(id);
        m.payload = 0;
        refused(address(passes), signedMove(m, p), Mismatch.selector, Why.Payload);
        Case memory wrong = about();
        wrong.layers = 3;
        refused(address(passes), movingPass(who, id, wrong, "continue"), Mismatch.selector, Why.OtherStatement);
        refused(address(passes), movingPass(who, id, about(), "?"), Invalid.selector, Why.Payload);
        bytes memory long = new bytes(16 * 1024 + 1);
        refused(address(passes), movingPass(who, id, about(), long), Invalid.selector, Why.TooLong);
        // Terms are read by the move that ends the game.
        Lease memory right = terms;
        terms.window += 1;
        refused(address(passes), movingPass(who, id, about(), "right"), Mismatch.selector, Why.OtherLease);
        play(who, id, "continue");
        terms = right;
        later(MOVE_S);
        refused(address(passes), movingPass(other, id, about(), "right"), Refused.selector, Why.DeadlinePassed);
        vm.warp(this.clock() - 1);
        play(other, id, "right");
        refused(address(passes), movingPass(who, id, about(), "right"), Conflict.selector, Why.Decided);
    }

    function signedMove(Move memory m, Played memory p) private view returns (bytes memory) {
        return abi.encodeCall(
            IGameCourt.move, (m, sign(who, keccak256(abi.encode(Messages.MOVE, m))), terms, about(), p)
        );
    }

    function test_whatWasPlayedBeforeCounts() public {
        convict(receipt);
        Filing memory f = filingOf(receipt);
        Dispute memory m = passDispute(pass, other);
        (f.moves, f.signatures) = (new Played[](2), new bytes[](2));
        bytes32 state = firstState(idOf(m));
        f.moves[0].payload = "continue";
        f.signatures[0] = sign(who, moveHash(idOf(m), 0, state, "continue"));
        state = sha256(abi.encodePacked("assay/move/v0", state, sha256("continue")));
        f.moves[1].payload = "wrong";
        f.signatures[1] = sign(other, moveHash(idOf(m), 1, state, "wrong"));
        bytes32 id = filePass(other, m, f);
        vm.assertTrue(outcome(id) == Ending.ProviderWrong, "wrong");
        vm.assertTrue(drawnOf(audit, who.at).convicted, "convicted");
    }

    function test_aRightAuditorGetsTheBond() public {
        convict(receipt);
        uint256 before = available(who.at);
        bytes32 id = filed();
        play(who, id, "right");
        vm.assertTrue(outcome(id) == Ending.ProviderRight, "right");
        vm.assertEq(available(who.at) - before, 100_000, "the bond is the auditor's, not the payout's");
        vm.assertEq(available(payout.at), 0, "nothing for the provider");
        vm.assertTrue(!drawnOf(audit, who.at).convicted, "not convicted");
        vm.assertTrue(outcome(finished("right")) == Ending.ProviderRight, "the same without a game");
        vm.assertEq(available(who.at) - before, 200_000, "once more");
    }

    function test_anInvalidModelIsNoAuditorsFault() public {
        convict(receipt);
        uint256 before = available(other.at);
        LeaseState state = market.lease(leaseId).state;
        vm.assertTrue(outcome(finished("invalid")) == Ending.InvalidModel, "invalid");
        bytes32 id = filed();
        play(who, id, "invalid");
        vm.assertTrue(outcome(id) == Ending.InvalidModel, "invalid");
        vm.assertEq(available(other.at), before, "the bonds are back");
        vm.assertEq(market.account(who.at).stake, 2_000_000, "nobody is slashed");
        vm.assertTrue(market.lease(leaseId).state == state, "the lease is what it was");
    }

    function test_aWrongPassIsConvictedOnce() public {
        convict(receipt);
        uint256 before = available(other.at);
        uint256 buyers = available(buyer.at);
        vm.assertTrue(outcome(finished("wrong")) == Ending.ProviderWrong, "wrong");
        // Half of 2.00 is burned; the fee was held, and is back.
        vm.assertEq(available(other.at) - before, 1_000_000, "a reward");
        vm.assertEq(available(buyer.at) - buyers, FEE, "the fee");
        vm.assertEq(market.totals().bonds, 0, "no bond is left");
        refusedFiling(passDispute(pass, other), filingOf(receipt), Conflict.selector, Why.AuditorConvicted);
    }

    // Deadlines.

    function test_whoIsSilentHasLost() public {
        convict(receipt);
        bytes32 id = filed();
        bytes32 theirs = filePass(buyer, passDispute(pass, buyer), filingOf(receipt));
        refused(address(passes), timingOutPass(id, about()), Refused.selector, Why.DeadlineAhead);
        refused(address(passes), timingOutPass(0, about()), NotFound.selector, Why.NoDispute);
        Case memory wrong = about();
        wrong.amount += 1;
        refused(address(passes), timingOutPass(id, wrong), Mismatch.selector, Why.OtherStatement);
        Timeout memory t = Timeout(buyer.at, id);
        bytes memory foreign = sign(other, keccak256(abi.encode(Messages.TIMEOUT, t)));
        refused(
            address(passes),
            abi.encodeCall(IGameCourt.timeout, (t, foreign, terms, about())),
            Mismatch.selector,
            Why.Signature
        );
        Lease memory right = terms;
        terms.window += 1;
        refused(address(passes), timingOutPass(id, about()), Mismatch.selector, Why.OtherLease);
        terms = right;
        later(MOVE_S);
        uint256 snapshot = vm.snapshotState();
        accepted(address(passes), timingOutPass(id, about()));
        vm.assertTrue(passes.dispute(id).outcome == Ending.ProviderWrong, "the auditor's turn");
        vm.assertTrue(drawnOf(audit, who.at).convicted, "convicted");
        refused(address(passes), timingOutPass(id, about()), Conflict.selector, Why.Decided);
        // The other was slower: its bond is back, nobody is convicted twice.
        refused(address(passes), movingPass(who, theirs, about(), "right"), Conflict.selector, Why.Convicted);
        uint256 before = available(buyer.at);
        accepted(address(passes), timingOutPass(theirs, about()));
        vm.assertTrue(outcome(theirs) == Ending.NotJudged, "not judged");
        vm.assertEq(available(buyer.at) - before, 100_000, "the bond");
        vm.assertEq(market.account(who.at).convictions, 1, "once");
        vm.revertToState(snapshot);

        vm.warp(this.clock() - 1);
        play(who, id, "continue");
        later(MOVE_S);
        before = available(who.at);
        accepted(address(passes), timingOutPass(id, about()));
        vm.assertTrue(passes.dispute(id).outcome == Ending.ProviderRight, "the challenger's turn");
        vm.assertEq(available(who.at) - before, 100_000, "the bond");
    }

    /// By its key: its disputes judge nothing any more, at any time.
    function test_whoIsConvictedOtherwiseIsNotJudged() public {
        convict(receipt);
        bytes32 id = filed();
        ReportKey memory m = reportOf(audit, who, buyer);
        uint256 now_ = this.clock();
        vm.warp(drawnAt(audit));
        commit(buyer, commitmentOf(m));
        vm.warp(now_);
        accepted(address(audits), reporting(buyer, m));
        refused(address(passes), movingPass(who, id, about(), "right"), Conflict.selector, Why.Convicted);
        accepted(address(passes), timingOutPass(id, about()));
        vm.assertTrue(outcome(id) == Ending.NotJudged, "not judged");
        vm.assertEq(market.totals().bonds, 0, "no bond is left");
    }

    /// No audit is of such a receipt; were one, it would be decided at once, as on the embedded ledger.
    function test_wrongFiguresConvictAtOnce() public {
        Evidence memory e = receiptOf(2);
        e.statement.figures.amount += 1;
        signStatement(e);
        (AuditRecord memory a, Drawn[] memory all) = audits.audit(audit);
        a.subject = subjectOf(e);
        vm.mockCall(address(audits), abi.encodeCall(IAudits.audit, (audit)), abi.encode(a, all));
        vm.mockCall(address(audits), abi.encodeCall(IAudits.known, (a.subject)), abi.encode(uint256(1)));
        bytes32 id = filePass(other, passDispute(pass, other), filingOf(e));
        vm.clearMockedCalls();
        vm.assertTrue(outcome(id) == Ending.ProviderWrong, "wrong");
        vm.assertTrue(drawnOf(audit, who.at).convicted, "convicted");
    }

    // Commitments of others.

    function test_onlyTheAuditsAndTheirPassesConsume() public {
        bytes32 c = keccak256("a commitment");
        commit(other, c);
        bytes memory call = abi.encodeCall(IDisputes.consume, (other.at, c));
        address[5] memory others =
            [address(this), other.at, address(checks), address(market), address(disputes)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            refused(address(disputes), call, Refused.selector, Why.NotAnAudit);
        }
        uint256 made = this.clock();
        address[2] memory allowed = [address(audits), address(passes)];
        for (uint256 i = 0; i < allowed.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            vm.prank(allowed[i]);
            vm.assertEq(disputes.consume(other.at, c), made, "when it was made");
            vm.assertEq(disputes.committed(other.at, c), 0, "used up");
            vm.prank(allowed[i]);
            refused(address(disputes), call, Refused.selector, Why.NotCommitted);
            vm.revertToState(snapshot);
        }
        vm.prank(address(audits));
        refused(
            address(disputes), abi.encodeCall(IDisputes.consume, (buyer.at, c)), Refused.selector, Why.NotCommitted
        );
        later(200);
        vm.prank(address(audits));
        vm.assertEq(disputes.consume(other.at, c), made, "as long as the longest window");
        commit(other, c);
        later(201);
        vm.prank(address(passes));
        refused(address(disputes), call, Refused.selector, Why.NotCommitted);
        // Not in the block in which it was made.
        announce(other, c);
        vm.prank(address(passes));
        refused(address(disputes), call, Refused.selector, Why.NotCommitted);
        later(1);
        vm.prank(address(passes));
        vm.assertEq(disputes.consume(other.at, c), this.clock() - 1, "in a later second");
    }
}
