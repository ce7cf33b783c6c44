// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Block} from "./IMarket.sol";
import {Claim, Lease} from "./Messages.sol";

/// How a claim's leaves lie in blocks.
library BlockShape {
    uint256 internal constant SIZE = 32;

    /// Blocks of a claim of `leaves_`.
    function count(uint256 leaves_) internal pure returns (uint256) {
        return (leaves_ + SIZE - 1) / SIZE;
    }

    /// Leaves of block `number` of such a claim.
    function leaves(uint256 leaves_, uint256 number) internal pure returns (uint256) {
        uint256 rest = leaves_ - number * SIZE;
        return rest < SIZE ? rest : SIZE;
    }
}

/// @title Whether what opens a claim is right
/// @notice Receipts of the lease, rightly priced and in order, that add up to the claim's root.
/// @dev Trust: no owner, no money, nothing kept.
interface IBlocks {
    /// @notice Reverts unless `shown` is block `number` of `pending`. Arguments as `IMarket.openClaim` has them, with
    /// other words in the place of its message: the market passes its own call on.
    /// @param market whose domain receipts and requests are signed for
    function check(
        address market,
        uint256 number,
        bytes calldata signature,
        Lease calldata terms,
        Claim calldata pending,
        Block calldata shown
    ) external view;
}
