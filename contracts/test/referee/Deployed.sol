// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AttentionSteps} from "../../src/referee/AttentionSteps.sol";
import {ConstraintSteps} from "../../src/referee/ConstraintSteps.sol";
import {Finish} from "../../src/referee/Finish.sol";
import {LayerSteps} from "../../src/referee/LayerSteps.sol";
import {LogprobSteps} from "../../src/referee/LogprobSteps.sol";
import {ProductSteps} from "../../src/referee/ProductSteps.sol";
import {Programs} from "../../src/referee/Programs.sol";
import {Parts, Referee} from "../../src/referee/Referee.sol";
import {SamplingSteps} from "../../src/referee/SamplingSteps.sol";

/// A referee with everything it is made of.
library Deployed {
    function referee() internal returns (Referee) {
        return new Referee(
            Parts(
                new Programs(),
                new LayerSteps(),
                new ProductSteps(),
                new AttentionSteps(),
                new SamplingSteps(),
                new LogprobSteps(),
                new ConstraintSteps(),
                new Finish()
            )
        );
    }
}
