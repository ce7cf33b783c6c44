// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ending, Turn} from "../../src/disputes/Court.sol";
import {Case, Played} from "../../src/disputes/IGames.sol";
import {DisputeRecord, Filing, IDisputes} from "../../src/disputes/IDisputes.sol";
import {IGameCourt} from "../../src/disputes/IGameCourt.sol";
import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {Account, Claiming, LeaseRecord, LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence, Statement} from "../../src/market/Statements.sol";
import {DisputeWorld} from "./DisputeWorld.sol";
import {ToyPrograms, ToyReferee} from "./Toy.sol";

/// Filing, deadlines, convictions, equivocation. The referee is a toy: steps are no matter here.
contract DisputesTest is DisputeWorld {
    Lease private terms;
    bytes32 private id;

    function setUp() public {
        build(address(new ToyReferee()), address(new ToyPrograms()));
        fund();
        (terms, id) = lease(5_000_000);
    }

    function offered() internal view override returns (OfferModel memory model) {
        model = super.offered();
        model.program_hash = sha256(program());
    }

    function program() private pure returns (bytes memory) {
        return abi.encodePacked(
            hex"0f000000", "assay/program/0", hex"05000000", "llama", hex"0e000000", hex"20000000", hex"02000000"
        );
    }

    function filingOf(Evidence memory e) private view returns (Filing memory f) {
        f.evidence = e;
        f.execution = ExecutionId(execution().weights_root, sha256(program()), 0);
    }

    function receipt(uint64 sequence) private view returns (Evidence memory) {
        return evidence(terms, sequence, 100_000, keccak256("tape"));
    }

    function finishing(bytes memory proof) private view returns (Filing memory f) {
        f = filingOf(receipt(1));
        f.withoutGame = true;
        f.finish = proof;
    }

    // Commitments.

    function test_commitments() public {
        CommitDispute memory m = CommitDispute(other.at, keccak256("c"), 1);
        bytes memory call = abi.encodeCall(
            IDisputes.commitDispute, (m, sign(other, keccak256(abi.encode(Messages.COMMIT_DISPUTE, m))))
        );
        refused(
            address(disputes),
            abi.encodeCall(
                IDisputes.commitDispute, (m, sign(buyer, keccak256(abi.encode(Messages.COMMIT_DISPUTE, m))))
            ),
            Mismatch.selector,
            Why.Signature
        );
        accepted(address(disputes), call);
        vm.assertEq(disputes.committed(other.at, keccak256("c")), 1000, "made");
        applied(address(disputes), call, digest(keccak256(abi.encode(Messages.COMMIT_DISPUTE, m))));
        m.nonce = 2;
        call = abi.encodeCall(
            IDisputes.commitDispute, (m, sign(other, keccak256(abi.encode(Messages.COMMIT_DISPUTE, m))))
        );
        refused(address(disputes), call, Conflict.selector, Why.Committed);
        vm.warp(1201);
        accepted(address(disputes), call);
    }

    function test_onlyWhatWasCommittedToIsFiled() public {
        Filing memory f = filingOf(receipt(1));
        Dispute memory m = disputeOf(f.evidence, other);
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.NotCommitted);
        commit(other, commitmentOf(m, f));
        refused(address(disputes), filing(buyer, m, terms, f), Mismatch.selector, Why.Signature);
        vm.warp(1201);
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.NotCommitted);
        commit(other, commitmentOf(m, f));
        accepted(address(disputes), filing(other, m, terms, f));
        applied(address(disputes), filing(other, m, terms, f), idOf(m));
        vm.assertEq(disputes.committed(other.at, commitmentOf(m, f)), 0, "used up");
        // Another proof cannot take the place of the one committed to.
        f = finishing("wrong");
        m = disputeOf(f.evidence, other);
        commit(other, commitmentOf(m, f));
        f.finish = "right";
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.NotCommitted);
    }

    /// Who sees a report on its way cannot announce it in front of it, within one block.
    function test_announcingTakesABlock() public {
        Filing memory f = filingOf(receipt(1));
        Dispute memory m = disputeOf(f.evidence, other);
        announce(other, commitmentOf(m, f));
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.NotCommitted);
        vm.roll(vm.getBlockNumber() + 1);
        accepted(address(disputes), filing(other, m, terms, f));
        // Where numbers stand still, time tells blocks apart.
        f = filingOf(receipt(2));
        m = disputeOf(f.evidence, other);
        announce(other, commitmentOf(m, f));
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.NotCommitted);
        vm.warp(1001);
        accepted(address(disputes), filing(other, m, terms, f));
    }

    function test_filingsAreChecked() public {
        Filing memory f = filingOf(receipt(1));
        Dispute memory m = disputeOf(f.evidence, other);
        m.lease = 0;
        refused(address(disputes), filing(other, m, terms, f), NotFound.selector, Why.NoLease);
        m.lease = id;
        Lease memory wrong = terms;
        wrong.window += 1;
        refused(address(disputes), filing(other, m, wrong, f), Mismatch.selector, Why.OtherLease);
        wrong.window -= 1;
        m.subject = 0;
        refused(address(disputes), filing(other, m, terms, f), Mismatch.selector, Why.OtherStatement);
        m = disputeOf(f.evidence, other);
        f.execution.canon = 1;
        refused(address(disputes), filing(other, m, terms, f), Mismatch.selector, Why.OtherExecution);
        f = filingOf(receipt(1));
        m.bond = 99_999;
        commit(other, commitmentOf(m, f));
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.BondTooSmall);
        m.bond = 5_000_001;
        commit(other, commitmentOf(m, f));
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.Available);
    }

    function test_evidenceBelongsTogether() public {
        for (uint256 i = 0; i < 5; ++i) {
            Filing memory f = filingOf(receipt(1));
            (bytes4 kind, Why why) = (Refused.selector, Why.OtherLease);
            if (i == 0) f.evidence.request.lease = 0;
            else if (i == 1) (f.evidence.request.execution, why) = (0, Why.OtherExecution);
            else if (i == 2) (f.evidence.request.seed, kind, why) = (9, Mismatch.selector, Why.Signature);
            else if (i == 3) {
                f.evidence.request.seed = 9;
                f.evidence.requestSignature = sign(buyer, this.hashRequest(f.evidence.request));
                why = Why.OtherRequest;
            } else {
                (f.evidence.statement.signature, kind, why) =
                    (f.evidence.requestSignature, Mismatch.selector, Why.Signature);
            }
            Dispute memory m = disputeOf(f.evidence, other);
            m.lease = id;
            commit(other, commitmentOf(m, f));
            refused(address(disputes), filing(other, m, terms, f), kind, why);
        }
    }

    function test_aStatementIsDisputableUntilCloseAndWindow() public {
        close(terms, provider);
        Filing memory f = filingOf(receipt(1));
        Dispute memory m = disputeOf(f.evidence, other);
        commit(other, commitmentOf(m, f));
        vm.warp(1101);
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.NoLongerDisputable);
        vm.warp(1100);
        accepted(address(disputes), filing(other, m, terms, f));
    }

    /// Else whoever is buyer and provider could keep it open for ever, with all that is bound by it.
    function test_aLeaseThatIsOverIsClosedFirst() public {
        Filing memory f = filingOf(receipt(1));
        Dispute memory m = disputeOf(f.evidence, other);
        vm.warp(uint256(terms.expires) + terms.window + 1);
        commit(other, commitmentOf(m, f));
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.CloseFirst);
        close(terms, other);
        accepted(address(disputes), filing(other, m, terms, f));
    }

    /// What may still be paid may still be disputed.
    function test_aPendingClaimKeepsALeaseDisputable() public {
        vm.warp(uint256(terms.expires) + terms.window);
        Claim memory c = Claim(id, 0, 1_000_000, 1);
        market.claim(c, sign(provider, keccak256(abi.encode(Messages.CLAIM, c))), terms);
        Filing memory f = filingOf(receipt(1));
        Dispute memory m = disputeOf(f.evidence, other);
        commit(other, commitmentOf(m, f));
        vm.warp(uint256(terms.expires) + 2 * uint256(terms.window));
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.CloseFirst);
        vm.warp(uint256(terms.expires) + 2 * uint256(terms.window) - 1);
        accepted(address(disputes), filing(other, m, terms, f));
    }

    function test_openDisputesOfOneChallengerAreFew() public {
        for (uint64 i = 1; i <= 8; ++i) {
            Filing memory f = filingOf(receipt(i));
            file(buyer, disputeOf(f.evidence, buyer), terms, f);
        }
        Filing memory g = filingOf(receipt(9));
        Dispute memory m = disputeOf(g.evidence, buyer);
        commit(buyer, commitmentOf(m, g));
        refused(address(disputes), filing(buyer, m, terms, g), Refused.selector, Why.TooManyOpen);
        file(other, disputeOf(g.evidence, other), terms, g);
        vm.assertEq(market.lease(id).disputes, 9, "open");
    }

    // Deciding.

    function test_wrongFiguresConvictAtOnce() public {
        Evidence memory e = receipt(1);
        e.statement.figures.amount += 1;
        signStatement(e);
        settle(terms, 300_000);
        Filing memory f = filingOf(e);
        bytes32 dispute = file(other, disputeOf(e, other), terms, f);
        DisputeRecord memory d = disputes.dispute(dispute);
        vm.assertTrue(d.decided && d.outcome == Ending.ProviderWrong, "convicted");
        // Of 10.00 half is burned; of the rest the buyer gets what it had paid, the challenger at most 1.00.
        vm.assertEq(available(buyer.at), 100_000_000, "made whole, refunded");
        vm.assertEq(available(other.at), 6_000_000, "bond and reward");
        vm.assertEq(market.totals().burned, 8_700_000, "burned");
        Account memory a = market.account(provider.at);
        vm.assertEq(a.stake + a.exposure, 0, "nothing left");
        vm.assertEq(a.slashed, 10_000_000, "slashed");
        vm.assertEq(a.convictions, 1, "convictions");
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "the lease");
        vm.assertTrue(market.convicted(d.subject), "the subject");
        Dispute memory m = disputeOf(e, buyer);
        commit(buyer, commitmentOf(m, f));
        refused(address(disputes), filing(buyer, m, terms, f), Conflict.selector, Why.Convicted);
    }

    function test_everyWrongFigureConvicts() public {
        for (uint256 i = 0; i < 8; ++i) {
            uint256 snapshot = vm.snapshotState();
            Evidence memory e = receipt(1);
            if (i == 0) e.statement.figures.count = 2_000_001;
            else if (i == 1) e.statement.figures.amount -= 1;
            else if (i == 2) e.statement.figures.finish = 4;
            else if (i == 3) e.statement.figures.amount = type(uint128).max;
            else if (i == 4) e = capped(100_000);
            else if (i == 5) e = empty(keccak256("a tape"), 0);
            else if (i == 6) e = empty(sha256(""), keccak256("numbers"));
            else e = dear();
            signStatement(e);
            bytes32 dispute = file(other, disputeOf(e, other), terms, filingOf(e));
            vm.assertTrue(disputes.dispute(dispute).outcome == Ending.ProviderWrong, "convicted");
            vm.revertToState(snapshot);
        }
    }

    function capped(uint128 cap) private view returns (Evidence memory e) {
        e = receipt(1);
        e.request.cap = cap;
        e.requestSignature = sign(buyer, this.hashRequest(e.request));
        e.statement.figures.request = digest(this.hashRequest(e.request));
    }

    function empty(bytes32 tape, bytes32 logprobs) private view returns (Evidence memory e) {
        e = evidence(terms, 1, 0, 0);
        e.statement.figures.tape_root = tape;
        e.statement.figures.logprobs_root = logprobs;
    }

    /// A price that no ledger can count.
    function dear() private returns (Evidence memory e) {
        Made memory made = makeLease(1_000_000);
        made.model.price_in = made.terms.price_in = (1 << 63) - 1;
        signLease(made);
        open(made);
        (terms, id) = (made.terms, idOf(made.terms));
        e.request = request(terms, 1);
        e.request.prompt_count = type(uint32).max;
        e.request.cap = type(uint128).max;
        e.requestSignature = sign(buyer, this.hashRequest(e.request));
        e.statement.figures.request = digest(this.hashRequest(e.request));
        e.statement.figures.amount = ((uint128(1) << 63) - 1) * type(uint32).max / 1_000_000 + 1;
        e.statement.figures.finish = 2;
        e.statement.figures.tape_root = sha256("");
    }

    function test_aProofWithoutAGameDecidesAtOnce() public {
        uint256 snapshot = vm.snapshotState();
        Filing memory f = finishing("right");
        bytes32 d = file(other, disputeOf(f.evidence, other), terms, f);
        vm.assertTrue(disputes.dispute(d).outcome == Ending.ProviderRight, "right");
        vm.assertEq(available(payout.at), 100_000, "the bond is the provider's");
        vm.assertTrue(market.lease(id).state == LeaseState.Open, "the lease goes on");

        vm.revertToState(snapshot);
        f = finishing("invalid");
        d = file(other, disputeOf(f.evidence, other), terms, f);
        vm.assertTrue(disputes.dispute(d).outcome == Ending.InvalidModel, "invalid model");
        vm.assertEq(available(other.at), 5_000_000, "the bond is back");
        vm.assertEq(market.account(provider.at).stake, 10_000_000, "nobody is slashed");
        vm.assertTrue(market.lease(id).state == LeaseState.Closed, "refunded");
        vm.assertEq(available(buyer.at), 100_000_000, "all of it");

        vm.revertToState(snapshot);
        f = finishing("wrong");
        file(other, disputeOf(f.evidence, other), terms, f);
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "convicted");
    }

    function test_proofsThatDoNotOpenAreRefused() public {
        bytes[5] memory words = [bytes("?"), "short", "nostep", "noprogram", new bytes(16 * 1024 + 1)];
        bytes4[5] memory kinds =
            [Mismatch.selector, Invalid.selector, Invalid.selector, NotFound.selector, Invalid.selector];
        Why[5] memory whys = [Why.Proof, Why.Proof, Why.Proof, Why.NoProgram, Why.TooLong];
        for (uint256 i = 0; i < 5; ++i) {
            Filing memory f = finishing(words[i]);
            Dispute memory m = disputeOf(f.evidence, other);
            commit(other, commitmentOf(m, f));
            refused(address(disputes), filing(other, m, terms, f), kinds[i], whys[i]);
        }
        Filing memory g = finishing("wrong");
        g.moves = new Played[](1);
        Dispute memory n = disputeOf(g.evidence, other);
        commit(other, commitmentOf(n, g));
        refused(address(disputes), filing(other, n, terms, g), Invalid.selector, Why.TwoKindsOfEvidence);
    }

    function test_noGameWithoutAnExecution() public {
        for (uint256 i = 0; i < 4; ++i) {
            Evidence memory e = evidence(terms, 1, 1, keccak256("tape"));
            if (i == 0) (e.request.prompt_count, e.statement.figures.amount) = (0, 4);
            else if (i == 1) e.request.continuation = PROMPT;
            else if (i == 2) {
                e.request.prompt_count = 1 << 18;
                e.statement.figures.amount = priceOf(1 << 18, 1);
                e.statement.figures.finish = 2;
            } else {
                e = evidence(terms, 1, 0, 0);
                e.statement.figures.finish = 3;
            }
            e.requestSignature = sign(buyer, this.hashRequest(e.request));
            e.statement.figures.request = digest(this.hashRequest(e.request));
            signStatement(e);
            Filing memory f = filingOf(e);
            Dispute memory m = disputeOf(e, other);
            commit(other, commitmentOf(m, f));
            refused(address(disputes), filing(other, m, terms, f), Invalid.selector, Why.NoGame);
        }
    }

    function test_transcriptsHaveAForm() public {
        Filing memory f = filingOf(receipt(1));
        Dispute memory m = disputeOf(f.evidence, other);
        commit(other, commitmentOf(m, f));
        f.moves = new Played[](1);
        refused(address(disputes), filing(other, m, terms, f), Invalid.selector, Why.TooLong);
        (f.moves, f.signatures) = (new Played[](65), new bytes[](65));
        refused(address(disputes), filing(other, m, terms, f), Invalid.selector, Why.TooLong);
        (f.moves, f.signatures) = (new Played[](1), new bytes[](1));
        f.moves[0].payload = new bytes(16 * 1024 + 1);
        refused(address(disputes), filing(other, m, terms, f), Invalid.selector, Why.TooLong);
        f.moves[0].payload = "";
        refused(address(disputes), filing(other, m, terms, f), Mismatch.selector, Why.Signature);
    }

    // Deadlines.

    function test_whoIsSilentHasLost() public {
        Filing memory f = filingOf(receipt(1));
        Case memory about = caseOf(f, 2);
        bytes32 d = file(other, disputeOf(f.evidence, other), terms, f);
        bytes32 slower = file(buyer, disputeOf(f.evidence, buyer), terms, f);
        refused(address(disputes), timingOut(buyer, d, terms, about), Refused.selector, Why.DeadlineAhead);
        refused(address(disputes), timingOut(buyer, 0, terms, about), NotFound.selector, Why.NoDispute);
        Case memory wrong = caseOf(f, 3);
        refused(address(disputes), timingOut(buyer, d, terms, wrong), Mismatch.selector, Why.OtherStatement);
        Timeout memory t = Timeout(buyer.at, d);
        refused(
            address(disputes),
            abi.encodeCall(
                IGameCourt.timeout, (t, sign(other, keccak256(abi.encode(Messages.TIMEOUT, t))), terms, about)
            ),
            Mismatch.selector,
            Why.Signature
        );
        vm.warp(1020);
        accepted(address(disputes), timingOut(buyer, d, terms, about));
        vm.assertTrue(disputes.dispute(d).outcome == Ending.ProviderWrong, "convicted");
        refused(address(disputes), timingOut(buyer, d, terms, about), Conflict.selector, Why.Decided);
        // The second challenger was slower: its bond comes back, nobody is convicted twice.
        Played memory none;
        refused(address(disputes), moving(provider, slower, terms, about, none), Conflict.selector, Why.Convicted);
        accepted(address(disputes), timingOut(buyer, slower, terms, about));
        vm.assertTrue(disputes.dispute(slower).outcome == Ending.NotJudged, "not judged");
        vm.assertEq(market.account(provider.at).convictions, 1, "once");
        vm.assertEq(market.totals().bonds, 0, "all bonds are back");
    }

    function test_biasesArePartOfTheCase() public {
        Evidence memory e = receipt(1);
        e.request.logit_bias = new LogitBias[](2);
        e.request.logit_bias[0] = LogitBias(3, 0x3f800000);
        e.request.logit_bias[1] = LogitBias(9, 0xbf800000);
        e.requestSignature = sign(buyer, this.hashRequest(e.request));
        e.statement.figures.request = digest(this.hashRequest(e.request));
        signStatement(e);
        Filing memory f = filingOf(e);
        bytes32 d = file(other, disputeOf(e, other), terms, f);
        vm.warp(1020);
        Case memory without = caseOf(f, 2);
        without.subject.biasHash = 0;
        refused(address(disputes), timingOut(other, d, terms, without), Mismatch.selector, Why.OtherStatement);
        accepted(address(disputes), timingOut(other, d, terms, caseOf(f, 2)));
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "convicted");
    }

    function test_movesAreChecked() public {
        Filing memory f = filingOf(receipt(1));
        Case memory about = caseOf(f, 2);
        bytes32 d = file(other, disputeOf(f.evidence, other), terms, f);
        Played memory p;
        p.payload = "?";
        DisputeRecord memory r = disputes.dispute(d);
        Move memory m = Move(d, 1, r.game, sha256(p.payload));
        refused(address(disputes), signed(provider, m, about, p), Conflict.selector, Why.MoveNumber);
        m = Move(d, 0, 0, sha256(p.payload));
        refused(address(disputes), signed(provider, m, about, p), Mismatch.selector, Why.MoveState);
        m = Move(d, 0, r.game, 0);
        refused(address(disputes), signed(provider, m, about, p), Mismatch.selector, Why.Payload);
        refused(address(disputes), moving(other, d, terms, about, p), Mismatch.selector, Why.Signature);
        refused(
            address(disputes), moving(provider, d, terms, caseOf(f, 3), p), Mismatch.selector, Why.OtherStatement
        );
        p.payload = new bytes(16 * 1024 + 1);
        refused(address(disputes), moving(provider, d, terms, about, p), Invalid.selector, Why.TooLong);
        vm.warp(1020);
        refused(address(disputes), moving(provider, d, terms, about, p), Refused.selector, Why.DeadlinePassed);
    }

    function signed(Party memory by, Move memory m, Case memory about, Played memory p)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            IGameCourt.move, (m, sign(by, keccak256(abi.encode(Messages.MOVE, m))), terms, about, p)
        );
    }

    function test_aDisputeHoldsTheClaimAndTheLease() public {
        Claim memory c = Claim(id, 0, 1_000_000, 1);
        market.claim(c, sign(provider, keccak256(abi.encode(Messages.CLAIM, c))), terms);
        Filing memory f = filingOf(receipt(1));
        bytes32 d = file(buyer, disputeOf(f.evidence, buyer), terms, f);
        vm.warp(1100);
        Finalize memory m = Finalize(other.at, idOf(c));
        bytes memory call = abi.encodeCall(
            market.finalize, (m, sign(other, keccak256(abi.encode(Messages.FINALIZE, m))), terms, c)
        );
        refused(address(market), call, Refused.selector, Why.DisputeOpen);
        accepted(address(disputes), timingOut(other, d, terms, caseOf(f, 2)));
        refused(address(market), call, NotFound.selector, Why.NoClaim);
        vm.assertTrue(market.lease(id).claiming == Claiming.Free, "void");
    }

    function test_aConvictionReturnsTheBondOfAContest() public {
        Claim memory c = Claim(id, 0, 1_000_000, 1);
        market.claim(c, sign(provider, keccak256(abi.encode(Messages.CLAIM, c))), terms);
        Dispute memory contest = Dispute(buyer.at, id, idOf(c), 100_000, 1);
        market.contestClaim(contest, sign(buyer, keccak256(abi.encode(Messages.DISPUTE, contest))), terms, c);
        Filing memory f = finishing("wrong");
        file(other, disputeOf(f.evidence, other), terms, f);
        vm.assertEq(market.contest(idOf(contest)).outcome, 2, "not judged");
        vm.assertEq(available(buyer.at), 100_000_000, "all is back");
        vm.assertEq(market.totals().bonds, 0, "no bond is left");
    }

    function test_closingWaitsForDisputes() public {
        Filing memory f = filingOf(receipt(1));
        file(buyer, disputeOf(f.evidence, buyer), terms, f);
        Close memory m = Close(provider.at, id);
        refused(
            address(market),
            abi.encodeCall(market.close, (m, sign(provider, keccak256(abi.encode(Messages.CLOSE, m))), terms)),
            Refused.selector,
            Why.DisputeOpen
        );
    }

    function test_aClosedLeaseConvictsToo() public {
        settle(terms, 2_000_000);
        close(terms, provider);
        Filing memory f = finishing("wrong");
        file(other, disputeOf(f.evidence, other), terms, f);
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "the lease");
        vm.assertEq(available(buyer.at), 98_000_000 + uint256(f.evidence.statement.figures.amount), "made whole");
        vm.assertEq(market.lease(id).until, 1000, "closed when it was");
        f = filingOf(receipt(2));
        f.withoutGame = true;
        f.finish = "invalid";
        file(other, disputeOf(f.evidence, other), terms, f);
        vm.assertTrue(market.lease(id).state == LeaseState.Convicted, "nothing to end");
    }

    function test_unbondingIsSlashedToo() public {
        Unbond memory u = Unbond(provider.at, 4_000_000, 1);
        market.unbond(u, sign(provider, keccak256(abi.encode(Messages.UNBOND, u))));
        Filing memory f = finishing("wrong");
        file(other, disputeOf(f.evidence, other), terms, f);
        Account memory a = market.account(provider.at);
        vm.assertEq(a.slashed, 10_000_000, "stake and unbonding");
        vm.assertEq(a.unbonding, 0, "nothing unbonds");
        vm.assertEq(market.unbondings(provider.at).length, 0, "no entries");
    }

    // Equivocation.

    function reporting(Evidence memory a, Evidence memory b, Equivocation memory m)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            IDisputes.reportEquivocation,
            (
                m,
                sign(other, keccak256(abi.encode(Messages.EQUIVOCATION, m))),
                terms,
                a.request,
                a.requestSignature,
                a.statement,
                b.statement
            )
        );
    }

    function reportOf(Evidence memory a, Evidence memory b) private view returns (Equivocation memory) {
        return Equivocation(other.at, id, subjectOf(a), subjectOf(b));
    }

    function committed(Equivocation memory m) private returns (bytes32 report) {
        report = digest(keccak256(abi.encode(Messages.EQUIVOCATION, m)));
        commit(other, sha256(abi.encodePacked(report)));
    }

    function test_twoStoriesConvictInOneTransaction() public {
        Evidence memory a = evidence(terms, 1, 7, keccak256("one"));
        Evidence memory b = evidence(terms, 1, 7, keccak256("another"));
        Equivocation memory m = reportOf(a, b);
        refused(address(disputes), reporting(a, b, m), Refused.selector, Why.NotCommitted);
        bytes32 report = committed(m);
        bytes memory call = reporting(a, b, m);
        accepted(address(disputes), call);
        vm.assertTrue(disputes.dispute(report).outcome == Ending.ProviderWrong, "convicted");
        vm.assertTrue(market.convicted(m.first) && market.convicted(m.second), "both");
        vm.assertEq(available(other.at), 6_000_000, "no bond, a reward");
        applied(address(disputes), call, report);
        m = reportOf(b, a);
        refused(address(disputes), reporting(b, a, m), Conflict.selector, Why.Convicted);
    }

    function test_reportsAreChecked() public {
        Evidence memory a = evidence(terms, 1, 7, keccak256("one"));
        Evidence memory b = evidence(terms, 1, 7, keccak256("another"));
        Equivocation memory m = reportOf(a, b);
        m.challenger = buyer.at;
        refused(address(disputes), reporting(a, b, m), Mismatch.selector, Why.Signature);
        m = reportOf(a, b);
        m.lease = 0;
        refused(address(disputes), reporting(a, b, m), NotFound.selector, Why.NoLease);
        m = reportOf(a, a);
        refused(address(disputes), reporting(a, b, m), Mismatch.selector, Why.OtherStatement);
        m = reportOf(b, b);
        refused(address(disputes), reporting(a, b, m), Mismatch.selector, Why.OtherStatement);
        Evidence memory c = evidence(terms, 2, 7, keccak256("another request"));
        refused(address(disputes), reporting(a, c, reportOf(a, c)), Refused.selector, Why.OtherRequest);
    }

    /// What src/market/statements.cpp calls a contradiction, case by case.
    function test_whatContradicts() public {
        for (uint256 i = 0; i < 14; ++i) {
            uint256 snapshot = vm.snapshotState();
            Evidence memory a = evidence(terms, 1, 7, keccak256("one"));
            Evidence memory b = evidence(terms, 1, 7, keccak256("one"));
            bool wrong = true;
            if (i == 0) b.statement.figures.count = 8;
            else if (i == 1) (b.statement.figures.count, b.statement.progress, wrong) = (6, true, false);
            else if (i == 2) b.statement.figures.amount += 1;
            else if (i == 3) b.statement.figures.logprobs_root = keccak256("numbers");
            else if (i == 4) b.statement.figures.finish = 1;
            else if (i == 5) b.statement.figures.trace_root = keccak256("another trace");
            else if (i == 6) (b.statement.figures.key_sequence, wrong) = (2, false);
            else if (i == 7) (b.statement.figures.evidence, wrong) = (keccak256("e"), false);
            else if (i == 8) (b.statement.progress, wrong) = (true, false);
            else if (i == 9) {
                (b.statement.progress, b.statement.figures.trace_root) = (true, keccak256("another trace"));
            } else if (i == 10) {
                (b.statement.progress, b.statement.figures.trace_root) = (true, keccak256("another trace"));
                (a.statement.figures.finish, wrong) = (2, false);
            } else if (i == 11) {
                (b.statement.progress, b.statement.figures.tape_root) = (true, keccak256("another tape"));
            } else if (i == 12) {
                (a.statement.progress, b.statement.progress) = (true, true);
                b.statement.figures.trace_root = keccak256("another trace");
            } else {
                (a.statement.figures.finish, b.statement.figures.finish) = (2, 2);
                b.statement.figures.trace_root = keccak256("another trace");
            }
            signStatement(a);
            signStatement(b);
            Equivocation memory m = reportOf(a, b);
            committed(m);
            if (wrong) accepted(address(disputes), reporting(a, b, m));
            else refused(address(disputes), reporting(a, b, m), Refused.selector, Why.NoContradiction);
            vm.revertToState(snapshot);
        }
    }

    function test_aProgressCanBeDisputed() public {
        Evidence memory e = receipt(1);
        e.statement.progress = true;
        e.statement.figures.amount += 1;
        signStatement(e);
        bytes32 d = file(other, disputeOf(e, other), terms, filingOf(e));
        vm.assertTrue(disputes.dispute(d).outcome == Ending.ProviderWrong, "convicted");
    }
}
