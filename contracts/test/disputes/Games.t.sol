// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Games} from "../../src/disputes/Games.sol";
import {Case, Game, IGames, Phase, Played} from "../../src/disputes/IGames.sol";
import {Invalid, Mismatch, NotFound, Refused, Why} from "../../src/market/Errors.sol";
import {FAULT, Place, Revealed, Running, Verdict} from "../../src/referee/IReferee.sol";
import {Kind, OpWord} from "../../src/referee/OpWord.sol";
import {Terms} from "../../src/referee/Terms.sol";
import {Test} from "../Vm.sol";
import {Trees} from "./DisputeWorld.sol";
import {ToyPrograms, ToyReferee} from "./Toy.sol";

/// Every phase of a game and every move that is none. This contract is the court; leaves have the ops of a toy, and the
/// referee is one: it is asked whether what arrives there is what was revealed.
contract GamesTest is Test {
    uint32 private constant PROMPT = 70;
    uint32 private constant LAYERS = 2;
    bytes32 private constant SALT = keccak256("salt");
    bytes32 private constant GAME = keccak256("game");

    Games private games;
    ToyReferee private toy;
    ToyPrograms private programs;
    Case private about;

    // What the provider committed to.
    uint256[] private list;
    bytes[] private values; // of each op: its values, or a scalar's four bytes
    bytes private ops; // the payload of the ops reveal
    uint32 private position;
    uint32 private leaf;
    bytes private positionsPayload;
    bytes private leavesPayload;
    bytes32[] private positions;
    bytes32[] private leaves;
    bytes private last;
    bytes32 private x;
    bytes32 private k;
    bytes32 private v;

    function setUp() public {
        toy = new ToyReferee();
        programs = new ToyPrograms();
        games = Games(vm.deployCode("Games.sol:Games", abi.encode(toy, programs)));
        about.layers = LAYERS;
        about.subject.program = sha256(programs.program());
        sets(0, 1, 0);
    }

    function sets(uint32 continuation, uint32 answer, uint32 finish) private {
        about.subject.counts = Terms.counts(PROMPT, continuation, answer, 9, 3, 0, finish);
    }

    // The ops of the toy.

    function op(uint256 kind, uint256 type_, uint256 tie, uint256 count, uint256 steps, bool scalar)
        private
        pure
        returns (uint256)
    {
        return kind | type_ << 8 | (scalar ? 1 << 11 : 0) | tie << 13 | count << 16 | (count + 255) / 256 << 48
            | steps << 72 | 2 << 104;
    }

    function add(uint256 word, bytes memory data) private {
        list.push(word);
        values.push(data);
    }

    function bytesOf(uint256 count, uint256 seed) private pure returns (bytes memory out) {
        out = new bytes(count);
        for (uint256 i = 0; i < count; ++i) out[i] = bytes1(uint8(i * 7 + seed));
    }

    function rootOf(uint256 i) private view returns (bytes32) {
        bytes memory data = values[i];
        if (list[i] >> 11 & 1 != 0) return bytes32(data);
        bytes32[] memory hashes = chunkLeaves(i);
        data;
        return Trees.root(hashes, 0, hashes.length);
    }

    function chunkLeaves(uint256 i) private view returns (bytes32[] memory hashes) {
        uint256 width = OpWord.valueBytes(list[i]);
        hashes = new bytes32[](OpWord.chunks(list[i]));
        for (uint256 c = 0; c < hashes.length; ++c) hashes[c] = Trees.leaf(chunk(i, c, width));
    }

    function chunk(uint256 i, uint256 c, uint256 width) private view returns (bytes memory) {
        uint256 size = OpWord.chunkValues(list[i], c, position) * width;
        return part(values[i], c * 256 * width, size);
    }

    function part(bytes memory b, uint256 at, uint256 size) private pure returns (bytes memory out) {
        out = new bytes(size);
        for (uint256 i = 0; i < size; ++i) out[i] = b[at + i];
    }

    function le32(uint256 n) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(n), uint8(n >> 8), uint8(n >> 16), uint8(n >> 24));
    }

    /// A leaf with ops of every form: two chunks, running values, scalars, halves, and each that a rule binds.
    function cellOps() private {
        delete list;
        delete values;
        add(op(Kind.PRODUCT, OpWord.F32, 0, 300, 1, false), bytesOf(1200, 1));
        uint256 sum = op(Kind.ADD_RESIDUAL, OpWord.F32, OpWord.TIE_X, 10, 3, false);
        add(sum | OpWord.FROM_OP << 128 | (OpWord.FROM_LEAF | 1) << 152, bytesOf(40, 2));
        add(op(Kind.TO_HALF, OpWord.F16, OpWord.TIE_K, 4, 1, false), bytesOf(8, 3));
        add(op(Kind.Q8_QUANT, OpWord.I8, OpWord.TIE_V, 4, 1, false), bytesOf(4, 4));
        add(op(Kind.THRESHOLD, OpWord.F32, 0, 1, 1, true), hex"01020304");
        add(op(Kind.THRESHOLD_OK, OpWord.U32, 0, 1, 1, true), hex"01000000");
        add(op(Kind.BEST_TOKEN, OpWord.U32, 0, 1, 300, true), hex"07000000");
        add(op(Kind.NEXT_TOKEN, OpWord.U32, 0, 1, 1, true), hex"07000000");
        add(op(Kind.LOGPROB, OpWord.U32, 0, 3, 1, false), bytesOf(12, 5));
        add(op(Kind.RANK_COUNT, OpWord.U32, 0, 2, 1, false), bytesOf(8, 6));
        add(op(Kind.RUNNING_TOTAL, OpWord.U32, 0, 1, 2, true) | (OpWord.FROM_OP | 9) << 128, hex"02000000");
        add(op(Kind.LOGPROB_LEAF, OpWord.U32, 0, 3, 1, false), bytesOf(12, 5));
        add(op(Kind.WEIGHTED_VALUE, OpWord.F32, 0, 2, 256, false), bytesOf(8, 8));
        toy.setOps(list, 0);
        (x, k, v) = (rootOf(1), rootOf(2), rootOf(3));
    }

    function opsPayload() private view returns (bytes memory out) {
        out = abi.encodePacked(SALT, x, k, v);
        for (uint256 i = 0; i < list.length; ++i) {
            out = list[i] >> 11 & 1 != 0
                ? bytes.concat(out, values[i])
                : bytes.concat(out, rootOf(i));
        }
    }

    // The trace around it.

    /// A trace in which leaf (position_, leaf_) of `count` is this one.
    function trace(uint32 positionCount, uint32 position_, uint32 leafCount, uint32 leaf_, bytes32 hash) private {
        (position, leaf) = (position_, leaf_);
        leaves = new bytes32[](leafCount);
        for (uint256 i = 0; i < leafCount; ++i) leaves[i] = i == leaf_ ? hash : keccak256(abi.encode("leaf", i));
        positions = new bytes32[](positionCount);
        for (uint256 i = 0; i < positionCount; ++i) {
            positions[i] = i == position_
                ? Trees.leaf(abi.encodePacked(Trees.root(leaves, 0, leafCount)))
                : keccak256(abi.encode("position", i));
        }
        positionsPayload = Trees.children(positions, 0, positionCount, 6);
        leavesPayload = Trees.children(leaves, 0, leafCount, 6);
        about.traceRoot = sha256(
            abi.encodePacked(
                "assay/trace/v0", le32(positionCount), le32(LAYERS), Trees.root(positions, 0, positionCount)
            )
        );
    }

    function cell(uint32 position_, uint32 leaf_) private {
        position = position_;
        cellOps();
        ops = opsPayload();
        bytes32 hash = sha256(abi.encodePacked(uint8(0), "cell", le32(position_), le32(leaf_), SALT, x, k, v));
        trace(PROMPT, position_, LAYERS, leaf_, hash);
    }

    // Moves.

    function playing(bytes memory payload, bytes memory earlier) private view returns (bytes memory) {
        return abi.encodeCall(IGames.play, (GAME, about, Played(payload, earlier, ""), sha256(payload)));
    }

    function none(bytes memory payload, bytes memory earlier, bytes4 kind, Why why) private {
        (bool done, bytes memory answer) = address(games).call(playing(payload, earlier));
        vm.assertTrue(!done, "a move that should be none");
        vm.assertEq(answer, abi.encodeWithSelector(kind, why), "the error");
    }

    function play(bytes memory payload, bytes memory earlier) private returns (bool over, Verdict verdict) {
        (over, verdict,) = games.play(GAME, about, Played(payload, earlier, ""), sha256(payload));
        last = payload;
    }

    function choose(uint256 choice) private {
        play(le32(choice), last);
    }

    function chooseChild(uint256 choice) private {
        play(le32(choice), Trees.pick(last, choice));
    }

    function at(Phase phase) private view {
        vm.assertEq(uint256(state().phase), uint256(phase), "phase");
    }

    function state() private view returns (Game memory) {
        return games.game(address(this), GAME);
    }

    /// To the ops of the disputed leaf. 70 positions: 32 pairs, then 6; 65 is number 33 of the children.
    function toOps() private {
        play(positionsPayload, "");
        if (position == 65) {
            chooseChild(33);
        } else {
            chooseChild(position / 2);
            play(bytes.concat(positions[position / 2 * 2], positions[position / 2 * 2 + 1]), "");
            chooseChild(position % 2);
        }
        at(Phase.Leaves);
        play(leavesPayload, "");
        chooseChild(leaf);
        at(Phase.Ops);
        play(ops, "");
    }

    // Tests.

    function test_statementsWithoutAGame() public {
        games.check(about);
        sets(PROMPT, 1, 0);
        cannot();
        sets(0, 0, 0);
        cannot();
        sets(0, 0, 2);
        games.check(about);
        sets(0, 1 << 18, 0);
        cannot();
        about.subject.counts = Terms.counts(0, 0, 1, 9, 0, 0, 0);
        cannot();
    }

    function cannot() private {
        vm.expectRevert(abi.encodeWithSelector(Invalid.selector, Why.NoGame));
        games.check(about);
    }

    function test_positions() public {
        cell(65, 1);
        none("", "", Invalid.selector, Why.MoveLength);
        bytes memory wrong = bytes.concat(positionsPayload);
        wrong[5] ^= 0x01;
        none(wrong, "", Mismatch.selector, Why.NotCommittedTo);
        play(positionsPayload, "");
        none("123", "", Invalid.selector, Why.MoveLength);
        none(le32(38), Trees.pick(last, 37), Invalid.selector, Why.NoSuchChoice);
        none(le32(3), Trees.pick(last, 4), Mismatch.selector, Why.Payload);
        none(le32(3), "short", Mismatch.selector, Why.Payload);
        none(le32(3), bytes.concat(Trees.pick(last, 3), "x"), Mismatch.selector, Why.Payload);
        none(le32(3), bytes.concat(Trees.pick(last, 3), bytes32(0)), Mismatch.selector, Why.Payload);
        chooseChild(3);
        at(Phase.Positions);
        vm.assertEq(state().first, 6, "the fourth pair");
        none(bytes.concat(positions[7], positions[6]), "", Mismatch.selector, Why.NotCommittedTo);
        play(bytes.concat(positions[6], positions[7]), "");
        chooseChild(1);
        at(Phase.Leaves);
        vm.assertEq(state().position, 7, "position");
    }

    function test_leaves() public {
        cell(65, 1);
        play(positionsPayload, "");
        chooseChild(33);
        none(bytes.concat(leavesPayload, bytes32(0)), "", Invalid.selector, Why.MoveLength);
        none(bytes.concat(leaves[1], leaves[0]), "", Mismatch.selector, Why.NotCommittedTo);
        play(leavesPayload, "");
        none(le32(2), Trees.pick(last, 1), Invalid.selector, Why.NoSuchChoice);
        chooseChild(1);
        at(Phase.Ops);
        vm.assertTrue(!state().fault, "no fault");
    }

    function test_manyLeaves() public {
        about.layers = 80;
        (position, leaf) = (65, 79);
        cellOps();
        ops = opsPayload();
        bytes32 hash = sha256(abi.encodePacked(uint8(0), "cell", le32(65), le32(79), SALT, x, k, v));
        trace(PROMPT, 65, 80, 79, hash);
        about.traceRoot =
            sha256(abi.encodePacked("assay/trace/v0", le32(PROMPT), le32(80), Trees.root(positions, 0, PROMPT)));
        play(positionsPayload, "");
        chooseChild(33);
        // 80 leaves: the 64 are 32 pairs, the 16 after them stand alone.
        play(leavesPayload, "");
        vm.assertEq(leavesPayload.length, 32 * 48, "children");
        chooseChild(0);
        at(Phase.Leaves);
        play(bytes.concat(leaves[0], leaves[1]), "");
        chooseChild(1);
        at(Phase.Ops);
        vm.assertEq(state().leaf, 1, "leaf");
    }

    function test_opsAreBoundToTheLeaf() public {
        cell(65, 1);
        play(positionsPayload, "");
        chooseChild(33);
        play(leavesPayload, "");
        chooseChild(1);
        none(bytes.concat(ops, hex"00"), "", Invalid.selector, Why.MoveLength);
        none(part(ops, 0, ops.length - 1), "", Invalid.selector, Why.MoveLength);
        bytes memory wrong = bytes.concat(ops);
        wrong[0] ^= 0x01;
        none(wrong, "", Mismatch.selector, Why.NotCommittedTo);
        // Each rule: the root of op 1, 2, 3 is the leaf's x, k, v; then the scalars; then the numbers.
        uint16[8] memory places = [uint16(160), 192, 224, 260, 268, 336, 340, 4];
        for (uint256 i = 0; i < 7; ++i) {
            wrong = bytes.concat(ops);
            wrong[places[i]] ^= 0x01;
            none(wrong, "", Refused.selector, Why.RuleBroken);
        }
        play(ops, "");
        none(le32(list.length), last, Invalid.selector, Why.NoSuchChoice);
        none(le32(4), last, Invalid.selector, Why.NoSuchChoice);
        none(le32(0), wrong, Mismatch.selector, Why.Payload);
        choose(0);
        at(Phase.Chunks);
    }

    function test_chunksAndValues() public {
        cell(65, 1);
        toOps();
        choose(0);
        bytes32[] memory hashes = chunkLeaves(0);
        bytes memory payload = abi.encodePacked(hashes);
        none(abi.encodePacked(hashes[1], hashes[0]), "", Mismatch.selector, Why.NotCommittedTo);
        play(payload, "");
        chooseChild(1);
        at(Phase.Values);
        bytes memory data = chunk(0, 1, 4);
        none(part(data, 0, 172), "", Invalid.selector, Why.MoveLength);
        bytes memory wrong = bytes.concat(data);
        wrong[0] ^= 0x01;
        none(wrong, "", Mismatch.selector, Why.NotCommittedTo);
        play(data, "");
        none(le32(44), last, Invalid.selector, Why.NoSuchChoice);
        none(le32(43), wrong, Mismatch.selector, Why.Payload);
        choose(43);
        at(Phase.Step);
        vm.assertEq(state().element, 299, "the last element");
        uint256 claimed = uint256(uint8(data[172])) | uint256(uint8(data[173])) << 8
            | uint256(uint8(data[174])) << 16 | uint256(uint8(data[175])) << 24;
        judged(0, 299, 0, 0, 0, claimed, "right");
    }

    /// The step arrives at the referee as it was revealed, and ends as the referee says.
    function judged(uint32 op_, uint32 element, uint32 step, uint32 r, uint32 segment, uint256 claimed, bytes memory word)
        private
    {
        Revealed memory revealed;
        revealed.positionsRoot = Trees.root(positions, 0, positions.length);
        revealed.positionRoot = Trees.root(leaves, 0, leaves.length);
        (revealed.positions, revealed.positionLeaves) = (uint32(positions.length), uint32(leaves.length));
        (revealed.x, revealed.k, revealed.v) = (x, k, v);
        if (claimed != FAULT) revealed.roots[0] = rootOf(op_);
        if (OpWord.isOp(OpWord.a(list[op_]))) revealed.roots[1] = rootOf(OpWord.index(OpWord.a(list[op_])));
        Place memory place = Place(position, leaf, state().fault, op_, element, step);
        bytes32 expected = keccak256(abi.encode(revealed, place, Running(r, segment), claimed));
        none(bytes.concat(word, expected), "", Mismatch.selector, Why.Payload);
        bytes memory earlier = abi.encode(revealed);
        none(bytes.concat("?", expected), earlier, Mismatch.selector, Why.Proof);
        none("short", earlier, Invalid.selector, Why.Proof);
        none("nostep", earlier, Invalid.selector, Why.Proof);
        none("noprogram", earlier, NotFound.selector, Why.NoProgram);
        (bool over, Verdict verdict) = play(bytes.concat(word, expected), earlier);
        vm.assertTrue(over, "over");
        bytes32 w = keccak256(word);
        Verdict wanted = w == keccak256("right")
            ? Verdict.follows
            : w == keccak256("wrong") ? Verdict.differs : Verdict.invalidModel;
        vm.assertTrue(verdict == wanted, "verdict");
    }

    function test_runningValues() public {
        cell(65, 1);
        toOps();
        choose(1);
        at(Phase.Values);
        bytes memory data = values[1];
        play(data, "");
        choose(2);
        at(Phase.Running);
        bytes memory running = bytes.concat(hex"0a000000", hex"0b000000", part(data, 8, 4));
        none(part(running, 0, 8), "", Invalid.selector, Why.MoveLength);
        none(bytes.concat(hex"0a000000", hex"0b000000", hex"0c000000"), "", Mismatch.selector, Why.NotCommittedTo);
        play(running, "");
        none(le32(3), last, Invalid.selector, Why.NoSuchChoice);
        none(le32(1), data, Mismatch.selector, Why.Payload);
        choose(1);
        judged(1, 2, 1, 10, 0, 11, "wrong");
    }

    function test_halvesAndBytes() public {
        cell(65, 1);
        toOps();
        uint256 snapshot = vm.snapshotState();
        choose(2);
        play(values[2], "");
        choose(3);
        judged(2, 3, 0, 0, 0, uint256(uint8(values[2][6])) | uint256(uint8(values[2][7])) << 8, "invalid");
        vm.revertToState(snapshot);
        last = ops;
        choose(3);
        play(values[3], "");
        choose(1);
        judged(3, 1, 0, 0, 0, uint8(values[3][1]), "right");
    }

    function test_scalars() public {
        cell(65, 1);
        toOps();
        uint256 snapshot = vm.snapshotState();
        choose(5);
        at(Phase.Step);
        judged(5, 0, 0, 0, 0, 1, "right");
        // One with 300 running values: the total before the segment comes along.
        vm.revertToState(snapshot);
        last = ops;
        choose(6);
        at(Phase.Running);
        bytes memory running = new bytes(1200);
        for (uint256 i = 0; i < 300; ++i) running[4 * i] = bytes1(uint8(i));
        running[4 * 299] = 0x07;
        play(running, "");
        choose(298);
        judged(6, 0, 298, uint32(uint8(297 & 0xff)), 255, uint8(298 & 0xff), "right");
    }

    function test_weightedValuesHaveAsManyStepsAsTheSegmentPositions() public {
        cell(65, 1);
        toOps();
        choose(12);
        play(values[12], "");
        choose(1);
        at(Phase.Running);
        bytes memory running = bytes.concat(new bytes(4 * 65), part(values[12], 4, 4));
        none(new bytes(4 * 256), "", Invalid.selector, Why.MoveLength);
        play(running, "");
        choose(0);
        judged(12, 1, 0, 0, 0, 0, "right");
    }

    function test_aSalt() public {
        cell(65, 1);
        toOps();
        choose(0xffffffff);
        at(Phase.Salt);
        none("short", "", Invalid.selector, Why.MoveLength);
        none(abi.encode(bytes32(0)), "", Mismatch.selector, Why.Proof);
        uint256 snapshot = vm.snapshotState();
        (bool over, Verdict verdict) = play(abi.encode(bytes32("another secret")), "");
        vm.assertTrue(over && verdict == Verdict.differs, "wrong");
        vm.revertToState(snapshot);
    }

    function test_aRightSalt() public {
        bytes32 secret = keccak256("secret");
        position = 65;
        cellOps();
        bytes32 salt = keccak256(abi.encode(secret));
        ops = opsPayload();
        for (uint256 i = 0; i < 32; ++i) ops[i] = salt[i];
        trace(PROMPT, 65, LAYERS, 1, sha256(abi.encodePacked(uint8(0), "cell", le32(65), le32(1), salt, x, k, v)));
        toOps();
        choose(0xffffffff);
        (bool over, Verdict verdict) = play(abi.encode(secret), "");
        vm.assertTrue(over && verdict == Verdict.follows, "right");
    }

    function test_aHead() public {
        (position, leaf) = (69, 2);
        add(op(Kind.PRODUCT, OpWord.F32, OpWord.TIE_LOGITS, 3, 1, false), bytesOf(12, 1));
        add(op(Kind.BEST_TOKEN, OpWord.U32, OpWord.TIE_TOKEN, 1, 1, true), hex"05000000");
        toy.setOps(list, 0);
        x = keccak256("x");
        bytes32 logits = rootOf(0);
        ops = abi.encodePacked(SALT, x, logits, le32(5), logits, le32(5));
        bytes32 hash = sha256(abi.encodePacked(uint8(0), "head", le32(69), SALT, x, logits, le32(5)));
        trace(PROMPT, 69, 3, 2, hash);
        play(positionsPayload, "");
        chooseChild(37);
        none(abi.encodePacked(leaves[0], leaves[1]), "", Invalid.selector, Why.MoveLength);
        play(leavesPayload, "");
        chooseChild(2);
        bytes memory wrong = bytes.concat(ops);
        wrong[104] ^= 0x01;
        none(wrong, "", Refused.selector, Why.RuleBroken);
        wrong = bytes.concat(ops);
        wrong[132] ^= 0x01;
        none(wrong, "", Refused.selector, Why.RuleBroken);
        play(ops, "");
        choose(1);
        judged(1, 0, 0, 0, 0, 5, "right");
    }

    function test_ruledOpsNeedWhatTheyAreRuledBy() public {
        (position, leaf) = (69, 2);
        add(op(Kind.NEXT_TOKEN, OpWord.U32, 0, 1, 1, true), hex"05000000");
        toy.setOps(list, 0);
        ops = abi.encodePacked(SALT, x, bytes32(0), le32(5), le32(5));
        trace(
            PROMPT, 69, 3, 2, sha256(abi.encodePacked(uint8(0), "head", le32(69), SALT, x, bytes32(0), le32(5)))
        );
        play(positionsPayload, "");
        chooseChild(37);
        play(leavesPayload, "");
        chooseChild(2);
        none(ops, "", Refused.selector, Why.RuleBroken);
    }

    // Faults.

    /// A fault in the prompt, in layer 1 of position 4: its op 1 faults at element 2 after 1 running value.
    function faulty(uint32 element, uint32 running) private {
        sets(0, 0, 2);
        (position, leaf) = (4, 1);
        delete list;
        delete values;
        add(op(Kind.PRODUCT, OpWord.F32, 0, 3, 1, false), bytesOf(12, 1));
        add(op(Kind.PRODUCT, OpWord.F32, 0, 10, 3, false), bytesOf(40, 1));
        add(op(Kind.THRESHOLD, OpWord.F32, 0, 1, 1, true), hex"01020304");
        toy.setOps(list, 1);
        (x, k, v) = (0, 0, 0);
        ops = abi.encodePacked(le32(1), SALT, rootOf(0), le32(element), le32(running));
        trace(5, 4, 2, 1, sha256(abi.encodePacked(uint8(0), "falt", le32(4), le32(1), SALT)));
        positionsPayload = bytes.concat(le32(5), positionsPayload);
        leavesPayload = bytes.concat(le32(1), leavesPayload);
    }

    function toFault() private {
        none("1", "", Invalid.selector, Why.MoveLength);
        none(bytes.concat(le32(0), positions[0]), "", Invalid.selector, Why.Payload);
        none(bytes.concat(le32(71), positions[0]), "", Invalid.selector, Why.Payload);
        play(positionsPayload, "");
        chooseChild(4);
        none("1", "", Invalid.selector, Why.MoveLength);
        none(bytes.concat(le32(2), leaves[0]), "", Invalid.selector, Why.Payload);
        play(leavesPayload, "");
        chooseChild(1);
        vm.assertTrue(state().fault, "the leaf that faults");
    }

    function test_aFaultAfterARunningValue() public {
        faulty(2, 1);
        toFault();
        bytes memory wrong = bytes.concat(ops);
        wrong[0] = 0x00;
        none(abi.encodePacked(le32(0), SALT, le32(2), le32(1)), "", Invalid.selector, Why.NoSuchChoice);
        none(abi.encodePacked(le32(4), SALT), "", Invalid.selector, Why.NoSuchChoice);
        none(
            abi.encodePacked(le32(2), SALT, rootOf(0), rootOf(1), le32(2), le32(1)),
            "",
            Invalid.selector,
            Why.NoSuchChoice
        );
        none(
            abi.encodePacked(le32(1), SALT, rootOf(0), le32(10), le32(1)), "", Invalid.selector, Why.NoSuchChoice
        );
        none(
            abi.encodePacked(le32(1), SALT, rootOf(0), le32(256), le32(1)), "", Invalid.selector, Why.NoSuchChoice
        );
        none(
            abi.encodePacked(le32(1), SALT, rootOf(0), le32(2), le32(3)), "", Invalid.selector, Why.NoSuchChoice
        );
        play(ops, "");
        none(le32(2), last, Invalid.selector, Why.NoSuchChoice);
        choose(1);
        at(Phase.Running);
        none(new bytes(8), "", Invalid.selector, Why.MoveLength);
        play(hex"0a000000", "");
        uint256 snapshot = vm.snapshotState();
        none(le32(2), last, Invalid.selector, Why.NoSuchChoice);
        choose(1);
        judged(1, 2, 1, 10, 0, FAULT, "right");
        vm.revertToState(snapshot);
    }

    function test_theValueBeforeAFault() public {
        faulty(2, 1);
        toFault();
        play(ops, "");
        choose(1);
        play(hex"0a000000", "");
        choose(0);
        Revealed memory r;
        r.positionsRoot = Trees.root(positions, 0, 5);
        r.positionRoot = Trees.root(leaves, 0, 2);
        (r.positions, r.positionLeaves) = (5, 2);
        Place memory place = Place(4, 1, true, 1, 2, 0);
        bytes32 expected = keccak256(abi.encode(r, place, Running(0, 0), uint256(10)));
        (bool over, Verdict verdict) = play(bytes.concat("wrong", expected), abi.encode(r));
        vm.assertTrue(over && verdict == Verdict.differs, "wrong");
    }

    function test_aFaultAtOnce() public {
        faulty(9, 0);
        toFault();
        play(ops, "");
        choose(1);
        at(Phase.Step);
        judged(1, 9, 0, 0, 0, FAULT, "wrong");
    }

    function test_whatComesBeforeTheFaultInItsLeaf() public {
        faulty(9, 0);
        toFault();
        play(ops, "");
        choose(0);
        play(values[0], "");
        choose(1);
        Revealed memory r;
        r.roots[0] = rootOf(0);
        r.positionsRoot = Trees.root(positions, 0, 5);
        r.positionRoot = Trees.root(leaves, 0, 2);
        (r.positions, r.positionLeaves) = (5, 2);
        (bool over,) = play("right", abi.encode(r));
        vm.assertTrue(over, "judged");
    }

    function test_aCellBesideTheFault() public {
        faulty(9, 0);
        bytes32 hash = sha256(abi.encodePacked(uint8(0), "cell", le32(4), le32(0), SALT, x, k, v));
        leaves[0] = hash;
        positions[4] = Trees.leaf(abi.encodePacked(Trees.root(leaves, 0, 2)));
        about.traceRoot = sha256(abi.encodePacked("assay/trace/v0", le32(5), le32(LAYERS), Trees.root(positions, 0, 5)));
        play(bytes.concat(le32(5), Trees.children(positions, 0, 5, 6)), "");
        chooseChild(4);
        play(bytes.concat(le32(1), Trees.children(leaves, 0, 2, 6)), "");
        chooseChild(0);
        vm.assertTrue(!state().fault, "a cell like others");
    }

    // Without a game.

    function test_finish() public {
        vm.assertTrue(games.judgeFinish(about, 0, "", "wrong") == Verdict.differs, "wrong");
        vm.expectRevert(abi.encodeWithSelector(Mismatch.selector, Why.Proof));
        games.judgeFinish(about, 0, "", "?");
    }

    function test_reading() public {
        vm.assertEq(games.layersOf(about.subject.program), 2, "layers");
        vm.expectRevert(abi.encodeWithSelector(NotFound.selector, Why.NoProgram));
        games.layersOf(0);
        vm.assertEq(games.referee(), address(toy), "referee");
        vm.assertEq(games.programs(), address(programs), "programs");
    }
}
