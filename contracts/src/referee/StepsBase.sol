// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Elementary} from "../canon/Elementary.sol";
import {F32} from "../canon/F32.sol";
import {Inputs, Reader} from "./Inputs.sol";
import {IReferee} from "./IReferee.sol";
import {FAULT_RESULT, ISteps, Step} from "./Step.sol";

/// What the contracts of steps have in common.
abstract contract StepsBase is ISteps {
    /// @inheritdoc ISteps
    function run(Step calldata s, bytes calldata biases, bytes calldata proof)
        external
        view
        returns (uint256 result)
    {
        Reader memory r;
        assembly ("memory-safe") {
            let p := mload(r)
            mstore(p, proof.offset)
            mstore(add(p, 32), add(proof.offset, proof.length))
        }
        result = _execute(s, r, biases);
        // More than the step asks for.
        if (r.proof.ptr != r.proof.end) revert IReferee.ProofInvalid();
    }

    function _execute(Step calldata s, Reader memory r, bytes calldata biases) internal view virtual returns (uint256);

    /// NaN and infinities are faults.
    function _number(uint256 v) internal pure returns (uint256) {
        return F32.finite(v) ? v : FAULT_RESULT;
    }

    /// e^x; what is above 0 or NaN has none: a fault.
    function _expOf(uint256 x) internal pure returns (uint256) {
        return F32.ge(0, x) ? Elementary.exp(x) : FAULT_RESULT;
    }
}
