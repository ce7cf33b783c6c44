// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IKeyed, KeyedCommit} from "../../src/audits/IChecks.sol";
import {Case} from "../../src/disputes/IGames.sol";
import {Invalid, Mismatch, NotFound, Why} from "../../src/market/Errors.sol";
import {IPrograms} from "../../src/referee/IPrograms.sol";
import {Terms} from "../../src/referee/Terms.sol";
import {Trees} from "../disputes/DisputeWorld.sol";
import {Test} from "../Vm.sol";
import {Traces} from "./Traces.sol";

/// The vectors of src/verify/keyed_test.cpp, every byte of them changed, and traces made here.
contract KeyedTest is Test {
    // Where in a proof, and in the path from `PATH` on.
    uint256 private constant POSITION = 0;
    uint256 private constant LEAF = 4;
    uint256 private constant VECTOR = 8;
    uint256 private constant CHUNK = 9;
    uint256 private constant POSITIONS = 13;
    uint256 private constant LAYERS = 17;
    uint256 private constant LEAVES = 21;
    uint256 private constant CHUNKS = 25;
    uint256 private constant SALT = 29;
    uint256 private constant TOKEN = 61;
    uint256 private constant PATH = 65;
    bytes4 private constant NONE = 0;

    IKeyed private keyed;
    IPrograms private programs;
    Case private about;
    KeyedCommit private commit;
    bytes[] private proofs;
    bytes[] private replies;

    function setUp() public {
        programs = IPrograms(vm.deployCode("Programs.sol:Programs", ""));
        keyed = IKeyed(vm.deployCode("Keyed.sol:Keyed", abi.encode(programs)));
        string memory json =
            vm.readFile(string.concat(vm.projectRoot(), "/../spec/vectors/trace/keyed-checks.json"));
        Traces.Shape memory s = shape();
        vm.assertEq(vm.parseJsonUint(json, ".layers"), s.layers, "layers");
        vm.assertEq(vm.parseJsonUint(json, ".dim"), s.dim, "dim");
        vm.assertEq(vm.parseJsonUint(json, ".kv_dim"), s.kv, "kv_dim");
        vm.assertEq(vm.parseJsonUint(json, ".vocab"), s.vocabulary, "vocab");
        about.subject.program = programs.store(Traces.program(s));
        about.subject.counts = counts(uint32(vm.parseJsonUint(json, ".prompt_count")), 0, 0);
        about.traceRoot = vm.parseJsonBytes32(json, ".trace_root");
        commit = KeyedCommit(
            vm.parseJsonBytes32(json, ".beacon"),
            vm.parseJsonBytes32(json, ".audit"),
            vm.parseJsonAddress(json, ".auditor"),
            vm.parseJsonBytes32(json, ".nonce_hash"),
            vm.parseJsonBytes32(json, ".root_hash")
        );
        for (uint256 i = 0; vm.keyExistsJson(json, string.concat(".checks[", vm.toString(i), "]")); ++i) {
            string memory at = string.concat(".checks[", vm.toString(i), "]");
            proofs.push(vm.parseJsonBytes(json, string.concat(at, ".proof")));
            replies.push(vm.parseJsonBytes(json, string.concat(at, ".answer")));
        }
        vm.assertEq(proofs.length, 5, "checks");
    }

    /// Vectors of 1, 2 and 3 chunks; 5 positions, a tree that is not full.
    function shape() private pure returns (Traces.Shape memory) {
        return Traces.Shape(5, 3, 300, 256, 600, 2, keccak256("values"));
    }

    function counts(uint32 prompt, uint32 continuation, uint32 finish) private pure returns (uint256) {
        return Terms.counts(prompt, continuation, 3, 3, 0, 0, finish);
    }

    // What is asked, and how it is told.

    function opens(bytes memory proof, bytes4 kind, Why why) private view {
        told(abi.encodeCall(IKeyed.open, (about, proof)), kind, why);
    }

    function answers(bytes memory proof, bytes memory reply, bytes4 kind, Why why) private view {
        told(abi.encodeCall(IKeyed.judge, (proof, commit, reply)), kind, why);
    }

    function told(bytes memory call, bytes4 kind, Why why) private view {
        (bool done, bytes memory answer) = address(keyed).staticcall(call);
        vm.assertTrue(done == (kind == NONE), kind == NONE ? "a call that should succeed" : "one that should not");
        vm.assertEq(answer, kind == NONE ? bytes("") : abi.encodeWithSelector(kind, why), "the error");
    }

    /// Whether it succeeds; otherwise with an error that is Keyed's own.
    function holds(bytes memory call) private view returns (bool done) {
        bytes memory answer;
        (done, answer) = address(keyed).staticcall(call);
        if (done) {
            vm.assertEq(answer.length, 0, "nothing is returned");
            return true;
        }
        bytes4 kind = bytes4(answer);
        vm.assertTrue(
            answer.length == 36 && (kind == Invalid.selector || kind == Mismatch.selector), "an error of its own"
        );
    }

    // Changes.

    function with(bytes memory data, uint256 at, bytes memory part) private pure returns (bytes memory out) {
        out = bytes.concat(data);
        for (uint256 i = 0; i < part.length; ++i) out[at + i] = part[i];
    }

    function with32(bytes memory data, uint256 at, uint256 number) private pure returns (bytes memory) {
        return with(data, at, Traces.le32(number));
    }

    function flipped(bytes memory data, uint256 at) private pure returns (bytes memory out) {
        out = bytes.concat(data);
        out[at] ^= 0x41;
    }

    function cut(bytes memory data, uint256 size) private pure returns (bytes memory) {
        return Traces.slice(data, 0, size);
    }

    function isHead(bytes memory proof) private pure returns (bool) {
        return proof[LEAF] == 0x03;
    }

    // The vectors.

    function test_theVectorsOpenAndAnswer() public view {
        for (uint256 i = 0; i < proofs.length; ++i) {
            opens(proofs[i], NONE, Why.Proof);
            answers(proofs[i], replies[i], NONE, Why.Answer);
            for (uint256 j = 0; j < proofs.length; ++j) {
                if (i != j) answers(proofs[i], replies[j], Mismatch.selector, Why.Answer);
            }
        }
    }

    /// But for the third root of a head and the token of a cell, which stand for nothing.
    function test_everyByteOfAProofCounts() public view {
        for (uint256 i = 0; i < proofs.length; ++i) {
            bytes memory p = proofs[i];
            for (uint256 at = 0; at < p.length; ++at) {
                bool free = isHead(p) ? at >= PATH + 64 && at < PATH + 96 : at >= TOKEN && at < PATH;
                vm.assertEq(holds(abi.encodeCall(IKeyed.open, (about, flipped(p, at)))), free, "a byte of a proof");
            }
        }
    }

    function test_everyByteOfAReplyCounts() public view {
        for (uint256 i = 0; i < proofs.length; ++i) {
            bytes memory r = replies[i];
            for (uint256 at = 0; at < r.length; ++at) {
                bool free = isHead(proofs[i]) && at >= 32 + 64 && at < 32 + 96;
                bool done = holds(abi.encodeCall(IKeyed.judge, (proofs[i], commit, flipped(r, at))));
                vm.assertEq(done, free, "a byte of a reply");
            }
        }
    }

    /// Of what is asked, place, sizes and values count in an answer. The rest is the provider's tree.
    function test_anAnswerIsToWhatWasAsked() public view {
        for (uint256 i = 0; i < proofs.length; ++i) {
            bytes memory p = proofs[i];
            uint256 values = p.length - (uint8(p[8]) % 3 == 0 ? (i == 0 ? 1024 : i == 2 ? 176 : 352) : 512);
            for (uint256 at = 0; at < p.length; ++at) {
                if (at >= SALT && at < values) continue;
                bool done = holds(abi.encodeCall(IKeyed.judge, (flipped(p, at), commit, replies[i])));
                vm.assertTrue(!done, "another place, other sizes, other values");
            }
        }
    }

    function test_whatIsCutOffOrTooLongIsNoProof() public view {
        for (uint256 i = 0; i < proofs.length; ++i) {
            (bytes memory p, bytes memory r) = (proofs[i], replies[i]);
            for (uint256 n = 0; n < p.length; ++n) opens(cut(p, n), Invalid.selector, Why.Proof);
            for (uint256 n = 0; n < p.length; n += 101) answers(cut(p, n), r, Invalid.selector, Why.Proof);
            for (uint256 n = 0; n < r.length; ++n) answers(p, cut(r, n), Invalid.selector, Why.Answer);
            opens(bytes.concat(p, hex"00"), Invalid.selector, Why.Proof);
            answers(bytes.concat(p, hex"00"), r, Invalid.selector, Why.Proof);
            answers(p, bytes.concat(r, hex"00"), Invalid.selector, Why.Answer);
        }
    }

    function test_listsAndChunksHaveALongest() public view {
        bytes memory p = proofs[0];
        bytes memory path = with(cut(p, PATH + 97), PATH + 96, hex"21");
        opens(bytes.concat(path, new bytes(4096)), Invalid.selector, Why.Proof);
        bytes memory reply = with(cut(replies[0], 32 + 97), 32 + 96, hex"21");
        answers(p, bytes.concat(reply, new bytes(4096)), Invalid.selector, Why.Answer);
        // A chunk of 1025 bytes, all of them there.
        uint256 size = p.length - 1024 - 4;
        opens(with32(bytes.concat(p, hex"00"), size, 1025), Invalid.selector, Why.Proof);
        opens(with32(p, size, type(uint32).max), Invalid.selector, Why.Proof);
        // Of 32 siblings a path may be, if the tree is that high: this one is not.
        bytes memory long = bytes.concat(with(cut(p, PATH + 97), PATH + 96, hex"20"), new bytes(32 * 32));
        bytes memory rest = Traces.slice(p, PATH + 97 + 32, p.length);
        opens(bytes.concat(long, rest), Mismatch.selector, Why.Proof);
        long = bytes.concat(path, new bytes(33 * 32));
        opens(bytes.concat(long, rest), Invalid.selector, Why.Proof);
        long = bytes.concat(reply, new bytes(33 * 32));
        rest = Traces.slice(replies[0], 32 + 97 + 32, replies[0].length);
        answers(p, bytes.concat(long, rest), Invalid.selector, Why.Answer);
    }

    // Places and sizes.

    function test_sizesAreThoseOfTheTrace() public view {
        // Logits, the third chunk of three, of a head.
        bytes memory p = proofs[3];
        bytes memory two = with32(p, POSITION, 2);
        vm.assertEq(two, p, "position 2");
        opens(with32(p, POSITION, 5), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, POSITION, 1), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, POSITIONS, 2), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, POSITIONS, 0), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, POSITIONS, (1 << 18) + 1), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, POSITIONS, 1 << 18), Mismatch.selector, Why.Proof);
        opens(with32(p, LAYERS, 4), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, LEAVES, 3), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, LEAVES, 5), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, LEAF, 4), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, LEAF, 0), Invalid.selector, Why.NoSuchChoice);
        opens(with(p, VECTOR, hex"01"), Invalid.selector, Why.NoSuchChoice);
        opens(with(p, VECTOR, hex"02"), Invalid.selector, Why.NoSuchChoice);
        opens(with(p, VECTOR, hex"04"), Invalid.selector, Why.Proof);
        opens(with(p, VECTOR, hex"00"), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, CHUNKS, 2), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, CHUNKS, 4), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, CHUNK, 3), Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, CHUNK, 1), Invalid.selector, Why.NoSuchChoice);
        bytes memory shorter = with32(cut(p, p.length - 1), p.length - 352 - 4, 351);
        opens(shorter, Invalid.selector, Why.NoSuchChoice);
        opens(with32(p, TOKEN, 600), Mismatch.selector, Why.Proof);
        // A cell is no head, and has no logits.
        opens(with(proofs[0], VECTOR, hex"03"), Invalid.selector, Why.NoSuchChoice);
        opens(with32(with32(proofs[1], LEAF, 3), LEAVES, 4), Invalid.selector, Why.NoSuchChoice);
    }

    function test_noHeadComesBeforeTheFirstSampled() public {
        // With a longer prompt the same position has none.
        about.subject.counts = counts(4, 0, 0);
        opens(proofs[3], Invalid.selector, Why.NoSuchChoice);
        about.subject.counts = counts(4, 1, 0);
        opens(proofs[3], NONE, Why.Proof);
    }

    function test_aRequestWithoutAnExecutionHasNoPlaces() public {
        uint256[3] memory none = [counts(0, 0, 0), counts(3, 3, 0), counts(3, 4, 0)];
        for (uint256 i = 0; i < none.length; ++i) {
            about.subject.counts = none[i];
            opens(proofs[0], Invalid.selector, Why.NoGame);
        }
    }

    function test_whereATraceEndsInAFaultNothingIsChecked() public {
        about.subject.counts = counts(3, 0, uint32(Terms.FAULTED));
        opens(proofs[0], NONE, Why.Proof);
        opens(proofs[3], NONE, Why.Proof);
        // Position 4 of 5.
        opens(proofs[1], Invalid.selector, Why.NoSuchChoice);
        about.subject.counts = counts(3, 0, uint32(Terms.CANCELLED));
        opens(proofs[1], NONE, Why.Proof);
    }

    function test_anotherTraceWasSigned() public {
        about.traceRoot ^= bytes32(uint256(1));
        opens(proofs[0], Mismatch.selector, Why.NotCommittedTo);
    }

    function test_theProgramMustBeKnown() public {
        about.subject.program = keccak256("unknown");
        opens(proofs[0], NotFound.selector, Why.NoProgram);
    }

    /// The sizes are those of the program that the case names.
    function test_anotherProgramHasOtherPlaces() public {
        Traces.Shape memory s = shape();
        (s.dim, s.kv, s.vocabulary) = (299, 254, 601);
        about.subject.program = programs.store(Traces.program(s));
        opens(proofs[0], NONE, Why.Proof); // the first chunk of x is whole in both
        opens(proofs[1], Invalid.selector, Why.NoSuchChoice);
        opens(proofs[2], Invalid.selector, Why.NoSuchChoice);
        opens(proofs[3], Invalid.selector, Why.NoSuchChoice);
        s = shape();
        s.layers = 4;
        about.subject.program = programs.store(Traces.program(s));
        opens(proofs[0], Invalid.selector, Why.NoSuchChoice);
    }

    // Who has anything less than the values.

    function test_theNonceNamesAuditorAuditAndRound() public {
        (bytes memory p, bytes memory r) = (proofs[0], replies[0]);
        KeyedCommit memory good = commit;
        commit.auditor = address(0x78);
        answers(p, r, Mismatch.selector, Why.Secret);
        commit = good;
        commit.audit ^= bytes32(uint256(1));
        answers(p, r, Mismatch.selector, Why.Secret);
        commit = good;
        commit.beacon ^= bytes32(uint256(1));
        answers(p, r, Mismatch.selector, Why.Secret);
        commit = good;
        commit.nonceHash = 0;
        answers(p, r, Mismatch.selector, Why.Secret);
        commit = good;
        commit.rootHash ^= bytes32(uint256(1));
        answers(p, r, Mismatch.selector, Why.NotCommittedTo);
    }

    /// The provider's own tree, which its openings give away.
    function test_theProvidersTreeIsNoAnswer() public {
        bytes32 key = bytes32(Traces.slice(replies[0], 0, 32));
        commit.rootHash = sha256(abi.encodePacked(about.traceRoot, key));
        bytes memory p = proofs[0];
        bytes memory path = Traces.slice(p, PATH, p.length - 1024 - 4 - PATH);
        answers(p, bytes.concat(key, path), Mismatch.selector, Why.Answer);
    }

    // Traces made here.

    struct Made {
        Traces.Shape s;
        bytes32 secret;
        bytes32 key;
        bytes32 nonce;
    }

    function make(Traces.Shape memory s) private returns (Made memory m) {
        m.s = s;
        (m.secret, m.key) = (keccak256("secret"), keccak256("key"));
        about.subject.program = programs.store(Traces.program(s));
        about.subject.counts = counts(uint32(s.firstHead + 1), 0, 0);
        about.traceRoot = Traces.root(Traces.Key(m.secret, false), s);
        m.nonce = sha256(
            abi.encodePacked("assay/audit-key/v0", commit.beacon, commit.audit, commit.auditor, m.key)
        );
        commit.nonceHash = sha256(abi.encodePacked(m.nonce));
        commitTo(m, Traces.root(Traces.Key(m.nonce, true), s));
    }

    function commitTo(Made memory m, bytes32 root) private {
        commit.rootHash = sha256(abi.encodePacked(root, m.key));
    }

    /// Every chunk of every vector, in shapes that are full and that are not.
    function test_whoeverHasTheValuesAnswersEverywhere() public {
        Traces.Shape[3] memory shapes = [
            Traces.Shape(1, 1, 8, 4, 8, 0, keccak256("1")),
            Traces.Shape(3, 2, 258, 6, 513, 1, keccak256("2")),
            Traces.Shape(4, 3, 12, 258, 20, 2, keccak256("3"))
        ];
        for (uint256 i = 0; i < shapes.length; ++i) everywhere(make(shapes[i]));
    }

    function everywhere(Made memory m) private view {
        for (uint256 t = 0; t < m.s.positions; ++t) {
            for (uint256 l = 0; l < m.s.layers + (t >= m.s.firstHead ? 1 : 0); ++l) {
                for (uint256 v = 0; v < 4; ++v) {
                    if (v != 0 && (v == 3) != (l == m.s.layers)) continue;
                    uint256 width = v == 0 ? m.s.dim : v == 3 ? m.s.vocabulary : m.s.kv;
                    for (uint256 c = 0; c * 256 < width; ++c) this.isAnswered(m, Traces.Place(t, l, v, c));
                }
            }
        }
    }

    /// A call of its own, whose memory is given back.
    function isAnswered(Made memory m, Traces.Place memory place) external view {
        bytes memory p = Traces.proof(m.secret, m.s, place);
        opens(p, NONE, Why.Proof);
        answers(p, Traces.reply(m.key, m.nonce, m.s, place), NONE, Why.Answer);
    }

    /// An auditor that computed something else, and committed to that.
    function test_otherValuesAreNoAnswer() public {
        Made memory m = make(Traces.Shape(3, 2, 8, 4, 8, 1, keccak256("right")));
        Traces.Place memory place = Traces.Place(1, 2, 3, 0);
        bytes memory p = Traces.proof(m.secret, m.s, place);
        Traces.Shape memory wrong = m.s;
        wrong.seed = keccak256("wrong");
        commitTo(m, Traces.root(Traces.Key(m.nonce, true), wrong));
        answers(p, Traces.reply(m.key, m.nonce, wrong, place), Mismatch.selector, Why.Answer);
    }

    /// A tree of zeros, committed to without any values: a path of another length must not give zero, whose root is
    /// the one there.
    function test_rootsOfZeroAreReachedByNoPath() public {
        Made memory m = make(Traces.Shape(1, 1, 300, 4, 8, 1, keccak256("values")));
        about.subject.counts = counts(2, 0, 0);
        Traces.Place memory place = Traces.Place(0, 0, 0, 0);
        bytes memory p = Traces.proof(m.secret, m.s, place);
        bytes32 salt = Traces.salt(Traces.Key(m.nonce, true), 0, 0);
        bytes32 leaf = Trees.leaf(abi.encodePacked("cell", Traces.le32(0), Traces.le32(0), salt, new bytes(96)));
        bytes32 tree = Trees.leaf(abi.encodePacked(leaf));
        commitTo(m, Traces.finish(m.s, tree));
        for (uint256 siblings = 0; siblings < 4; ++siblings) {
            bytes memory list = abi.encodePacked(uint8(siblings), new bytes(32 * siblings));
            bytes memory r = bytes.concat(m.key, new bytes(96), list, leaf, hex"00", tree, hex"00");
            answers(p, r, Mismatch.selector, Why.Answer);
        }
        // The same of a position, and of the tree.
        commitTo(m, Traces.finish(m.s, 0));
        bytes memory none = bytes.concat(
            Traces.roots(Traces.Key(m.nonce, true), m.s, 0, 0),
            Traces.pathOf(Traces.chunks(Traces.Key(m.nonce, true), m.s, 0, 0, 0), 0)
        );
        bytes memory one = abi.encodePacked(uint8(1), bytes32(0));
        bytes32 right = Traces.leafOf(Traces.Key(m.nonce, true), m.s, 0, 0);
        answers(p, bytes.concat(m.key, none, right, hex"00", bytes32(0), one), Mismatch.selector, Why.Answer);
        commitTo(m, Traces.finish(m.s, Trees.leaf(abi.encodePacked(bytes32(0)))));
        tree = Trees.leaf(abi.encodePacked(bytes32(0)));
        answers(p, bytes.concat(m.key, none, bytes32(0), one, tree, hex"00"), Mismatch.selector, Why.Answer);
    }

    /// What only `open` looks at, `judge` still reads without a panic.
    function test_anAnswerToNoPlaceIsNone() public view {
        bytes memory p = proofs[0];
        // Chunk 0 of none, leaf 0 of none; the committed root is over positions and layers, so those come first.
        answers(with32(p, CHUNKS, 0), replies[0], Mismatch.selector, Why.Answer);
        answers(with32(p, LEAVES, 0), replies[0], Mismatch.selector, Why.Answer);
        answers(with32(p, CHUNKS, type(uint32).max), replies[0], Mismatch.selector, Why.Answer);
        answers(with32(p, POSITION, 5), replies[0], Mismatch.selector, Why.Answer);
        answers(with32(p, POSITIONS, 0), replies[0], Mismatch.selector, Why.NotCommittedTo);
        answers(with(p, VECTOR, hex"04"), replies[0], Invalid.selector, Why.Proof);
    }

    // Anything at all.

    function testFuzz_anyBytesAreReadOrRefused(bytes calldata proof, bytes calldata reply) public view {
        vm.assertTrue(!holds(abi.encodeCall(IKeyed.open, (about, proof))), "opened");
        vm.assertTrue(!holds(abi.encodeCall(IKeyed.judge, (proof, commit, reply))), "answered");
        vm.assertTrue(!holds(abi.encodeCall(IKeyed.judge, (proofs[0], commit, reply))), "answered");
    }

    /// A right proof of which a part is something else.
    function testFuzz_nothingButTheRightBytes(uint256 which, uint256 from, bytes32 part, uint8 size) public view {
        which %= proofs.length;
        (bytes memory p, bytes memory r) = (proofs[which], replies[which]);
        bytes memory q = spliced(p, from, part, size);
        if (holds(abi.encodeCall(IKeyed.open, (about, q)))) {
            for (uint256 i = 0; i < p.length; ++i) {
                bool free = isHead(p) ? i >= PATH + 64 && i < PATH + 96 : i >= TOKEN && i < PATH;
                if (!free) vm.assertTrue(p[i] == q[i], "another proof opened");
            }
        }
        bytes memory s = spliced(r, from, part, size);
        bool done = holds(abi.encodeCall(IKeyed.judge, (p, commit, s)));
        if (keccak256(s) == keccak256(r)) vm.assertTrue(done, "the right answer");
        else if (!isHead(p)) vm.assertTrue(!done, "another answer");
    }

    function spliced(bytes memory data, uint256 from, bytes32 part, uint256 size) private pure returns (bytes memory out) {
        out = bytes.concat(data);
        from %= out.length;
        for (uint256 i = 0; i < size % 33 && from + i < out.length; ++i) out[from + i] = part[i];
    }

    /// Any head of a proof, before a path that can be read: sizes and places of every kind.
    function testFuzz_anyPlaceAndSizes(uint32[8] calldata n, uint8 vector, uint8 which) public view {
        bytes memory p = proofs[which % proofs.length];
        bytes memory q = bytes.concat(Traces.le32(n[0] % 8), Traces.le32(n[1] % 8), abi.encodePacked(vector % 5));
        q = bytes.concat(q, Traces.le32(n[2] % 5), Traces.le32(n[3] % 8), Traces.le32(n[4] % 5));
        q = bytes.concat(q, Traces.le32(n[5] % 6), Traces.le32(n[6] % 5));
        q = bytes.concat(q, Traces.slice(p, SALT, p.length));
        bool same = keccak256(p) == keccak256(q);
        vm.assertEq(holds(abi.encodeCall(IKeyed.open, (about, q))), same, "another place");
        bytes memory r = replies[which % proofs.length];
        vm.assertEq(holds(abi.encodeCall(IKeyed.judge, (q, commit, r))), same, "another place");
    }
}
