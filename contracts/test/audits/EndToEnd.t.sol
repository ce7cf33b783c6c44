// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditRecord, AuditState} from "../../src/audits/IAudits.sol";
import {Ending} from "../../src/disputes/Court.sol";
import {Filing} from "../../src/disputes/IGameCourt.sol";
import {Mismatch, Invalid, Refused, Why} from "../../src/market/Errors.sol";
import {LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {Programs} from "../../src/referee/Programs.sol";
import {ToyReferee} from "../disputes/Toy.sol";
import {AuditWorld} from "./AuditWorld.sol";
import {Traces} from "./Traces.sol";

/// From hiring to conviction, with real programs, games, traces and keyed trees. Only what a step gives is a toy's.
contract EndToEndTest is AuditWorld {
    Programs private programs;
    bytes32 private program;
    bytes32 private traceRoot;
    bytes32 private keyedOf; // what whoever commits computed: the seed of its values

    function setUp() public {
        programs = Programs(vm.deployCode("Programs.sol:Programs", ""));
        program = programs.store(Traces.program(shape()));
        build(address(new ToyReferee()), address(programs));
        traceRoot = Traces.root(Traces.Key(SECRET, false), shape());
        keyedOf = shape().seed;
        hire(3);
    }

    /// Five positions of two layers, heads from the third on; x of two chunks.
    function shape() private pure returns (Traces.Shape memory) {
        return Traces.Shape(5, 2, 300, 6, 20, 2, keccak256("values"));
    }

    function offered() internal view override returns (OfferModel memory model) {
        model = super.offered();
        model.program_hash = program;
    }

    function request(Lease memory terms_, uint64 sequence) internal view override returns (Request memory r) {
        r = super.request(terms_, sequence);
        r.prompt_count = 3;
    }

    function receiptOf(uint64 sequence) internal view override returns (Evidence memory e) {
        e = evidence(terms, sequence, 3, keccak256("tape"));
        e.statement.figures.trace_root = traceRoot;
        signStatement(e);
    }

    function keyedRoot(bytes32 n) internal view override returns (bytes32) {
        Traces.Shape memory s = shape();
        s.seed = keyedOf;
        return Traces.root(Traces.Key(n, true), s);
    }

    function places() private pure returns (Traces.Place[4] memory) {
        return [
            Traces.Place(0, 1, 0, 1), // x
            Traces.Place(4, 0, 2, 0), // v
            Traces.Place(3, 2, 3, 0), // logits
            Traces.Place(2, 2, 0, 0) // x of a head
        ];
    }

    function proofAt(Traces.Place memory at) private pure returns (bytes memory) {
        return Traces.proof(SECRET, shape(), at);
    }

    function replyAt(bytes32 id, Party memory who, Traces.Place memory at) private view returns (bytes memory) {
        Traces.Shape memory s = shape();
        s.seed = keyedOf;
        return Traces.reply(keyOf(who), nonceOf(id, who), s, at);
    }

    function checked(bytes32 id, Party memory who, Evidence memory e, Traces.Place memory at)
        private
        returns (bytes32)
    {
        AuditCheck memory m = checkOf(id, who, other, proofAt(at));
        accepted(address(checks), checking(other, m, e, proofAt(at)));
        return idOf(m);
    }

    function test_whoComputedAnswersAndIsPaid() public {
        Evidence memory e = receiptOf(1);
        (bytes32 id, Party memory who,) = judged(e, PASS);
        vm.warp(drawnAt(id) + 2 * MOVE_S);
        bytes32[4] memory asked;
        for (uint256 i = 0; i < 4; ++i) asked[i] = checked(id, who, e, places()[i]);
        for (uint256 n = 4; n > 0; --n) {
            uint256 i = n - 1;
            bytes memory proof = proofAt(places()[i]);
            bytes memory elsewhere = replyAt(id, who, places()[(i + 1) % 4]);
            refused(address(checks), answering(who, asked[i], proof, elsewhere), Mismatch.selector, Why.Answer);
            accepted(address(checks), answering(who, asked[i], proof, replyAt(id, who, places()[i])));
        }
        vm.assertEq(available(who.at), 1_400_000, "four bonds");
        vm.warp(drawnAt(id) + 3 * MOVE_S);
        accepted(address(audits), settling(other, id));
        vm.assertEq(available(who.at), 1_440_000, "and the fee, a fifth of it burned");
        vm.assertEq(market.totals().fees, 0, "no fee is held");
    }

    function test_aProofOfAnotherTraceAsksNothing() public {
        Evidence memory e = receiptOf(1);
        (bytes32 id, Party memory who,) = judged(e, PASS);
        vm.warp(drawnAt(id) + 2 * MOVE_S);
        Traces.Place memory at = places()[0];
        bytes memory proof = Traces.proof(keccak256("another secret"), shape(), at);
        AuditCheck memory m = checkOf(id, who, other, proof);
        refused(address(checks), checking(other, m, e, proof), Mismatch.selector, Why.NotCommittedTo);
        // A head where the request has none.
        at = Traces.Place(1, 2, 0, 0);
        Traces.Shape memory s = shape();
        s.firstHead = 1;
        proof = Traces.proof(SECRET, s, at);
        m = checkOf(id, who, other, proof);
        refused(address(checks), checking(other, m, e, proof), Invalid.selector, Why.NoSuchChoice);
    }

    /// Hired, drawn, committed to something, passed: and has nothing to show.
    function test_whoComputedSomethingElseIsConvicted() public {
        keyedOf = keccak256("not the model's values");
        Evidence memory e = receiptOf(1);
        (bytes32 id, Party memory who,) = judged(e, PASS);
        vm.warp(drawnAt(id) + 2 * MOVE_S);
        Traces.Place memory at = places()[0];
        bytes32 check = checked(id, who, e, at);
        refused(
            address(checks), answering(who, check, proofAt(at), replyAt(id, who, at)), Mismatch.selector, Why.Answer
        );
        // The right tree is not the one it committed to.
        keyedOf = shape().seed;
        refused(
            address(checks),
            answering(who, check, proofAt(at), replyAt(id, who, at)),
            Mismatch.selector,
            Why.NotCommittedTo
        );
        vm.warp(drawnAt(id) + 3 * MOVE_S);
        refused(address(audits), settling(other, id), Refused.selector, Why.CheckOpen);
        vm.warp(drawnAt(id) + 4 * MOVE_S);
        accepted(address(checks), expiring(buyer, check));
        vm.assertTrue(drawnOf(id, who.at).convicted, "convicted");
        vm.assertEq(market.account(who.at).stake, 0, "slashed");
        vm.assertTrue(!auditors.auditor(terms.execution, who.at).active, "registered no more");
        vm.assertEq(available(other.at), 6_000_000, "bond and reward");
        accepted(address(audits), settling(other, id));
        vm.assertEq(market.totals().fees, 0, "no fee is held");
        vm.assertEq(market.totals().bonds, 0, "no bond is held");
    }

    /// Two passed a receipt that a game finds false: one cannot play, the other wins.
    function test_aFalseReceiptOpensTheWayToItsPasses() public {
        Evidence memory e = receiptOf(1);
        bytes32 id = drawn(e, 2);
        (Party memory lazy, Party memory framed) = (drawnParty(id, 0), drawnParty(id, 1));
        commitAudit(id, lazy);
        commitAudit(id, framed);
        vm.warp(drawnAt(id) + MOVE_S);
        bytes32 lazyPass = reveal(id, lazy, PASS);
        bytes32 framedPass = reveal(id, framed, PASS);
        Filing memory f = filingOf(e);
        // The provider is silent: convicted by the clock.
        bytes32 d = file(other, disputeOf(e, other), terms, f);
        refused(
            address(passes),
            filing(other, passDispute(lazyPass, other), terms, f),
            Refused.selector,
            Why.NotKnownFalse
        );
        vm.warp(drawnAt(id) + 2 * MOVE_S);
        accepted(address(disputes), timingOut(other, d, terms, caseOf(f, 2)));
        vm.assertTrue(market.lease(leaseId).state == LeaseState.Convicted, "the provider");
        uint256 before = available(other.at);

        bytes32 first = filePass(other, passDispute(lazyPass, other), f);
        f.withoutGame = true;
        f.finish = "right";
        bytes32 second = filePass(other, passDispute(framedPass, other), f);
        vm.assertTrue(passes.dispute(second).outcome == Ending.ProviderRight, "computed");
        vm.assertEq(available(framed.at), 1_100_000, "and has the bond");
        f.withoutGame = false;
        f.finish = "";
        vm.warp(drawnAt(id) + 3 * MOVE_S);
        accepted(address(passes), timingOut(buyer, first, terms, caseOf(f, 2)));
        vm.assertTrue(passes.dispute(first).outcome == Ending.ProviderWrong, "silent");
        vm.assertTrue(drawnOf(id, lazy.at).convicted && !drawnOf(id, framed.at).convicted, "one of them");
        vm.assertEq(available(other.at) + 100_000 - before, 1_000_000, "a reward, and one bond lost");
        accepted(address(audits), settling(other, id));
        (AuditRecord memory a,) = audits.audit(id);
        vm.assertTrue(a.state == AuditState.Settled, "settled");
        vm.assertEq(available(framed.at), 1_140_000, "its pass is paid");
    }
}
