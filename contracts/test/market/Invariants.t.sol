// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "../Vm.sol";
import {LeavingCrowd} from "./LeavingCrowd.sol";

contract InvariantsTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    LeavingCrowd private crowd;

    function setUp() public {
        crowd = new LeavingCrowd();
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(crowd);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        bytes4[20] memory all = [
            crowd.pass.selector,
            crowd.passLong.selector,
            crowd.pay.selector,
            crowd.withdraws.selector,
            crowd.transfers.selector,
            crowd.stakes.selector,
            crowd.unbonds.selector,
            crowd.releases.selector,
            crowd.leases.selector,
            crowd.leases.selector,
            crowd.settles.selector,
            crowd.closes.selector,
            crowd.claims.selector,
            crowd.contests.selector,
            crowd.opens.selector,
            crowd.finalizes.selector,
            crowd.disputes_.selector,
            crowd.equivocates.selector,
            crowd.demands.selector,
            crowd.timesOut.selector
        ];
        bytes4[] memory selectors = new bytes4[](20);
        for (uint256 i = 0; i < 20; ++i) selectors[i] = all[i];
        list[0] = FuzzSelector(address(crowd), selectors);
    }

    function invariant_moneyIsConserved() external view {
        crowd.checkConserved();
    }

    function invariant_nobodyHonestIsSlashed() external view {
        crowd.checkHonest();
    }

    function afterInvariant() external {
        // A siege takes long: of some.
        if (crowd.done() % 8 != 0) crowd.leave();
        else crowd.besieged();
        crowd.checkHonest();
    }

    /// Every kind of lease under siege: with a claim, with none, of who is honest and who is not.
    function test_everybodyLeavesUnderSiege() external {
        for (uint256 i = 0; i < 6; ++i) crowd.leases(i, 5_000_000);
        crowd.claims(0, 1000);
        crowd.claims(1, 1000);
        crowd.claims(3, 1000);
        crowd.besieged();
        crowd.checkHonest();
        vm.assertGe(crowd.hindered(), 200, "what besiegers got in");
    }
}
