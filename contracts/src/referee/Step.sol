// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// One step with all that it may ask for, as the referee hands it to the contract of its kind. Words only, so that
/// nothing has to be decoded.
struct Step {
    // where
    uint256 position;
    uint256 leaf;
    uint256 fault; // 1: the fault leaf in its place
    uint256 index; // of the op in the list
    uint256 element;
    uint256 step;
    uint256 last; // running values
    uint256 segment;
    // the op itself and its sources a, b, c, d, where those are ops; `roots` as in `Revealed`
    uint256[5] ops;
    bytes32[5] roots;
    // the provider's commitments
    bytes32 positionsRoot;
    bytes32 positionRoot;
    uint256 positions;
    uint256 positionLeaves;
    bytes32 x;
    bytes32 k;
    bytes32 v;
    // the program
    uint256 vocabulary;
    uint256 dim;
    uint256 layers;
    uint256 heads;
    uint256 kvHeads;
    uint256 headDim;
    uint256 context;
    uint256 epsilon; // bits
    uint256 halves; // 1: RoPE pairs are halves of a head
    bytes32 ropeRoot;
    uint256 tensors; // how many
    // the tensor that the op reads
    uint256 tensor; // index
    uint256 rows;
    uint256 columns;
    uint256 format;
    bytes32 weightsRoot;
    // the request and the statement
    bytes32 promptRoot;
    bytes32 tapeRoot;
    bytes32 logprobsRoot;
    bytes32 biasHash;
    bytes32 constraint;
    uint256 counts; // `Terms`
    uint256 sampling;
}

/// A contract that executes the steps of some kinds.
interface ISteps {
    /// The value's bits, `FAULT_RESULT` or `INVALID_MODEL`.
    function run(Step calldata s, bytes calldata biases, bytes calldata proof) external view returns (uint256 result);
}

// The step's value is NaN, infinite, or does not exist.
uint256 constant FAULT_RESULT = type(uint256).max;
// The proof shows a weight that no valid model has.
uint256 constant INVALID_MODEL = type(uint256).max - 1;
