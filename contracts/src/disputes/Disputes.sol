// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAudits} from "../audits/IAudits.sol";
import {Domain} from "../market/Domain.sol";
import {AlreadyApplied, Conflict, Mismatch, Refused, Why} from "../market/Errors.sol";
import {IAuditMoney, IMarket, LeaseRecord} from "../market/IMarket.sol";
import {CommitDispute, Dispute, Equivocation, Lease, Messages, Request} from "../market/Messages.sol";
import {Statement, Statements} from "../market/Statements.sol";
import {Court, Ending, Turn} from "./Court.sol";
import {GameCourt} from "./GameCourt.sol";
import {DisputeRecord, IDisputes} from "./IDisputes.sol";

/// @title Disputes about what a provider signed; what they promise is in IDisputes.
contract Disputes is IDisputes, GameCourt {
    struct Commitment {
        uint64 made; // zero: none
        uint64 height; // the block's number
    }

    mapping(address => mapping(bytes32 => Commitment)) private commitments;
    mapping(bytes32 => bool) private applied;

    constructor(address market_, address games_) Court(market_) GameCourt(games_) {}

    function commitDispute(CommitDispute calldata m, bytes calldata signature) external {
        bytes32 id = _digest(Messages.hash(m));
        if (applied[id]) revert AlreadyApplied(id);
        Domain.checkSigned(m.account, id, signature);
        if (_live(m.account, m.commitment)) revert Conflict(Why.Committed);
        applied[id] = true;
        commitments[m.account][m.commitment] = Commitment(uint64(block.timestamp), uint64(block.number));
        emit DisputeCommitted(id, m.account, m.commitment);
    }

    function reportEquivocation(
        Equivocation calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Request calldata request,
        bytes calldata requestSignature,
        Statement calldata first,
        Statement calldata second
    ) external {
        bytes32 id = _digest(Messages.hash(m));
        if (disputes[id].defender != address(0)) revert AlreadyApplied(id);
        Domain.checkSigned(m.challenger, id, signature);
        LeaseRecord memory l = _lease(m.lease, terms);
        if (m.first != Statements.id(MARKET, first) || m.second != Statements.id(MARKET, second)) {
            revert Mismatch(Why.OtherStatement);
        }
        _checkDisputable(l, m.first);
        _checkDisputable(l, m.second);
        // A canary would keep the stake that the other statement costs.
        (address audits,) = IAuditMoney(MARKET).auditCourts();
        if (IAudits(audits).canary(m.first) != 0 && IAudits(audits).canary(m.second) == 0) {
            revert Refused(Why.CanaryOf);
        }
        _checkStatement(m.lease, terms, request, requestSignature, first, m.first);
        _checkStatement(m.lease, terms, request, requestSignature, second, m.second);
        if (!Statements.contradict(first, second)) revert Refused(Why.NoContradiction);
        _use(m.challenger, sha256(abi.encodePacked(id)));

        DisputeRecord storage d = disputes[id];
        d.challenger = m.challenger;
        d.defender = terms.provider;
        d.filed = uint40(block.timestamp);
        d.lease = m.lease;
        d.subject = m.first;
        d.decided = true;
        d.turn = Turn.Over;
        d.outcome = Ending.ProviderWrong;
        uint256 amount = first.figures.amount > second.figures.amount ? first.figures.amount : second.figures.amount;
        emit Decided(id, m.lease, Ending.ProviderWrong);
        _access().convict(m.lease, terms, m.first, m.second, amount, m.challenger);
    }

    function consume(address who, bytes32 commitment) external returns (uint256 made) {
        (address audits,) = IAuditMoney(MARKET).auditCourts();
        if (msg.sender != audits) {
            (, address passes) = IAudits(audits).judges();
            if (msg.sender != passes) revert Refused(Why.NotAnAudit);
        }
        return _use(who, commitment);
    }

    // Reading.

    function committed(address who, bytes32 commitment) external view returns (uint256) {
        return commitments[who][commitment].made;
    }

    // What is disputed.

    function _aboutOf(LeaseRecord memory l, Dispute calldata m, Lease calldata terms)
        internal
        view
        override
        returns (About memory)
    {
        _checkDisputable(l, m.subject);
        _checkNotOver(l, terms);
        return About(m.subject, terms.provider, m.lease);
    }

    function _placeOf(DisputeRecord storage d) internal view override returns (bytes32) {
        return d.lease;
    }

    function _convictedMeanwhile(DisputeRecord storage d) internal view override returns (bool) {
        return _convicted(d.subject);
    }

    function _hold(bytes32 lease, address, address challenger, uint128 bond) internal override {
        _access().openDispute(lease, challenger, bond, false);
    }

    function _carryOut(DisputeRecord storage d, bytes32 lease, Lease calldata terms, uint256 amount, Ending outcome)
        internal
        override
    {
        _access().endDispute(lease, outcome == Ending.ProviderRight ? terms.payout : d.challenger, d.bond, false);
        if (outcome == Ending.ProviderWrong) {
            _access().convict(lease, terms, d.subject, 0, amount, d.challenger);
        } else if (outcome == Ending.InvalidModel) {
            _access().endForInvalidModel(lease, terms);
        }
    }

    // Inside.

    function _checkStatement(
        bytes32 id,
        Lease calldata terms,
        Request calldata request,
        bytes calldata requestSignature,
        Statement calldata s,
        bytes32 statement
    ) private view {
        Statements.check(
            MARKET,
            id,
            terms,
            Messages.withoutBiases(request),
            Messages.hash(request),
            requestSignature,
            s.figures.request,
            statement,
            s.signature
        );
    }

    function _live(address who, bytes32 commitment) private view returns (bool) {
        uint256 made = commitments[who][commitment].made;
        return made != 0 && block.timestamp <= made + IMarket(MARKET).parameters().windowMaxS;
    }

    /// Made in an earlier block: whoever reads a report among the waiting transactions is too late to announce it.
    function _use(address who, bytes32 commitment) internal override returns (uint256 made) {
        if (!_live(who, commitment)) revert Refused(Why.NotCommitted);
        Commitment memory c = commitments[who][commitment];
        // A later block has another number or another time: some rollups count the blocks of the chain below.
        if (block.number <= c.height && block.timestamp <= c.made) revert Refused(Why.NotCommitted);
        delete commitments[who][commitment];
        return c.made;
    }
}
