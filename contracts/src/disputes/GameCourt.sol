// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "../market/Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../market/Errors.sol";
import {LeaseRecord} from "../market/IMarket.sol";
import {Dispute, Lease, Messages, Move, Receipt, Request, Timeout} from "../market/Messages.sol";
import {Statements} from "../market/Statements.sol";
import {Verdict} from "../referee/IReferee.sol";
import {Cases} from "./Cases.sol";
import {Court, Ending, Turn} from "./Court.sol";
import {DisputeRecord, Filing, IGameCourt} from "./IGameCourt.sol";
import {Case, IGames, Played} from "./IGames.sol";

/// @title Filing and playing of disputes; what it promises is in IGameCourt.
/// @dev A court adds what a dispute may be about and who answers for it, where commitments are, who holds the bond, and
/// what a decision does.
abstract contract GameCourt is IGameCourt, Court {
    /// Who answers for which statement. `place`: where the challenger's open disputes are few.
    struct About {
        bytes32 statement;
        address defender;
        bytes32 place;
    }

    uint256 private constant OPEN_MAX = 8;
    uint256 private constant MOVES_MAX = 64;
    uint256 private constant PAYLOAD_MAX = 16 * 1024;

    IGames private immutable GAMES;

    mapping(bytes32 => DisputeRecord) internal disputes;
    mapping(bytes32 => mapping(address => uint256)) public openOf;

    constructor(address games_) {
        GAMES = IGames(games_);
    }

    function fileDispute(Dispute calldata m, bytes calldata signature, Lease calldata terms, Filing calldata f)
        external
    {
        bytes32 id = _digest(Messages.hash(m));
        if (disputes[id].defender != address(0)) revert AlreadyApplied(id);
        Domain.checkSigned(m.challenger, id, signature);
        About memory a = _checkFiling(m, terms, f);
        _useCommitment(m.challenger, id, f);
        if (openOf[a.place][m.challenger] >= OPEN_MAX) revert Refused(Why.TooManyOpen);
        _hold(a.place, a.defender, m.challenger, m.bond);

        DisputeRecord storage d = disputes[id];
        d.challenger = m.challenger;
        d.bond = uint64(m.bond);
        d.defender = a.defender;
        d.filed = uint40(block.timestamp);
        d.lease = m.lease;
        d.subject = m.subject;
        ++openOf[a.place][m.challenger];
        Receipt calldata figures = f.evidence.statement.figures;
        if (Statements.wrongFigures(terms, Messages.withoutBiases(f.evidence.request), f.evidence.statement.progress, figures)) {
            Case memory none;
            none.amount = uint64(figures.amount < Statements.AMOUNT_MAX ? figures.amount : Statements.AMOUNT_MAX);
            _filed(id, d, none);
            _decide(id, d, terms, none.amount, Ending.ProviderWrong);
            return;
        }
        _judge(id, d, terms, f);
    }

    function move(
        Move calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Case memory about,
        Played calldata played
    ) external {
        DisputeRecord storage d = _open(m.dispute);
        if (_convictedMeanwhile(d)) revert Conflict(Why.Convicted);
        if (m.number != d.moves) revert Conflict(Why.MoveNumber);
        if (m.state != d.game) revert Mismatch(Why.MoveState);
        if (block.timestamp >= d.due) revert Refused(Why.DeadlinePassed);
        if (played.payload.length > PAYLOAD_MAX) revert Invalid(Why.TooLong);
        bytes32 payloadHash = sha256(played.payload);
        if (m.payload != payloadHash) revert Mismatch(Why.Payload);
        Domain.checkSigned(_mover(d), _digest(Messages.hash(m)), signature);
        if (keccak256(abi.encode(about)) != d.about) revert Mismatch(Why.OtherStatement);
        (bool over, Verdict verdict) = _play(m.dispute, d, about, played, payloadHash);
        if (over) {
            _checkTerms(d.lease, terms);
            _decide(m.dispute, d, terms, about.amount, _ending(verdict));
        }
    }

    function timeout(Timeout calldata m, bytes calldata signature, Lease calldata terms, Case memory about) external {
        Domain.checkSigned(m.account, _digest(Messages.hash(m)), signature);
        DisputeRecord storage d = _open(m.dispute);
        _checkTerms(d.lease, terms);
        if (keccak256(abi.encode(about)) != d.about) revert Mismatch(Why.OtherStatement);
        if (_convictedMeanwhile(d)) {
            // Another challenger was quicker: the bond comes back, nobody is convicted twice.
            _decide(m.dispute, d, terms, about.amount, Ending.NotJudged);
            return;
        }
        if (block.timestamp < d.due) revert Refused(Why.DeadlineAhead);
        _decide(
            m.dispute,
            d,
            terms,
            about.amount,
            d.turn == Turn.Provider ? Ending.ProviderWrong : Ending.ProviderRight
        );
    }

    // Reading.

    function dispute(bytes32 id) external view returns (DisputeRecord memory) {
        return disputes[id];
    }

    function games() external view returns (address) {
        return address(GAMES);
    }

    // What a court adds.

    /// Refuses a dispute that cannot be filed about this subject, or not any more.
    function _aboutOf(LeaseRecord memory l, Dispute calldata m, Lease calldata terms)
        internal
        view
        virtual
        returns (About memory);
    function _placeOf(DisputeRecord storage d) internal view virtual returns (bytes32);
    /// By another dispute or otherwise, since this one was filed.
    function _convictedMeanwhile(DisputeRecord storage d) internal view virtual returns (bool);
    function _use(address who, bytes32 commitment) internal virtual returns (uint256 made);
    function _hold(bytes32 place, address defender, address challenger, uint128 bond) internal virtual;
    /// The bond, and what the outcome does to the defender.
    function _carryOut(DisputeRecord storage d, bytes32 place, Lease calldata terms, uint256 amount, Ending outcome)
        internal
        virtual;

    // Inside.

    function _checkFiling(Dispute calldata m, Lease calldata terms, Filing calldata f)
        private
        view
        returns (About memory a)
    {
        a = _aboutOf(_lease(m.lease, terms), m, terms);
        if (a.statement != Statements.id(MARKET, f.evidence.statement)) revert Mismatch(Why.OtherStatement);
        if (Messages.hash(f.execution) != terms.execution) revert Mismatch(Why.OtherExecution);
        _checkEvidence(m.lease, terms, f.evidence, a.statement);
    }

    /// With a proof beside it the commitment names it too: nobody can file another in its place.
    function _useCommitment(address who, bytes32 id, Filing calldata f) private {
        _use(who, f.withoutGame ? sha256(abi.encodePacked(id, sha256(f.finish))) : sha256(abi.encodePacked(id)));
    }

    /// What the referee says of everything that lies beside the dispute: over at once, or a game.
    function _judge(bytes32 id, DisputeRecord storage d, Lease calldata terms, Filing calldata f) private {
        Case memory about = Cases.make(GAMES, f.execution, f.evidence);
        if (f.withoutGame) {
            if (f.moves.length != 0) revert Invalid(Why.TwoKindsOfEvidence);
            if (f.finish.length > PAYLOAD_MAX) revert Invalid(Why.TooLong);
            _filed(id, d, about);
            Request calldata r = f.evidence.request;
            Verdict verdict = GAMES.judgeFinish(about, r.stop_root, Cases.packed(r.logit_bias), f.finish);
            _decide(id, d, terms, about.amount, _ending(verdict));
            return;
        }
        if (f.moves.length > MOVES_MAX || f.moves.length != f.signatures.length) revert Invalid(Why.TooLong);
        GAMES.check(about);
        d.about = keccak256(abi.encode(about));
        d.game = sha256(abi.encodePacked("assay/dispute/v0", id, d.subject));
        d.due = uint40(block.timestamp + _moveS());
        _filed(id, d, about);
        for (uint256 i = 0; i < f.moves.length; ++i) {
            if (d.decided) revert Refused(Why.Decided);
            _replay(id, d, terms, about, f.moves[i], f.signatures[i]);
        }
    }

    /// A move that was played before the chain was asked.
    function _replay(
        bytes32 id,
        DisputeRecord storage d,
        Lease calldata terms,
        Case memory about,
        Played calldata played,
        bytes calldata signature
    ) private {
        if (played.payload.length > PAYLOAD_MAX) revert Invalid(Why.TooLong);
        bytes32 payloadHash = sha256(played.payload);
        Domain.checkSigned(_mover(d), _digest(Messages.hash(Move(id, d.moves, d.game, payloadHash))), signature);
        (bool over, Verdict verdict) = _play(id, d, about, played, payloadHash);
        if (over) _decide(id, d, terms, about.amount, _ending(verdict));
    }

    function _play(
        bytes32 id,
        DisputeRecord storage d,
        Case memory about,
        Played calldata played,
        bytes32 payloadHash
    ) private returns (bool over, Verdict verdict) {
        bool challengersTurn;
        (over, verdict, challengersTurn) = GAMES.play(id, about, played, payloadHash);
        uint256 due = block.timestamp + _moveS();
        emit Moved(id, d.moves, played.payload, due);
        d.game = sha256(abi.encodePacked("assay/move/v0", d.game, payloadHash));
        ++d.moves;
        if (over) return (over, verdict);
        d.turn = challengersTurn ? Turn.Challenger : Turn.Provider;
        d.due = uint40(due);
    }

    function _mover(DisputeRecord storage d) private view returns (address) {
        return d.turn == Turn.Provider ? d.defender : d.challenger;
    }

    function _open(bytes32 id) private view returns (DisputeRecord storage d) {
        d = disputes[id];
        if (d.defender == address(0)) revert NotFound(Why.NoDispute);
        if (d.decided) revert Conflict(Why.Decided);
    }

    function _filed(bytes32 id, DisputeRecord storage d, Case memory about) private {
        emit DisputeFiled(id, d.lease, d.subject, d.challenger, d.defender, d.bond, about);
    }

    function _ending(Verdict verdict) private pure returns (Ending) {
        if (verdict == Verdict.follows) return Ending.ProviderRight;
        return verdict == Verdict.differs ? Ending.ProviderWrong : Ending.InvalidModel;
    }

    function _decide(bytes32 id, DisputeRecord storage d, Lease calldata terms, uint256 amount, Ending outcome)
        private
    {
        d.decided = true;
        d.outcome = outcome;
        d.turn = Turn.Over;
        d.due = 0;
        bytes32 place = _placeOf(d);
        --openOf[place][d.challenger];
        emit Decided(id, d.lease, outcome);
        _carryOut(d, place, terms, amount, outcome);
    }
}
