// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Played} from "../../src/disputes/IGames.sol";
import {Filing} from "../../src/disputes/IDisputes.sol";
import {Claiming, LeaseRecord, LeaseState} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {FirstMove} from "../disputes/FirstMove.sol";
import {Crowd} from "./Crowd.sol";

/// How the people of the crowd leave, wherever a history ends: in peace, and besieged.
contract LeavingCrowd is Crowd {
    uint256 private constant STEP = 20; // moveS
    // Of a lease: what is left of it and its window; the windows of a claim of the last second, of its contest, of what
    // that opened; a dispute of the last second, one move in it; then unbonding. A siege is looked at a few times only.
    uint256 private constant EXIT = 500 + 100 + 3 * 100 + 2 * STEP + 500 + 4 * STEP;

    Party private puppet = party(9);
    uint256 public hindered; // what besiegers got in

    /// From wherever they are, everybody gets everything out that is theirs, with no one's consent, within the times
    /// that were published.
    function leave() external {
        later(STEP);
        while (open_.length != 0) {
            uint256 before = open_.length;
            timingOut(open_.length - 1);
            vm.assertTrue(open_.length < before, "a dispute ends");
        }
        // Expiry and window, and the window of a claim or of its answer.
        later(1000 + 200 + 200);
        for (uint256 i = 0; i < held.length; ++i) {
            LeaseRecord memory l = market.lease(idOf(held[i].terms));
            if (l.claiming == Claiming.Pending) finalizing(held[i]);
            closing(held[i].terms, payout);
            vm.assertTrue(market.lease(idOf(held[i].terms)).state != LeaseState.Open, "a lease ends");
        }
        Party[5] memory people = all();
        for (uint256 k = 0; k < 5; ++k) {
            uint256 staked = market.account(people[k].at).stake;
            if (staked == 0) continue;
            // Entries may be full: what is due makes room first.
            later(500);
            release(people[k]);
            vm.assertTrue(unbondOf(people[k], staked), "unbonding");
        }
        later(500);
        for (uint256 k = 0; k < 5; ++k) {
            release(people[k]);
            withdrawAll(people[k]);
        }
        vm.assertEq(token.balanceOf(address(market)), market.totals().burned, "only what is burned stays");
    }

    function withdrawAll(Party memory p) private {
        uint256 rest = available(p.at);
        if (rest == 0) return;
        Withdraw memory m = Withdraw(p.at, uint128(rest), ++nonce);
        market.withdraw(m, sign(p, keccak256(abi.encode(Messages.WITHDRAW, m))));
    }

    // A siege: of everybody by everybody else. A provider and a puppet dispute what it signed, and the puppet falls
    // silent: the bond goes from one of their pockets to another. A buyer demands what it has; claims and contests come
    // in the last moment. Whoever besieges always comes first.

    function besieged() external {
        vm.pauseGasMetering(); // more than a test's call may use
        uint256 until = clock() + EXIT;
        while (!gone()) {
            vm.assertLe(clock(), until, "within the times that were published");
            later(STEP);
            for (uint256 i = 0; i < held.length; ++i) hinder(i);
            endure();
        }
        Party[5] memory people = all();
        for (uint256 i = 0; i < 5; ++i) withdrawAll(people[i]);
        vm.resumeGasMetering();
        vm.assertEq(token.balanceOf(address(market)), market.totals().burned, "only what is burned stays");
    }

    function all() private view returns (Party[5] memory) {
        return [buyer, honest, liar, payout, puppet];
    }

    function gone() private view returns (bool) {
        if (open_.length != 0) return false;
        for (uint256 i = 0; i < held.length; ++i) {
            if (market.lease(idOf(held[i].terms)).state == LeaseState.Open) return false;
        }
        Party[5] memory people = all();
        for (uint256 i = 0; i < 5; ++i) {
            if (market.account(people[i].at).stake + market.account(people[i].at).unbonding != 0) return false;
        }
        return true;
    }

    function hinder(uint256 n) private {
        LeaseRecord memory l = market.lease(idOf(held[n].terms));
        // Once more when it is too late.
        if (l.state != LeaseState.Open && clock() > uint256(l.until) + l.window + STEP) return;
        if (available(puppet.at) < 1_000_000) deposit(puppet.at, 5_000_000);
        if (available(buyer.at) < 1_000_000) deposit(buyer.at, 5_000_000);
        uint256 before = done;
        disputing(n);
        this.demands(n);
        this.claims(n, 1000);
        if (l.claiming == Claiming.Pending && clock() + STEP >= l.until) this.contests(n);
        hindered += done - before;
    }

    /// The provider answers at once, and the challenger never.
    function disputing(uint256 n) private {
        enter(n);
        Held storage h = held[n];
        Filing memory f;
        f.evidence = evidence(h.terms, ++h.sequence, 7, keccak256("tape"));
        f.execution = ExecutionId(execution().weights_root, offered().program_hash, 0);
        Dispute memory m = disputeOf(f.evidence, puppet);
        commit(puppet, commitmentOf(m, f));
        if (!attempt(address(disputes), filing(puppet, m, h.terms, f))) return;
        open_.push(Open(idOf(m), n, caseOf(f, 2), false));
        Played memory first;
        first.payload = FirstMove.payload();
        bytes memory call = moving(provider, idOf(m), h.terms, caseOf(f, 2), first);
        vm.assertTrue(attempt(address(disputes), call), "answered");
    }

    /// What everybody can do alone.
    function endure() private {
        for (uint256 i = open_.length; i > 0; --i) timingOut(i - 1);
        for (uint256 i = 0; i < held.length; ++i) {
            LeaseRecord memory l = market.lease(idOf(held[i].terms));
            if (l.claiming == Claiming.Pending) finalizing(held[i]);
            if (l.state == LeaseState.Open) closing(held[i].terms, payout);
        }
        Party[5] memory people = all();
        for (uint256 i = 0; i < 5; ++i) {
            if (market.account(people[i].at).unbonding != 0) release(people[i]);
            if (market.account(people[i].at).stake != 0) unbondOf(people[i], market.account(people[i].at).stake);
        }
    }
}
