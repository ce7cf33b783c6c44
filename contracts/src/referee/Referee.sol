// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IFinish} from "./Finish.sol";
import {IPrograms} from "./IPrograms.sol";
import {FAULT, IReferee, Outcome, Place, Revealed, Running, Subject, Verdict} from "./IReferee.sol";
import {Kind, OpWord} from "./OpWord.sol";
import {OpList, Ops} from "./Ops.sol";
import {Program, ProgramBytes} from "./Program.sol";
import {Salt} from "./Salt.sol";
import {FAULT_RESULT, INVALID_MODEL, ISteps, Step} from "./Step.sol";
import {Terms} from "./Terms.sol";

/// The contracts a referee is made of.
struct Parts {
    IPrograms programs;
    ISteps layer;
    ISteps product;
    ISteps attention;
    ISteps sampling;
    ISteps logprob;
    ISteps constraint;
    IFinish finish;
}

/// @title The referee of steps
/// @dev Finds the op of a step and what it reads, and has the contract of its kind execute it.
contract Referee is IReferee {
    using OpWord for uint256;
    using Ops for OpList;
    using ProgramBytes for Program;
    using Terms for uint256;

    uint256 private constant PROOF_MAX = 16 * 1024;
    uint256 private constant POSITIONS_MAX = 1 << 18;

    /// Kinds by the contract that executes them, a bit each.
    uint256 private constant ATTENTION_KINDS = 0x1ff << Kind.SCORE;
    uint256 private constant SAMPLING_KINDS = 0x1fff << Kind.TAPE_COUNT;
    uint256 private constant LOGPROB_KINDS = 0xf << Kind.LOG_SUM;
    uint256 private constant CONSTRAINT_KINDS = 0x7 << Kind.ANSWER_STATE;

    IPrograms public immutable programs;
    ISteps public immutable layerSteps;
    ISteps public immutable productSteps;
    ISteps public immutable attentionSteps;
    ISteps public immutable samplingSteps;
    ISteps public immutable logprobSteps;
    ISteps public immutable constraintSteps;
    IFinish public immutable finish;

    constructor(Parts memory parts) {
        programs = parts.programs;
        layerSteps = parts.layer;
        productSteps = parts.product;
        attentionSteps = parts.attention;
        samplingSteps = parts.sampling;
        logprobSteps = parts.logprob;
        constraintSteps = parts.constraint;
        finish = parts.finish;
    }

    /// @inheritdoc IReferee
    function ops(Subject calldata subject, uint32 position, uint32 leaf, bool fault)
        external
        view
        returns (uint256[] memory list, uint256 faultFrom)
    {
        OpList memory l = _ops(subject, position, leaf, fault);
        list = new uint256[](l.count());
        for (uint256 i; i < list.length; ++i) {
            list[i] = l.get(i);
        }
        faultFrom = l.faultFrom;
    }

    /// @inheritdoc IReferee
    function execute(
        Subject calldata subject,
        Revealed calldata revealed,
        Place calldata place,
        Running calldata running,
        bytes calldata biases,
        bytes calldata proof
    ) external view returns (Outcome outcome, uint32 bits) {
        uint256 result = _execute(subject, revealed, place, running, biases, proof);
        if (result == INVALID_MODEL) return (Outcome.invalidModel, 0);
        if (result == FAULT_RESULT) return (Outcome.fault, 0);
        return (Outcome.value, uint32(result));
    }

    /// @inheritdoc IReferee
    function judge(
        Subject calldata subject,
        Revealed calldata revealed,
        Place calldata place,
        Running calldata running,
        uint256 claimed,
        bytes calldata biases,
        bytes calldata proof
    ) external view returns (Verdict) {
        uint256 result = _execute(subject, revealed, place, running, biases, proof);
        if (result == INVALID_MODEL) return Verdict.invalidModel;
        // FAULT is FAULT_RESULT.
        return result == claimed ? Verdict.follows : Verdict.differs;
    }

    /// @inheritdoc IReferee
    function judgeSalt(bytes32 saltCommitment, uint32 position, uint32 leaf, bytes32 salt, bytes32 secret)
        external
        pure
        returns (bool wrong)
    {
        if (Salt.commitment(secret) != saltCommitment) revert ProofMismatch();
        return salt != Salt.ofLeaf(secret, position, leaf);
    }

    /// @inheritdoc IReferee
    function judgeFinish(Subject calldata subject, bytes32 stopRoot, bytes calldata biases, bytes calldata proof)
        external
        view
        returns (Verdict)
    {
        Program memory p = _program(subject.program);
        return
            finish.judge(p.vocabulary, p.context, subject, stopRoot, biases, proof) ? Verdict.differs : Verdict.follows;
    }

    function _program(bytes32 hash) private view returns (Program memory) {
        address code = programs.codeOf(hash);
        if (code == address(0)) revert UnknownProgram();
        return ProgramBytes.load(code);
    }

    function _ops(Subject calldata subject, uint256 position, uint256 leaf, bool fault)
        private
        view
        returns (OpList memory)
    {
        Program memory p = _program(subject.program);
        uint256 counts = subject.counts;
        if (position >= POSITIONS_MAX || leaf > p.layers || counts.continuation() >= counts.prompt()) {
            revert NoSuchStep();
        }
        if (leaf == p.layers && position < counts.firstSampled()) revert NoSuchStep();
        return Ops.build(
            p, counts, subject.sampling, subject.biasHash != 0, subject.constraint != 0, position, leaf, fault
        );
    }

    function _execute(
        Subject calldata subject,
        Revealed calldata revealed,
        Place calldata place,
        Running calldata running,
        bytes calldata biases,
        bytes calldata proof
    ) private view returns (uint256) {
        if (proof.length > PROOF_MAX) revert ProofInvalid();
        OpList memory l = _ops(subject, place.position, place.leaf, place.fault);
        if (place.op >= l.count()) revert NoSuchStep();
        uint256 op = l.get(place.op);
        uint256 chunk = place.element / 256;
        if (
            op.kind() == Kind.THRESHOLD || chunk >= op.chunks()
                || place.element % 256 >= op.chunkValues(chunk, place.position)
                || place.step >= op.stepsOf(place.element, place.position)
        ) revert NoSuchStep();

        Step memory s;
        _setOps(s, l, op, revealed);
        _setPlace(s, place, running);
        _setRevealed(s, revealed);
        _setProgram(s, l.p, op);
        _setSubject(s, subject);
        return _steps(op.kind()).run(s, biases, proof);
    }

    function _steps(uint256 kind) private view returns (ISteps) {
        if (kind == Kind.PRODUCT) return productSteps;
        if (1 << kind & ATTENTION_KINDS != 0) return attentionSteps;
        if (1 << kind & SAMPLING_KINDS != 0) return samplingSteps;
        if (1 << kind & LOGPROB_KINDS != 0) return logprobSteps;
        if (1 << kind & CONSTRAINT_KINDS != 0) return constraintSteps;
        return layerSteps;
    }

    function _setOps(Step memory s, OpList memory l, uint256 op, Revealed calldata revealed) private pure {
        s.ops[0] = op;
        s.ops[1] = _sourceOp(l, op.a());
        s.ops[2] = _sourceOp(l, op.b());
        s.ops[3] = _sourceOp(l, op.c());
        s.ops[4] = _sourceOp(l, op.d());
        s.roots = revealed.roots;
    }

    function _sourceOp(OpList memory l, uint256 source) private pure returns (uint256) {
        return source.isOp() ? l.get(source.index()) : 0;
    }

    function _setPlace(Step memory s, Place calldata place, Running calldata running) private pure {
        s.position = place.position;
        s.leaf = place.leaf;
        s.fault = place.fault ? 1 : 0;
        s.index = place.op;
        s.element = place.element;
        s.step = place.step;
        if (s.step != 0) s.last = running.last;
        if (s.step >= 256) s.segment = running.segment;
    }

    function _setRevealed(Step memory s, Revealed calldata revealed) private pure {
        s.positionsRoot = revealed.positionsRoot;
        s.positionRoot = revealed.positionRoot;
        s.positions = revealed.positions;
        s.positionLeaves = revealed.positionLeaves;
        s.x = revealed.x;
        s.k = revealed.k;
        s.v = revealed.v;
    }

    function _setProgram(Step memory s, Program memory p, uint256 op) private pure {
        s.vocabulary = p.vocabulary;
        s.dim = p.dim;
        s.layers = p.layers;
        s.heads = p.heads;
        s.kvHeads = p.kvHeads;
        s.headDim = p.headDim;
        s.context = p.context;
        s.epsilon = p.epsilon;
        s.halves = p.halves ? 1 : 0;
        s.ropeRoot = p.ropeRoot;
        s.tensors = p.tensors;
        if (op.tensor() == 0) return;
        uint256 role = op.tensor() - 1;
        s.tensor = p.tensorIndex(role, op.layer());
        (s.rows, s.columns) = p.extent(role);
        s.format = p.format(s.tensor);
    }

    function _setSubject(Step memory s, Subject calldata subject) private pure {
        s.weightsRoot = subject.weightsRoot;
        s.promptRoot = subject.promptRoot;
        s.tapeRoot = subject.tapeRoot;
        s.logprobsRoot = subject.logprobsRoot;
        s.biasHash = subject.biasHash;
        s.constraint = subject.constraint;
        s.counts = subject.counts;
        s.sampling = subject.sampling;
    }
}
