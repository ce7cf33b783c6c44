// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IReferee} from "../../src/referee/IReferee.sol";
import {IPrograms} from "../../src/referee/IPrograms.sol";
import {Referee} from "../../src/referee/Referee.sol";
import {Test} from "../Vm.sol";
import {Case, CaseFile} from "./CaseFile.sol";
import {Deployed} from "./Deployed.sol";
import {FileVm} from "./FileVm.sol";

/// The steps that the C++ referee has judged are judged alike here: those of spec/vectors/referee, each with a proof
/// (proofs.bin), and where ASSAY_CASES says so the random ones of that folder, <kind>.bin (tools/check/soak.sh), of all
/// kinds or of ASSAY_CASES_KINDS, names with commas between.
contract CasesTest is Test {
    using CaseFile for CaseFile.File;

    Referee private referee;
    IPrograms private programs;
    FileVm private constant files = FileVm(address(uint160(uint256(keccak256("hevm cheat code")))));

    string[42] private kinds = [
        "norm_sum",
        "norm_inverse",
        "norm_value",
        "q8_scale",
        "q8_quant",
        "q8k_scale",
        "q8k_quant",
        "product",
        "add_bias",
        "rope",
        "to_half",
        "score",
        "segment_max",
        "segment_exp",
        "segment_sum",
        "weighted_value",
        "running_max",
        "segment_weight",
        "attention_sum",
        "attention_out",
        "add_residual",
        "swiglu",
        "embedding",
        "tape_count",
        "adjust",
        "temperature",
        "count_at",
        "count_above",
        "running_total",
        "threshold_ok",
        "shifted_exp",
        "noisy",
        "best_id",
        "best_token",
        "next_token",
        "log_sum",
        "logprob",
        "rank_count",
        "logprob_leaf",
        "answer_state",
        "piece_state",
        "constrain"
    ];

    function setUp() public {
        referee = Deployed.referee();
        programs = referee.programs();
    }

    function test_vectors() public {
        require(_judgeAll("../spec/vectors/referee/proofs.bin") > 1000);
    }

    function test_random() public {
        string memory folder = files.envOr("ASSAY_CASES", "");
        if (bytes(folder).length == 0) return;
        string[] memory all = new string[](kinds.length);
        for (uint256 i; i < all.length; ++i) {
            all[i] = kinds[i];
        }
        string[] memory names = files.envOr("ASSAY_CASES_KINDS", ",", all);
        for (uint256 i; i < names.length; ++i) {
            require(_judgeAll(string.concat(folder, "/", names[i], ".bin")) > 0);
        }
    }

    function _judgeAll(string memory path) private returns (uint256 count) {
        vm.pauseGasMetering();
        CaseFile.File memory f = CaseFile.open(files.readFileBinary(path));
        uint256 stored = f.number(4);
        for (uint256 i; i < stored; ++i) {
            programs.store(f.bytes_(f.number(2)));
        }
        count = f.number(4);
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        for (uint256 i; i < count; ++i) {
            Case memory c = f.next();
            _judge(c, path, i);
            // Nothing of a case is kept.
            assembly {
                mstore(0x40, free)
            }
        }
        require(f.ptr == f.end);
    }

    function _judge(Case memory c, string memory path, uint256 i) private view {
        (bool done, bytes memory answer) =
            address(referee).staticcall(_call(IReferee.execute.selector, c, new bytes(0)));
        if (c.says > 2) {
            bytes4 why = done ? bytes4(0) : bytes4(answer);
            bytes4 expected = c.says == 4 ? IReferee.ProofMismatch.selector : IReferee.ProofInvalid.selector;
            _check(why == expected || c.says == 3 && why == IReferee.NoSuchStep.selector, path, i, answer);
            return;
        }
        _check(done && keccak256(answer) == keccak256(abi.encode(c.says, c.bits)), path, i, answer);
        if (i % 8 != 0) return;
        uint256 right = c.says == 0 ? c.bits : type(uint256).max;
        _checkVerdict(c, right, c.says == 2 ? 2 : 0, path, i);
        _checkVerdict(c, right ^ 1 & 0xffffffff, c.says == 2 ? 2 : 1, path, i);
    }

    function _checkVerdict(Case memory c, uint256 claimed, uint256 verdict, string memory path, uint256 i)
        private
        view
    {
        (bool done, bytes memory answer) =
            address(referee).staticcall(_call(IReferee.judge.selector, c, abi.encode(claimed)));
        _check(done && abi.decode(answer, (uint256)) == verdict, path, i, answer);
    }

    /// `more`: what `judge` has beside `execute`.
    function _call(bytes4 selector, Case memory c, bytes memory more) private pure returns (bytes memory) {
        return CaseFile.call(selector, abi.encodePacked(c.words, more), c.biases, c.proof);
    }

    function _check(bool right, string memory path, uint256 i, bytes memory answer) private pure {
        if (!right) revert(string.concat(path, ": case ", vm.toString(i), " gave ", files.toString(answer)));
    }
}
