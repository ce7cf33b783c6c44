// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {IDisputes} from "../../src/disputes/IDisputes.sol";
import {Refused, Why} from "../../src/market/Errors.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {CourseWorld} from "./CourseWorld.sol";

/// Of two stories of which one is a canary, the other one costs the stake, whoever reports them.
contract CanaryStoriesTest is CourseWorld {
    function reporting(Evidence memory a, Evidence memory b) private returns (bytes memory) {
        Equivocation memory m = Equivocation(other.at, leaseId, subjectOf(a), subjectOf(b));
        bytes32 hash = keccak256(abi.encode(Messages.EQUIVOCATION, m));
        commit(other, sha256(abi.encodePacked(digest(hash))));
        return abi.encodeCall(
            IDisputes.reportEquivocation,
            (m, sign(other, hash), terms, a.request, a.requestSignature, a.statement, b.statement)
        );
    }

    function test_aCanaryShieldsNoOtherStatement() public {
        hire(1);
        Evidence memory canary = evidence(terms, 1, 7, keccak256("canary"));
        Evidence memory lie = evidence(terms, 1, 7, keccak256("lie"));
        Canary memory agreed = canaryOf(canary);
        CanaryShown memory m = shownOf(agreed);
        commit(buyer, commitmentOf(m));
        later(1);
        request(canary, 1);
        accepted(address(audits), showing(buyer, m, agreed));
        refused(address(disputes), reporting(canary, lie), Refused.selector, Why.CanaryOf);
        accepted(address(disputes), reporting(lie, canary));
        vm.assertEq(market.account(provider.at).stake, 0, "slashed");
        vm.assertTrue(market.convicted(subjectOf(lie)) && market.convicted(subjectOf(canary)), "both");
    }

    /// Two canaries that contradict each other cost nothing in either order.
    function test_twoCanariesCostNothing() public {
        hire(1);
        Evidence[2] memory both = [evidence(terms, 1, 7, keccak256("one")), evidence(terms, 1, 7, keccak256("another"))];
        Canary[2] memory agreed = [canaryOf(both[0]), canaryOf(both[1])];
        for (uint256 i = 0; i < 2; ++i) commit(buyer, commitmentOf(shownOf(agreed[i])));
        later(1);
        for (uint256 i = 0; i < 2; ++i) request(both[i], 1);
        for (uint256 i = 0; i < 2; ++i) accepted(address(audits), showing(buyer, shownOf(agreed[i]), agreed[i]));
        uint256 before = market.account(provider.at).stake;
        accepted(address(disputes), reporting(both[0], both[1]));
        vm.assertEq(market.account(provider.at).stake, before, "not slashed");
    }
}
