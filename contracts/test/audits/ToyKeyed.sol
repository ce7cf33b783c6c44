// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IKeyed, KeyedCommit} from "../../src/audits/IChecks.sol";
import {Case} from "../../src/disputes/IGames.sol";
import {Mismatch, Why} from "../../src/market/Errors.sol";

/// Checks whose proofs are words, as those of src/market/ledger_testutil: "opens" opens, "shows" answers it. Deployed by
/// settle/evm's differential test, which asks the same on both ledgers.
contract ToyKeyed is IKeyed {
    function open(Case calldata, bytes calldata proof) external pure {
        if (keccak256(proof) != keccak256("opens")) revert Mismatch(Why.Proof);
    }

    function judge(bytes calldata proof, KeyedCommit calldata commit, bytes calldata reply) external pure {
        assert(keccak256(proof) == keccak256("opens") && commit.beacon != 0 && commit.nonceHash != 0);
        if (keccak256(reply) != keccak256("shows")) revert Mismatch(Why.Answer);
    }

    /// It has every program, as ToyGames.
    function programs() external view returns (address) {
        return address(this);
    }
}
