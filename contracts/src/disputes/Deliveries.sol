// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "../market/Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../market/Errors.sol";
import {Claiming, LeaseRecord} from "../market/IMarket.sol";
import {Delivery, DeliveryReport, Demand, Lease, Messages, Timeout} from "../market/Messages.sol";
import {Evidence, Statement, Statements} from "../market/Statements.sol";
import {Court, Ending, Turn} from "./Court.sol";
import {DemandRecord, IDeliveries, Wanted} from "./IDeliveries.sol";
import {SealedAnswer} from "./SealedAnswer.sol";

/// @title Answers that a provider signed for and keeps; what they promise is in IDeliveries.
contract Deliveries is IDeliveries, Court {
    uint256 public constant SEALED_BYTES_MAX = 64 * 1024;
    uint256 private constant OPEN_MAX = 64;
    /// Of one answer, as spec/messages.md has them.
    uint256 private constant LOGPROBS_MAX = 21;

    mapping(bytes32 => DemandRecord) private demands;
    mapping(bytes32 => bool) public demanded;

    constructor(address market_) Court(market_) {}

    function demand(Demand calldata m, bytes calldata signature, Lease calldata terms, Evidence calldata evidence)
        external
    {
        bytes32 id = _digest(Messages.hash(m));
        if (demands[id].bond != 0) revert AlreadyApplied(id);
        LeaseRecord memory l = _lease(m.lease, terms);
        if (m.buyer != terms.buyer) revert Refused(Why.NotTheBuyer);
        Domain.checkSigned(m.buyer, id, signature);
        Statement calldata s = evidence.statement;
        if (m.subject != Statements.id(MARKET, s)) revert Mismatch(Why.OtherStatement);
        _checkDisputable(l, m.subject);
        _checkNotOver(l, terms);
        if (demanded[m.subject]) revert Conflict(Why.Demanded);
        _checkEvidence(m.lease, terms, evidence, m.subject);
        if (Statements.wrongFigures(terms, Messages.withoutBiases(evidence.request), s.progress, s.figures)) {
            revert Refused(Why.WrongFigures);
        }
        uint256 width = Statements.logprobWidth(evidence.request);
        if (
            s.figures.count == 0 || evidence.request.logprobs > LOGPROBS_MAX
                || _size(s.figures.count, width) > SEALED_BYTES_MAX
        ) revert Refused(Why.NoSuchAnswer);
        // Demands one after the other would hold a claim up without end.
        if (l.claiming == Claiming.Pending && block.timestamp >= l.until) revert Refused(Why.WindowEnded);
        if (l.demands >= OPEN_MAX) revert Refused(Why.TooManyOpen);
        _access().openDispute(m.lease, m.buyer, m.bond, true);

        Wanted memory wanted = Wanted({
            provider: terms.provider,
            count: s.figures.count,
            width: uint32(width),
            saltCommitment: evidence.request.salt_commitment,
            tapeRoot: s.figures.tape_root,
            logprobsRoot: s.figures.logprobs_root
        });
        demanded[m.subject] = true;
        DemandRecord storage d = demands[id];
        d.buyer = m.buyer;
        d.bond = uint64(m.bond);
        d.turn = Turn.Provider;
        d.filed = uint40(block.timestamp);
        d.due = uint40(block.timestamp + _moveS());
        d.amount = uint64(s.figures.amount);
        d.lease = m.lease;
        d.subject = m.subject;
        d.about = keccak256(abi.encode(wanted));
        emit Demanded(id, m.lease, m.subject, m.buyer, m.bond, wanted);
    }

    function deliver(Delivery calldata m, bytes calldata signature, Wanted calldata wanted, bytes calldata answer)
        external
    {
        DemandRecord storage d = _live(m.demand);
        if (d.turn != Turn.Provider) revert Conflict(Why.Delivered);
        if (block.timestamp >= d.due) revert Refused(Why.DeadlinePassed);
        _checkWanted(d, wanted);
        if (m.provider != wanted.provider) revert Refused(Why.NotTheProvider);
        if (answer.length != _size(wanted.count, wanted.width)) revert Invalid(Why.AnswerLength);
        if (m.answer != sha256(answer)) revert Mismatch(Why.Answer);
        bytes32 id = _digest(Messages.hash(m));
        Domain.checkSigned(m.provider, id, signature);

        d.turn = Turn.Challenger;
        d.due = uint40(block.timestamp + _moveS());
        d.delivery = id;
        emit Delivered(id, m.demand, d.due);
    }

    function report(
        DeliveryReport calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Wanted calldata wanted,
        Delivery calldata delivery,
        bytes calldata answer
    ) external {
        DemandRecord storage d = _live(m.demand);
        if (m.buyer != d.buyer) revert Refused(Why.NotTheBuyer);
        Domain.checkSigned(m.buyer, _digest(Messages.hash(m)), signature);
        if (d.turn != Turn.Challenger) revert Refused(Why.NotDelivered);
        if (block.timestamp >= d.due) revert Refused(Why.DeadlinePassed);
        _checkTerms(d.lease, terms);
        _checkWanted(d, wanted);
        if (_digest(Messages.hash(delivery)) != d.delivery || sha256(answer) != delivery.answer) {
            revert Mismatch(Why.Answer);
        }
        if (sha256(abi.encodePacked("assay/salt/v0", m.salt_secret)) != wanted.saltCommitment) {
            revert Mismatch(Why.Secret);
        }
        if (SealedAnswer.isRight(wanted, m.salt_secret, m.demand, answer)) revert Refused(Why.AnswerIsRight);
        _decide(m.demand, d, terms, Ending.ProviderWrong);
    }

    function timeout(Timeout calldata m, bytes calldata signature, Lease calldata terms) external {
        Domain.checkSigned(m.account, _digest(Messages.hash(m)), signature);
        DemandRecord storage d = _open(m.dispute);
        _checkTerms(d.lease, terms);
        if (_convicted(d.subject)) {
            _decide(m.dispute, d, terms, Ending.NotJudged);
            return;
        }
        // A buyer that got what it demanded need not wait, and holds nobody's payment up.
        bool content = d.turn == Turn.Challenger && m.account == d.buyer;
        if (block.timestamp < d.due && !content) revert Refused(Why.DeadlineAhead);
        _decide(m.dispute, d, terms, d.turn == Turn.Provider ? Ending.ProviderWrong : Ending.ProviderRight);
    }

    function record(bytes32 id) external view returns (DemandRecord memory) {
        return demands[id];
    }

    // Inside.

    function _size(uint256 count, uint256 width) private pure returns (uint256) {
        return 4 * count * (1 + width);
    }

    function _open(bytes32 id) private view returns (DemandRecord storage d) {
        d = demands[id];
        if (d.bond == 0) revert NotFound(Why.NoDemand);
        if (d.decided) revert Conflict(Why.Decided);
    }

    function _live(bytes32 id) private view returns (DemandRecord storage d) {
        d = _open(id);
        if (_convicted(d.subject)) revert Conflict(Why.Convicted);
    }

    function _checkWanted(DemandRecord storage d, Wanted calldata wanted) private view {
        if (keccak256(abi.encode(wanted)) != d.about) revert Mismatch(Why.OtherStatement);
    }

    function _decide(bytes32 id, DemandRecord storage d, Lease calldata terms, Ending outcome) private {
        d.decided = true;
        d.outcome = outcome;
        d.turn = Turn.Over;
        d.due = 0;
        emit Decided(id, d.lease, outcome);
        _access().endDispute(d.lease, outcome == Ending.ProviderRight ? terms.payout : d.buyer, d.bond, true);
        if (outcome == Ending.ProviderWrong) _access().convict(d.lease, terms, d.subject, 0, d.amount, d.buyer);
    }
}
