// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ExecutionId, LogitBias, Receipt, Request} from "../market/Messages.sol";
import {Evidence} from "../market/Statements.sol";
import {Terms} from "../referee/Terms.sol";
import {Case, IGames} from "./IGames.sol";

/// What the referee is told of a statement and its request.
library Cases {
    function make(IGames games, ExecutionId calldata execution, Evidence calldata evidence)
        internal
        view
        returns (Case memory about)
    {
        Request calldata r = evidence.request;
        Receipt calldata s = evidence.statement.figures;
        about.subject.program = execution.program_hash;
        about.subject.weightsRoot = execution.weights_root;
        about.subject.promptRoot = r.prompt_root;
        about.subject.tapeRoot = s.tape_root;
        about.subject.logprobsRoot = s.logprobs_root;
        if (r.logit_bias.length != 0) about.subject.biasHash = keccak256(packed(r.logit_bias));
        about.subject.constraint = r.constraint;
        about.subject.counts = Terms.counts(
            r.prompt_count,
            r.continuation,
            s.count,
            r.max_tokens,
            r.logprobs,
            r.seed,
            evidence.statement.progress ? uint32(Terms.PROGRESS) : Terms.receiptFinish(s.finish)
        );
        about.subject.sampling = Terms.sampling(
            r.repetition_penalty_bits,
            r.presence_penalty_bits,
            r.frequency_penalty_bits,
            r.temperature_bits,
            r.top_k,
            r.top_p_bits,
            r.min_p_bits
        );
        about.traceRoot = s.trace_root;
        about.saltCommitment = r.salt_commitment;
        about.layers = games.layersOf(execution.program_hash);
        about.amount = uint64(s.amount);
    }

    /// Of a request, as IReferee.judge takes them.
    function packed(LogitBias[] calldata biases) internal pure returns (bytes memory out) {
        for (uint256 i = 0; i < biases.length; ++i) {
            out = bytes.concat(out, abi.encodePacked(biases[i].token, biases[i].bias_bits));
        }
    }
}
