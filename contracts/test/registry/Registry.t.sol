// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Attestation, IRegistry} from "../../src/registry/IRegistry.sol";
import {Registry} from "../../src/registry/Registry.sol";
import {Test} from "../Vm.sol";

contract RegistryTest is Test {
    Registry private registry;
    uint256 private constant KEY = 0x1234;
    bytes32 private constant EXECUTION = keccak256("execution");

    function setUp() public {
        registry = new Registry();
        vm.warp(5);
    }

    function signed(Attestation memory m, uint256 key) private view returns (bytes memory) {
        bytes32 type_ = keccak256("Attestation(address by,bytes32 execution,bytes32 file,uint64 sequence)");
        bytes32 id =
            keccak256(abi.encodePacked(hex"1901", registry.domainSeparator(), keccak256(abi.encode(type_, m))));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, id);
        return abi.encodePacked(r, s, v);
    }

    function test_whoeverSignsSaysSo() public {
        Attestation memory m = Attestation(vm.addr(KEY), EXECUTION, keccak256("file"), 3);
        bytes memory signature = signed(m, KEY);
        vm.expectEmit(address(registry));
        emit IRegistry.Attested(m.by, m.execution, m.file, 3);
        registry.attest(m, signature);
        (bytes32 file, uint64 sequence, uint64 at) = registry.fileOf(m.by, EXECUTION);
        vm.assertEq(file, m.file, "file");
        vm.assertEq(sequence, 3, "sequence");
        vm.assertEq(at, 5, "at");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.Stale.selector, uint64(3)));
        registry.attest(m, signature);
        m.file = 0;
        vm.expectRevert(IRegistry.NotSigned.selector);
        registry.attest(m, signature);
        m.sequence = 4;
        registry.attest(m, signed(m, KEY));
        (file,,) = registry.fileOf(m.by, EXECUTION);
        vm.assertEq(file, bytes32(0), "withdrawn");
    }

    function test_theSenderSaysSo(address by, bytes32 file) public {
        vm.prank(by);
        registry.attest(EXECUTION, file);
        (bytes32 found, uint64 sequence,) = registry.fileOf(by, EXECUTION);
        vm.assertEq(found, file, "file");
        vm.assertEq(sequence, 1, "sequence");
    }
}
