// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Chain} from "../canon/Chain.sol";
import {F32} from "../canon/F32.sol";
import {FastProduct} from "../canon/FastProduct.sol";
import {Formats} from "../canon/Formats.sol";
import {Half} from "../canon/Half.sol";
import {Inputs, Reader} from "./Inputs.sol";
import {Openings} from "./Openings.sol";
import {StepsBase} from "./StepsBase.sol";
import {Step} from "./Step.sol";

/// @title Steps of products y = W x: one segment of one row
/// @dev `step_product` of src/verify/referee/step_layer.cpp.
contract ProductSteps is StepsBase {
    function _execute(Step calldata s, Reader memory r, bytes calldata) internal view override returns (uint256) {
        unchecked {
            uint256 begin = s.step * 256;
            uint256 columns = s.columns - begin < 256 ? s.columns - begin : 256;
            uint256 w = Openings.weight(s, r.proof, s.element, s.step);
            uint256 activation = Formats.activation(s.format);
            uint256 acc;
            if (activation == Formats.PLAIN) {
                uint256 x = Inputs.range(s, r, Inputs.A, begin, columns);
                acc = Chain.dot(_widened(s.format, w, columns), x, 32, columns);
            } else {
                uint256 q = Inputs.chunk(s, r, Inputs.A, s.step);
                if (activation == Formats.Q8) {
                    uint256 scales = Inputs.range(s, r, Inputs.B, s.step * 8, columns / 32);
                    acc = FastProduct.blocks(s.format, w, q, scales, columns / 32);
                } else {
                    uint256 scale = Inputs.value(s, r, Inputs.B, s.step);
                    (int256 isum, int256 msum) = FastProduct.sums(s.format, w, q);
                    acc = Formats.combine(s.format, isum, msum, Openings.data(w, 210), scale);
                }
            }
            return _number(F32.add(s.last, acc));
        }
    }

    /// Weights of a plain format as words in memory.
    function _widened(uint256 format, uint256 ptr, uint256 count) private pure returns (uint256 words) {
        unchecked {
            words = Inputs.allocate(count);
            if (format == Formats.F32_) {
                Inputs.widen(ptr, count, words);
                return words;
            }
            for (uint256 i; i < count; ++i) {
                uint256 v = Inputs.le16(ptr + 2 * i);
                Inputs.setWord(words + 32 * i, format == Formats.F16 ? Half.widen(v) : v << 16);
            }
        }
    }
}
