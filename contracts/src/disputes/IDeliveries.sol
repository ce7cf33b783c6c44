// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Delivery, DeliveryReport, Demand, Lease, Timeout} from "../market/Messages.sol";
import {Evidence} from "../market/Statements.sol";
import {Ending, ICourt, Turn} from "./Court.sol";

struct DemandRecord {
    address buyer;
    uint64 bond; // zero: no such demand
    bool decided;
    Ending outcome; // once decided
    Turn turn; // the provider's: to deliver; the buyer's: to report
    uint40 filed;
    uint40 due;
    uint64 amount; // of the statement
    bytes32 lease;
    bytes32 subject;
    bytes32 delivery; // digest of the Delivery, once there is one
    bytes32 about; // keccak256 of the Wanted
}

/// What an answer is held against.
struct Wanted {
    address provider;
    uint32 count;
    uint32 width; // log-probability numbers of a token
    bytes32 saltCommitment;
    bytes32 tapeRoot;
    bytes32 logprobsRoot;
}

/// @title Answers that a provider signed for and keeps
/// @notice The buyer of an answer demands it under bond; the provider delivers it here, sealed with the request's salt
/// secret, or is convicted; another answer than the one signed for is reported by showing the secret (spec/ledger.md,
/// "Delivery"). The sealed bytes travel in the transaction and are not kept.
/// @dev Trust: as IDisputes; no referee is asked. A chain takes answers of at most `SEALED_BYTES_MAX`: a demand for a
/// longer one is refused, so whoever wants to be able to demand asks for no more tokens than fit.
interface IDeliveries is ICourt {
    event Demanded(
        bytes32 indexed id, bytes32 indexed lease, bytes32 indexed subject, address buyer, uint256 bond, Wanted wanted
    );
    event Delivered(bytes32 indexed id, bytes32 indexed demand, uint256 due);
    event Decided(bytes32 indexed demand, bytes32 indexed lease, Ending outcome);

    function demand(Demand calldata m, bytes calldata signature, Lease calldata terms, Evidence calldata evidence)
        external;
    /// @param answer the sealed bytes that `m` names
    function deliver(Delivery calldata m, bytes calldata signature, Wanted calldata wanted, bytes calldata answer)
        external;
    /// @param delivery the one that answered the demand, and its bytes
    function report(
        DeliveryReport calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Wanted calldata wanted,
        Delivery calldata delivery,
        bytes calldata answer
    ) external;
    /// @notice Ends a demand whose deadline has passed, whose statement another dispute convicted, or whose buyer has
    /// what it wanted.
    function timeout(Timeout calldata m, bytes calldata signature, Lease calldata terms) external;

    function record(bytes32 id) external view returns (DemandRecord memory);
    /// @notice Whether the answer behind a statement was ever demanded: once is enough for ever.
    function demanded(bytes32 subject) external view returns (bool);
}
