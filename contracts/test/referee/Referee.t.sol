// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrograms} from "../../src/referee/IPrograms.sol";
import {FAULT, IReferee, Outcome, Place, Revealed, Running, Subject, Verdict} from "../../src/referee/IReferee.sol";
import {Kind, OpWord} from "../../src/referee/OpWord.sol";
import {Terms} from "../../src/referee/Terms.sol";
import {RefereeWorld} from "./RefereeWorld.sol";

/// What the referee refuses, programs that are none, and one step made by hand.
contract RefereeTest is RefereeWorld {
    using OpWord for uint256;

    function _llama() private pure returns (bytes memory) {
        return _program("llama", _numbers(), new bytes(12));
    }

    function _subject() private returns (Subject memory s) {
        s.program = programs.store(_llama());
        s.counts = Terms.counts(10, 2, 5, 5, 0, 77, uint32(Terms.LENGTH));
        s.sampling = Terms.sampling(0x3f800000, 0, 0, 0, 0, 0x3f800000, 0);
    }

    function test_aProgramIsKeptOnceUnderItsHash() public {
        bytes32 hash = programs.store(_llama());
        require(hash == sha256(_llama()));
        address first = programs.codeOf(hash);
        require(keccak256(first.code) == keccak256(abi.encodePacked(uint8(0), _llama())));
        programs.store(_llama());
        require(programs.codeOf(hash) == first);
        require(programs.store(_program("qwen2", _numbers(), new bytes(15))) != hash);
        require(programs.store(_program("qwen3", _numbers(), new bytes(14))) != hash);
    }

    function _bad(bytes memory data) private {
        vm.expectRevert(IPrograms.BadProgram.selector);
        programs.store(data);
    }

    function _badNumber(uint256 i, uint32 n) private {
        uint32[10] memory numbers = _numbers();
        numbers[i] = n;
        _bad(_program("llama", numbers, new bytes(12)));
    }

    function test_whatIsNoProgramIsRefused() public {
        _bad("");
        _bad(new bytes(4097));
        bytes memory data = _llama();
        for (uint256 i; i < 28; ++i) {
            data[i] ^= 0x01;
            _bad(data);
            data[i] ^= 0x01;
        }
        _bad(abi.encodePacked(data, uint8(0)));
        data[data.length - 1] = 0x01; // a template without its hash
        _bad(data);
        programs.store(abi.encodePacked(data, bytes32(uint256(1))));
        data[data.length - 1] = 0x02;
        _bad(data);
        data = _llama();
        data[68] = 0x02; // tied
        _bad(data);
        _bad(_program("llama", _numbers(), new bytes(11)));
        _bad(_program("llama", _numbers(), new bytes(13)));
        // Without the byte after the formats.
        data = _llama();
        assembly {
            mstore(data, sub(mload(data), 1))
        }
        _bad(data);
    }

    function test_shapesBeyondTheCanonAreRefused() public {
        uint32[2][10] memory wrong = [
            [uint32(0), (1 << 18) + 1], // vocabulary
            [uint32(0), (1 << 18) + 1], // dim
            [uint32(0), 5000], // layers
            [uint32(0), 4097], // heads
            [uint32(0), 3], // kv heads
            [uint32(3), 1026], // head width
            [uint32(0), (1 << 18) + 1], // ffn
            [uint32(0), (1 << 24) + 1], // context
            [uint32(0), 0x7f800000], // epsilon
            [uint32(0x3f7fffff), 0x7f800000] // base
        ];
        for (uint256 i; i < wrong.length; ++i) {
            _badNumber(i, wrong[i][0]);
            _badNumber(i, wrong[i][1]);
        }
        uint32[10] memory numbers = _numbers();
        (numbers[3], numbers[5]) = (4096, 128); // heads · width
        _bad(_program("llama", numbers, new bytes(12)));
        numbers = _numbers();
        (numbers[5], numbers[7]) = (1024, 1 << 18); // context · width
        _bad(_program("llama", numbers, new bytes(12)));
    }

    function test_tensorsOfAnotherTypeAreRefused() public {
        bytes memory formats = new bytes(12);
        formats[1] = 0x01; // a norm that is not F32
        _bad(_program("llama", _numbers(), formats));
        formats[1] = 0x00;
        formats[2] = 0x03; // no type of the canon
        _bad(_program("llama", _numbers(), formats));
        formats[2] = 0x1f;
        _bad(_program("llama", _numbers(), formats));
        formats[2] = 0x08; // rows of 8 are no whole blocks
        _bad(_program("llama", _numbers(), formats));
        formats[2] = 0x1e;
        programs.store(_program("llama", _numbers(), formats));
    }

    function test_opsOfEveryLeaf() public {
        Subject memory s = _subject();
        (uint256[] memory list, uint256 faultFrom) = referee.ops(s, 3, 0, false);
        require(list[0].kind() == Kind.EMBEDDING && list[0].tie() == OpWord.TIE_X && faultFrom == list.length);
        // The only layer of a position without a head runs in its own cell.
        require(list[list.length - 1].kind() == Kind.ADD_RESIDUAL);
        (list,) = referee.ops(s, 12, 0, false);
        require(list[list.length - 1].kind() == Kind.TO_HALF && list[list.length - 1].tie() == OpWord.TIE_V);
        (list,) = referee.ops(s, 12, 1, false);
        require(list[list.length - 1].kind() == Kind.NEXT_TOKEN && list[list.length - 2].tie() == OpWord.TIE_TOKEN);
        (list, faultFrom) = referee.ops(s, 14, 1, true);
        require(list[list.length - 1].kind() == Kind.PRODUCT && list[list.length - 1].tie() == 0);
        require(faultFrom < list.length && list[faultFrom].kind() == Kind.NORM_SUM);
        // Held to an automaton: where the answer begins, and after its first token.
        uint256 before = _kinds(s, 7);
        s.constraint = keccak256("an automaton");
        require(_kinds(s, 7) == (before | 1 << Kind.PIECE_STATE | 1 << Kind.CONSTRAIN));
        require(_kinds(s, 8) == (before | 7 << Kind.ANSWER_STATE));
        (list,) = referee.ops(s, 14, 1, true);
        require(list[list.length - 1].kind() == Kind.PRODUCT);
    }

    /// Those of the head of a position, a bit each.
    function _kinds(Subject memory s, uint32 position) private view returns (uint256 kinds) {
        (uint256[] memory list,) = referee.ops(s, position, 1, false);
        for (uint256 i; i < list.length; ++i) {
            kinds |= 1 << list[i].kind();
        }
    }

    function test_leavesThatDoNotExist() public {
        Subject memory s = _subject();
        vm.expectRevert(IReferee.NoSuchStep.selector);
        referee.ops(s, 3, 2, false);
        vm.expectRevert(IReferee.NoSuchStep.selector);
        referee.ops(s, 3, 1, false); // no token is chosen there
        vm.expectRevert(IReferee.NoSuchStep.selector);
        referee.ops(s, 1 << 18, 0, false);
        s.counts = Terms.counts(10, 10, 5, 5, 0, 77, uint32(Terms.LENGTH));
        vm.expectRevert(IReferee.NoSuchStep.selector);
        referee.ops(s, 3, 0, false);
        s.program = bytes32(uint256(1));
        vm.expectRevert(IReferee.UnknownProgram.selector);
        referee.ops(s, 3, 0, false);
    }

    function _refused(Subject memory s, Place memory p, bytes memory proof, bytes4 why) private {
        Revealed memory revealed;
        vm.expectRevert(why);
        referee.execute(s, revealed, p, Running(0, 0), "", proof);
    }

    function test_stepsThatDoNotExist() public {
        Subject memory s = _subject();
        _refused(s, Place(3, 0, false, 99, 0, 0), "", IReferee.NoSuchStep.selector);
        _refused(s, Place(3, 0, false, 0, 8, 0), "", IReferee.NoSuchStep.selector);
        _refused(s, Place(3, 0, false, 0, 256, 0), "", IReferee.NoSuchStep.selector);
        _refused(s, Place(3, 0, false, 0, 0, 1), "", IReferee.NoSuchStep.selector);
        _refused(s, Place(3, 0, false, 0, 0, 0), new bytes(16385), IReferee.ProofInvalid.selector);
        // A threshold has no step.
        s.sampling = Terms.sampling(0x3f800000, 0, 0, 0x3f800000, 5, 0x3f800000, 0);
        (uint256[] memory list,) = referee.ops(s, 12, 1, false);
        for (uint32 i; i < list.length; ++i) {
            if (list[i].kind() != Kind.THRESHOLD) continue;
            _refused(s, Place(12, 1, false, i, 0, 0), "", IReferee.NoSuchStep.selector);
        }
    }

    /// x + pr of position 3 at the only layer's output: two values, each the only chunk of its op.
    function test_oneStepByHand() public {
        Subject memory s = _subject();
        (uint256[] memory list,) = referee.ops(s, 3, 0, false);
        uint32 last = uint32(list.length - 1);
        bytes memory a = abi.encodePacked(_le32(0x3fc00000), new bytes(28)); // 1.5
        bytes memory b = abi.encodePacked(_le32(0x40200000), new bytes(28)); // 2.5
        Revealed memory r;
        r.roots[1] = sha256(abi.encodePacked(uint8(0), a));
        r.roots[2] = sha256(abi.encodePacked(uint8(0), b));
        Place memory p = Place(3, 0, false, last, 0, 0);
        bytes memory proof = abi.encodePacked(a, b);
        require(referee.judge(s, r, p, Running(0, 0), 0x40800000, "", proof) == Verdict.follows);
        require(referee.judge(s, r, p, Running(0, 0), 0x40800001, "", proof) == Verdict.differs);
        require(referee.judge(s, r, p, Running(0, 0), FAULT, "", proof) == Verdict.differs);
        (Outcome outcome, uint32 bits) = referee.execute(s, r, p, Running(0, 0), "", proof);
        require(outcome == Outcome.value && bits == 0x40800000);
        vm.expectRevert(IReferee.ProofInvalid.selector);
        referee.judge(s, r, p, Running(0, 0), 0, "", abi.encodePacked(proof, uint8(0)));
        r.roots[2] = 0;
        vm.expectRevert(IReferee.ProofMismatch.selector);
        referee.judge(s, r, p, Running(0, 0), 0, "", proof);
    }

    function test_salts() public {
        bytes32 secret = bytes32(uint256(5));
        bytes32 commitment = sha256(abi.encodePacked("assay/salt/v0", secret));
        require(referee.judgeSalt(commitment, 3, 1, bytes32(uint256(9)), secret));
        vm.expectRevert(IReferee.ProofMismatch.selector);
        referee.judgeSalt(commitment, 3, 1, bytes32(uint256(9)), bytes32(uint256(6)));
    }

    function test_statements() public {
        Subject memory s = _subject();
        s.counts = Terms.counts(10, 2, 5, 4, 0, 77, uint32(Terms.LENGTH)); // more than max_tokens
        require(referee.judgeFinish(s, 0, "", "") == Verdict.differs);
        s.counts = Terms.counts(10, 2, 5, 5, 0, 77, Terms.receiptFinish(9));
        require(referee.judgeFinish(s, 0, "", "") == Verdict.differs);
        s.counts = Terms.counts(10, 2, 5, 5, 0, 77, Terms.receiptFinish(uint32(Terms.LENGTH)));
        vm.expectRevert(IReferee.ProofInvalid.selector);
        referee.judgeFinish(s, 0, "", "");
        vm.expectRevert(IReferee.ProofInvalid.selector);
        referee.judgeFinish(s, 0, "", new bytes(16385));
        vm.expectRevert(IReferee.ProofMismatch.selector);
        referee.judgeFinish(s, 0, "12345678", "");
        // A prompt token that is in the vocabulary: nothing is wrong.
        bytes memory chunk = abi.encodePacked(bytes32(uint256(4)), new bytes(40));
        s.promptRoot = sha256(abi.encodePacked(uint8(0), chunk));
        bytes memory proof = abi.encodePacked(_le32(1), _le32(9), chunk);
        require(referee.judgeFinish(s, 0, "", proof) == Verdict.follows);
    }
}
