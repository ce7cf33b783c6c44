// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditRecord, AuditState, Drawn, IAudits} from "../../src/audits/IAudits.sol";
import {IAuditors} from "../../src/audits/IAuditors.sol";
import {IChecks} from "../../src/audits/IChecks.sol";
import {Filing, IGameCourt} from "../../src/disputes/IGameCourt.sol";
import {Account, IMarket, LeaseRecord, LeaseState, Totals} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {FirstMove} from "../disputes/FirstMove.sol";
import {CourseWorld} from "./CourseWorld.sol";
import {ToyKeyed} from "./ToyKeyed.sol";

/// People who hire auditors and are hired, in any order. Auditors 0 and 1 do what they should: they commit, pass what is
/// right and fail what is not, answer every check. Auditors 2 and 3 do as it comes, and give their keys away. Every third
/// receipt is false. What is refused changes nothing and is tried all the same.
abstract contract AuditCrowd is CourseWorld {
    struct Held {
        Lease terms;
        uint64 sequence; // receipts so far
    }

    struct Asked {
        bytes32 id;
        uint256 lease;
        uint64 sequence;
    }

    struct Open {
        bytes32 id;
        uint256 lease;
        uint64 sequence; // of the receipt that it is about
        bool check; // else a dispute: of a pass, or of the receipt
        bool pass;
    }

    uint8 internal constant AUDITORS = 4;
    uint8 private constant HONEST = 2;
    bytes32 private immutable TRACE_ROOT = FirstMove.traceRoot();

    Held[] internal held;
    Asked[] internal asked;
    Open[] internal open_;
    ReportKey[] private reports;
    Canary[] private canaries;
    mapping(bytes4 => uint256) public done; // calls that were applied

    constructor() {
        setUp();
        vm.etch(address(keyed), address(new ToyKeyed()).code);
        fund();
        for (uint8 i = 0; i < AUDITORS; ++i) {
            deposit(auditor(i).at, 30_000_000);
            stake(auditor(i), 2_000_000);
            register(auditor(i), FEE);
        }
        later(1);
    }

    /// Messages that were signed so far.
    function tried() external view returns (uint256) {
        return nonce;
    }

    function attempt(address target, bytes memory call) internal returns (bool applied_) {
        (applied_,) = target.call(call);
        if (applied_) ++done[bytes4(call)];
    }

    function rootOfTrace() internal view override returns (bytes32) {
        return TRACE_ROOT;
    }

    function isFalse(uint64 sequence) private pure returns (bool) {
        return sequence % 3 == 0;
    }

    /// Among the last four audits.
    function recent(uint256 n) internal view returns (uint256) {
        return asked.length - 1 - (n % 4 < asked.length ? n % 4 : 0);
    }

    function enter(uint256 n) internal {
        terms = held[n].terms;
        leaseId = idOf(terms);
    }

    function about(uint256 n) internal returns (Evidence memory) {
        return receipt(asked[n].lease, asked[n].sequence);
    }

    function receipt(uint256 lease, uint64 sequence) internal returns (Evidence memory) {
        enter(lease);
        return evidence(terms, sequence, 7, keccak256(abi.encode(sequence)));
    }

    // Time, and what an honest auditor does in it.

    function pass(uint256 seconds_) external {
        passing(seconds_ % 12);
    }

    function passLong(uint256 seconds_) external {
        passing(seconds_ % 8 == 0 ? seconds_ % 400 : seconds_ % 40);
    }

    function passing(uint256 rest) internal {
        while (rest != 0) {
            uint256 step = rest < 9 ? rest : 9;
            later(step);
            rest -= step;
            duties();
        }
    }

    function duties() private {
        for (uint256 i = 0; i < asked.length; ++i) {
            (AuditRecord memory a, Drawn[] memory all) = audits.audit(asked[i].id);
            if (a.state != AuditState.Drawn) continue;
            for (uint256 k = 0; k < all.length; ++k) duty(i, a, all[k]);
        }
    }

    function duty(uint256 at, AuditRecord memory a, Drawn memory d) private {
        bytes32 id = asked[at].id;
        (Party memory who, bool honest) = whoIs(d.account);
        // What a lazy one does is thrown once an audit: it commits, speaks, says pass of what is false, gives its key away.
        uint256 dice = honest ? 7 : uint256(keccak256(abi.encode(id, who.at)));
        uint256 since = clock() - a.drawnAt;
        if (d.nonceHash == 0 && since < MOVE_S && dice & 3 != 0 && !d.convicted) {
            commitAudit(id, who);
            if (honest || dice & 8 != 0) return;
            ReportKey memory m = reportOf(id, who, other);
            commit(other, commitmentOf(m));
            reports.push(m);
        }
        if (d.nonceHash == 0 || d.verdict != 0 || d.convicted || since < MOVE_S || since >= 2 * MOVE_S) return;
        if (dice & 4 == 0) attempt(address(audits), revealing(who, id, 1 + uint32(dice >> 8) % 3));
        else reveal(id, who, honest && isFalse(asked[at].sequence) ? FAIL : PASS);
    }

    function whoIs(address at) internal pure returns (Party memory who, bool honest) {
        for (uint8 i = 0; i < AUDITORS; ++i) if (auditor(i).at == at) return (auditor(i), i < HONEST);
    }

    // Registrations and stake.

    function registers(uint256 n, uint128 fee) external {
        Party memory who = auditor(uint8(n % AUDITORS));
        attempt(
            address(auditors), registering(who, registration(who, 1 + fee % 70_000, n / AUDITORS % 4 != 0), ENDPOINT)
        );
    }

    function stakes(uint256 n, uint256 amount) external {
        Party memory who = n % 5 == 4 ? provider : auditor(uint8(n % 5));
        if (available(who.at) < 3_000_000) deposit(who.at, 10_000_000);
        stake(who, uint128(1 + amount % 3_000_000));
    }

    function unbonds(uint256 n, uint256 amount) external {
        Party memory who = n % 5 == 4 ? provider : auditor(uint8(n % 5));
        attempt(address(market), unbonding(who, uint128(amount % (1 + market.account(who.at).stake))));
    }

    function releases(uint256 n) external {
        attempt(address(market), releasing(n % 5 == 4 ? provider : auditor(uint8(n % 5))));
    }

    // Leases.

    function leases(uint256 escrow) external {
        if (held.length >= 24) return;
        if (available(buyer.at) < 20_000_000) deposit(buyer.at, 50_000_000);
        if (market.account(provider.at).stake < 3_000_000) {
            deposit(provider.at, 5_000_000);
            stake(provider, 5_000_000);
        }
        Made memory made = makeLease(uint128(1_000_000 + escrow % 2_000_000));
        bytes memory call = abi.encodeCall(
            IMarket.openLease, (made.terms, made.signature, made.offer, made.offerSignature, made.model, 0)
        );
        if (!attempt(address(market), call)) return;
        held.push(Held(made.terms, 0));
        later(1);
    }

    function closes(uint256 n) external {
        // By whoever is not its provider only when it is over.
        if (held.length != 0) closing(n / 3 % held.length, n % 3 == 0 ? provider : payout);
    }

    function closing(uint256 n, Party memory by) internal {
        enter(n);
        Close memory m = Close(by.at, leaseId);
        attempt(
            address(market),
            abi.encodeCall(IMarket.close, (m, sign(by, keccak256(abi.encode(Messages.CLOSE, m))), terms))
        );
    }

    // Audits.

    function asks(uint256 n, uint32 count, uint128 feeMax) external {
        if (held.length == 0 || asked.length >= 60) return;
        uint256 at = n % held.length;
        enter(at);
        // A receipt of its own, or one that was audited before.
        uint64 sequence = n % 4 == 0 && held[at].sequence != 0 ? held[at].sequence : ++held[at].sequence;
        Evidence memory e = receipt(at, sequence);
        if (n % 3 == 0) {
            Canary memory c = canaryOf(e);
            commit(buyer, commitmentOf(shownOf(c)));
            canaries.push(c);
            later(1);
        }
        AuditRequest memory m = requestOf(e, 1 + count % 4, 60_000 + feeMax % 30_000);
        if (!attempt(address(audits), asking(buyer, m, terms, e))) return;
        asked.push(Asked(idOf(m), at, sequence));
    }

    function beacons(uint256 n) external {
        // Nobody waits for most rounds, and the chain has so many.
        if (asked.length == 0 || !waits(asked[asked.length - 1].id)) return;
        uint256 names = 1 + n % 3 < asked.length ? 1 + n % 3 : asked.length - n % 2;
        bytes32[] memory ids = new bytes32[](names);
        Lease[] memory all = new Lease[](names);
        for (uint256 i = 0; i < names; ++i) {
            Asked storage a = asked[asked.length - 1 - i];
            (ids[i], all[i]) = (a.id, held[a.lease].terms);
        }
        (uint256 round,) = audits.lastBeacon();
        if (round + 1 >= ROUNDS) return;
        attempt(address(audits), publishing(host, Beacon(uint64(round + 1), beaconOf(round + 1)), ids, all));
        duties();
    }

    function waits(bytes32 id) private view returns (bool) {
        (uint256 round,) = audits.lastBeacon();
        return auditOf(id).state == AuditState.Waiting && auditOf(id).round > round;
    }

    function draws(uint256 n, uint256 most) external {
        if (asked.length == 0) return;
        Asked storage a = asked[recent(n)];
        attempt(address(audits), abi.encodeCall(IAudits.draw, (a.id, held[a.lease].terms, most % 4)));
        duties();
    }

    function settles(uint256 n) external {
        if (asked.length != 0) attempt(address(audits), settling(payout, asked[n % asked.length].id));
    }

    function leaks(uint256 n) external {
        if (reports.length == 0) return;
        // One of the last: a commitment does not live long.
        uint256 back = n % 3 < reports.length ? n % 3 : 0;
        ReportKey memory m = reports[reports.length - 1 - back];
        if (attempt(address(audits), reporting(other, m))) vm.assertEq(slashable(m.auditor), 0, "all of it is slashed");
    }

    function shows(uint256 n) external {
        if (canaries.length == 0) return;
        Canary memory c = canaries[canaries.length - 1 - (n % 3 < canaries.length ? n % 3 : 0)];
        for (uint256 i = 0; i < held.length; ++i) if (idOf(held[i].terms) == c.lease) enter(i);
        attempt(address(audits), showing(buyer, shownOf(c), c));
    }

    function slashable(address who) private view returns (uint256) {
        return uint256(market.account(who).stake) + market.account(who).unbonding;
    }

    // Checks and disputes.

    function checks_(uint256 n) external {
        if (asked.length == 0) return;
        uint256 at = recent(n);
        // One whose passes can be checked now, if there is.
        for (uint256 i = 0; i < asked.length; ++i) {
            uint256 since = clock() - auditOf(asked[i].id).drawnAt;
            if (since >= 2 * MOVE_S && since < 3 * MOVE_S) at = i;
        }
        Evidence memory e = about(at);
        (, Drawn[] memory all) = audits.audit(asked[at].id);
        if (all.length == 0) return;
        (Party memory who, bool honest) = whoIs(all[n / 16 % all.length].account);
        AuditCheck memory m = checkOf(asked[at].id, who, payout, "opens");
        if (available(payout.at) < 1_000_000) deposit(payout.at, 2_000_000);
        if (!attempt(address(checks), checking(payout, m, e, "opens"))) return;
        open_.push(Open(idOf(m), asked[at].lease, asked[at].sequence, true, false));
        if (!honest && n / 128 % 4 != 0) return;
        vm.assertTrue(attempt(address(checks), answering(who, idOf(m), "opens", "shows")), "answered");
    }

    /// A provider may lose by silence with a receipt that is right: its auditors do not.
    function disputesAReceipt(uint256 n) external {
        if (asked.length == 0) return;
        uint256 at = n % asked.length;
        if (n / 64 % 2 == 0) return;
        Evidence memory e = about(at);
        Filing memory f = filingOf(e);
        f.withoutGame = isFalse(asked[at].sequence);
        f.finish = "wrong";
        Dispute memory m = disputeOf(e, other);
        filing_(address(disputes), m, f, at, false);
    }

    function disputesAPass(uint256 n) external {
        if (asked.length == 0) return;
        uint256 at = recent(n);
        Evidence memory e = about(at);
        (, Drawn[] memory all) = audits.audit(asked[at].id);
        if (all.length == 0) return;
        Drawn memory d = all[n / 16 % all.length];
        (, bool honest) = whoIs(d.account);
        Filing memory f = filingOf(e);
        // Of who computed, a referee says that it is right.
        f.withoutGame = honest || n % 3 != 0;
        f.finish = honest ? bytes("right") : n % 3 == 1 ? bytes("wrong") : bytes("invalid");
        filing_(address(passes), passDispute(d.pass, other), f, at, true);
    }

    function filing_(address court, Dispute memory m, Filing memory f, uint256 at, bool pass_) internal {
        if (available(other.at) < 1_000_000) deposit(other.at, 2_000_000);
        commit(other, commitmentOf(m, f));
        if (!attempt(court, filing(other, m, terms, f))) return;
        if (!IGameCourt(court).dispute(idOf(m)).decided) open_.push(Open(idOf(m), asked[at].lease, asked[at].sequence, false, pass_));
    }

    function timesOut(uint256 n) external {
        if (open_.length != 0) timingOut(n % open_.length);
    }

    function timingOut(uint256 i) internal {
        Open memory o = open_[i];
        Evidence memory e = receipt(o.lease, o.sequence);
        bytes memory call = o.check ? expiring(payout, o.id) : timingOut(payout, o.id, terms, caseOf(filingOf(e), 2));
        bool applied_ = attempt(o.check ? address(checks) : o.pass ? address(passes) : address(disputes), call);
        if (!applied_ && !(o.check && checks.record(o.id).ended)) return;
        open_[i] = open_[open_.length - 1];
        open_.pop();
    }

    // What must hold.

    function people() internal view returns (Party[8] memory) {
        return [buyer, provider, payout, other, auditor(0), auditor(1), auditor(2), auditor(3)];
    }

    function checkConserved() external view {
        uint256 all = 0;
        Party[8] memory list = people();
        for (uint256 i = 0; i < 8; ++i) {
            Account memory a = market.account(list[i].at);
            all += uint256(a.available) + a.stake + a.unbonding;
            vm.assertLe(a.bound, a.stake, "what is bound is there");
        }
        for (uint256 i = 0; i < held.length; ++i) all += market.lease(idOf(held[i].terms)).escrow;
        uint256 fees = 0;
        for (uint256 i = 0; i < asked.length; ++i) {
            (AuditRecord memory a, Drawn[] memory drawn_) = audits.audit(asked[i].id);
            uint256 due = 0;
            for (uint256 k = 0; k < drawn_.length; ++k) if (drawn_[k].feeHeld) due += drawn_[k].fee;
            if (a.state == AuditState.Waiting) due = uint256(a.asked) * a.feeMax;
            vm.assertEq(a.held, due, "what an audit holds is owed");
            fees += due;
        }
        Totals memory t = market.totals();
        vm.assertEq(t.fees, fees, "fees");
        vm.assertEq(all + t.bonds + t.fees + t.burned, t.deposited - t.withdrawn, "conserved");
        vm.assertEq(token.balanceOf(address(market)), t.deposited - t.withdrawn, "all of it is there");
    }

    function checkHonest() external view {
        for (uint8 i = 0; i < HONEST; ++i) {
            Account memory a = market.account(auditor(i).at);
            vm.assertTrue(a.convictions == 0 && a.slashed == 0, "who did what it should is not slashed");
            vm.assertEq(registered(auditor(i)).missed, 0, "nor found missing");
        }
    }

    function checkReached() external view {
        vm.assertGe(market.account(provider.at).convictions, 1, "convictions of receipts");
        for (uint8 i = HONEST; i < AUDITORS; ++i) {
            vm.assertGe(market.account(auditor(i).at).convictions, 1, "of who was lazy");
        }
    }
}
