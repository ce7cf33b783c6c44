// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IReferee, Outcome, Place, Revealed, Running, Subject, Verdict} from "../../src/referee/IReferee.sol";
import {Kind, OpWord} from "../../src/referee/OpWord.sol";
import {Terms} from "../../src/referee/Terms.sol";
import {RefereeWorld} from "./RefereeWorld.sol";

/// The steps of a constrained answer beside a readable version that has the whole automaton and vocabulary in memory,
/// walks tokens byte by byte (spec/canon.md, "Constraint") and makes its trees by RFC 6962's recursion; and proofs that
/// are wrong in one place.
contract ConstraintTest is RefereeWorld {
    using OpWord for uint256;

    uint256 private constant DEAD = 0xffff;
    uint256 private constant ENDED = 0xfffe;
    // The first token of the answer is at position 8: the last two of the prompt's ten are a continuation.
    uint256 private constant PROMPT = 10;
    uint256 private constant ANSWER = 5;
    uint256 private constant FIRST = 8;

    struct World {
        uint256 states;
        uint256[] next; // [state][byte]
        bool[] accepting;
        bytes[] pieces; // kind ‖ bytes
        uint256[] tokens; // prompt ‖ answer
        bytes32[] rows;
        bytes32[] leaves; // of pieces
        Subject subject;
    }

    /// One step, what it opens, and what the readable version says of it.
    struct Trial {
        Place place;
        Revealed revealed;
        uint256 last;
        uint256 before;
        uint256 token;
        uint256 expected;
        bytes middle; // of the proof, between constraint and piece
    }

    function _draw(uint256 seed) private returns (World memory w) {
        uint256 vocabulary = 1 + _random(seed, 0) % 20;
        w.states = 1 + _random(seed, 1) % 6;
        w.next = new uint256[](w.states * 256);
        w.accepting = new bool[](w.states);
        w.rows = new bytes32[](w.states);
        for (uint256 s; s < w.states; ++s) {
            w.accepting[s] = _random(seed, 100 + s) % 2 == 0;
            for (uint256 b; b < 256; ++b) {
                uint256 r = _random(seed, b << 16 | s << 8 | 7);
                w.next[s * 256 + b] = r % 4 == 0 ? DEAD : (r >> 8) % w.states;
            }
            w.rows[s] = _leaf(_row(w, s));
        }
        w.pieces = new bytes[](vocabulary);
        w.leaves = new bytes32[](vocabulary);
        for (uint256 i; i < vocabulary; ++i) {
            w.pieces[i] = _piece(_random(seed, 1000 + i));
            w.leaves[i] = _leaf(w.pieces[i]);
        }
        w.tokens = new uint256[](PROMPT + ANSWER);
        for (uint256 i; i < w.tokens.length; ++i) {
            w.tokens[i] = _random(seed, 2000 + i) % (vocabulary + (i % 6 == 5 ? 2 : 0));
        }
        uint32[10] memory numbers = _numbers();
        numbers[0] = uint32(vocabulary);
        w.subject.program = programs.store(_program("llama", numbers, new bytes(12)));
        w.subject.counts = Terms.counts(uint32(PROMPT), 2, uint32(ANSWER), 5, 0, 77, uint32(Terms.LENGTH));
        w.subject.sampling = Terms.sampling(0x3f800000, 0, 0, 0, 0, 0x3f800000, 0);
        w.subject.promptRoot = _leaf(_ids(w, 0, PROMPT));
        w.subject.tapeRoot = _leaf(_ids(w, PROMPT, ANSWER));
        w.subject.constraint = sha256(abi.encodePacked("assay/constraint/v0", _parts(w)));
    }

    /// Mostly text of a few bytes; ends; what no vocabulary has.
    function _piece(uint256 r) private pure returns (bytes memory) {
        uint256 pick = r % 16;
        if (pick == 0) return hex"00";
        if (pick < 3) return hex"02";
        if (pick == 3) return hex"0241";
        if (pick == 4) return abi.encodePacked(uint8(3), uint8(r >> 8));
        uint256 length = pick == 5 ? 62 + (r >> 16) % 4 : pick == 6 ? 0 : 1 + (r >> 16) % 5;
        bytes memory text = new bytes(length);
        for (uint256 i; i < length; ++i) {
            text[i] = bytes1(uint8(uint256(keccak256(abi.encode(r, i)))));
        }
        return abi.encodePacked(uint8(1), text);
    }

    // The readable version.

    /// The state after `count` bytes of a piece; what no vocabulary has leads nowhere.
    function _walk(World memory w, uint256 state, uint256 token, uint256 count) private pure returns (uint256) {
        if (count == 0) return state;
        if (token >= w.pieces.length) return DEAD;
        bytes memory piece = w.pieces[token];
        bool text = piece[0] == 0x01 && piece.length > 1 && piece.length <= 65;
        if (!text) {
            bool ends = piece.length == 1 && piece[0] == 0x02 && state < w.states && w.accepting[state];
            return ends ? ENDED : DEAD;
        }
        for (uint256 i = 1; i < piece.length && i <= count; ++i) {
            state = state < w.states ? w.next[state * 256 + uint8(piece[i])] : DEAD;
        }
        return state;
    }

    /// The states after each of the answer's first tokens.
    function _states(World memory w, uint256 count) private pure returns (uint256[] memory states) {
        states = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            states[i] = _walk(w, i == 0 ? 0 : states[i - 1], w.tokens[FIRST + i], 64);
        }
    }

    /// Whether step `k` of a piece reads the table.
    function _readsRow(World memory w, uint256 before, uint256 token, uint256 k) private pure returns (bool) {
        bytes memory piece = w.pieces[token];
        if (before >= w.states) return false;
        if (piece[0] == 0x01) return piece.length <= 65 && k + 1 < piece.length;
        return piece[0] == 0x02 && piece.length == 1 && k == 0;
    }

    function _root(bytes32[] memory leaves, uint256 from, uint256 count) private pure returns (bytes32) {
        if (count == 1) return leaves[from];
        uint256 split = _split(count);
        return _node(_root(leaves, from, split), _root(leaves, from + split, count - split));
    }

    function _path(bytes32[] memory leaves, uint256 from, uint256 count, uint256 index)
        private
        pure
        returns (bytes memory)
    {
        if (count == 1) return "";
        uint256 split = _split(count);
        return index < split
            ? abi.encodePacked(_path(leaves, from, split, index), _root(leaves, from + split, count - split))
            : abi.encodePacked(_path(leaves, from + split, count - split, index - split), _root(leaves, from, split));
    }

    /// The largest power of two below `count`.
    function _split(uint256 count) private pure returns (uint256 split) {
        for (split = 1; 2 * split < count; split *= 2) {}
    }

    // Proofs.

    function _row(World memory w, uint256 state) private pure returns (bytes memory row) {
        row = new bytes(513);
        for (uint256 b; b < 256; ++b) {
            uint256 n = w.next[state * 256 + b];
            (row[2 * b], row[2 * b + 1]) = (bytes1(uint8(n)), bytes1(uint8(n >> 8)));
        }
        row[512] = w.accepting[state] ? bytes1(0x01) : bytes1(0);
    }

    function _parts(World memory w) private pure returns (bytes memory) {
        return abi.encodePacked(
            _root(w.rows, 0, w.states), _le32(w.states), _root(w.leaves, 0, w.leaves.length)
        );
    }

    function _ids(World memory w, uint256 from, uint256 count) private pure returns (bytes memory out) {
        out = abi.encodePacked(keccak256("salt"));
        for (uint256 i; i < count; ++i) {
            out = abi.encodePacked(out, _le32(w.tokens[from + i]));
        }
    }

    function _pieceOpened(World memory w, uint256 token) private pure returns (bytes memory) {
        bytes memory piece = w.pieces[token];
        return abi.encodePacked(_le32(piece.length), piece, _path(w.leaves, 0, w.leaves.length, token));
    }

    function _rowOpened(World memory w, uint256 state) private pure returns (bytes memory) {
        return abi.encodePacked(_row(w, state), _path(w.rows, 0, w.states, state));
    }

    function _proof(World memory w, Trial memory t) private pure returns (bytes memory proof) {
        proof = abi.encodePacked(_parts(w), t.middle);
        if (t.token >= w.pieces.length) return proof;
        proof = abi.encodePacked(proof, _pieceOpened(w, t.token));
        if (_readsRow(w, t.before, t.token, t.place.step)) proof = abi.encodePacked(proof, _rowOpened(w, t.before));
    }

    function _values(uint256[] memory numbers) private pure returns (bytes memory out) {
        for (uint256 i; i < numbers.length; ++i) {
            out = abi.encodePacked(out, _le32(numbers[i]));
        }
    }

    function _place(World memory w, uint256 position, uint256 kind, uint256 element, uint256 step)
        private
        view
        returns (Place memory p)
    {
        (uint256[] memory list,) = referee.ops(w.subject, uint32(position), 1, false);
        p = Place(uint32(position), 1, false, 0, uint32(element), uint32(step));
        while (list[p.op].kind() != kind) ++p.op;
    }

    /// Byte `step` of the answer's token `element`, at the head of a position.
    function _answerState(World memory w, uint256 position, uint256 element, uint256 step)
        private
        view
        returns (Trial memory t)
    {
        uint256[] memory states = _states(w, position + 1 - FIRST);
        uint256 from = element == 0 ? 0 : states[element - 1];
        t.place = _place(w, position, Kind.ANSWER_STATE, element, step);
        t.token = w.tokens[FIRST + element];
        t.before = _walk(w, from, t.token, step);
        t.expected = _walk(w, from, t.token, step + 1);
        if (step > 0) t.last = t.before;
        else if (element > 0) t.middle = _values(states);
        t.revealed.roots[0] = _leaf(_values(states));
        bool answer = FIRST + element >= PROMPT;
        t.middle = abi.encodePacked(t.middle, answer ? _ids(w, PROMPT, ANSWER) : _ids(w, 0, PROMPT));
    }

    /// Byte `step` of any token, from where the answer has led.
    function _pieceState(World memory w, uint256 position, uint256 element, uint256 step)
        private
        view
        returns (Trial memory t)
    {
        uint256[] memory states = _states(w, position + 1 - FIRST);
        uint256 from = states.length == 0 ? 0 : states[states.length - 1];
        t.place = _place(w, position, Kind.PIECE_STATE, element, step);
        t.token = element;
        t.before = _walk(w, from, element, step);
        t.expected = _walk(w, from, element, step + 1);
        if (step > 0) t.last = t.before;
        else if (states.length > 0) t.middle = _values(states);
        t.revealed.roots[1] = _leaf(_values(states));
    }

    function _agrees(World memory w, Trial memory t, bytes memory proof) private view {
        Running memory running = Running(uint32(t.last), 0);
        (Outcome outcome, uint32 bits) = referee.execute(w.subject, t.revealed, t.place, running, "", proof);
        require(outcome == Outcome.value && bits == t.expected, vm.toString(bits));
        require(referee.judge(w.subject, t.revealed, t.place, running, bits, "", proof) == Verdict.follows);
        require(referee.judge(w.subject, t.revealed, t.place, running, bits ^ 1, "", proof) == Verdict.differs);
    }

    function _refused(World memory w, Trial memory t, bytes memory proof, bytes4 why) private {
        vm.expectRevert(why);
        referee.execute(w.subject, t.revealed, t.place, Running(uint32(t.last), 0), "", proof);
    }

    // Tests.

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_aTokenOfTheAnswer(uint256 seed) public {
        World memory w = _draw(seed);
        uint256 position = FIRST + _random(seed, 3) % (ANSWER + 1);
        uint256 element = _random(seed, 4) % (position + 1 - FIRST);
        Trial memory t = _answerState(w, position, element, _step(seed));
        _agrees(w, t, _proof(w, t));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_anyToken(uint256 seed) public {
        World memory w = _draw(seed);
        uint256 position = FIRST - 1 + _random(seed, 3) % (ANSWER + 2);
        Trial memory t = _pieceState(w, position, _random(seed, 4) % w.pieces.length, _step(seed));
        _agrees(w, t, _proof(w, t));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_scores(uint256 seed) public {
        World memory w = _draw(seed);
        uint256 vocabulary = w.pieces.length;
        uint256 element = _random(seed, 5) % vocabulary;
        (uint256[] memory scores, uint256[] memory states) = (new uint256[](vocabulary), new uint256[](vocabulary));
        for (uint256 i; i < vocabulary; ++i) {
            scores[i] = _random(seed, 3000 + i) & 0xbfffffff; // finite
            uint256 r = _random(seed, 4000 + i);
            states[i] = r % 3 == 0 ? DEAD : r % 3 == 1 ? ENDED : (r >> 8) % w.states;
        }
        Trial memory t;
        t.place = _place(w, FIRST, Kind.CONSTRAIN, element, 0);
        t.revealed.roots[1] = _leaf(_values(scores));
        t.revealed.roots[2] = _leaf(_values(states));
        t.expected = states[element] == DEAD ? 0xff7fffff : scores[element];
        _agrees(w, t, abi.encodePacked(_values(scores), _values(states)));
        // What is not finite is a fault, but where no answer goes.
        scores[element] = 0x7f800000;
        t.revealed.roots[1] = _leaf(_values(scores));
        (Outcome outcome,) = referee.execute(
            w.subject, t.revealed, t.place, Running(0, 0), "", abi.encodePacked(_values(scores), _values(states))
        );
        require(outcome == (states[element] == DEAD ? Outcome.value : Outcome.fault));
    }

    /// Tokens "AB", "CD", "EF", end; four states, each leading to the next.
    function _simple() private returns (World memory w) {
        w = _draw(1);
        w.states = 4;
        w.next = new uint256[](4 * 256);
        w.accepting = new bool[](4);
        w.rows = new bytes32[](4);
        for (uint256 i; i < w.next.length; ++i) {
            w.next[i] = (i / 256 + 1) % 4;
        }
        for (uint256 s; s < 4; ++s) {
            w.rows[s] = _leaf(_row(w, s));
        }
        w.pieces = new bytes[](4);
        (w.pieces[0], w.pieces[1]) = (hex"014142", hex"014344");
        (w.pieces[2], w.pieces[3]) = (hex"014546", hex"02");
        w.leaves = new bytes32[](4);
        for (uint256 i; i < 4; ++i) {
            w.leaves[i] = _leaf(w.pieces[i]);
        }
        for (uint256 i; i < w.tokens.length; ++i) {
            w.tokens[i] = i % 2;
        }
        uint32[10] memory numbers = _numbers();
        numbers[0] = 4;
        w.subject.program = programs.store(_program("llama", numbers, new bytes(12)));
        w.subject.promptRoot = _leaf(_ids(w, 0, PROMPT));
        w.subject.tapeRoot = _leaf(_ids(w, PROMPT, ANSWER));
        w.subject.constraint = sha256(abi.encodePacked("assay/constraint/v0", _parts(w)));
    }

    function test_openingsOfAnotherIndexDoNotOpen() public {
        World memory w = _simple();
        Trial memory t = _answerState(w, 12, 3, 0);
        bytes memory front = abi.encodePacked(_parts(w), t.middle);
        _agrees(w, t, abi.encodePacked(front, _pieceOpened(w, 1), _rowOpened(w, t.before)));
        for (uint256 i; i < 4; ++i) {
            if (i != 1) {
                bytes memory other = abi.encodePacked(front, _pieceOpened(w, i), _rowOpened(w, t.before));
                _refused(w, t, other, IReferee.ProofMismatch.selector);
            }
            if (i != t.before) {
                bytes memory other = abi.encodePacked(front, _pieceOpened(w, 1), _rowOpened(w, i));
                _refused(w, t, other, IReferee.ProofMismatch.selector);
            }
        }
        // The state before it comes from the op's own values, not from the running value.
        t.last = (t.before + 1) % 4;
        _agrees(w, t, abi.encodePacked(front, _pieceOpened(w, 1), _rowOpened(w, t.before)));
    }

    function test_anotherAutomatonDoesNotOpen() public {
        World memory w = _simple();
        Trial memory t = _pieceState(w, 12, 1, 0);
        bytes memory proof = _proof(w, t);
        _agrees(w, t, proof);
        w.next[t.before * 256 + 0x43] = DEAD;
        w.rows[t.before] = _leaf(_row(w, t.before));
        _refused(w, t, _proof(w, t), IReferee.ProofMismatch.selector);
        // Fewer states than the request says: the same rows, of which none is that of the state before.
        proof[32] = bytes1(uint8(t.before));
        _refused(w, t, proof, IReferee.ProofMismatch.selector);
        w.subject.constraint = bytes32(uint256(1));
        _refused(w, t, _proof(w, t), IReferee.ProofMismatch.selector);
    }

    function test_noByteOfAProofMayDiffer() public {
        World memory w = _simple();
        Trial memory t = _answerState(w, 12, 3, 0);
        bytes memory proof = _proof(w, t);
        for (uint256 i; i < proof.length; ++i) {
            proof[i] ^= bytes1(uint8(1 << i % 8));
            (bool done,) = _call(w, t, proof);
            require(!done, vm.toString(i));
            proof[i] ^= bytes1(uint8(1 << i % 8));
        }
        // Cut, a byte at a time, and longer.
        for (uint256 size; size < proof.length; size += 1 + size / 40) {
            bytes memory cut = new bytes(size);
            for (uint256 i; i < size; ++i) {
                cut[i] = proof[i];
            }
            (bool done, bytes memory why) = _call(w, t, cut);
            require(!done && bytes4(why) == IReferee.ProofInvalid.selector, vm.toString(size));
        }
        _refused(w, t, abi.encodePacked(proof, uint8(0)), IReferee.ProofInvalid.selector);
        _agrees(w, t, proof);
    }

    function test_piecesThatAreNoLeaves() public {
        World memory w = _simple();
        Trial memory t = _pieceState(w, 12, 1, 0);
        bytes memory front = abi.encodePacked(_parts(w), t.middle);
        _refused(w, t, abi.encodePacked(front, _le32(0)), IReferee.ProofInvalid.selector);
        _refused(w, t, abi.encodePacked(front, _le32(1025), new bytes(1200)), IReferee.ProofInvalid.selector);
        _refused(w, t, abi.encodePacked(front, _le32(1024), new bytes(1023)), IReferee.ProofInvalid.selector);
        _refused(w, t, abi.encodePacked(front, _le32(1024), new bytes(1200)), IReferee.ProofMismatch.selector);
    }

    function _call(World memory w, Trial memory t, bytes memory proof) private view returns (bool, bytes memory) {
        return address(referee).staticcall(
            abi.encodeCall(
                IReferee.execute, (w.subject, t.revealed, t.place, Running(uint32(t.last), 0), bytes(""), proof)
            )
        );
    }

    // Small things.

    function _step(uint256 seed) private pure returns (uint256) {
        uint256 r = _random(seed, 6);
        return r % 4 == 0 ? (r >> 8) % 64 : (r >> 8) % 4;
    }

    function _random(uint256 seed, uint256 n) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, n)));
    }

    function _leaf(bytes memory data) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), data));
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }
}
