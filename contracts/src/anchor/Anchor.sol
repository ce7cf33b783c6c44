// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAnchor} from "./IAnchor.sol";

/// @title Checkpoints of transparency logs, kept by the chain; the contract's promises are in IAnchor.
contract Anchor is IAnchor {
    /// @inheritdoc IAnchor
    function anchor(bytes32 origin, uint64 size, bytes32 root) external {
        emit Anchored(msg.sender, origin, size, root);
    }
}
