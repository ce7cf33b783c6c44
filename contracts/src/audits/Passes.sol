// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Court, Ending} from "../disputes/Court.sol";
import {GameCourt} from "../disputes/GameCourt.sol";
import {DisputeRecord} from "../disputes/IGameCourt.sol";
import {IDisputes} from "../disputes/IDisputes.sol";
import {Conflict, Mismatch, Refused, Why} from "../market/Errors.sol";
import {IMarket, LeaseRecord} from "../market/IMarket.sol";
import {Dispute, Lease} from "../market/Messages.sol";
import {AuditJudge} from "./AuditJudge.sol";
import {AuditRecord, Drawn, IAudits} from "./IAudits.sol";
import {IPasses} from "./IPasses.sol";

/// @title Disputes about an auditor's pass; what they promise is in IPasses.
contract Passes is IPasses, GameCourt, AuditJudge {
    constructor(address market_, address games_) Court(market_) GameCourt(games_) {}

    function _aboutOf(LeaseRecord memory, Dispute calldata m, Lease calldata)
        internal
        view
        override
        returns (About memory)
    {
        IAudits audits = IAudits(_audits());
        (bytes32 audit, address auditor) = audits.pass(m.subject);
        if (auditor == address(0)) revert Mismatch(Why.NotAPass);
        (AuditRecord memory a, Drawn memory d) = _drawn(audit, auditor);
        if (a.lease != m.lease) revert Mismatch(Why.OtherLease);
        if (d.convicted) revert Conflict(Why.AuditorConvicted);
        if (audits.known(a.subject) == 0) revert Refused(Why.NotKnownFalse);
        uint256 until = audits.passDisputableUntil(audit);
        if (until != 0 && block.timestamp > until) revert Refused(Why.NoLongerDisputable);
        return About(a.subject, auditor, audit);
    }

    function _placeOf(DisputeRecord storage d) internal view override returns (bytes32 audit) {
        (audit,) = IAudits(_audits()).pass(d.subject);
    }

    function _convictedMeanwhile(DisputeRecord storage d) internal view override returns (bool) {
        (, Drawn memory drawn) = _drawn(_placeOf(d), d.defender);
        return drawn.convicted;
    }

    function _use(address who, bytes32 commitment) internal override returns (uint256) {
        (address disputes_,) = IMarket(MARKET).courts();
        return IDisputes(disputes_).consume(who, commitment);
    }

    function _hold(bytes32 audit, address auditor, address challenger, uint128 bond) internal override {
        _judged().hold(audit, auditor, challenger, bond, false);
    }

    /// A model that is invalid is no auditor's fault.
    function _carryOut(DisputeRecord storage d, bytes32 audit, Lease calldata, uint256, Ending outcome)
        internal
        override
    {
        address to = outcome == Ending.ProviderRight ? d.defender : d.challenger;
        _judged().end(audit, d.defender, to, d.bond, false);
        if (outcome == Ending.ProviderWrong) _judged().convictAuditor(audit, d.defender, d.challenger);
    }
}
