// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "./Domain.sol";
import {Mismatch, Refused, Why} from "./Errors.sol";
import {BlockShape, IBlocks} from "./IBlocks.sol";
import {Block, Leaf} from "./IMarket.sol";
import {MerkleSum, SumNode} from "./MerkleSum.sol";
import {Claim, Lease, Messages} from "./Messages.sol";
import {Statements} from "./Statements.sol";

/// @title Blocks of claims; what it promises is in IBlocks.
/// @dev Beside the market because both together are more than one contract may have of code (EIP-170).
contract Blocks is IBlocks {
    /// Every receipt is the lease's and its price right; sequences rise, also across the block's beginning, so that no
    /// request counts twice; and together they are what the root commits to.
    function check(
        address market,
        uint256 number,
        bytes calldata,
        Lease calldata terms,
        Claim calldata pending,
        Block calldata shown
    ) external view {
        SumNode[] memory nodes = new SumNode[](BlockShape.leaves(pending.count, number));
        if (shown.leaves.length != nodes.length) revert Refused(Why.LeafCount);
        uint256 last = 0;
        if (number != 0) {
            if (shown.before.length != 1) revert Refused(Why.LeafCount);
            SumNode memory before = _checkLeaf(market, terms, pending.lease, shown.before[0]);
            _checkRoot(pending, before, number * BlockShape.SIZE - 1, pending.count, shown.beforePath);
            last = shown.before[0].request.sequence;
        }
        for (uint256 i = 0; i < nodes.length; ++i) {
            uint64 sequence = shown.leaves[i].request.sequence;
            if (sequence <= last) revert Refused(Why.LeafOrder);
            last = sequence;
            nodes[i] = _checkLeaf(market, terms, pending.lease, shown.leaves[i]);
        }
        _checkRoot(pending, MerkleSum.root(nodes), number, BlockShape.count(pending.count), shown.path);
    }

    function _checkLeaf(address market, Lease calldata terms, bytes32 id, Leaf calldata leaf)
        private
        view
        returns (SumNode memory)
    {
        bytes32 receipt = Domain.digest(market, Messages.hash(leaf.receipt));
        Statements.check(
            market,
            id,
            terms,
            leaf.request,
            Messages.hash(leaf.request),
            leaf.requestSignature,
            leaf.receipt.request,
            receipt,
            leaf.receiptSignature
        );
        if (Statements.wrongFigures(terms, leaf.request, false, leaf.receipt)) revert Refused(Why.WrongFigures);
        return MerkleSum.leaf(receipt, leaf.receipt.amount);
    }

    function _checkRoot(
        Claim calldata pending,
        SumNode memory at,
        uint256 index,
        uint256 size,
        SumNode[] calldata path
    ) private pure {
        (bool fits, SumNode memory root) = MerkleSum.climb(at, index, size, path);
        if (!fits) revert Mismatch(Why.LeafRoot);
        if (root.sum < pending.total) revert Refused(Why.LeafSum);
        if (root.hash != pending.root) revert Mismatch(Why.LeafRoot);
    }
}
