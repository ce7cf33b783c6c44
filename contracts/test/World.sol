// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AuditParameters} from "../src/audits/IAudits.sol";
import {Auditors} from "../src/audits/Auditors.sol";
import {Audits} from "../src/audits/Audits.sol";
import {Checks} from "../src/audits/Checks.sol";
import {Keyed} from "../src/audits/Keyed.sol";
import {Passes} from "../src/audits/Passes.sol";
import {Deliveries} from "../src/disputes/Deliveries.sol";
import {Disputes} from "../src/disputes/Disputes.sol";
import {Games} from "../src/disputes/Games.sol";
import {Blocks} from "../src/market/Blocks.sol";
import {Domain} from "../src/market/Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../src/market/Errors.sol";
import {Account, Block, LeaseRecord, LeaseState, Parameters, Totals} from "../src/market/IMarket.sol";
import {Market} from "../src/market/Market.sol";
import "../src/market/Messages.sol";
import {Evidence, Statement, Statements} from "../src/market/Statements.sol";
import {TestToken} from "./TestToken.sol";
import {Test} from "./Vm.sol";

/// A small market with a few people on it, as src/market/ledger_testutil.
abstract contract World is Test {
    struct Party {
        uint256 key;
        address at;
    }

    struct Made {
        Lease terms;
        bytes signature;
        Offer offer;
        bytes offerSignature;
        OfferModel model;
    }

    uint128 internal constant PRICE_IN = 2_000_000;
    uint128 internal constant PRICE_OUT = 4_000_000;
    uint32 internal constant PROMPT = 250;
    bytes32 internal constant SECRET = keccak256("a secret");
    uint256 internal constant ROUNDS = 64; // that the host's beacon can publish

    TestToken internal token;
    Market internal market;
    Games internal games;
    Disputes internal disputes;
    Deliveries internal deliveries;
    Keyed internal keyed;
    Auditors internal auditors;
    Checks internal checks;
    Passes internal passes;
    Audits internal audits;
    Blocks internal blocks;
    Party internal host;
    Party internal buyer;
    Party internal provider;
    Party internal payout;
    Party internal other;
    uint64 internal nonce;

    function party(uint8 number) internal pure returns (Party memory p) {
        p.key = uint256(number) * (type(uint256).max / 255);
        p.at = vm.addr(p.key);
    }

    /// Asked anew each time; `block.timestamp` the compiler reads once.
    function clock() public view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function later(uint256 seconds_) internal {
        vm.warp(clock() + seconds_);
    }

    /// Short times, so that a test reaches every deadline.
    function smallParameters() internal pure returns (Parameters memory) {
        return Parameters({
            exposureFactor: 3,
            unbondingS: 500,
            windowMinS: 50,
            windowMaxS: 200,
            leaseMaxS: 1000,
            moveS: 20,
            stakeMin: 1_000_000,
            disputeBond: 100_000,
            rewardMax: 1_000_000,
            burnedBps: 5000
        });
    }

    /// Of the host's chain, whose end is drawn at random.
    function beaconOf(uint256 round) internal pure returns (bytes32 value) {
        value = keccak256("the last value");
        for (uint256 i = ROUNDS; i > round; --i) value = sha256(abi.encodePacked("assay/beacon/v0", value));
    }

    function smallAudits() internal view returns (AuditParameters memory) {
        return AuditParameters(host.at, beaconOf(0), 2000);
    }

    function build(address referee, address programs) internal {
        (host, buyer, provider, payout, other) = (party(1), party(2), party(3), party(4), party(5));
        token = TestToken(vm.deployCode("TestToken.sol:TestToken", abi.encode(uint8(6))));
        // Not `new`: every test contract would hold, and compile, a copy of what it deploys.
        games = Games(vm.deployCode("Games.sol:Games", abi.encode(referee, programs)));
        keyed = Keyed(vm.deployCode("Keyed.sol:Keyed", abi.encode(programs)));
        address at = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 7);
        disputes = Disputes(vm.deployCode("Disputes.sol:Disputes", abi.encode(at, address(games))));
        deliveries = Deliveries(vm.deployCode("Deliveries.sol:Deliveries", abi.encode(at)));
        auditors = Auditors(vm.deployCode("Auditors.sol:Auditors", abi.encode(at)));
        checks = Checks(vm.deployCode("Checks.sol:Checks", abi.encode(at, address(keyed), address(games))));
        passes = Passes(vm.deployCode("Passes.sol:Passes", abi.encode(at, address(games))));
        audits = Audits(
            vm.deployCode(
                "Audits.sol:Audits",
                abi.encode(at, address(disputes), address(auditors), address(checks), address(passes), smallAudits())
            )
        );
        blocks = Blocks(vm.deployCode("Blocks.sol:Blocks", ""));
        market = Market(vm.deployCode("Market.sol:Market", abi.encode(address(token), smallParameters(), courts())));
        vm.assertEq(address(market), at, "the address foreseen");
        vm.warp(1000);
    }

    /// As the market's constructor has them.
    struct Courts {
        address disputes;
        address deliveries;
        address audits;
        address auditors;
        address blocks;
    }

    function courts() internal view returns (Courts memory) {
        return Courts(address(disputes), address(deliveries), address(audits), address(auditors), address(blocks));
    }

    /// Buyer 100.00, provider 10.00 of which all is stake, other 5.00.
    function fund() internal {
        deposit(buyer.at, 100_000_000);
        deposit(provider.at, 10_000_000);
        deposit(other.at, 5_000_000);
        stake(provider, 10_000_000);
    }

    function deposit(address to, uint128 amount) internal {
        token.mint(address(this), amount);
        token.approve(address(market), amount);
        market.deposit(to, amount);
    }

    function stake(Party memory who, uint128 amount) internal {
        Stake memory m = Stake(who.at, amount, ++nonce);
        market.stake(m, sign(who, keccak256(abi.encode(Messages.STAKE, m))));
    }

    // Messages.

    function digest(bytes32 structHash) internal view returns (bytes32) {
        return Domain.digest(address(market), structHash);
    }

    function sign(Party memory by, bytes32 structHash) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(by.key, digest(structHash));
        return abi.encodePacked(r, s, v);
    }

    function idOf(Lease memory m) internal view returns (bytes32) {
        return digest(keccak256(abi.encode(Messages.LEASE, m)));
    }

    function idOf(Receipt memory m) internal view returns (bytes32) {
        return digest(keccak256(abi.encode(Messages.RECEIPT, m)));
    }

    function idOf(Claim memory m) internal view returns (bytes32) {
        return digest(keccak256(abi.encode(Messages.CLAIM, m)));
    }

    function idOf(Dispute memory m) internal view returns (bytes32) {
        return digest(keccak256(abi.encode(Messages.DISPUTE, m)));
    }

    function execution() internal pure returns (ExecutionId memory) {
        return ExecutionId(keccak256("weights"), keccak256("program"), 0);
    }

    function offered() internal view virtual returns (OfferModel memory model) {
        ExecutionId memory e = execution();
        model.name = keccak256("toy");
        model.weights_root = e.weights_root;
        model.program_hash = e.program_hash;
        model.price_in = PRICE_IN;
        model.price_out = PRICE_OUT;
        model.context = 4096;
    }

    /// As the parties would sign it; sign again after a change.
    function makeLease(uint128 escrow) internal returns (Made memory made) {
        made.model = offered();
        made.offer.provider = provider.at;
        made.offer.payout = payout.at;
        made.offer.sequence = 1;
        made.offer.endpoint = keccak256("http://127.0.0.1:1");
        made.offer.slots = 1;
        made.offer.expires = uint64(block.timestamp + 1000);
        made.offer.models = new bytes32[](1);
        made.terms = Lease({
            buyer: buyer.at,
            provider: provider.at,
            payout: payout.at,
            offer: 0,
            execution: Messages.hash(
                ExecutionId(made.model.weights_root, made.model.program_hash, made.model.canon)
            ),
            price_in: PRICE_IN,
            price_out: PRICE_OUT,
            escrow: escrow,
            audit_chain: 0,
            disclosure: 0,
            window: 100,
            expires: uint64(block.timestamp + 500),
            nonce: ++nonce
        });
        signLease(made);
    }

    function signLease(Made memory made) internal view {
        made.offer.models[0] = keccak256(abi.encode(Messages.OFFER_MODEL, made.model));
        bytes32 offerHash = this.hashOffer(made.offer);
        made.offerSignature = sign(provider, offerHash);
        made.terms.offer = digest(offerHash);
        made.signature = sign(buyer, keccak256(abi.encode(Messages.LEASE, made.terms)));
    }

    function hashOffer(Offer calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    function hashRequest(Request calldata m) external pure returns (bytes32) {
        return Messages.hash(m);
    }

    /// As a leaf of a claim has it.
    function hashed(Request memory m) internal view returns (HashedRequest memory out) {
        bytes32 biases = this.hashBiases(m.logit_bias);
        assembly ("memory-safe") { mcopy(out, m, 704) }
        out.logit_bias = biases;
    }

    function hashBiases(LogitBias[] calldata list) external pure returns (bytes32) {
        return Messages.hash(list);
    }

    function hashProgress(Receipt calldata m) external pure returns (bytes32) {
        return Messages.hashProgress(m);
    }

    function open(Made memory made) internal returns (bytes32 id) {
        id = idOf(made.terms);
        market.openLease(made.terms, made.signature, made.offer, made.offerSignature, made.model, 0);
    }

    function lease(uint128 escrow) internal returns (Lease memory terms, bytes32 id) {
        Made memory made = makeLease(escrow);
        id = open(made);
        terms = made.terms;
    }

    function request(Lease memory terms, uint64 sequence) internal view virtual returns (Request memory r) {
        r.lease = idOf(terms);
        r.sequence = sequence;
        r.execution = terms.execution;
        r.prompt_root = keccak256("prompt");
        r.prompt_count = PROMPT;
        r.repetition_penalty_bits = 0x3f800000;
        r.top_p_bits = 0x3f800000;
        r.max_tokens = 2_000_000;
        r.stop_root = sha256("");
        r.salt_commitment = sha256(abi.encodePacked("assay/salt/v0", SECRET));
        r.cap = 100_000_000;
        r.expires = terms.expires;
    }

    function priceOf(uint32 prompt, uint32 count) internal pure returns (uint128) {
        return (PRICE_IN * prompt + 999_999) / 1_000_000 + (PRICE_OUT * count + 999_999) / 1_000_000;
    }

    function rootOfTrace() internal view virtual returns (bytes32) {
        return keccak256("trace");
    }

    /// Right in every respect; `tape` tells answers apart.
    function evidence(Lease memory terms, uint64 sequence, uint32 count, bytes32 tape)
        internal
        view
        returns (Evidence memory e)
    {
        e.request = request(terms, sequence);
        e.requestSignature = sign(buyer, this.hashRequest(e.request));
        e.statement.figures = Receipt({
            request: digest(this.hashRequest(e.request)),
            count: count,
            finish: count == 0 ? 2 : 0,
            tape_root: count == 0 ? sha256("") : tape,
            trace_root: rootOfTrace(),
            logprobs_root: 0,
            amount: priceOf(e.request.prompt_count, count),
            key_sequence: sequence,
            evidence: 0
        });
        signStatement(e);
    }

    function signStatement(Evidence memory e) internal view {
        bytes32 h = e.statement.progress
            ? this.hashProgress(e.statement.figures)
            : keccak256(abi.encode(Messages.RECEIPT, e.statement.figures));
        e.statement.signature = sign(provider, h);
    }

    function subjectOf(Evidence memory e) internal view returns (bytes32) {
        return digest(
            e.statement.progress
                ? this.hashProgress(e.statement.figures)
                : keccak256(abi.encode(Messages.RECEIPT, e.statement.figures))
        );
    }

    function settle(Lease memory terms, uint128 cumulative) internal {
        Settlement memory m = Settlement(idOf(terms), cumulative);
        Claim memory none;
        market.settle(m, sign(buyer, keccak256(abi.encode(Messages.SETTLEMENT, m))), terms, none);
    }

    function close(Lease memory terms, Party memory by) internal {
        Close memory m = Close(by.at, idOf(terms));
        market.close(m, sign(by, keccak256(abi.encode(Messages.CLOSE, m))), terms);
    }

    /// In a block before the next call's.
    function commit(Party memory by, bytes32 commitment) internal {
        announce(by, commitment);
        vm.roll(vm.getBlockNumber() + 1);
    }

    function announce(Party memory by, bytes32 commitment) internal {
        CommitDispute memory m = CommitDispute(by.at, commitment, ++nonce);
        disputes.commitDispute(m, sign(by, keccak256(abi.encode(Messages.COMMIT_DISPUTE, m))));
    }

    // Looking.

    function available(address who) internal view returns (uint256) {
        return market.account(who).available;
    }

    /// The call is refused with exactly this error.
    function refused(address target, bytes memory call, bytes4 kind, Why why) internal {
        (bool done, bytes memory answer) = target.call(call);
        vm.assertTrue(!done, "a call that should be refused");
        vm.assertEq(answer, abi.encodeWithSelector(kind, why), "the error");
    }

    function applied(address target, bytes memory call, bytes32 id) internal {
        (bool done, bytes memory answer) = target.call(call);
        vm.assertTrue(!done, "a call that was applied before");
        vm.assertEq(answer, abi.encodeWithSelector(AlreadyApplied.selector, id), "the error");
    }

    function accepted(address target, bytes memory call) internal {
        (bool done, bytes memory answer) = target.call(call);
        if (!done) {
            assembly ("memory-safe") { revert(add(answer, 32), mload(answer)) }
        }
    }
}
