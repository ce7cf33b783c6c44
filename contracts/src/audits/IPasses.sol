// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGameCourt} from "../disputes/IGameCourt.sol";

/// @title Disputes about an auditor's pass
/// @notice Once a receipt is known to be false, who passed it can be disputed: the game of spec/dispute.md about the same
/// statement, with the digest of the pass for the statement in its first state, in which the auditor plays the
/// provider's part. The commitment is made in IDisputes.
/// @dev Trust: as IDisputes; and the audits of its market, for who passed what.
interface IPasses is IGameCourt {}
