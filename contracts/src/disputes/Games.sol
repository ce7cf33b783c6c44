// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Invalid, Mismatch, NotFound, Refused, Why} from "../market/Errors.sol";
import {IPrograms} from "../referee/IPrograms.sol";
import {FAULT, IReferee, Place, Revealed, Running, Verdict} from "../referee/IReferee.sol";
import {Kind, OpWord} from "../referee/OpWord.sol";
import {Terms} from "../referee/Terms.sol";
import {Case, Game, IGames, Phase, Played} from "./IGames.sol";
import {Tree} from "./Tree.sol";

/// @title The games of disputes; what they promise is in IGames.
contract Games is IGames {
    using OpWord for uint256;
    using Terms for uint256;

    uint256 private constant POSITIONS_MAX = 1 << 18;
    uint256 private constant CHOOSE_SALT = 0xffffffff;
    uint64 private constant CLAIMS_FAULT = 1 << 32;
    uint256 private constant CHUNK = 256;

    IReferee private immutable REFEREE;
    IPrograms private immutable PROGRAMS;

    mapping(address => mapping(bytes32 => Game)) private games;

    constructor(address referee_, address programs_) {
        REFEREE = IReferee(referee_);
        PROGRAMS = IPrograms(programs_);
    }

    function check(Case calldata about) external pure {
        uint256 counts = about.subject.counts;
        uint256 prompt = counts.prompt();
        if (
            prompt == 0 || counts.continuation() >= prompt || (counts.answer() == 0 && !counts.endsInFault())
                || expectedPositions(counts) > POSITIONS_MAX
        ) revert Invalid(Why.NoGame);
    }

    function play(bytes32 id, Case calldata about, Played calldata move, bytes32 payloadHash)
        external
        returns (bool over, Verdict verdict, bool challengersTurn)
    {
        Game storage g = games[msg.sender][id];
        if (g.choosing) {
            if (move.payload.length != 4) revert Invalid(Why.MoveLength);
            g.choosing = false;
            choose(g, about, le32(move.payload, 0), move.earlier);
        } else if (g.phase == Phase.Step) {
            return (true, judge(g, about, move), false);
        } else if (g.phase == Phase.Salt) {
            return (true, judgeSalt(g, about, move.payload), false);
        } else {
            reveal(g, about, move.payload, payloadHash);
            g.choosing = true;
        }
        return (false, Verdict.follows, g.choosing || g.phase == Phase.Step || g.phase == Phase.Salt);
    }

    function judgeFinish(Case calldata about, bytes32 stopRoot, bytes calldata biases, bytes calldata proof)
        external
        view
        returns (Verdict)
    {
        try REFEREE.judgeFinish(about.subject, stopRoot, biases, proof) returns (Verdict verdict) {
            return verdict;
        } catch (bytes memory reason) {
            return refuse(reason);
        }
    }

    /// The third number after two strings (spec/model.md, "Program hash").
    function layersOf(bytes32 program) external view returns (uint32 layers) {
        address at = PROGRAMS.codeOf(program);
        if (at == address(0)) revert NotFound(Why.NoProgram);
        bytes memory data = at.code;
        // One zero byte, le32 length and text "assay/program/0", le32 length of the architecture's name.
        uint256 name = uint8(data[1 + 4 + 15]);
        uint256 from = 1 + 4 + 15 + 4 + name + 8;
        for (uint256 i = 4; i > 0; --i) layers = layers << 8 | uint8(data[from + i - 1]);
    }

    function game(address court, bytes32 id) external view returns (Game memory) {
        return games[court][id];
    }

    function referee() external view returns (address) {
        return address(REFEREE);
    }

    function programs() external view returns (address) {
        return address(PROGRAMS);
    }

    // The provider's moves: what each must hash to.

    function reveal(
        Game storage g,
        Case calldata about,
        bytes calldata payload,
        bytes32 payloadHash
    ) private {
        if (g.phase == Phase.Positions) revealPositions(g, about, payload);
        else if (g.phase == Phase.Leaves) revealLeaves(g, about, payload);
        else if (g.phase == Phase.Ops) revealOps(g, about, payload, payloadHash);
        else if (g.phase == Phase.Chunks) expectHash(childrenRoot(payload, g.leaves), g.hash);
        else if (g.phase == Phase.Values) revealValues(g, payload);
        else revealRunning(g, payload, payloadHash);
    }

    function revealPositions(Game storage g, Case calldata about, bytes calldata payload) private {
        if (g.positions != 0) {
            expectHash(childrenRoot(payload, g.leaves), g.hash);
            return;
        }
        uint256 counts = about.subject.counts;
        uint256 positions = expectedPositions(counts);
        if (counts.endsInFault() && counts.answer() == 0) {
            if (payload.length < 4) revert Invalid(Why.MoveLength);
            positions = le32(payload, 0);
            if (positions == 0 || positions > counts.prompt()) revert Invalid(Why.Payload);
            payload = payload[4:];
        }
        bytes32 root = childrenRoot(payload, positions);
        bytes32 trace = sha256(
            abi.encodePacked("assay/trace/v0", uint32(swap(positions)), uint32(swap(about.layers)), root)
        );
        expectHash(trace, about.traceRoot);
        g.positionsRoot = root;
        g.positions = uint32(positions);
        enterTree(g, Phase.Positions, root, positions);
    }

    function revealLeaves(Game storage g, Case calldata about, bytes calldata payload) private {
        if (g.positionLeaves != 0) {
            expectHash(childrenRoot(payload, g.leaves), g.hash);
            return;
        }
        uint256 counts = about.subject.counts;
        uint256 count = about.layers + (g.position >= counts.firstSampled() ? 1 : 0);
        bool last = counts.endsInFault() && g.position == g.positions - 1;
        if (last) {
            if (payload.length < 4) revert Invalid(Why.MoveLength);
            uint256 fault = le32(payload, 0);
            // Without a head nothing can fault in its place.
            if (fault >= count) revert Invalid(Why.Payload);
            count = fault + 1;
            payload = payload[4:];
        }
        bytes32 root = childrenRoot(payload, count);
        // The leaf of a position is the hash of its root.
        expectHash(sha256(abi.encodePacked(uint8(0), root)), g.hash);
        g.positionRoot = root;
        g.positionLeaves = uint16(count);
        g.fault = last;
        enterTree(g, Phase.Leaves, root, count);
    }

    function revealOps(
        Game storage g,
        Case calldata about,
        bytes calldata payload,
        bytes32 payloadHash
    ) private {
        (uint256[] memory list, uint256 faultFrom) = REFEREE.ops(about.subject, g.position, g.leaf, g.fault);
        Ops memory ops = readOps(g, about, list, payload);
        uint256 count = ops.roots.length;
        if (g.fault && (count < faultFrom || count >= list.length || list[count].kind() == Kind.THRESHOLD)) {
            revert Invalid(Why.NoSuchChoice);
        }
        expectHash(leafOf(g, about, ops), g.hash);
        for (uint256 i = 0; i < count; ++i) checkRule(list, i, about.subject.counts, ops);
        if (g.fault) {
            uint256 word = list[count];
            uint256 chunk = ops.faultElement / CHUNK;
            if (
                chunk >= word.chunks() || ops.faultElement % CHUNK >= word.chunkValues(chunk, g.position)
                    || ops.faultRunning >= word.stepsOf(ops.faultElement, g.position)
            ) revert Invalid(Why.NoSuchChoice);
            g.faultOp = uint16(count);
            g.faultElement = uint32(ops.faultElement);
            g.faultRunning = uint16(ops.faultRunning);
        }
        g.earlier = payloadHash;
    }

    function revealValues(Game storage g, bytes calldata payload) private view {
        if (payload.length != g.word.chunkValues(g.first, g.position) * g.word.valueBytes()) {
            revert Invalid(Why.MoveLength);
        }
        expectHash(Tree.leafHash(payload), g.hash);
    }

    function revealRunning(Game storage g, bytes calldata payload, bytes32 payloadHash) private {
        uint256 width = g.word.valueBytes();
        bool faults = atFault(g);
        uint256 count = runningCount(g, faults);
        if (payload.length != count * width) revert Invalid(Why.MoveLength);
        if (!faults && bitsAt(payload, count - 1, width) != g.claimed) revert Mismatch(Why.NotCommittedTo);
        g.earlier = payloadHash;
    }

    // The challenger's.

    function choose(Game storage g, Case calldata about, uint256 choice, bytes calldata earlier)
        private
    {
        if (g.phase == Phase.Positions) {
            if (chooseChild(g, choice, earlier)) {
                g.position = g.first;
                g.phase = Phase.Leaves;
            }
        } else if (g.phase == Phase.Leaves) {
            if (chooseChild(g, choice, earlier)) {
                g.leaf = g.first;
                g.fault = g.fault && g.leaf == g.positionLeaves - 1;
                g.phase = Phase.Ops;
            }
        } else if (g.phase == Phase.Ops) {
            chooseOp(g, about, choice, earlier);
        } else if (g.phase == Phase.Chunks) {
            if (chooseChild(g, choice, earlier)) g.phase = Phase.Values;
        } else if (g.phase == Phase.Values) {
            chooseValue(g, choice, earlier);
        } else {
            chooseRunning(g, choice, earlier);
        }
    }

    /// True when it is one leaf.
    function chooseChild(Game storage g, uint256 choice, bytes calldata earlier) private returns (bool) {
        uint256 count = Tree.children(g.leaves);
        if (choice >= count) revert Invalid(Why.NoSuchChoice);
        if (earlier.length < 32) revert Mismatch(Why.Payload);
        bytes32 hash = bytes32(earlier[:32]);
        if (Tree.climb(hash, choice, count, earlier[32:]) != g.hash) revert Mismatch(Why.Payload);
        (uint256 first, uint256 leaves) = Tree.child(g.first, g.leaves, choice);
        g.hash = hash;
        g.first = uint32(first);
        g.leaves = uint32(leaves);
        return leaves == 1;
    }

    function chooseOp(Game storage g, Case calldata about, uint256 choice, bytes calldata earlier)
        private
    {
        expectEarlier(g, earlier);
        (uint256[] memory list,) = REFEREE.ops(about.subject, g.position, g.leaf, g.fault);
        Ops memory ops = readOps(g, about, list, earlier);
        if (choice == CHOOSE_SALT) {
            g.hash = ops.salt;
            g.phase = Phase.Salt;
            return;
        }
        uint256 count = ops.roots.length;
        if (choice >= count + (g.fault ? 1 : 0)) revert Invalid(Why.NoSuchChoice);
        uint256 word = list[choice];
        if (word.kind() == Kind.THRESHOLD) revert Invalid(Why.NoSuchChoice);
        g.op = uint16(choice);
        g.word = word;
        g.revealed = keccak256(abi.encode(revealedFor(g, ops, word, choice)));
        if (atFault(g)) {
            g.element = g.faultElement;
            g.claimed = CLAIMS_FAULT;
            g.phase = g.faultRunning > 0 ? Phase.Running : Phase.Step;
            return;
        }
        bytes32 root = ops.roots[choice];
        if (word.scalar()) {
            g.claimed = uint64(swap(uint32(bytes4(root))));
            enterElement(g, 0);
        } else {
            enterTree(g, word.chunks() == 1 ? Phase.Values : Phase.Chunks, root, word.chunks());
        }
    }

    function chooseValue(Game storage g, uint256 choice, bytes calldata earlier) private {
        if (Tree.leafHash(earlier) != g.hash) revert Mismatch(Why.Payload);
        if (choice >= g.word.chunkValues(g.first, g.position)) revert Invalid(Why.NoSuchChoice);
        g.claimed = uint64(bitsAt(earlier, choice, g.word.valueBytes()));
        enterElement(g, g.first * CHUNK + choice);
    }

    function chooseRunning(Game storage g, uint256 choice, bytes calldata earlier) private {
        expectEarlier(g, earlier);
        bool faults = atFault(g);
        uint256 count = runningCount(g, faults);
        if (choice >= count + (faults ? 1 : 0)) revert Invalid(Why.NoSuchChoice);
        uint256 width = g.word.valueBytes();
        // Before a fault, the step after the last one revealed is the one that faults.
        g.claimed = choice < count ? uint64(bitsAt(earlier, choice, width)) : CLAIMS_FAULT;
        g.last = choice > 0 ? uint32(bitsAt(earlier, choice - 1, width)) : 0;
        g.segment = choice >= CHUNK ? uint32(bitsAt(earlier, choice / CHUNK * CHUNK - 1, width)) : 0;
        g.step = uint16(choice);
        g.phase = Phase.Step;
    }

    function judge(Game storage g, Case calldata about, Played calldata move)
        private
        view
        returns (Verdict)
    {
        if (keccak256(move.earlier) != g.revealed) revert Mismatch(Why.Payload);
        Revealed memory revealed = abi.decode(move.earlier, (Revealed));
        Place memory place = Place(g.position, g.leaf, g.fault, g.op, g.element, g.step);
        uint256 claimed = g.claimed == CLAIMS_FAULT ? FAULT : g.claimed;
        try REFEREE.judge(
            about.subject, revealed, place, Running(g.last, g.segment), claimed, move.biases, move.payload
        ) returns (
            Verdict verdict
        ) {
            return verdict;
        } catch (bytes memory reason) {
            return refuse(reason);
        }
    }

    function judgeSalt(Game storage g, Case calldata about, bytes calldata secret)
        private
        view
        returns (Verdict)
    {
        if (secret.length != 32) revert Invalid(Why.MoveLength);
        try REFEREE.judgeSalt(about.saltCommitment, g.position, g.leaf, g.hash, bytes32(secret)) returns (bool wrong) {
            return wrong ? Verdict.differs : Verdict.follows;
        } catch (bytes memory reason) {
            return refuse(reason);
        }
    }

    /// A referee that does not answer decides nothing: the move did not happen.
    function refuse(bytes memory reason) private pure returns (Verdict) {
        bytes4 selector = reason.length >= 4 ? bytes4(reason) : bytes4(0);
        if (selector == IReferee.ProofInvalid.selector || selector == IReferee.NoSuchStep.selector) {
            revert Invalid(Why.Proof);
        }
        if (selector == IReferee.UnknownProgram.selector) revert NotFound(Why.NoProgram);
        revert Mismatch(Why.Proof);
    }

    // What an ops reveal says.

    struct Ops {
        bytes32 salt;
        bytes32 x;
        bytes32 k;
        bytes32 v;
        bytes32 logits;
        uint256 token;
        bytes32[] roots; // of a scalar its four bytes, then zeros
        uint256 faultElement;
        uint256 faultRunning;
    }

    function readOps(Game storage g, Case calldata about, uint256[] memory list, bytes calldata payload)
        private
        view
        returns (Ops memory ops)
    {
        uint256 count = list.length;
        uint256 at = 0;
        if (g.fault) {
            count = le32(payload, 0);
            if (count > list.length) revert Invalid(Why.NoSuchChoice);
            at = 4;
        }
        ops.salt = hashAt(payload, at);
        at += 32;
        if (!g.fault) {
            ops.x = hashAt(payload, at);
            if (g.leaf == about.layers) {
                ops.logits = hashAt(payload, at + 32);
                ops.token = le32(payload, at + 64);
                at += 68;
            } else {
                ops.k = hashAt(payload, at + 32);
                ops.v = hashAt(payload, at + 64);
                at += 96;
            }
        }
        ops.roots = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            if (list[i].scalar()) {
                ops.roots[i] = bytes32(bytes4(uint32(swap(le32(payload, at)))));
                at += 4;
            } else {
                ops.roots[i] = hashAt(payload, at);
                at += 32;
            }
        }
        if (g.fault) {
            ops.faultElement = le32(payload, at);
            ops.faultRunning = le32(payload, at + 4);
            at += 8;
        }
        if (at != payload.length) revert Invalid(Why.MoveLength);
    }

    /// The leaf's hash in the trace (spec/trace.md).
    function leafOf(Game storage g, Case calldata about, Ops memory ops) private view returns (bytes32) {
        uint32 position = uint32(swap(g.position));
        uint32 leaf = uint32(swap(g.leaf));
        if (g.fault) return sha256(abi.encodePacked(uint8(0), "falt", position, leaf, ops.salt));
        if (g.leaf == about.layers) {
            return sha256(
                abi.encodePacked(uint8(0), "head", position, ops.salt, ops.x, ops.logits, uint32(swap(ops.token)))
            );
        }
        return sha256(abi.encodePacked(uint8(0), "cell", position, leaf, ops.salt, ops.x, ops.k, ops.v));
    }

    /// The rules that bind one root to another, or to the leaf's.
    function checkRule(uint256[] memory list, uint256 i, uint256 counts, Ops memory ops) private pure {
        uint256 op = list[i];
        bytes32 root = ops.roots[i];
        uint256 tie = op.tie();
        bool holds = true;
        if (tie == OpWord.TIE_X) holds = root == ops.x;
        else if (tie == OpWord.TIE_K) holds = root == ops.k;
        else if (tie == OpWord.TIE_V) holds = root == ops.v;
        else if (tie == OpWord.TIE_LOGITS) holds = root == ops.logits;
        else if (tie == OpWord.TIE_TOKEN) holds = scalarOf(root) == ops.token;
        uint256 kind = op.kind();
        if (kind == Kind.THRESHOLD_OK) {
            holds = holds && scalarOf(root) == 1;
        } else if (kind == Kind.NEXT_TOKEN) {
            holds = holds && scalarOf(root) == scalarOf(before(list, i, Kind.BEST_TOKEN, ops));
        } else if (kind == Kind.LOGPROB_LEAF) {
            holds = holds && root == before(list, i, Kind.LOGPROB, ops);
        } else if (kind == Kind.RUNNING_TOTAL && list[op.a().index()].kind() == Kind.RANK_COUNT) {
            holds = holds && scalarOf(root) == counts.logprobs() - 1;
        }
        if (!holds) revert Refused(Why.RuleBroken);
    }

    /// The root of the last op of a kind before op i.
    function before(uint256[] memory list, uint256 i, uint256 kind, Ops memory ops) private pure returns (bytes32) {
        while (i > 0) {
            if (list[--i].kind() == kind) return ops.roots[i];
        }
        revert Refused(Why.RuleBroken);
    }

    function revealedFor(Game storage g, Ops memory ops, uint256 op, uint256 choice)
        private
        view
        returns (Revealed memory r)
    {
        r.positionsRoot = g.positionsRoot;
        r.positionRoot = g.positionRoot;
        r.positions = g.positions;
        r.positionLeaves = g.positionLeaves;
        r.x = ops.x;
        r.k = ops.k;
        r.v = ops.v;
        if (choice < ops.roots.length) r.roots[0] = ops.roots[choice];
        uint256[4] memory sources = [op.a(), op.b(), op.c(), op.d()];
        for (uint256 i = 0; i < 4; ++i) {
            if (sources[i].isOp()) r.roots[i + 1] = ops.roots[sources[i].index()];
        }
    }

    // Small things.

    function expectedPositions(uint256 counts) private pure returns (uint256) {
        return counts.prompt() + counts.answer() - (counts.endsInFault() ? 0 : 1);
    }

    function atFault(Game storage g) private view returns (bool) {
        return g.fault && g.op == g.faultOp;
    }

    function runningCount(Game storage g, bool faults) private view returns (uint256) {
        return faults ? g.faultRunning : g.word.stepsOf(g.element, g.position);
    }

    function enterTree(Game storage g, Phase phase, bytes32 root, uint256 leaves) private {
        g.phase = phase;
        g.hash = root;
        g.first = 0;
        g.leaves = uint32(leaves);
    }

    function enterElement(Game storage g, uint256 element) private {
        g.element = uint32(element);
        g.phase = g.word.stepsOf(element, g.position) > 1 ? Phase.Running : Phase.Step;
    }

    /// The root of the children of a node over `leaves`, which are all of the payload.
    function childrenRoot(bytes calldata payload, uint256 leaves) private view returns (bytes32) {
        if (payload.length != 32 * Tree.children(leaves)) revert Invalid(Why.MoveLength);
        return Tree.root(payload);
    }

    function expectHash(bytes32 found, bytes32 committed) private pure {
        if (found != committed) revert Mismatch(Why.NotCommittedTo);
    }

    function expectEarlier(Game storage g, bytes calldata earlier) private view {
        if (sha256(earlier) != g.earlier) revert Mismatch(Why.Payload);
    }

    function hashAt(bytes calldata data, uint256 at) private pure returns (bytes32) {
        if (at + 32 > data.length) revert Invalid(Why.MoveLength);
        return bytes32(data[at:at + 32]);
    }

    function le32(bytes calldata data, uint256 at) private pure returns (uint256) {
        if (at + 4 > data.length) revert Invalid(Why.MoveLength);
        return swap(uint32(bytes4(data[at:at + 4])));
    }

    /// Bits of little-endian value `index` of `width` bytes.
    function bitsAt(bytes calldata data, uint256 index, uint256 width) private pure returns (uint256 bits) {
        for (uint256 i = width; i > 0; --i) bits = bits << 8 | uint8(data[index * width + i - 1]);
    }

    function scalarOf(bytes32 root) private pure returns (uint256) {
        return swap(uint32(bytes4(root)));
    }

    /// The four bytes of a number in the other order.
    function swap(uint256 v) private pure returns (uint256) {
        v = v >> 8 & 0xff00ff | (v & 0xff00ff) << 8;
        return v >> 16 | (v & 0xffff) << 16;
    }
}
