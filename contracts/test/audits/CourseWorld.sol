// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditRecord, AuditState, Drawn, IAudits} from "../../src/audits/IAudits.sol";
import {Auditor, IAuditors} from "../../src/audits/IAuditors.sol";
import {IMarket} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {ToyPrograms, ToyReferee} from "../disputes/Toy.sol";
import {AuditWorld} from "./AuditWorld.sol";

/// Calls about audits that may be refused, and what they are made of.
abstract contract CourseWorld is AuditWorld {
    uint256 internal constant EARNED = 40_000; // of FEE, what a pass leaves to its auditor
    uint32 internal constant UNAUDITABLE = 3;

    function setUp() public virtual {
        build(address(new ToyReferee()), address(new ToyPrograms()));
    }

    function offered() internal view virtual override returns (OfferModel memory model) {
        model = super.offered();
        model.program_hash = sha256(
            abi.encodePacked(
                hex"0f000000", "assay/program/0", hex"05000000", "llama", hex"0e000000", hex"20000000", hex"02000000"
            )
        );
    }

    // Registrations.

    function registration(Party memory who, uint128 fee, bool active) internal returns (RegisterAuditor memory) {
        return RegisterAuditor(
            who.at, Messages.hash(executionOf()), active, keccak256(bytes(ENDPOINT)), fee, ++nonce
        );
    }

    function registering(Party memory by, RegisterAuditor memory m, string memory endpoint)
        internal
        view
        returns (bytes memory)
    {
        bytes memory signature = sign(by, keccak256(abi.encode(AuditMessages.REGISTER_AUDITOR, m)));
        return abi.encodeCall(IAuditors.registerAuditor, (m, signature, endpoint));
    }

    function register(Party memory who, uint128 fee, bool active) internal {
        accepted(address(auditors), registering(who, registration(who, fee, active), ENDPOINT));
    }

    function registered(Party memory who) internal view returns (Auditor memory) {
        return auditors.auditor(Messages.hash(executionOf()), who.at);
    }

    function unbonding(Party memory who, uint128 amount) internal returns (bytes memory) {
        Unbond memory m = Unbond(who.at, amount, ++nonce);
        return abi.encodeCall(IMarket.unbond, (m, sign(who, keccak256(abi.encode(Messages.UNBOND, m)))));
    }

    function releasing(Party memory who) internal returns (bytes memory) {
        Release memory m = Release(who.at, ++nonce);
        return abi.encodeCall(IMarket.release, (m, sign(who, keccak256(abi.encode(Messages.RELEASE, m)))));
    }

    // Audits.

    function requestOf(Evidence memory e, uint32 count, uint128 feeMax) internal returns (AuditRequest memory) {
        return AuditRequest(buyer.at, leaseId, subjectOf(e), count, feeMax, bytes32(uint256(++nonce)));
    }

    function idOf(AuditRequest memory m) internal view returns (bytes32) {
        return digest(keccak256(abi.encode(AuditMessages.AUDIT_REQUEST, m)));
    }

    function asking(Party memory by, AuditRequest memory m, Lease memory under, Evidence memory e)
        internal
        view
        returns (bytes memory)
    {
        bytes memory signature = sign(by, keccak256(abi.encode(AuditMessages.AUDIT_REQUEST, m)));
        return abi.encodeCall(IAudits.requestAudit, (m, signature, under, e));
    }

    function publishing(Party memory by, Beacon memory m, bytes32[] memory ids, Lease[] memory all)
        internal
        view
        returns (bytes memory)
    {
        bytes memory signature = sign(by, keccak256(abi.encode(AuditMessages.BEACON, m)));
        return abi.encodeCall(IAudits.publishBeacon, (m, signature, ids, all));
    }

    function list(bytes32 id) internal pure returns (bytes32[] memory one) {
        one = new bytes32[](1);
        one[0] = id;
    }

    function publishNone() internal {
        publish(new bytes32[](0));
    }

    function committing(Party memory by, bytes32 id, bytes32 nonceHash, bytes32 rootHash)
        internal
        view
        returns (bytes memory)
    {
        CommitAudit memory m = CommitAudit(by.at, id, nonceHash, rootHash);
        return abi.encodeCall(IAudits.commitAudit, (m, sign(by, keccak256(abi.encode(AuditMessages.COMMIT_AUDIT, m)))));
    }

    function revealing(Party memory by, bytes32 id, uint32 verdict) internal view returns (bytes memory) {
        RevealAudit memory m = RevealAudit(by.at, id, verdict);
        return abi.encodeCall(IAudits.revealAudit, (m, sign(by, keccak256(abi.encode(AuditMessages.REVEAL_AUDIT, m)))));
    }

    /// Drawn, and everybody's commitment is there; verdicts are taken from now on.
    function started(Evidence memory e, uint32 count) internal returns (bytes32 id) {
        id = drawn(e, count);
        (, Drawn[] memory all) = audits.audit(id);
        for (uint256 i = 0; i < all.length; ++i) commitAudit(id, drawnParty(id, i));
        vm.warp(drawnAt(id) + MOVE_S);
    }

    function settle(bytes32 id) internal {
        vm.warp(drawnAt(id) + 3 * MOVE_S);
        accepted(address(audits), settling(other, id));
    }

    function reportOf(bytes32 id, Party memory who, Party memory by) internal view returns (ReportKey memory) {
        return ReportKey(by.at, id, who.at, nonceOf(id, who));
    }

    function commitmentOf(ReportKey memory m) internal view returns (bytes32) {
        return sha256(abi.encodePacked(digest(keccak256(abi.encode(AuditMessages.REPORT_KEY, m)))));
    }

    function reporting(Party memory by, ReportKey memory m) internal view returns (bytes memory) {
        return abi.encodeCall(IAudits.reportKey, (m, sign(by, keccak256(abi.encode(AuditMessages.REPORT_KEY, m)))));
    }

    function canaryOf(Evidence memory e) internal returns (Canary memory) {
        return Canary(provider.at, leaseId, subjectOf(e), ++nonce);
    }

    function shownOf(Canary memory c) internal view returns (CanaryShown memory) {
        return CanaryShown(buyer.at, digest(keccak256(abi.encode(AuditMessages.CANARY, c))));
    }

    function commitmentOf(CanaryShown memory m) internal view returns (bytes32) {
        return sha256(abi.encodePacked(digest(keccak256(abi.encode(AuditMessages.CANARY_SHOWN, m)))));
    }

    function showing(Party memory by, CanaryShown memory m, Canary memory c) internal view returns (bytes memory) {
        bytes memory signature = sign(by, keccak256(abi.encode(AuditMessages.CANARY_SHOWN, m)));
        bytes memory agreed = sign(provider, keccak256(abi.encode(AuditMessages.CANARY, c)));
        return abi.encodeCall(IAudits.showCanary, (m, signature, c, agreed, terms));
    }

    // Looking.

    function auditOf(bytes32 id) internal view returns (AuditRecord memory a) {
        (a,) = audits.audit(id);
    }

    function countOf(bytes32 id) internal view returns (uint256) {
        (, Drawn[] memory all) = audits.audit(id);
        return all.length;
    }

    function is_(bytes32 id, AuditState state) internal view {
        vm.assertTrue(auditOf(id).state == state, "the audit's state");
    }
}
