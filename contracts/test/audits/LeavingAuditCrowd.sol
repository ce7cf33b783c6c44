// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AuditState, Drawn} from "../../src/audits/IAudits.sol";
import {Played} from "../../src/disputes/IGames.sol";
import {Account, LeaseRecord, LeaseState, Totals} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {FirstMove} from "../disputes/FirstMove.sol";
import {AuditCrowd} from "./AuditCrowd.sol";

/// How hired auditors and those who hire them leave, wherever a history ends: in peace, and besieged.
contract LeavingAuditCrowd is AuditCrowd {
    uint256 private constant STEP = MOVE_S;
    // Of a lease: what is left of it and its window, a dispute of the last second with one move, then the stake that
    // answered for it. A pass of it is over before that: a receipt convicted by a dispute of the last second after the
    // lease ended, the window that opens, a dispute of that pass. A siege is looked at a few times only.
    uint256 private constant EXIT = 500 + 100 + 2 * STEP + 500 + 4 * STEP;

    uint256 public hindered; // what besiegers got in

    /// From wherever they are, everybody gets everything out that is theirs, with no one's consent, within the times
    /// that were published.
    function leave() external {
        passing(4 * MOVE_S);
        while (open_.length != 0) {
            uint256 before = open_.length;
            timingOut(open_.length - 1);
            vm.assertTrue(open_.length < before, "a check or a dispute ends");
        }
        for (uint256 i = 0; i < asked.length; ++i) {
            attempt(address(audits), settling(payout, asked[i].id));
            is_(asked[i].id, AuditState.Settled);
        }
        // Expiry and window.
        later(1200);
        for (uint256 i = 0; i < held.length; ++i) {
            closing(i, payout);
            vm.assertTrue(market.lease(idOf(held[i].terms)).state != LeaseState.Open, "a lease ends");
        }
        Party[8] memory list = people();
        later(500);
        for (uint256 i = 0; i < 8; ++i) {
            if (i >= 4) attempt(address(auditors), registering(list[i], registration(list[i], FEE, false), ENDPOINT));
            // Entries may be full: what is due makes room first.
            attempt(address(market), releasing(list[i]));
            uint256 staked = market.account(list[i].at).stake;
            if (staked != 0) accepted(address(market), unbonding(list[i], uint128(staked)));
        }
        later(500);
        for (uint256 i = 0; i < 8; ++i) attempt(address(market), releasing(list[i]));
        withdrawAll();
    }

    function withdrawAll() private {
        Party[8] memory list = people();
        for (uint256 i = 0; i < 8; ++i) {
            uint256 rest = available(list[i].at);
            if (rest == 0) continue;
            Withdraw memory m = Withdraw(list[i].at, uint128(rest), ++nonce);
            market.withdraw(m, sign(list[i], keccak256(abi.encode(Messages.WITHDRAW, m))));
        }
        Totals memory t = market.totals();
        vm.assertTrue(t.fees == 0 && t.bonds == 0, "nothing is held");
        vm.assertEq(token.balanceOf(address(market)), t.burned, "only what is burned stays");
    }

    // A siege: provider, buyer and challengers are one, and want the auditors' stake to stay. They dispute what they
    // sign and lose by silence, convict audited receipts as late as they can, dispute and check passes, ask for more
    // audits. Whoever besieges always comes first.

    function besieged() external {
        vm.pauseGasMetering(); // more than a test's call may use
        uint256 until = clock() + EXIT;
        while (!gone()) {
            vm.assertLe(clock(), until, "within the times that were published");
            passing(STEP);
            for (uint256 i = 0; i < held.length; ++i) hinderLease(i);
            for (uint256 i = 0; i < asked.length; ++i) hinderAudit(i);
            endure();
        }
        withdrawAll();
        vm.resumeGasMetering();
    }

    function gone() private view returns (bool) {
        if (open_.length != 0) return false;
        for (uint256 i = 0; i < held.length; ++i) {
            if (market.lease(idOf(held[i].terms)).state == LeaseState.Open) return false;
        }
        for (uint256 i = 0; i < asked.length; ++i) {
            if (auditOf(asked[i].id).state != AuditState.Settled) return false;
        }
        Party[8] memory list = people();
        for (uint256 i = 0; i < 8; ++i) {
            if (market.account(list[i].at).stake + market.account(list[i].at).unbonding != 0) return false;
        }
        return true;
    }

    function hinderLease(uint256 n) private {
        LeaseRecord memory l = market.lease(idOf(held[n].terms));
        // Once more when it is too late.
        if (l.state != LeaseState.Open && clock() > uint256(l.until) + l.window + STEP) return;
        if (available(other.at) < 1_000_000) deposit(other.at, 5_000_000);
        if (available(buyer.at) < 1_000_000) deposit(buyer.at, 5_000_000);
        this.asks(n + 3 * held.length, 4, 20_000);
        this.beacons(n);
        uint64 sequence = ++held[n].sequence;
        Evidence memory e = receipt(n, sequence);
        Dispute memory m = disputeOf(e, other);
        if (!filed(address(disputes), m, e, n, sequence)) return;
        Played memory first;
        first.payload = FirstMove.payload();
        bytes memory call = moving(provider, idOf(m), terms, caseOf(filingOf(e), 2), first);
        vm.assertTrue(attempt(address(disputes), call), "answered");
    }

    function hinderAudit(uint256 at) private {
        LeaseRecord memory l = market.lease(idOf(held[asked[at].lease].terms));
        (, Drawn[] memory all) = audits.audit(asked[at].id);
        Evidence memory e = about(at);
        bool late = l.state != LeaseState.Open && clock() + STEP >= uint256(l.until) + l.window;
        if (late && clock() <= uint256(l.until) + l.window + STEP) {
            // Nobody answers: a receipt is convicted by whoever signed it.
            filed(address(disputes), disputeOf(e, other), e, asked[at].lease, asked[at].sequence);
        }
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i].pass == 0 || audits.known(auditOf(asked[at].id).subject) == 0) continue;
            uint256 until = audits.passDisputableUntil(asked[at].id);
            if (until != 0 && clock() > until + STEP) continue;
            (Party memory who,) = whoIs(all[i].account);
            if (available(other.at) < 1_000_000) deposit(other.at, 5_000_000);
            Dispute memory m = passDispute(all[i].pass, other);
            if (!filed(address(passes), m, e, asked[at].lease, asked[at].sequence)) continue;
            bytes memory call = movingPass(who, idOf(m), caseOf(filingOf(e), 2), FirstMove.payload());
            vm.assertTrue(attempt(address(passes), call), "answered");
        }
        uint256 since = clock() - auditOf(asked[at].id).drawnAt;
        if (since >= 2 * MOVE_S && since < 3 * MOVE_S) this.checks_(at);
    }

    function filed(address court, Dispute memory m, Evidence memory e, uint256 lease, uint64 sequence)
        private
        returns (bool)
    {
        commit(other, commitmentOf(m, filingOf(e)));
        if (!attempt(court, filing(other, m, terms, filingOf(e)))) return false;
        open_.push(Open(idOf(m), lease, sequence, false, court == address(passes)));
        ++hindered;
        return true;
    }

    /// What everybody can do alone.
    function endure() private {
        for (uint256 i = open_.length; i > 0; --i) timingOut(i - 1);
        for (uint256 i = 0; i < asked.length; ++i) {
            if (auditOf(asked[i].id).state != AuditState.Settled) {
                attempt(address(audits), settling(payout, asked[i].id));
            }
        }
        for (uint256 i = 0; i < held.length; ++i) {
            if (market.lease(idOf(held[i].terms)).state == LeaseState.Open) closing(i, payout);
        }
        Party[8] memory list = people();
        for (uint256 i = 0; i < 8; ++i) {
            if (i >= 4) attempt(address(auditors), registering(list[i], registration(list[i], FEE, false), ENDPOINT));
            Account memory a = market.account(list[i].at);
            if (a.unbonding != 0) attempt(address(market), releasing(list[i]));
            if (a.stake != 0) attempt(address(market), unbonding(list[i], a.stake));
        }
    }
}
