// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IReferee, Subject} from "./IReferee.sol";
import {Openings, Proof} from "./Openings.sol";
import {Sha256Tree} from "./Sha256Tree.sol";
import {Terms} from "./Terms.sol";

/// Judges a statement before any arithmetic.
interface IFinish {
    /// @param vocabulary of the program
    /// @param context of the program
    /// @return wrong the provider is
    function judge(
        uint256 vocabulary,
        uint256 context,
        Subject calldata subject,
        bytes32 stopRoot,
        bytes calldata biases,
        bytes calldata proof
    ) external view returns (bool wrong);
}

/// @title What is wrong with a statement before any arithmetic: how it ends, and what it answers
/// @dev src/verify/referee/finish.cpp and `check_runnable` of src/protocol/rules.cpp; spec/dispute.md, "Without a
/// game". Floats are compared as bits, which order as the numbers do where these are not negative.
contract Finish is IFinish {
    using Terms for uint256;

    uint256 private constant PROOF_MAX = 16 * 1024;
    uint256 private constant POSITIONS_MAX = 1 << 18;
    uint256 private constant BIASES_MAX = 256;
    uint256 private constant TOP_LOGPROBS_MAX = 20;
    uint256 private constant LOGPROB_NUMBERS_MAX = 1 << 19;
    uint256 private constant INFINITY = 0x7f800000;
    uint256 private constant ONE = 0x3f800000;
    uint256 private constant MINUS_ZERO = 0x80000000;

    /// @inheritdoc IFinish
    function judge(
        uint256 vocabulary,
        uint256 context,
        Subject calldata subject,
        bytes32 stopRoot,
        bytes calldata biases,
        bytes calldata proof
    ) external view returns (bool wrong) {
        if (keccak256(biases) != subject.biasHash && (biases.length != 0 || subject.biasHash != 0)) {
            revert IReferee.ProofMismatch();
        }
        uint256 counts = subject.counts;
        if (_impossible(counts, vocabulary, context)) return true;
        if (!_runnable(counts, subject.sampling) || !_biasesValid(biases, vocabulary)) return true;
        if (proof.length > PROOF_MAX) revert IReferee.ProofInvalid();
        uint256 ptr;
        assembly ("memory-safe") {
            ptr := proof.offset
        }
        Proof memory p = Proof(ptr, ptr + proof.length);
        uint256 kind = Openings.le32(Openings.take(p, 4));
        if (kind > 1) revert IReferee.ProofInvalid();
        if (kind == 0) wrong = _answerWrong(p, subject, stopRoot);
        else wrong = _token(p, counts.prompt(), subject.promptRoot, _index(p)) >= vocabulary;
        if (p.ptr != p.end) revert IReferee.ProofInvalid();
    }

    /// The statement cannot be one of any execution.
    function _impossible(uint256 counts, uint256 vocabulary, uint256 context) private pure returns (bool) {
        uint256 answer = counts.answer();
        bool fault = counts.endsInFault();
        if (counts.prompt() == 0 || counts.continuation() >= counts.prompt()) return true;
        if (counts.maxTokens() == 0 || answer > counts.maxTokens()) return true;
        if (answer == 0 && !fault) return true;
        uint256 positions = counts.prompt() + answer - (fault ? 0 : 1);
        if (positions > context || positions > POSITIONS_MAX) return true;
        if (counts.logprobs() > vocabulary + 1) return true;
        return counts.finish() > Terms.CANCELLED && counts.finish() != Terms.PROGRESS;
    }

    /// The request's sampling is one that exists.
    function _runnable(uint256 counts, uint256 sampling) private pure returns (bool) {
        uint256 repetition = sampling.repetition();
        if (repetition == 0 || repetition >= INFINITY) return false;
        if (!_plain(sampling.presence()) || !_plain(sampling.frequency())) return false;
        if (sampling.temperature() >= INFINITY) return false;
        if (sampling.topP() == 0 || sampling.topP() > ONE || sampling.minP() > ONE) return false;
        uint256 logprobs = counts.logprobs();
        if (logprobs > 1 + TOP_LOGPROBS_MAX) return false;
        return logprobs == 0 || counts.maxTokens() * (2 * logprobs - 1) <= LOGPROB_NUMBERS_MAX;
    }

    /// Finite and not -0.
    function _plain(uint256 bits) private pure returns (bool) {
        return bits & INFINITY != INFINITY && bits != MINUS_ZERO;
    }

    /// be32 token ‖ be32 bits each: ascending ids of the vocabulary, finite and not 0.
    function _biasesValid(bytes calldata biases, uint256 vocabulary) private pure returns (bool) {
        if (biases.length % 8 != 0 || biases.length > 8 * BIASES_MAX) return false;
        uint256 next;
        for (uint256 ptr; ptr < biases.length; ptr += 8) {
            uint256 token = uint32(bytes4(biases[ptr:]));
            uint256 bits = uint32(bytes4(biases[ptr + 4:]));
            if (token < next || token >= vocabulary || !_plain(bits) || bits == 0) return false;
            next = token + 1;
        }
        return true;
    }

    /// A token of the answer beside the stop ids.
    function _answerWrong(Proof memory p, Subject calldata subject, bytes32 stopRoot) private view returns (bool) {
        uint256 count = Openings.le32(Openings.take(p, 4));
        if (count > (p.end - p.ptr) / 4) revert IReferee.ProofInvalid();
        uint256 ids = Openings.take(p, 4 * count);
        if (_stopRoot(ids, count) != stopRoot) revert IReferee.ProofMismatch();
        uint256 counts = subject.counts;
        uint256 index = _index(p);
        uint256 token = _token(p, counts.answer(), subject.tapeRoot, index);
        bool stops;
        for (uint256 i; i < count && !stops; ++i) {
            stops = Openings.le32(ids + 4 * i) == token;
        }
        if (index + 1 < counts.answer()) return stops;
        uint256 finish = counts.finish();
        if (finish == Terms.PROGRESS) return false;
        if (stops) return finish != Terms.STOP;
        if (counts.answer() == counts.maxTokens()) return finish != Terms.LENGTH;
        return finish != Terms.FAULTED && finish != Terms.CANCELLED;
    }

    function _index(Proof memory p) private pure returns (uint256) {
        return Openings.le32(Openings.take(p, 4));
    }

    /// Token `index` of `count`, from the opening of its chunk.
    function _token(Proof memory p, uint256 count, bytes32 root, uint256 index) private view returns (uint256) {
        if (index >= count) revert IReferee.ProofInvalid();
        uint256 chunk = index / 256;
        uint256 rest = count - chunk * 256;
        uint256 size = 32 + 4 * (rest < 256 ? rest : 256);
        uint256 ptr = Openings.opChunk(p, size, chunk, (count + 255) / 256, root);
        return Openings.le32(ptr + 32 + 4 * (index % 256));
    }

    /// The unsalted root over chunks of 256 ids; of none the hash of nothing.
    function _stopRoot(uint256 ptr, uint256 count) private view returns (bytes32) {
        if (count == 0) return sha256("");
        bytes32[] memory leaves = new bytes32[]((count + 255) / 256);
        for (uint256 i; i < leaves.length; ++i) {
            uint256 rest = count - 256 * i;
            leaves[i] = Sha256Tree.leaf(ptr + 1024 * i, 4 * (rest < 256 ? rest : 256));
        }
        return Sha256Tree.root(leaves);
    }
}
