// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAudits} from "../../src/audits/IAudits.sol";
import {IAuditors} from "../../src/audits/IAuditors.sol";
import {IChecks} from "../../src/audits/IChecks.sol";
import {IGameCourt} from "../../src/disputes/IGameCourt.sol";
import {IMarket} from "../../src/market/IMarket.sol";
import {Test} from "../Vm.sol";
import {LeavingAuditCrowd} from "./LeavingAuditCrowd.sol";

contract AuditInvariantsTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    LeavingAuditCrowd private crowd;

    function setUp() public {
        crowd = new LeavingAuditCrowd();
    }

    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(crowd);
    }

    function actions() private view returns (bytes4[23] memory) {
        return [
            crowd.pass.selector,
            crowd.pass.selector,
            crowd.passLong.selector,
            crowd.registers.selector,
            crowd.stakes.selector,
            crowd.unbonds.selector,
            crowd.disputesAPass.selector,
            crowd.releases.selector,
            crowd.leases.selector,
            crowd.checks_.selector,
            crowd.closes.selector,
            crowd.asks.selector,
            crowd.asks.selector,
            crowd.beacons.selector,
            crowd.beacons.selector,
            crowd.draws.selector,
            crowd.settles.selector,
            crowd.leaks.selector,
            crowd.shows.selector,
            crowd.checks_.selector,
            crowd.disputesAReceipt.selector,
            crowd.disputesAPass.selector,
            crowd.timesOut.selector
        ];
    }

    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        bytes4[23] memory all = actions();
        list = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](all.length);
        for (uint256 i = 0; i < all.length; ++i) selectors[i] = all[i];
        list[0] = FuzzSelector(address(crowd), selectors);
    }

    function invariant_moneyIsConserved() external view {
        crowd.checkConserved();
    }

    function invariant_whoDidWhatItShouldIsNotSlashed() external view {
        crowd.checkHonest();
    }

    /// Long enough that everything happens.
    function test_aLongHistory() external {
        live(1500);
        crowd.checkHonest();
        bytes4[15] memory calls = [
            IMarket.unbond.selector,
            IMarket.release.selector,
            IMarket.openLease.selector,
            IMarket.close.selector,
            IAudits.requestAudit.selector,
            IAudits.publishBeacon.selector,
            IAudits.draw.selector,
            IAudits.settleAudit.selector,
            IAudits.reportKey.selector,
            IAudits.showCanary.selector,
            IAuditors.registerAuditor.selector,
            IChecks.check.selector,
            IChecks.answer.selector,
            IGameCourt.fileDispute.selector,
            IGameCourt.timeout.selector
        ];
        for (uint256 i = 0; i < calls.length; ++i) vm.assertGe(crowd.done(calls[i]), 1, vm.toString(bytes32(calls[i])));
        crowd.checkReached();
        crowd.leave();
    }

    /// Under siege from the middle of such a history, with leases and audits of every age.
    function test_everybodyLeavesUnderSiege() external {
        live(300);
        uint256 before = crowd.hindered();
        crowd.besieged();
        crowd.checkHonest();
        vm.assertGe(crowd.hindered() - before, 100, "what besiegers got in");
    }

    function live(uint256 count) private {
        bytes4[23] memory all = actions();
        for (uint256 i = 0; i < count; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(i)));
            (bool applied,) = address(crowd).call(
                abi.encodeWithSelector(all[dice % 23], uint64(dice >> 8), uint32(dice >> 72), uint32(dice >> 104))
            );
            vm.assertTrue(applied, "what is refused is no failure");
            if (i % 50 == 0) crowd.checkConserved();
        }
    }

    function afterInvariant() external {
        // A siege takes long: of some.
        if (crowd.tried() % 16 != 0) crowd.leave();
        else crowd.besieged();
        crowd.checkHonest();
    }
}
