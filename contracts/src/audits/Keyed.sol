// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Case} from "../disputes/IGames.sol";
import {Tree} from "../disputes/Tree.sol";
import {Invalid, Mismatch, NotFound, Why} from "../market/Errors.sol";
import {IPrograms} from "../referee/IPrograms.sol";
import {Openings, Proof} from "../referee/Openings.sol";
import {Program, ProgramBytes} from "../referee/Program.sol";
import {Salt} from "../referee/Salt.sol";
import {Sha256Tree} from "../referee/Sha256Tree.sol";
import {Terms} from "../referee/Terms.sol";
import {IKeyed, KeyedCommit} from "./IChecks.sol";

/// @title Chunks of values under trace roots; what they promise is in IKeyed.
/// @dev src/verify/keyed.cpp, function by function. Offsets are in calldata.
contract Keyed is IKeyed {
    using Terms for uint256;

    /// From a chunk up to the root of the tree of positions.
    struct Path {
        uint256 roots; // of x, k and v; of x and logits, and one that is not used
        bytes32 positionRoot;
        bytes32 treeRoot;
        Siblings chunk;
        Siblings leaf;
        Siblings position;
    }

    struct Siblings {
        uint256 ptr;
        uint256 count;
    }

    /// What a proof says.
    struct Asked {
        uint256 position;
        uint256 leaf;
        uint256 vector;
        uint256 chunk;
        uint256 positions;
        uint256 layers;
        uint256 leaves;
        uint256 chunks;
        uint256 salt;
        uint256 token;
        Path path;
        uint256 values;
        uint256 size; // in bytes
    }

    uint256 private constant PATH_MAX = 32;
    uint256 private constant CHUNK = 256;
    uint256 private constant CHUNK_BYTES_MAX = 4 * CHUNK;
    uint256 private constant POSITIONS_MAX = 1 << 18;
    uint256 private constant VECTOR_X = 0;
    uint256 private constant VECTOR_LOGITS = 3;

    IPrograms private immutable PROGRAMS;

    constructor(address programs_) {
        PROGRAMS = IPrograms(programs_);
    }

    function open(Case calldata about, bytes calldata proof) external view {
        address code = PROGRAMS.codeOf(about.subject.program);
        if (code == address(0)) revert NotFound(Why.NoProgram);
        Asked memory a = _readProof(proof);
        _checkSizes(about.subject.counts, ProgramBytes.load(code), a);
        _climb(a, Sha256Tree.leaf(a.values, a.size), _word(a.salt), a.path, Why.Proof);
        if (_traceRoot(a, a.path.treeRoot) != about.traceRoot) revert Mismatch(Why.NotCommittedTo);
    }

    function judge(bytes calldata proof, KeyedCommit calldata commit, bytes calldata reply) external pure {
        Asked memory a = _readProof(proof);
        (bytes32 key, Path memory path) = _readReply(reply);
        bytes32 nonce = sha256(
            abi.encodePacked("assay/audit-key/v0", commit.beacon, commit.audit, commit.auditor, key)
        );
        if (sha256(abi.encodePacked(nonce)) != commit.nonceHash) revert Mismatch(Why.Secret);
        bytes32 root = _traceRoot(a, path.treeRoot);
        if (sha256(abi.encodePacked(root, key)) != commit.rootHash) revert Mismatch(Why.NotCommittedTo);
        bytes32 chunk = sha256(abi.encodePacked(uint8(0), nonce, Openings.data(a.values, a.size)));
        _climb(a, chunk, Salt.ofLeaf(nonce, a.position, a.leaf), path, Why.Answer);
    }

    function programs() external view returns (address) {
        return address(PROGRAMS);
    }

    // What the bytes say.

    function _readProof(bytes calldata proof) private pure returns (Asked memory a) {
        Proof memory p = _begin(proof);
        a.position = _number(p, Why.Proof);
        a.leaf = _number(p, Why.Proof);
        a.vector = _byte(p, Why.Proof);
        a.chunk = _number(p, Why.Proof);
        a.positions = _number(p, Why.Proof);
        a.layers = _number(p, Why.Proof);
        a.leaves = _number(p, Why.Proof);
        a.chunks = _number(p, Why.Proof);
        a.salt = _take(p, 32, Why.Proof);
        a.token = _number(p, Why.Proof);
        a.path = _path(p, Why.Proof);
        a.size = _number(p, Why.Proof);
        if (a.size > CHUNK_BYTES_MAX) revert Invalid(Why.Proof);
        a.values = _take(p, a.size, Why.Proof);
        if (p.ptr != p.end || a.vector > VECTOR_LOGITS) revert Invalid(Why.Proof);
    }

    function _readReply(bytes calldata reply) private pure returns (bytes32 key, Path memory path) {
        Proof memory p = _begin(reply);
        key = _word(_take(p, 32, Why.Answer));
        path = _path(p, Why.Answer);
        if (p.ptr != p.end) revert Invalid(Why.Answer);
    }

    function _path(Proof memory p, Why why) private pure returns (Path memory path) {
        path.roots = _take(p, 96, why);
        path.chunk = _siblings(p, why);
        path.positionRoot = _word(_take(p, 32, why));
        path.leaf = _siblings(p, why);
        path.treeRoot = _word(_take(p, 32, why));
        path.position = _siblings(p, why);
    }

    function _siblings(Proof memory p, Why why) private pure returns (Siblings memory list) {
        list.count = _byte(p, why);
        if (list.count > PATH_MAX) revert Invalid(why);
        list.ptr = _take(p, 32 * list.count, why);
    }

    // Where it is, and that it is there.

    /// The sizes are those of a trace of this subject: with others, one path would name two places.
    function _checkSizes(uint256 counts, Program memory program, Asked memory a) private pure {
        if (counts.prompt() == 0 || counts.continuation() >= counts.prompt()) revert Invalid(Why.NoGame);
        uint256 head = a.position >= counts.firstSampled() ? 1 : 0;
        if (a.layers != program.layers || a.leaves != program.layers + head || a.leaf >= a.leaves) {
            revert Invalid(Why.NoSuchChoice);
        }
        if (a.positions > POSITIONS_MAX || a.position >= a.positions) revert Invalid(Why.NoSuchChoice);
        // Where a trace ends in a fault nothing is checked.
        if (counts.endsInFault() && a.position + 1 == a.positions) revert Invalid(Why.NoSuchChoice);
        (uint256 width, uint256 each) = _width(program, a);
        if (a.chunks != (width + CHUNK - 1) / CHUNK || a.chunk >= a.chunks) revert Invalid(Why.NoSuchChoice);
        uint256 values = width - CHUNK * a.chunk;
        if (a.size != (values < CHUNK ? values : CHUNK) * each) revert Invalid(Why.NoSuchChoice);
    }

    /// Of a vector that the leaf has, and bytes of one value.
    function _width(Program memory program, Asked memory a) private pure returns (uint256 width, uint256 each) {
        if (a.vector == VECTOR_X) return (program.dim, 4);
        if ((a.vector == VECTOR_LOGITS) != (a.leaf == program.layers)) revert Invalid(Why.NoSuchChoice);
        return a.vector == VECTOR_LOGITS ? (program.vocabulary, 4) : (program.kvHeads * program.headDim, 2);
    }

    /// From the chunk to the root of the tree of positions, at the place and in the sizes of the proof.
    function _climb(Asked memory a, bytes32 chunk, bytes32 salt, Path memory path, Why why) private pure {
        bytes32 root = _word(path.roots + 32 * (a.vector == VECTOR_LOGITS ? 1 : a.vector));
        bytes32 leaf = _leafOf(a, salt, path.roots);
        bytes32 position = sha256(abi.encodePacked(uint8(0), path.positionRoot));
        if (
            !_includes(root, chunk, a.chunk, a.chunks, path.chunk)
                || !_includes(path.positionRoot, leaf, a.leaf, a.leaves, path.leaf)
                || !_includes(path.treeRoot, position, a.position, a.positions, path.position)
        ) revert Mismatch(why);
    }

    function _includes(bytes32 root, bytes32 leaf, uint256 index, uint256 size, Siblings memory path)
        private
        pure
        returns (bool)
    {
        if (index >= size) return false;
        bytes32 top = Tree.climb(leaf, index, size, Openings.data(path.ptr, 32 * path.count));
        // Zero says that the path has another length, and a root of zero can be committed to.
        return top != 0 && top == root;
    }

    function _leafOf(Asked memory a, bytes32 salt, uint256 roots) private pure returns (bytes32) {
        bytes4 position = _le32(a.position);
        if (a.leaf == a.layers) {
            return sha256(
                abi.encodePacked(uint8(0), "head", position, salt, Openings.data(roots, 64), _le32(a.token))
            );
        }
        return sha256(
            abi.encodePacked(uint8(0), "cell", position, _le32(a.leaf), salt, Openings.data(roots, 96))
        );
    }

    function _traceRoot(Asked memory a, bytes32 tree) private pure returns (bytes32) {
        return sha256(abi.encodePacked("assay/trace/v0", _le32(a.positions), _le32(a.layers), tree));
    }

    // Bytes.

    function _begin(bytes calldata data) private pure returns (Proof memory p) {
        uint256 ptr;
        assembly ("memory-safe") {
            ptr := data.offset
        }
        (p.ptr, p.end) = (ptr, ptr + data.length);
    }

    function _take(Proof memory p, uint256 size, Why why) private pure returns (uint256 ptr) {
        ptr = p.ptr;
        if (p.end - ptr < size) revert Invalid(why);
        p.ptr = ptr + size;
    }

    function _number(Proof memory p, Why why) private pure returns (uint256) {
        return Openings.le32(_take(p, 4, why));
    }

    function _byte(Proof memory p, Why why) private pure returns (uint256) {
        return uint256(_word(_take(p, 1, why))) >> 248;
    }

    function _word(uint256 ptr) private pure returns (bytes32 v) {
        assembly ("memory-safe") {
            v := calldataload(ptr)
        }
    }

    function _le32(uint256 v) private pure returns (bytes4) {
        return bytes4(uint32(Sha256Tree.le32(v)));
    }
}
