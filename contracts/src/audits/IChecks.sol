// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICourt} from "../disputes/Court.sol";
import {Case} from "../disputes/IGames.sol";
import {ExecutionId, Lease, Timeout} from "../market/Messages.sol";
import {Evidence} from "../market/Statements.sol";
import {AuditCheck, CheckAnswer} from "./AuditMessages.sol";

struct CheckRecord {
    address challenger; // zero: no such check
    uint64 bond;
    bool ended;
    address auditor;
    uint40 due;
    bytes32 audit;
    bytes32 proof; // SHA-256
}

/// What an auditor committed to, and what its nonce is made from.
struct KeyedCommit {
    bytes32 beacon;
    bytes32 audit;
    address auditor;
    bytes32 nonceHash;
    bytes32 rootHash;
}

/// @title Checks of an auditor's pass
/// @notice spec/audits.md, "Checks": one chunk of values that the provider committed to, opened under the receipt's
/// trace root; the auditor shows that its keyed tree has the same ones, all checks of a pass by the same second.
/// @dev Trust: no owner. It trusts the market, its audits, and `keyed` for what a proof shows.
interface IChecks is ICourt {
    /// The proof itself, so that whoever reads the chain knows what is asked.
    event CheckAsked(
        bytes32 indexed id,
        bytes32 indexed audit,
        address indexed auditor,
        address challenger,
        uint256 bond,
        uint256 due,
        bytes proof
    );
    event CheckEnded(bytes32 indexed check, bytes32 indexed audit, bool answered);

    /// @notice Asks for one chunk, with a bond of at least the auditor's fee. The call with a wrong proof reverts.
    /// @param evidence the receipt that was audited, with its request; their signatures are not read
    /// @param execution of the lease, whose program `Programs` holds
    function check(
        AuditCheck calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Evidence calldata evidence,
        ExecutionId calldata execution,
        bytes calldata proof
    ) external;
    /// @notice Shows the same place of the auditor's keyed tree. The bond goes to the auditor.
    /// @param proof the check's, as its event has it
    function answer(CheckAnswer calldata m, bytes calldata signature, bytes calldata proof, bytes calldata reply)
        external;
    /// @notice Ends a check that was not answered in time: the auditor is convicted for whoever asked first. Of one who
    /// is convicted already: the bond goes back at any time.
    function timeout(Timeout calldata m, bytes calldata signature) external;

    function record(bytes32 id) external view returns (CheckRecord memory);
    function keyed() external view returns (address);
    function games() external view returns (address);
}

/// @title Chunks of values under trace roots, plain and keyed
/// @notice src/verify/keyed.cpp, open_check and judge_check. Reverts with Invalid where bytes are malformed or name no
/// place of this trace, with Mismatch where they do not open.
/// @dev Trust: no owner, no money, nothing kept. It trusts the programs it was made with.
interface IKeyed {
    function open(Case calldata about, bytes calldata proof) external view;
    function judge(bytes calldata proof, KeyedCommit calldata commit, bytes calldata reply) external view;
    function programs() external view returns (address);
}
