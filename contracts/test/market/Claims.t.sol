// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {Block, Claiming, Contest, IMarket, Leaf, LeaseRecord} from "../../src/market/IMarket.sol";
import {MerkleSum, SumNode} from "../../src/market/MerkleSum.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {World} from "../World.sol";

/// Claims, contests by blocks, their answers.
contract ClaimsTest is World {
    Claim private none;
    Lease private terms;
    bytes32 private id;
    uint256 private biases;

    function setUp() public {
        build(address(0), address(0));
        fund();
        (terms, id) = lease(5_000_000);
    }

    // Making things.

    function leafOf(uint64 sequence, uint32 count) private view returns (Leaf memory l) {
        Evidence memory e = evidence(terms, sequence, count, keccak256("tape"));
        (l.request, l.requestSignature) = (hashed(e.request), e.requestSignature);
        (l.receipt, l.receiptSignature) = (e.statement.figures, e.statement.signature);
    }

    /// What buyers ask for here; the world's own requests have no biases.
    function request(Lease memory under, uint64 sequence) internal view override returns (Request memory r) {
        r = super.request(under, sequence);
        r.logit_bias = new LogitBias[](biases);
        for (uint32 i = 0; i < biases; ++i) r.logit_bias[i] = LogitBias(i, 0x3f800000);
    }

    function leaves(uint256 count) private view returns (Leaf[] memory list) {
        list = new Leaf[](count);
        for (uint64 i = 0; i < count; ++i) list[i] = leafOf(i + 1, uint32(i));
    }

    function node(Leaf memory l) private view returns (SumNode memory) {
        return MerkleSum.leaf(idOf(l.receipt), l.receipt.amount);
    }

    function nodes(Leaf[] memory list, uint256 from, uint256 to) private view returns (SumNode[] memory out) {
        out = new SumNode[](to - from);
        for (uint256 i = from; i < to; ++i) out[i - from] = node(list[i]);
    }

    function claimOf(Leaf[] memory list) private view returns (Claim memory m) {
        SumNode memory root = MerkleSum.root(nodes(list, 0, list.length));
        return Claim(id, root.hash, root.sum, uint32(list.length));
    }

    /// The siblings of node `index` (of `each` leaves) up to the root, from RFC 6962's own recursion.
    function path(Leaf[] memory list, uint256 each, uint256 index) private view returns (SumNode[] memory out) {
        (uint256 from, uint256 to) = (0, list.length);
        SumNode[16] memory way;
        uint256 depth = 0;
        while (to - from > each) {
            uint256 split = 1;
            while (2 * split < to - from) split *= 2;
            uint256 middle = from + split;
            if (index * each < middle) {
                way[depth++] = MerkleSum.root(nodes(list, middle, to));
                to = middle;
            } else {
                way[depth++] = MerkleSum.root(nodes(list, from, middle));
                from = middle;
            }
        }
        out = new SumNode[](depth);
        for (uint256 i = 0; i < depth; ++i) out[i] = way[depth - 1 - i];
    }

    function shown(Leaf[] memory list, uint256 number) private view returns (Block memory b) {
        uint256 to = number * 32 + 32 < list.length ? number * 32 + 32 : list.length;
        b.leaves = new Leaf[](to - number * 32);
        for (uint256 i = 0; i < b.leaves.length; ++i) b.leaves[i] = list[number * 32 + i];
        b.path = path(list, 32, number);
        if (number == 0) return b;
        b.before = new Leaf[](1);
        b.before[0] = list[number * 32 - 1];
        b.beforePath = path(list, 1, number * 32 - 1);
    }

    // Calls.

    function claiming(Party memory by, Claim memory m) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.claim, (m, sign(by, keccak256(abi.encode(Messages.CLAIM, m))), terms));
    }

    function contesting(Party memory by, Dispute memory m, Claim memory c) private view returns (bytes memory) {
        return
            abi.encodeCall(IMarket.contestClaim, (m, sign(by, keccak256(abi.encode(Messages.DISPUTE, m))), terms, c));
    }

    function opening(bytes32 contest, Claim memory c, Block memory b) private view returns (bytes memory) {
        Answer memory m = Answer(provider.at, contest);
        return abi.encodeCall(
            IMarket.openClaim, (m, sign(provider, keccak256(abi.encode(Messages.ANSWER, m))), terms, c, b)
        );
    }

    function finalizing(Claim memory c) private view returns (bytes memory) {
        Finalize memory m = Finalize(other.at, idOf(c));
        return
            abi.encodeCall(IMarket.finalize, (m, sign(other, keccak256(abi.encode(Messages.FINALIZE, m))), terms, c));
    }

    function contestOf(Claim memory c, uint64 nonce_) private view returns (Dispute memory) {
        return Dispute(buyer.at, id, idOf(c), 100_000, nonce_);
    }

    // Tests.

    function test_aClaimIsPaidAfterItsWindow() public {
        Claim memory c = claimOf(leaves(2));
        accepted(address(market), claiming(provider, c));
        vm.assertEq(market.lease(id).until, 1100, "due");
        applied(address(market), claiming(provider, c), idOf(c));
        refused(address(market), claiming(provider, Claim(id, 0, 1, 1)), Refused.selector, Why.ClaimPending);
        vm.warp(1099);
        refused(address(market), finalizing(c), Refused.selector, Why.WindowOpen);
        vm.warp(1100);
        Close memory m = Close(provider.at, id);
        refused(
            address(market),
            abi.encodeCall(IMarket.close, (m, sign(provider, keccak256(abi.encode(Messages.CLOSE, m))), terms)),
            Refused.selector,
            Why.ClaimPending
        );
        accepted(address(market), finalizing(c));
        vm.assertEq(available(payout.at), c.total, "paid");
        refused(address(market), finalizing(c), NotFound.selector, Why.NoClaim);
        applied(address(market), claiming(provider, c), idOf(c));
    }

    function test_claimsAreChecked() public {
        refused(address(market), claiming(provider, Claim(id, 0, 1, 0)), Invalid.selector, Why.ClaimCount);
        refused(address(market), claiming(provider, Claim(id, 0, 1, 4097)), Refused.selector, Why.ClaimCount);
        refused(address(market), claiming(provider, Claim(id, 0, 0, 1)), Conflict.selector, Why.StaleTotal);
        refused(address(market), claiming(provider, Claim(id, 0, 5_000_001, 1)), Refused.selector, Why.EscrowTooSmall);
        refused(address(market), claiming(buyer, Claim(id, 0, 1, 1)), Mismatch.selector, Why.Signature);
        refused(address(market), claiming(provider, Claim(0, 0, 1, 1)), NotFound.selector, Why.NoLease);
        vm.warp(1601);
        refused(address(market), claiming(provider, Claim(id, 0, 1, 1)), Refused.selector, Why.ClaimsEnded);
        close(terms, provider);
        refused(address(market), claiming(provider, Claim(id, 0, 1, 1)), Refused.selector, Why.LeaseEnded);
    }

    function test_aSettlementAnswersTheClaim() public {
        Claim memory c = Claim(id, 0, 1_000_000, 3);
        accepted(address(market), claiming(provider, c));
        Settlement memory m = Settlement(id, 400_000);
        bytes memory signature = sign(buyer, keccak256(abi.encode(Messages.SETTLEMENT, m)));
        Claim memory wrong = Claim(id, 0, 1, 3);
        refused(
            address(market),
            abi.encodeCall(IMarket.settle, (m, signature, terms, wrong)),
            Mismatch.selector,
            Why.NoClaim
        );
        market.settle(m, signature, terms, c);
        vm.assertTrue(market.lease(id).claiming == Claiming.Pending, "asks for more");
        m.cumulative = 1_000_000;
        market.settle(m, sign(buyer, keccak256(abi.encode(Messages.SETTLEMENT, m))), terms, c);
        vm.assertTrue(market.lease(id).claiming == Claiming.Free, "answered");
        vm.assertEq(available(payout.at), 1_000_000, "paid once");
    }

    function test_theClaimOfASettledTotalPaysNothingMore() public {
        Claim memory c = Claim(id, 0, 1_000_000, 3);
        accepted(address(market), claiming(provider, c));
        accepted(address(market), contesting(buyer, contestOf(c, 1), c));
        Settlement memory m = Settlement(id, 1_000_000);
        market.settle(m, sign(buyer, keccak256(abi.encode(Messages.SETTLEMENT, m))), terms, c);
        vm.assertTrue(market.lease(id).claiming == Claiming.Pending, "a contest has its bond to decide");
        vm.warp(1100);
        accepted(address(market), finalizing(c));
        vm.assertEq(available(payout.at), 1_000_000, "no more");
        vm.assertTrue(market.lease(id).claiming == Claiming.Barred, "not opened");
    }

    function test_aContestedClaimIsOpenedAndPaid() public {
        Leaf[] memory list = leaves(3);
        Claim memory c = claimOf(list);
        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        refused(address(market), contesting(other, m, c), Mismatch.selector, Why.Signature);
        refused(
            address(market),
            contesting(other, Dispute(other.at, id, idOf(c), 100_000, 1), c),
            Refused.selector,
            Why.NotTheBuyer
        );
        refused(
            address(market), contesting(buyer, Dispute(buyer.at, id, 0, 100_000, 1), c), NotFound.selector, Why.NoClaim
        );
        refused(
            address(market), contesting(buyer, m, Claim(id, 0, 1, 1)), Mismatch.selector, Why.NoClaim
        );
        refused(
            address(market),
            contesting(buyer, Dispute(buyer.at, id, idOf(c), 99_999, 1), c),
            Refused.selector,
            Why.BondTooSmall
        );
        refused(
            address(market),
            contesting(buyer, Dispute(buyer.at, id, idOf(c), 95_000_001, 1), c),
            Refused.selector,
            Why.Available
        );
        vm.warp(1050);
        accepted(address(market), contesting(buyer, m, c));
        vm.assertEq(market.lease(id).until, 1150, "a whole window to answer");
        vm.assertEq(market.totals().bonds, 100_000, "held");
        applied(address(market), contesting(buyer, m, c), idOf(m));
        refused(address(market), contesting(buyer, contestOf(c, 2), c), Conflict.selector, Why.Contested);

        Block memory b = shown(list, 0);
        accepted(address(market), opening(idOf(m), c, b));
        vm.assertEq(available(payout.at), 100_000, "the bond");
        vm.assertEq(market.lease(id).until, 1150, "a whole window to look");
        refused(address(market), opening(idOf(m), c, b), Conflict.selector, Why.Decided);
        refused(address(market), contesting(buyer, contestOf(c, 3), c), Conflict.selector, Why.Contested);
        vm.warp(1150);
        accepted(address(market), finalizing(c));
        vm.assertEq(available(payout.at), 100_000 + c.total, "and paid");
        vm.assertEq(market.contest(idOf(m)).outcome, 0, "the provider was right");
    }

    /// For what is left where its provider gave a rebate.
    function test_aClaimMayAskForLessThanItsReceiptsAddUpTo() public {
        Leaf[] memory list = leaves(38);
        Claim memory c = claimOf(list);
        c.total -= 123;
        accepted(address(market), claiming(provider, c));
        for (uint64 block_ = 0; block_ < 2; ++block_) {
            Dispute memory m = contestOf(c, block_);
            accepted(address(market), contesting(buyer, m, c));
            accepted(address(market), opening(idOf(m), c, shown(list, block_)));
        }
        vm.warp(market.lease(id).until);
        accepted(address(market), finalizing(c));
        vm.assertEq(available(payout.at), 200_000 + c.total, "two bonds, and what was asked for");
    }

    function test_whatIsNotOpenedIsNotPaid() public {
        Claim memory c = Claim(id, 0, 4_000_000, 9);
        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        accepted(address(market), contesting(buyer, m, c));
        vm.warp(1100);
        accepted(address(market), finalizing(c));
        vm.assertEq(available(buyer.at), 95_000_000, "the bond is back");
        vm.assertEq(available(payout.at), 0, "nothing paid");
        vm.assertEq(market.contest(idOf(m)).outcome, 1, "the provider was wrong");
        refused(address(market), claiming(provider, Claim(id, 0, 1, 1)), Refused.selector, Why.MayNotClaim);
    }

    function test_aContestComesInTime() public {
        Claim memory c = Claim(id, 0, 4_000_000, 9);
        accepted(address(market), claiming(provider, c));
        vm.warp(1100);
        refused(address(market), contesting(buyer, contestOf(c, 1), c), Refused.selector, Why.WindowEnded);
    }

    function test_wrongLeavesOpenNothing() public {
        Leaf[] memory list = leaves(3);
        Claim memory c = claimOf(list);
        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        bytes32 contest = idOf(m);
        refused(address(market), opening(contest, c, shown(list, 0)), NotFound.selector, Why.NoContest);
        accepted(address(market), contesting(buyer, m, c));
        refused(address(market), opening(contest, c, shown(leaves(2), 0)), Refused.selector, Why.LeafCount);
        Block memory b = shown(list, 0);
        b.leaves[1] = list[0];
        refused(address(market), opening(contest, c, b), Refused.selector, Why.LeafOrder);
        b.leaves[1] = leafOf(2, 7);
        b.leaves[1].receipt.amount += 1;
        b.leaves[1].receiptSignature = sign(provider, keccak256(abi.encode(Messages.RECEIPT, b.leaves[1].receipt)));
        refused(address(market), opening(contest, c, b), Refused.selector, Why.WrongFigures);
        b.leaves[1] = leafOf(2, 0);
        refused(address(market), opening(contest, c, b), Refused.selector, Why.LeafSum);
        b.leaves[1] = leafOf(2, 700_000);
        refused(address(market), opening(contest, c, b), Mismatch.selector, Why.LeafRoot);
        Evidence memory e = evidence(terms, 2, 1, keccak256("another tape"));
        b.leaves[1].receipt = e.statement.figures;
        b.leaves[1].receiptSignature = e.statement.signature;
        refused(address(market), opening(contest, c, b), Mismatch.selector, Why.LeafRoot);
        b.leaves[1] = leafOf(2, 1);
        b.leaves[1].receiptSignature = list[0].receiptSignature;
        refused(address(market), opening(contest, c, b), Mismatch.selector, Why.Signature);
        b.leaves[1] = leafOf(2, 1);
        b.leaves[1].requestSignature = list[0].requestSignature;
        refused(address(market), opening(contest, c, b), Mismatch.selector, Why.Signature);
        b = shown(list, 0);
        b.path = new SumNode[](1);
        refused(address(market), opening(contest, c, b), Mismatch.selector, Why.LeafRoot);
        refused(
            address(market), opening(contest, Claim(id, 0, 1, 3), shown(list, 0)), Mismatch.selector, Why.NoClaim
        );
        accepted(address(market), opening(contest, c, shown(list, 0)));
    }

    function test_aContestBelongsToItsLease() public {
        Claim memory c = claimOf(leaves(1));
        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        accepted(address(market), contesting(buyer, m, c));
        (Lease memory first, bytes32 was) = (terms, id);
        (terms, id) = lease(1_000_000);
        Claim memory d = claimOf(leaves(1));
        accepted(address(market), claiming(provider, d));
        refused(address(market), opening(idOf(m), d, shown(leaves(1), 0)), Mismatch.selector, Why.OtherLease);
        (terms, id) = (first, was);
    }

    /// Every block of a claim of 76 leaves opens, in any order, and the sums tell where one is.
    function test_eachBlockOpensOnDemand() public {
        Leaf[] memory list = leaves(76);
        Claim memory c = claimOf(list);
        accepted(address(market), claiming(provider, c));
        uint64[3] memory order = [uint64(2), 0, 4];
        for (uint256 i = 0; i < 3; ++i) {
            Dispute memory m = contestOf(c, order[i]);
            accepted(address(market), contesting(buyer, m, c));
            Block memory b = shown(list, order[i] % 3);
            if (order[i] % 3 != 0) {
                b.before = new Leaf[](0);
                refused(address(market), opening(idOf(m), c, b), Refused.selector, Why.LeafCount);
                b.before = new Leaf[](1);
                b.before[0] = list[order[i] % 3 * 32 - 2];
                refused(address(market), opening(idOf(m), c, b), Refused.selector, Why.LeafSum);
            }
            accepted(address(market), opening(idOf(m), c, shown(list, order[i] % 3)));
        }
        refused(address(market), contesting(buyer, contestOf(c, 7), c), Conflict.selector, Why.Contested);
        vm.assertEq(market.lease(id).contests, 3, "asked for");
    }

    /// The same receipts in two blocks: neither block tells, their seam does.
    function test_noReceiptCountsTwice() public {
        Leaf[] memory list = new Leaf[](64);
        for (uint64 i = 0; i < 32; ++i) {
            list[i] = leafOf(1000 + i, 1);
            list[32 + i] = list[i];
        }
        Claim memory c = claimOf(list);
        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        accepted(address(market), contesting(buyer, m, c));
        refused(address(market), opening(idOf(m), c, shown(list, 1)), Refused.selector, Why.LeafOrder);
    }

    /// Nine blocks, of which eight may be asked for.
    function test_contestsOfOneClaimEnd() public {
        Leaf[] memory list = new Leaf[](257);
        // One receipt each in the blocks that are opened would do; the tree needs all.
        for (uint64 i = 0; i < 257; ++i) list[i] = leafOf(i + 1, 1);
        Claim memory c = claimOf(list);
        accepted(address(market), claiming(provider, c));
        for (uint64 k = 0; k < 8; ++k) {
            Dispute memory m = contestOf(c, k);
            accepted(address(market), contesting(buyer, m, c));
            accepted(address(market), opening(idOf(m), c, shown(list, k)));
        }
        refused(address(market), contesting(buyer, contestOf(c, 8), c), Refused.selector, Why.ContestsSpent);
        vm.warp(1100);
        accepted(address(market), finalizing(c));
        vm.assertEq(market.lease(id).contests, 0, "the next claim's count");
    }

    /// What the buyer asked for makes no opening larger: its hash stands in its place, and no other one.
    function test_biasesComeAsTheirHash() public {
        biases = 300;
        Leaf[] memory list = leaves(2);
        Claim memory c = claimOf(list);
        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        accepted(address(market), contesting(buyer, m, c));
        Block memory b = shown(list, 0);
        b.leaves[1].request.logit_bias = keccak256("");
        refused(address(market), opening(idOf(m), c, b), Mismatch.selector, Why.Signature);
        bytes memory call = opening(idOf(m), c, shown(leaves(2), 0));
        biases = 0;
        vm.assertEq(call.length, opening(idOf(m), c, shown(leaves(2), 0)).length, "as long as without biases");
        accepted(address(market), call);
        vm.assertEq(market.contest(idOf(m)).outcome, 0, "the provider was right");
    }

    /// The largest opening there is: a whole block, the leaf before it, the paths of the deepest tree; of requests with
    /// biases. Arbitrum's sequencer takes transactions of 95,000 bytes, geth's and op-geth's pools of 131,072.
    function test_everyOpeningIsATransactionThatNodesTake() public {
        biases = 300;
        Leaf[] memory first = leaves(64);
        // The rest of the tree is nodes: nobody asks for their receipts.
        Block memory b;
        b.leaves = new Leaf[](32);
        for (uint256 i = 0; i < 32; ++i) b.leaves[i] = first[32 + i];
        b.before = new Leaf[](1);
        b.before[0] = first[31];
        SumNode memory left = MerkleSum.root(nodes(first, 0, 32));
        SumNode memory right = MerkleSum.root(nodes(first, 32, 64));
        SumNode memory root = MerkleSum.node(left, right);
        b.path = new SumNode[](7);
        b.path[0] = left;
        for (uint256 i = 1; i < 7; ++i) {
            b.path[i] = SumNode(keccak256(abi.encode(i)), 1000);
            root = MerkleSum.node(root, b.path[i]);
        }
        SumNode[] memory beside = path(first, 1, 31);
        b.beforePath = new SumNode[](12);
        for (uint256 i = 0; i < 6; ++i) b.beforePath[i] = beside[i];
        for (uint256 i = 6; i < 12; ++i) b.beforePath[i] = b.path[i - 5];
        Claim memory c = Claim(id, root.hash, root.sum, 4096);

        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        accepted(address(market), contesting(buyer, m, c));
        bytes memory call = opening(idOf(m), c, b);
        vm.assertTrue(call.length < 94_500, "with what a transaction has beside its data");
        accepted(address(market), call);
        vm.assertEq(market.contest(idOf(m)).outcome, 0, "the provider was right");
    }

    function test_openingsOfALeafThatSaysTooMuch() public {
        Leaf[] memory list = leaves(1);
        Claim memory c = claimOf(list);
        accepted(address(market), claiming(provider, c));
        Dispute memory m = contestOf(c, 1);
        accepted(address(market), contesting(buyer, m, c));
        Block memory b = shown(list, 0);
        b.leaves[0].request.lease = 0;
        refused(address(market), opening(idOf(m), c, b), Refused.selector, Why.OtherLease);
        b = shown(list, 0);
        b.leaves[0].request.lease = id;
        b.leaves[0].request.execution = 0;
        refused(address(market), opening(idOf(m), c, b), Refused.selector, Why.OtherExecution);
        b = shown(leaves(1), 0);
        b.leaves[0].receipt.request = 0;
        refused(address(market), opening(idOf(m), c, b), Refused.selector, Why.OtherRequest);
    }

    function test_aClaimNeverCommitsToMoreThanCanBeCounted() public {
        vm.expectRevert(abi.encodeWithSelector(Refused.selector, Why.LeafSum));
        this.leafOfSum(1 << 63);
        vm.expectRevert(abi.encodeWithSelector(Refused.selector, Why.LeafSum));
        this.nodeOfSums(1 << 62, 1 << 62);
    }

    function leafOfSum(uint256 sum) external pure {
        MerkleSum.leaf(0, sum);
    }

    function nodeOfSums(uint64 a, uint64 b) external pure {
        MerkleSum.node(SumNode(0, a), SumNode(0, b));
    }
}
