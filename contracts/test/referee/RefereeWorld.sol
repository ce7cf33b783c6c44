// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrograms} from "../../src/referee/IPrograms.sol";
import {Referee} from "../../src/referee/Referee.sol";
import {Test} from "../Vm.sol";
import {Deployed} from "./Deployed.sol";

/// A referee, and programs made by hand.
abstract contract RefereeWorld is Test {
    Referee internal referee;
    IPrograms internal programs;
    bytes32 private constant ROPE_ROOT = keccak256("rope");

    function setUp() public {
        referee = Deployed.referee();
        programs = referee.programs();
    }

    function _le32(uint256 v) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(v), uint8(v >> 8), uint8(v >> 16), uint8(v >> 24));
    }

    function _front(bytes5 name) internal pure returns (bytes memory) {
        return abi.encodePacked(_le32(15), "assay/program/0", _le32(5), name);
    }

    function _program(bytes5 name, uint32[10] memory numbers, bytes memory formats)
        internal
        pure
        returns (bytes memory)
    {
        bytes memory out = _front(name);
        for (uint256 i; i < numbers.length; ++i) {
            out = abi.encodePacked(out, _le32(numbers[i]));
        }
        return abi.encodePacked(out, uint8(0), ROPE_ROOT, bytes32(uint256(7)), _le32(formats.length), formats, uint8(0));
    }

    /// One layer, plain formats: of vocabulary, dim, heads and width 8, ffn 16.
    function _numbers() internal pure returns (uint32[10] memory) {
        return [uint32(600), 8, 1, 2, 1, 4, 16, 1000, 0x3727c5ac, 0x461c4000];
    }
}
