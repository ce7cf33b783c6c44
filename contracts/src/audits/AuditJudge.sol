// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Court} from "../disputes/Court.sol";
import {NotFound, Why} from "../market/Errors.sol";
import {IAuditMoney} from "../market/IMarket.sol";
import {AuditRecord, Drawn, IAuditAccess, IAudits} from "./IAudits.sol";

/// What checks and disputes of passes ask of the audits of their market.
abstract contract AuditJudge is Court {
    function _audits() internal view returns (address audits) {
        (audits,) = IAuditMoney(MARKET).auditCourts();
    }

    function _judged() internal view returns (IAuditAccess) {
        return IAuditAccess(_audits());
    }

    /// An audit, and one that was drawn for it.
    function _drawn(bytes32 id, address auditor) internal view returns (AuditRecord memory a, Drawn memory d) {
        Drawn[] memory all;
        (a, all) = IAudits(_audits()).audit(id);
        if (a.buyer == address(0)) revert NotFound(Why.NoAudit);
        for (uint256 i = 0; i < all.length; ++i) {
            if (all[i].account == auditor) return (a, all[i]);
        }
        revert NotFound(Why.NotDrawn);
    }
}
