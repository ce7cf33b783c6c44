// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "./Domain.sol";
import {Mismatch, Refused, Why} from "./Errors.sol";
import {HashedRequest, Lease, Messages, Receipt, Request} from "./Messages.sol";

/// What a provider signed about one request: a Receipt, or the Progress that has its figures (then `finish`,
/// `key_sequence` and `evidence` mean nothing).
struct Statement {
    bool progress;
    Receipt figures;
    bytes signature;
}

struct Evidence {
    Request request;
    bytes requestSignature;
    Statement statement;
}

/// What can be judged about a statement without executing anything (src/market/statements.cpp).
library Statements {
    uint256 internal constant AMOUNT_MAX = uint64(type(int64).max);
    bytes32 internal constant NO_LEAVES = sha256("");

    function id(address market, Statement calldata s) internal view returns (bytes32) {
        return Domain.digest(
            market, s.progress ? Messages.hashProgress(s.figures) : Messages.hash(s.figures)
        );
    }

    /// The buyer signed the request for this lease and execution, the provider signed the figures about it.
    /// @param request its biases are not read: `requestHash` is over all of it
    function check(
        address market,
        bytes32 leaseId,
        Lease calldata terms,
        HashedRequest calldata request,
        bytes32 requestHash,
        bytes calldata requestSignature,
        bytes32 answered,
        bytes32 statement,
        bytes calldata statementSignature
    ) internal view {
        if (request.lease != leaseId) revert Refused(Why.OtherLease);
        if (request.execution != terms.execution) revert Refused(Why.OtherExecution);
        bytes32 requestId = Domain.digest(market, requestHash);
        Domain.checkSigned(terms.buyer, requestId, requestSignature);
        if (answered != requestId) revert Refused(Why.OtherRequest);
        Domain.checkSignedByKey(terms.provider, statement, statementSignature);
    }

    /// The numbers of log-probabilities that each answer token has.
    function logprobWidth(Request calldata request) internal pure returns (uint256) {
        return request.logprobs == 0 ? 0 : 2 * uint256(request.logprobs) - 1;
    }

    /// Wrong on its face: more tokens than asked for, amount not the price or over the cap, unknown finish, roots of
    /// no tokens other than those of none.
    function wrongFigures(Lease calldata terms, HashedRequest calldata request, bool progress, Receipt calldata s)
        internal
        pure
        returns (bool)
    {
        if (s.count > request.max_tokens) return true;
        uint256 price = cost(terms.price_in, request.prompt_count) + cost(terms.price_out, s.count);
        if (price > AMOUNT_MAX || s.amount != price || s.amount > request.cap) return true;
        if (!progress && s.finish > 3) return true;
        if (s.count != 0) return false;
        return s.tape_root != NO_LEAVES
            || s.logprobs_root != (request.logprobs > 0 ? NO_LEAVES : bytes32(0));
    }

    function cost(uint256 pricePerMillion, uint256 tokens) private pure returns (uint256) {
        return (pricePerMillion * tokens + 999_999) / 1_000_000;
    }

    /// They cannot both be true.
    function contradict(Statement calldata first, Statement calldata second) internal pure returns (bool) {
        Receipt calldata a = first.figures;
        Receipt calldata b = second.figures;
        bool receipts = !first.progress && !second.progress;
        if (a.request != b.request) return false;
        if (a.count != b.count) return receipts;
        if (a.tape_root != b.tape_root || a.amount != b.amount || a.logprobs_root != b.logprobs_root) return true;
        if (receipts && a.finish != b.finish) return true;
        // A receipt that ends in a fault has one leaf more than a progress of the same count.
        bool sameLeaves =
            first.progress == second.progress || !(faults(first) || faults(second));
        return sameLeaves && a.trace_root != b.trace_root;
    }

    function faults(Statement calldata s) private pure returns (bool) {
        return !s.progress && s.figures.finish == 2;
    }
}
