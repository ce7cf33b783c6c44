// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "../market/Domain.sol";
import {Conflict, Mismatch, NotFound, Refused, Why} from "../market/Errors.sol";
import {Claiming, ICourtAccess, IMarket, LeaseRecord, LeaseState} from "../market/IMarket.sol";
import {Lease, Messages} from "../market/Messages.sol";
import {Evidence, Statements} from "../market/Statements.sol";

enum Turn {
    Provider,
    Challenger,
    Over
}

/// Of a dispute; as in spec/messages.md.
enum Ending {
    ProviderRight,
    ProviderWrong,
    NotJudged,
    InvalidModel
}

interface ICourt {
    /// @notice The market whose leases it judges, and whose domain its messages are signed for.
    function market() external view returns (address);
}

/// What both courts ask of the market, whose domain their messages are signed for.
abstract contract Court is ICourt {
    address internal immutable MARKET;

    constructor(address market_) {
        MARKET = market_;
    }

    function market() external view returns (address) {
        return MARKET;
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return Domain.digest(MARKET, structHash);
    }

    function _lease(bytes32 id, Lease calldata terms) internal view returns (LeaseRecord memory l) {
        l = IMarket(MARKET).lease(id);
        if (l.opened == 0) revert NotFound(Why.NoLease);
        _checkTerms(id, terms);
    }

    function _checkTerms(bytes32 id, Lease calldata terms) internal view {
        if (_digest(Messages.hash(terms)) != id) revert Mismatch(Why.OtherLease);
    }

    function _convicted(bytes32 subject) internal view returns (bool) {
        return IMarket(MARKET).convicted(subject);
    }

    /// A statement can be disputed, or its answer demanded, until lease close + window, and convicted once.
    function _checkDisputable(LeaseRecord memory l, bytes32 subject) internal view {
        if (l.state != LeaseState.Open && block.timestamp > uint256(l.until) + l.window) {
            revert Refused(Why.NoLongerDisputable);
        }
        if (_convicted(subject)) revert Conflict(Why.Convicted);
    }

    /// What holds a lease open by a deadline of its own is filed while it runs, or once it is closed: else whoever is on
    /// both sides could keep it open for ever, with the escrow, and the stake of whoever answers for it.
    function _checkNotOver(LeaseRecord memory l, Lease calldata terms) internal view {
        if (l.state != LeaseState.Open || block.timestamp <= uint256(terms.expires) + terms.window) return;
        // What may still be paid may still be disputed.
        if (l.claiming == Claiming.Pending && block.timestamp < l.until) return;
        revert Refused(Why.CloseFirst);
    }

    function _checkEvidence(bytes32 id, Lease calldata terms, Evidence calldata e, bytes32 statement) internal view {
        Statements.check(
            MARKET,
            id,
            terms,
            Messages.withoutBiases(e.request),
            Messages.hash(e.request),
            e.requestSignature,
            e.statement.figures.request,
            statement,
            e.statement.signature
        );
    }

    function _access() internal view returns (ICourtAccess) {
        return ICourtAccess(MARKET);
    }

    function _moveS() internal view returns (uint256) {
        return IMarket(MARKET).parameters().moveS;
    }
}
