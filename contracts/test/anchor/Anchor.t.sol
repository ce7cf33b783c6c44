// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Anchor} from "../../src/anchor/Anchor.sol";
import {IAnchor} from "../../src/anchor/IAnchor.sol";
import {Test} from "../Vm.sol";

contract AnchorTest is Test {
    Anchor private anchor;

    function setUp() public {
        anchor = new Anchor();
    }

    function test_everybodyAnchorsUnderTheirOwnName(address by, bytes32 origin, uint64 size, bytes32 root) public {
        vm.expectEmit(address(anchor));
        emit IAnchor.Anchored(by, origin, size, root);
        vm.prank(by);
        anchor.anchor(origin, size, root);
    }
}
