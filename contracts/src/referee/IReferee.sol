// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What a dispute is about: everything a referee knows beside the program (spec/dispute.md section 2).
/// The caller has checked signatures and that request, statement and execution id belong together.
struct Subject {
    bytes32 program; // SHA-256 of the program bytes, which `Programs` holds
    bytes32 weightsRoot;
    bytes32 promptRoot;
    bytes32 tapeRoot;
    bytes32 logprobsRoot;
    bytes32 biasHash; // keccak256 of the packed biases (`judge`); zero where the request has none
    bytes32 constraint; // what the answer is held to, as the request commits to it; zero where it is not
    uint256 counts; // `Terms.counts`
    uint256 sampling; // `Terms.sampling`
}

/// One step of one element of one op of one leaf.
struct Place {
    uint32 position;
    uint32 leaf; // cell of that layer; the number of layers: the head
    bool fault; // the fault leaf in its place
    uint32 op; // index in the leaf's list of ops
    uint32 element;
    uint32 step;
}

/// What the provider has revealed on the way to the step. A hash that the step does not read may be zero.
struct Revealed {
    bytes32 positionsRoot; // tree over the position leaves
    bytes32 positionRoot; // tree over the leaves of the disputed position
    uint32 positions; // how many position leaves
    uint32 positionLeaves; // how many leaves of the position
    bytes32 x; // the roots of the disputed leaf
    bytes32 k;
    bytes32 v;
    /// The roots of the op itself and of its sources a, b, c, d, where those are ops (`OpWord`); of a scalar
    /// the four bytes in front, then zeros.
    bytes32[5] roots;
}

/// The running values that a step continues from, as bits; zero where there are none.
struct Running {
    uint32 last; // r_{step - 1}
    uint32 segment; // r_{256 ⌊step / 256⌋ - 1}, the total before this segment
}

/// What a step comes to.
enum Outcome {
    value,
    fault,
    invalidModel
}

/// What a step says of the statement. `invalidModel`: nobody is punished, the request is refunded.
enum Verdict {
    follows,
    differs,
    invalidModel
}

/// @title The referee
/// @notice Executes one step from a proof, bit for bit as src/verify/referee does (spec/dispute.md sections 3
/// to 5, spec/canon.md). Stateless, ownerless: an answer depends on the arguments and on the bytes of the program
/// alone.
/// @dev Trust: the caller passes what the parties signed and revealed; the referee checks nothing of that. It
/// trusts its step contracts, whose addresses are fixed at construction, and `Programs`, which holds only bytes it
/// has hashed and checked. Proof bytes are those of the C++ referee. A proof that convicts nobody because it is
/// wrong itself reverts: the move did not happen and the challenger's clock runs on.
interface IReferee {
    /// The proof's bytes end early, are too many or too long, or ask for what does not exist.
    error ProofInvalid();
    /// The proof does not open to what was committed.
    error ProofMismatch();
    /// No such step: nothing to judge.
    error NoSuchStep();
    /// The program is not in `Programs`.
    error UnknownProgram();

    /// The ops that lead into a leaf, as `OpWord`s; `faultFrom`: the first that may be the one that faults (of a
    /// leaf that is no fault: their number). The leaf exists in a trace of this subject, or `NoSuchStep`.
    function ops(Subject calldata subject, uint32 position, uint32 leaf, bool fault)
        external
        view
        returns (uint256[] memory list, uint256 faultFrom);

    /// The step's own result. `bits`: the value's, zero-extended; zero but for `Outcome.value`.
    /// @param biases the request's logit biases, be32 token ‖ be32 bits each; read by steps of kind `adjust` only,
    /// may be empty for all others
    /// @param proof as written by the C++ side: the openings the step asks for, at most 16 KB
    function execute(
        Subject calldata subject,
        Revealed calldata revealed,
        Place calldata place,
        Running calldata running,
        bytes calldata biases,
        bytes calldata proof
    ) external view returns (Outcome outcome, uint32 bits);

    /// The same against what the provider committed.
    /// @param claimed the committed value's bits, or `FAULT`: the provider says that this step faults
    function judge(
        Subject calldata subject,
        Revealed calldata revealed,
        Place calldata place,
        Running calldata running,
        uint256 claimed,
        bytes calldata biases,
        bytes calldata proof
    ) external view returns (Verdict);

    /// The challenger's claim that a leaf's salt is not the secret's: true when it is not. Reverts with
    /// `ProofMismatch` where the secret is not the one the request commits to.
    function judgeSalt(bytes32 saltCommitment, uint32 position, uint32 leaf, bytes32 salt, bytes32 secret)
        external
        pure
        returns (bool wrong);

    /// What is wrong with a statement before any arithmetic (spec/dispute.md, "Without a game"): `differs` where
    /// the provider is wrong. `biases` are all of the request's.
    function judgeFinish(Subject calldata subject, bytes32 stopRoot, bytes calldata biases, bytes calldata proof)
        external
        view
        returns (Verdict);
}

// `claimed` of a step that the provider says faults.
uint256 constant FAULT = type(uint256).max;
