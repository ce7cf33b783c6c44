// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditRecord, Drawn, IAudits} from "../../src/audits/IAudits.sol";
import {IChecks} from "../../src/audits/IChecks.sol";
import {Filing, IGameCourt} from "../../src/disputes/IGameCourt.sol";
import {Case, Played} from "../../src/disputes/IGames.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {DisputeWorld} from "../disputes/DisputeWorld.sol";

/// People who audit, as src/market/audits_testutil: an auditor's secret is its address.
abstract contract AuditWorld is DisputeWorld {
    uint128 internal constant FEE = 50_000;
    uint256 internal constant MOVE_S = 20;
    string internal constant ENDPOINT = "http://127.0.0.1:9100";
    uint32 internal constant PASS = 1;
    uint32 internal constant FAIL = 2;

    Lease internal terms;
    bytes32 internal leaseId;

    function auditor(uint8 number) internal pure returns (Party memory) {
        return party(60 + number);
    }

    /// With 2.00 of stake each, registered; then a lease.
    function hire(uint8 count) internal {
        fund();
        for (uint8 i = 0; i < count; ++i) {
            deposit(auditor(i).at, 3_000_000);
            stake(auditor(i), 2_000_000);
            register(auditor(i), FEE);
        }
        vm.warp(block.timestamp + 1);
        (terms, leaseId) = lease(5_000_000);
        vm.warp(block.timestamp + 1);
    }

    function register(Party memory who, uint128 fee) internal {
        OfferModel memory model = offered();
        RegisterAuditor memory m = RegisterAuditor(
            who.at,
            Messages.hash(ExecutionId(model.weights_root, model.program_hash, model.canon)),
            true,
            keccak256(bytes(ENDPOINT)),
            fee,
            ++nonce
        );
        auditors.registerAuditor(m, sign(who, keccak256(abi.encode(AuditMessages.REGISTER_AUDITOR, m))), ENDPOINT);
    }

    function receiptOf(uint64 sequence) internal view virtual returns (Evidence memory) {
        return evidence(terms, sequence, 100_000, keccak256("tape"));
    }

    function executionOf() internal view returns (ExecutionId memory) {
        OfferModel memory model = offered();
        return ExecutionId(model.weights_root, model.program_hash, model.canon);
    }

    // The course of an audit.

    function request(Evidence memory e, uint32 count) internal returns (bytes32 id) {
        AuditRequest memory m = AuditRequest(buyer.at, leaseId, subjectOf(e), count, FEE, bytes32(uint256(++nonce)));
        bytes32 h = keccak256(abi.encode(AuditMessages.AUDIT_REQUEST, m));
        audits.requestAudit(m, sign(buyer, h), terms, e);
        return digest(h);
    }

    function publish(bytes32[] memory waiting) internal {
        (uint256 round,) = audits.lastBeacon();
        Beacon memory m = Beacon(uint64(round + 1), beaconOf(round + 1));
        Lease[] memory all = new Lease[](waiting.length);
        for (uint256 i = 0; i < all.length; ++i) all[i] = terms;
        audits.publishBeacon(m, sign(host, keccak256(abi.encode(AuditMessages.BEACON, m))), waiting, all);
    }

    /// Asked for and drawn.
    function drawn(Evidence memory e, uint32 count) internal returns (bytes32 id) {
        bytes32[] memory waiting = new bytes32[](1);
        waiting[0] = id = request(e, count);
        publish(waiting);
    }

    /// Of those that `hire` made: who has this place in the draw.
    function drawnParty(bytes32 id, uint256 place) internal view returns (Party memory) {
        (, Drawn[] memory all) = audits.audit(id);
        for (uint8 i = 0; i < 16; ++i) if (auditor(i).at == all[place].account) return auditor(i);
        revert("not one of ours");
    }

    function drawnOf(bytes32 id, address who) internal view returns (Drawn memory) {
        (, Drawn[] memory all) = audits.audit(id);
        for (uint256 i = 0; i < all.length; ++i) if (all[i].account == who) return all[i];
        revert("not drawn");
    }

    function keyOf(Party memory who) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(who.at));
    }

    function nonceOf(bytes32 id, Party memory who) internal view returns (bytes32) {
        (AuditRecord memory a,) = audits.audit(id);
        return sha256(abi.encodePacked("assay/audit-key/v0", audits.beaconAt(a.round), id, who.at, keyOf(who)));
    }

    /// What the nonce's tree is rooted in.
    function keyedRoot(bytes32) internal virtual returns (bytes32) {
        return keccak256("keyed root");
    }

    function commitAudit(bytes32 id, Party memory who) internal {
        bytes32 n = nonceOf(id, who);
        CommitAudit memory m = CommitAudit(
            who.at, id, sha256(abi.encodePacked(n)), sha256(abi.encodePacked(keyedRoot(n), keyOf(who)))
        );
        audits.commitAudit(m, sign(who, keccak256(abi.encode(AuditMessages.COMMIT_AUDIT, m))));
    }

    function reveal(bytes32 id, Party memory who, uint32 verdict) internal returns (bytes32) {
        RevealAudit memory m = RevealAudit(who.at, id, verdict);
        bytes32 h = keccak256(abi.encode(AuditMessages.REVEAL_AUDIT, m));
        audits.revealAudit(m, sign(who, h));
        return digest(h);
    }

    /// One drawn, its verdict given: it is the first second in which verdicts are taken.
    function judged(Evidence memory e, uint32 verdict) internal returns (bytes32 id, Party memory who, bytes32 pass) {
        id = drawn(e, 1);
        who = drawnParty(id, 0);
        commitAudit(id, who);
        vm.warp(drawnAt(id) + MOVE_S);
        pass = reveal(id, who, verdict);
    }

    function drawnAt(bytes32 id) internal view returns (uint256) {
        (AuditRecord memory a,) = audits.audit(id);
        return a.drawnAt;
    }

    // Checks.

    function checkOf(bytes32 id, Party memory who, Party memory by, bytes memory proof)
        internal
        returns (AuditCheck memory)
    {
        return AuditCheck(by.at, id, who.at, 100_000, sha256(proof), ++nonce);
    }

    function idOf(AuditCheck memory m) internal view returns (bytes32) {
        return digest(keccak256(abi.encode(AuditMessages.AUDIT_CHECK, m)));
    }

    function checking(Party memory by, AuditCheck memory m, Evidence memory e, bytes memory proof)
        internal
        view
        returns (bytes memory)
    {
        bytes memory signature = sign(by, keccak256(abi.encode(AuditMessages.AUDIT_CHECK, m)));
        return abi.encodeCall(IChecks.check, (m, signature, terms, e, executionOf(), proof));
    }

    function answering(Party memory by, bytes32 check, bytes memory proof, bytes memory reply)
        internal
        view
        returns (bytes memory)
    {
        CheckAnswer memory m = CheckAnswer(by.at, check);
        bytes memory signature = sign(by, keccak256(abi.encode(AuditMessages.CHECK_ANSWER, m)));
        return abi.encodeCall(IChecks.answer, (m, signature, proof, reply));
    }

    function expiring(Party memory by, bytes32 check) internal view returns (bytes memory) {
        Timeout memory m = Timeout(by.at, check);
        return abi.encodeCall(IChecks.timeout, (m, sign(by, keccak256(abi.encode(Messages.TIMEOUT, m)))));
    }

    function settling(Party memory by, bytes32 id) internal view returns (bytes memory) {
        SettleAudit memory m = SettleAudit(by.at, id);
        return abi.encodeCall(IAudits.settleAudit, (m, sign(by, keccak256(abi.encode(AuditMessages.SETTLE_AUDIT, m)))));
    }

    // Disputes of statements and of passes.

    function filingOf(Evidence memory e) internal view returns (Filing memory f) {
        f.evidence = e;
        f.execution = executionOf();
    }

    /// Convicts the statement by the proof of a toy.
    function convict(Evidence memory e) internal returns (bytes32) {
        Filing memory f = filingOf(e);
        (f.withoutGame, f.finish) = (true, "wrong");
        return file(other, disputeOf(e, other), terms, f);
    }

    function passDispute(bytes32 pass, Party memory by) internal returns (Dispute memory) {
        return Dispute(by.at, leaseId, pass, 100_000, ++nonce);
    }

    /// Committed to and filed with the passes.
    function filePass(Party memory by, Dispute memory m, Filing memory f) internal returns (bytes32) {
        commit(by, commitmentOf(m, f));
        accepted(address(passes), filing(by, m, terms, f));
        return idOf(m);
    }

    function movingPass(Party memory by, bytes32 id, Case memory about, bytes memory payload)
        internal
        view
        returns (bytes memory)
    {
        Move memory m = Move(id, passes.dispute(id).moves, passes.dispute(id).game, sha256(payload));
        Played memory p;
        p.payload = payload;
        return abi.encodeCall(
            IGameCourt.move, (m, sign(by, keccak256(abi.encode(Messages.MOVE, m))), terms, about, p)
        );
    }
}
