// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Trees} from "./DisputeWorld.sol";

/// What a provider can answer a dispute of a receipt of seven tokens with, where prompts have 250 tokens and models two
/// layers: the hashes six levels below the root of its trace's 256 positions. The game ends there, by silence.
library FirstMove {
    function traceRoot() internal pure returns (bytes32) {
        return sha256(abi.encodePacked("assay/trace/v0", hex"00010000", hex"02000000", Trees.root(nodes(), 0, 64)));
    }

    function payload() internal pure returns (bytes memory) {
        return abi.encodePacked(nodes());
    }

    function nodes() private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](64);
        for (uint256 i = 0; i < 64; ++i) hashes[i] = keccak256(abi.encode(i));
    }
}
