// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Finish, IFinish} from "../../src/referee/Finish.sol";
import {IReferee} from "../../src/referee/IReferee.sol";
import {Salt} from "../../src/referee/Salt.sol";
import {Test} from "../Vm.sol";
import {CaseFile} from "./CaseFile.sol";
import {FileVm} from "./FileVm.sol";

/// Statements and salts that the C++ referee has judged are judged alike here (spec/vectors/referee/finish.bin).
contract FinishTest is Test {
    using CaseFile for CaseFile.File;

    IFinish private finish = new Finish();
    FileVm private constant files = FileVm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function test_vectors() public view {
        _judgeAll("../spec/vectors/referee/finish.bin");
    }

    function test_random() public view {
        string memory folder = files.envOr("ASSAY_CASES", "");
        if (bytes(folder).length == 0 || bytes(files.envOr("ASSAY_CASES_KINDS", "")).length != 0) return;
        _judgeAll(string.concat(folder, "/finish.bin"));
    }

    function _judgeAll(string memory path) private view {
        CaseFile.File memory f = CaseFile.open(files.readFileBinary(path));
        uint256 count = f.number(4);
        uint256[5] memory said;
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        for (uint256 i; i < count; ++i) {
            ++said[_judge(f, i)];
            assembly {
                mstore(0x40, free)
            }
        }
        require(said[0] > 50 && said[1] > 50 && said[3] > 10 && said[4] > 10, "an answer is rare");
        uint256 salts = f.number(4);
        for (uint256 i; i < salts; ++i) {
            bytes32 secret = bytes32(f.number(32));
            require(Salt.commitment(secret) == bytes32(f.number(32)), "commitment");
            (uint256 position, uint256 leaf) = (f.number(4), f.number(4));
            require(Salt.ofLeaf(secret, position, leaf) == bytes32(f.number(32)), "salt");
        }
        require(f.ptr == f.end && salts > 0);
    }

    function _judge(CaseFile.File memory f, uint256 i) private view returns (uint256 says) {
        says = f.number(1);
        // vocabulary, context, the subject, the root of the stop ids
        uint256[12] memory words;
        for (uint256 w; w < words.length; ++w) {
            words[w] = f.number(f.number(1));
        }
        bytes memory biases = f.bytes_(f.number(2));
        bytes memory proof = f.bytes_(f.number(2));
        (bool done, bytes memory answer) =
            address(finish).staticcall(CaseFile.call(IFinish.judge.selector, abi.encodePacked(words), biases, proof));
        bool right = done
            ? abi.decode(answer, (uint256)) == says
            : says == (bytes4(answer) == IReferee.ProofMismatch.selector ? 4 : 3);
        // Bytes that are too many are found before those that do not open, or after.
        if (!right && !done && says > 2) return says;
        if (!right) revert(string.concat("statement ", vm.toString(i), " gave ", files.toString(answer)));
    }
}
