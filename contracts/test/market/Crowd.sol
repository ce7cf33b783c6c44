// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Case} from "../../src/disputes/IGames.sol";
import {DemandRecord, IDeliveries, Wanted} from "../../src/disputes/IDeliveries.sol";
import {DisputeRecord, Filing, IDisputes} from "../../src/disputes/IDisputes.sol";
import {
    Account,
    Block,
    Claiming,
    IMarket,
    Leaf,
    LeaseRecord,
    LeaseState,
    Totals
} from "../../src/market/IMarket.sol";
import {MerkleSum, SumNode} from "../../src/market/MerkleSum.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {DisputeWorld} from "../disputes/DisputeWorld.sol";
import {FirstMove} from "../disputes/FirstMove.sol";
import {ToyPrograms, ToyReferee} from "../disputes/Toy.sol";

/// People who do what they can in any order. The provider `honest` signs nothing false and answers in time; the provider
/// `liar` does neither. What is refused changes nothing and is tried all the same.
abstract contract Crowd is DisputeWorld {
    struct Held {
        Lease terms;
        Claim claim; // the last one
        Leaf leaf; // its only receipt
        bytes32 contest;
        uint64 sequence;
    }

    struct Open {
        bytes32 id;
        uint256 lease;
        Case about; // of a dispute
        bool demand;
    }

    bytes32 private immutable TRACE_ROOT = FirstMove.traceRoot();

    Party internal honest;
    Party internal liar;
    Held[] internal held;
    Open[] internal open_;
    uint256 public done; // calls that were applied
    uint256 public convictions;

    constructor() {
        build(address(new ToyReferee()), address(new ToyPrograms()));
        fund();
        honest = provider;
        liar = other;
        deposit(liar.at, 20_000_000);
        stake(liar, 15_000_000);
    }

    function offered() internal view override returns (OfferModel memory model) {
        model = super.offered();
        model.program_hash = sha256(
            abi.encodePacked(
                hex"0f000000", "assay/program/0", hex"05000000", "llama", hex"0e000000", hex"20000000", hex"02000000"
            )
        );
    }

    function attempt(address target, bytes memory call) internal returns (bool applied_) {
        (applied_,) = target.call(call);
        if (applied_) ++done;
    }

    function who(uint256 n) internal view returns (Party memory) {
        if (n % 4 == 0) return buyer;
        if (n % 4 == 1) return honest;
        return n % 4 == 2 ? liar : payout;
    }

    function pick(uint256 n) private view returns (uint256) {
        return n % held.length;
    }

    /// As the world's helpers sign: for the provider of this lease.
    function enter(uint256 n) internal {
        provider = held[n].terms.provider == honest.at ? honest : liar;
    }

    function rootOfTrace() internal view override returns (bytes32) {
        return TRACE_ROOT;
    }

    // What anybody does.

    function pass(uint256 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 60);
    }

    function passLong(uint256 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 700);
    }

    function pay(uint256 n, uint256 amount) external {
        deposit(who(n).at, uint128(1 + amount % 20_000_000));
        ++done;
    }

    function withdraws(uint256 n, uint256 amount) external {
        Party memory p = who(n);
        Withdraw memory m = Withdraw(p.at, uint128(amount % (1 + 2 * available(p.at))), ++nonce);
        attempt(
            address(market),
            abi.encodeCall(IMarket.withdraw, (m, sign(p, keccak256(abi.encode(Messages.WITHDRAW, m)))))
        );
    }

    function transfers(uint256 n, uint256 amount) external {
        (Party memory p, Party memory q) = (who(n), who(n / 4));
        Transfer memory m = Transfer(p.at, q.at, uint128(amount % (1 + 2 * available(p.at))), ++nonce);
        attempt(
            address(market),
            abi.encodeCall(IMarket.transfer, (m, sign(p, keccak256(abi.encode(Messages.TRANSFER, m)))))
        );
    }

    function stakes(uint256 n, uint256 amount) external {
        Party memory p = who(n);
        Stake memory m = Stake(p.at, uint128(amount % (1 + available(p.at))), ++nonce);
        attempt(
            address(market), abi.encodeCall(IMarket.stake, (m, sign(p, keccak256(abi.encode(Messages.STAKE, m)))))
        );
    }

    function unbonds(uint256 n, uint256 amount) external {
        unbondOf(who(n), amount % (1 + market.account(who(n).at).stake));
    }

    function unbondOf(Party memory p, uint256 amount) internal returns (bool) {
        Unbond memory m = Unbond(p.at, uint128(amount), ++nonce);
        return attempt(
            address(market), abi.encodeCall(IMarket.unbond, (m, sign(p, keccak256(abi.encode(Messages.UNBOND, m)))))
        );
    }

    function releases(uint256 n) external {
        release(who(n));
    }

    function release(Party memory p) internal {
        Release memory m = Release(p.at, ++nonce);
        attempt(
            address(market), abi.encodeCall(IMarket.release, (m, sign(p, keccak256(abi.encode(Messages.RELEASE, m)))))
        );
    }

    // Leases and claims.

    function leases(uint256 n, uint256 escrow) external {
        if (held.length >= 12) return;
        provider = n % 2 == 0 ? honest : liar;
        Made memory made = makeLease(uint128(1_000_000 + escrow % 6_000_000));
        bool applied_ = attempt(
            address(market),
            abi.encodeCall(IMarket.openLease, (made.terms, made.signature, made.offer, made.offerSignature, made.model, 0))
        );
        if (!applied_) return;
        held.push();
        held[held.length - 1].terms = made.terms;
    }

    function settles(uint256 n, uint256 amount) external {
        if (held.length == 0) return;
        Held storage h = held[pick(n)];
        LeaseRecord memory l = market.lease(idOf(h.terms));
        Settlement memory m = Settlement(idOf(h.terms), uint128(l.paid + amount % (2 + uint256(l.escrow))));
        attempt(
            address(market),
            abi.encodeCall(
                IMarket.settle, (m, sign(buyer, keccak256(abi.encode(Messages.SETTLEMENT, m))), h.terms, h.claim)
            )
        );
    }

    function closes(uint256 n) external {
        if (held.length == 0) return;
        Held storage h = held[pick(n)];
        enter(pick(n));
        closing(h.terms, n % 3 == 0 ? buyer : provider);
    }

    function closing(Lease memory terms, Party memory by) internal {
        Close memory m = Close(by.at, idOf(terms));
        attempt(
            address(market),
            abi.encodeCall(IMarket.close, (m, sign(by, keccak256(abi.encode(Messages.CLOSE, m))), terms))
        );
    }

    function claims(uint256 n, uint32 count) external {
        if (held.length == 0) return;
        Held storage h = held[pick(n)];
        enter(pick(n));
        Evidence memory e = evidence(h.terms, ++h.sequence, count % 200_000, keccak256(abi.encode(n)));
        Leaf memory leaf = Leaf(hashed(e.request), e.requestSignature, e.statement.figures, e.statement.signature);
        SumNode memory root = MerkleSum.leaf(subjectOf(e), e.statement.figures.amount);
        Claim memory m = Claim(idOf(h.terms), root.hash, root.sum, 1);
        // A liar claims what no receipt is behind.
        if (provider.at == liar.at && n % 2 == 0) m.total += 1;
        bool applied_ = attempt(
            address(market),
            abi.encodeCall(IMarket.claim, (m, sign(provider, keccak256(abi.encode(Messages.CLAIM, m))), h.terms))
        );
        if (!applied_) return;
        h.claim = m;
        h.leaf = leaf;
    }

    function contests(uint256 n) external {
        if (held.length == 0) return;
        Held storage h = held[pick(n)];
        enter(pick(n));
        Dispute memory m = Dispute(buyer.at, idOf(h.terms), idOf(h.claim), 100_000, ++nonce);
        bool applied_ = attempt(
            address(market),
            abi.encodeCall(
                IMarket.contestClaim, (m, sign(buyer, keccak256(abi.encode(Messages.DISPUTE, m))), h.terms, h.claim)
            )
        );
        if (!applied_) return;
        h.contest = idOf(m);
        if (provider.at == honest.at) opening(h);
    }

    function opens(uint256 n) external {
        if (held.length == 0) return;
        enter(pick(n));
        opening(held[pick(n)]);
    }

    function opening(Held storage h) internal {
        Block memory b;
        b.leaves = new Leaf[](1);
        b.leaves[0] = h.leaf;
        Answer memory m = Answer(provider.at, h.contest);
        attempt(
            address(market),
            abi.encodeCall(
                IMarket.openClaim, (m, sign(provider, keccak256(abi.encode(Messages.ANSWER, m))), h.terms, h.claim, b)
            )
        );
    }

    function finalizes(uint256 n) external {
        if (held.length != 0) finalizing(held[pick(n)]);
    }

    function finalizing(Held storage h) internal {
        Finalize memory m = Finalize(buyer.at, idOf(h.claim));
        attempt(
            address(market),
            abi.encodeCall(
                IMarket.finalize, (m, sign(buyer, keccak256(abi.encode(Messages.FINALIZE, m))), h.terms, h.claim)
            )
        );
    }

    // Disputes.

    /// Against the honest one only proofs that say it is right: so says a referee of what is right. The liar is lied to
    /// and about, falls silent, and is convicted.
    function disputes_(uint256 n, uint256 kind) external {
        if (held.length == 0) return;
        uint256 at = pick(n);
        Held storage h = held[at];
        enter(at);
        Party memory by = n % 2 == 0 ? buyer : payout;
        Filing memory f;
        f.evidence = evidence(h.terms, ++h.sequence, 7, keccak256(abi.encode(n)));
        f.execution = ExecutionId(execution().weights_root, offered().program_hash, 0);
        bool game = kind % 3 == 0 && provider.at == liar.at;
        f.withoutGame = !game;
        f.finish = provider.at == honest.at ? bytes("right") : kind % 3 == 1 ? bytes("wrong") : bytes("invalid");
        if (kind % 5 == 0 && provider.at == liar.at) {
            f.evidence.statement.figures.amount += 1;
            signStatement(f.evidence);
        }
        Dispute memory m = disputeOf(f.evidence, by);
        commit(by, commitmentOf(m, f));
        bool applied_ = attempt(address(disputes), filing(by, m, h.terms, f));
        if (!applied_ || disputes.dispute(idOf(m)).decided) return;
        open_.push(Open(idOf(m), at, caseOf(f, 2), false));
    }

    function equivocates(uint256 n) external {
        if (held.length == 0) return;
        uint256 at = pick(n);
        Held storage h = held[at];
        if (h.terms.provider != liar.at) return;
        enter(at);
        Evidence memory a = evidence(h.terms, ++h.sequence, 7, keccak256("one"));
        Evidence memory b = evidence(h.terms, h.sequence, 7, keccak256("another"));
        Equivocation memory m = Equivocation(buyer.at, idOf(h.terms), subjectOf(a), subjectOf(b));
        commit(buyer, sha256(abi.encodePacked(digest(keccak256(abi.encode(Messages.EQUIVOCATION, m))))));
        bool applied_ = attempt(
            address(disputes),
            abi.encodeCall(
                IDisputes.reportEquivocation,
                (
                    m,
                    sign(buyer, keccak256(abi.encode(Messages.EQUIVOCATION, m))),
                    h.terms,
                    a.request,
                    a.requestSignature,
                    a.statement,
                    b.statement
                )
            )
        );
        if (!applied_) return;
        // Who is convicted always is.
        Account memory account = market.account(liar.at);
        vm.assertEq(account.stake + account.unbonding, 0, "everything is slashed");
        vm.assertTrue(market.convicted(m.first) && market.convicted(m.second), "both statements");
        vm.assertTrue(market.lease(m.lease).state == LeaseState.Convicted, "the lease");
    }

    function demands(uint256 n) external {
        if (held.length == 0) return;
        uint256 at = pick(n);
        Held storage h = held[at];
        enter(at);
        Evidence memory e = evidence(h.terms, ++h.sequence, 1, keccak256(abi.encode(n)));
        Demand memory m = Demand(buyer.at, idOf(h.terms), subjectOf(e), 100_000, ++nonce);
        bool applied_ = attempt(
            address(deliveries),
            abi.encodeCall(
                IDeliveries.demand, (m, sign(buyer, keccak256(abi.encode(Messages.DEMAND, m))), h.terms, e)
            )
        );
        if (!applied_) return;
        bytes32 id = digest(keccak256(abi.encode(Messages.DEMAND, m)));
        Case memory none;
        open_.push(Open(id, at, none, true));
        if (provider.at == honest.at) delivering(id, e);
    }

    function delivering(bytes32 id, Evidence memory e) internal {
        Wanted memory w = Wanted({
            provider: provider.at,
            count: 1,
            width: 0,
            saltCommitment: e.request.salt_commitment,
            tapeRoot: e.statement.figures.tape_root,
            logprobsRoot: 0
        });
        Delivery memory m = Delivery(provider.at, id, sha256("four"));
        attempt(
            address(deliveries),
            abi.encodeCall(
                IDeliveries.deliver, (m, sign(provider, keccak256(abi.encode(Messages.DELIVERY, m))), w, "four")
            )
        );
    }

    function timesOut(uint256 n) external {
        if (open_.length != 0) timingOut(n % open_.length);
    }

    function timingOut(uint256 i) internal {
        Open memory o = open_[i];
        bytes memory call;
        if (o.demand) {
            Timeout memory m = Timeout(payout.at, o.id);
            call = abi.encodeCall(
                IDeliveries.timeout,
                (m, sign(payout, keccak256(abi.encode(Messages.TIMEOUT, m))), held[o.lease].terms)
            );
        } else {
            call = timingOut(payout, o.id, held[o.lease].terms, o.about);
        }
        if (!attempt(o.demand ? address(deliveries) : address(disputes), call)) return;
        open_[i] = open_[open_.length - 1];
        open_.pop();
    }

    // What must hold.

    function checkConserved() external view {
        address[4] memory people = [buyer.at, honest.at, liar.at, payout.at];
        uint256[3] memory pots;
        uint256[4] memory exposure;
        for (uint256 i = 0; i < held.length; ++i) {
            LeaseRecord memory l = market.lease(idOf(held[i].terms));
            pots[0] += l.escrow;
            for (uint256 k = 0; k < 4; ++k) if (held[i].terms.provider == people[k]) exposure[k] += l.escrow;
            vm.assertTrue(l.state == LeaseState.Open || l.escrow == 0, "an ended lease holds nothing");
            vm.assertGe(l.paid, l.madeWhole, "no more given back than paid");
        }
        for (uint256 k = 0; k < 4; ++k) {
            Account memory a = market.account(people[k]);
            pots[0] += uint256(a.available) + a.stake + a.unbonding;
            vm.assertEq(a.exposure, exposure[k], "exposure");
            uint256 unbonding = 0;
            for (uint256 i = a.unbondingFirst; i < a.unbondingNext; ++i) {
                unbonding += market.unbondings(people[k])[i - a.unbondingFirst].amount;
            }
            vm.assertEq(a.unbonding, unbonding, "unbonding");
        }
        Totals memory t = market.totals();
        vm.assertEq(pots[0] + t.bonds + t.burned, t.deposited - t.withdrawn, "conserved");
        vm.assertEq(token.balanceOf(address(market)), t.deposited - t.withdrawn, "all of it is there");
    }

    function checkHonest() external view {
        Account memory a = market.account(honest.at);
        vm.assertEq(a.convictions, 0, "nobody honest is convicted");
        vm.assertEq(a.slashed, 0, "or slashed");
    }
}
