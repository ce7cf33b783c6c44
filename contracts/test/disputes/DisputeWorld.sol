// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ending, Turn} from "../../src/disputes/Court.sol";
import {Case, Game, Phase, Played} from "../../src/disputes/IGames.sol";
import {DisputeRecord, Filing, IGameCourt} from "../../src/disputes/IGameCourt.sol";
import "../../src/market/Messages.sol";
import {Evidence, Statement, Statements} from "../../src/market/Statements.sol";
import {Terms} from "../../src/referee/Terms.sol";
import {World} from "../World.sol";

/// Filing and playing disputes.
abstract contract DisputeWorld is World {
    function caseOf(Filing memory f, uint32 layers) internal pure returns (Case memory c) {
        Request memory r = f.evidence.request;
        Receipt memory s = f.evidence.statement.figures;
        c.subject.program = f.execution.program_hash;
        c.subject.weightsRoot = f.execution.weights_root;
        c.subject.promptRoot = r.prompt_root;
        c.subject.tapeRoot = s.tape_root;
        c.subject.logprobsRoot = s.logprobs_root;
        bytes memory packed = biasesOf(r);
        if (packed.length != 0) c.subject.biasHash = keccak256(packed);
        c.subject.constraint = r.constraint;
        c.subject.counts = Terms.counts(
            r.prompt_count,
            r.continuation,
            s.count,
            r.max_tokens,
            r.logprobs,
            r.seed,
            f.evidence.statement.progress ? type(uint32).max : s.finish
        );
        c.subject.sampling = Terms.sampling(
            r.repetition_penalty_bits,
            r.presence_penalty_bits,
            r.frequency_penalty_bits,
            r.temperature_bits,
            r.top_k,
            r.top_p_bits,
            r.min_p_bits
        );
        c.traceRoot = s.trace_root;
        c.saltCommitment = r.salt_commitment;
        c.layers = layers;
        c.amount = uint64(s.amount);
    }

    function biasesOf(Request memory r) internal pure returns (bytes memory packed) {
        for (uint256 i = 0; i < r.logit_bias.length; ++i) {
            packed = abi.encodePacked(packed, r.logit_bias[i].token, r.logit_bias[i].bias_bits);
        }
    }

    function disputeOf(Evidence memory e, Party memory by) internal returns (Dispute memory) {
        return Dispute(by.at, e.request.lease, subjectOf(e), 100_000, ++nonce);
    }

    function filing(Party memory by, Dispute memory m, Lease memory terms, Filing memory f)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            IGameCourt.fileDispute, (m, sign(by, keccak256(abi.encode(Messages.DISPUTE, m))), terms, f)
        );
    }

    function commitmentOf(Dispute memory m, Filing memory f) internal view returns (bytes32) {
        return f.withoutGame
            ? sha256(abi.encodePacked(idOf(m), sha256(f.finish)))
            : sha256(abi.encodePacked(idOf(m)));
    }

    function file(Party memory by, Dispute memory m, Lease memory terms, Filing memory f)
        internal
        returns (bytes32 id)
    {
        commit(by, commitmentOf(m, f));
        accepted(address(disputes), filing(by, m, terms, f));
        return idOf(m);
    }

    function moving(Party memory by, bytes32 id, Lease memory terms, Case memory about, Played memory played)
        internal
        view
        returns (bytes memory)
    {
        DisputeRecord memory d = disputes.dispute(id);
        Move memory m = Move(id, d.moves, d.game, sha256(played.payload));
        return abi.encodeCall(
            IGameCourt.move, (m, sign(by, keccak256(abi.encode(Messages.MOVE, m))), terms, about, played)
        );
    }

    function timingOut(Party memory by, bytes32 id, Lease memory terms, Case memory about)
        internal
        view
        returns (bytes memory)
    {
        Timeout memory m = Timeout(by.at, id);
        return abi.encodeCall(
            IGameCourt.timeout, (m, sign(by, keccak256(abi.encode(Messages.TIMEOUT, m))), terms, about)
        );
    }

    function le32(uint256 v) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(v), uint8(v >> 8), uint8(v >> 16), uint8(v >> 24));
    }
}

/// Trees of RFC 6962 over SHA-256, by its own recursion.
library Trees {
    function node(bytes32 l, bytes32 r) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), l, r));
    }

    function leaf(bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(0), data));
    }

    function root(bytes32[] memory leaves, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) return leaves[from];
        uint256 middle = from + split(to - from);
        return node(root(leaves, from, middle), root(leaves, middle, to));
    }

    function split(uint256 n) internal pure returns (uint256 s) {
        s = 1;
        while (2 * s < n) s *= 2;
    }

    /// The nodes six levels below that over leaves [from, to), side by side.
    function children(bytes32[] memory leaves, uint256 from, uint256 to, uint256 levels)
        internal
        pure
        returns (bytes memory)
    {
        if (levels == 0 || to - from == 1) return abi.encodePacked(root(leaves, from, to));
        uint256 middle = from + split(to - from);
        return bytes.concat(children(leaves, from, middle, levels - 1), children(leaves, middle, to, levels - 1));
    }

    /// Child `choice` of those in `payload`, then its siblings up to their root.
    function pick(bytes memory payload, uint256 choice) internal pure returns (bytes memory out) {
        uint256 skip = payload.length % 32;
        uint256 n = payload.length / 32;
        bytes32[] memory hashes = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            bytes32 h;
            assembly ("memory-safe") { h := mload(add(add(payload, 32), add(skip, mul(32, i)))) }
            hashes[i] = h;
        }
        return bytes.concat(hashes[choice], path(hashes, 0, n, choice));
    }

    function path(bytes32[] memory leaves, uint256 from, uint256 to, uint256 index)
        internal
        pure
        returns (bytes memory)
    {
        if (to - from == 1) return "";
        uint256 middle = from + split(to - from);
        return index < middle
            ? bytes.concat(path(leaves, from, middle, index), root(leaves, middle, to))
            : bytes.concat(path(leaves, middle, to, index), root(leaves, from, middle));
    }
}
