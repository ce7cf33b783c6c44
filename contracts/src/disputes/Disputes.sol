// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Domain} from "../market/Domain.sol";
import {AlreadyApplied, Conflict, Invalid, Mismatch, NotFound, Refused, Why} from "../market/Errors.sol";
import {IMarket, LeaseRecord} from "../market/IMarket.sol";
import {
    CommitDispute,
    Dispute,
    Equivocation,
    ExecutionId,
    Lease,
    LogitBias,
    Messages,
    Move,
    Receipt,
    Request,
    Timeout
} from "../market/Messages.sol";
import {Evidence, Statement, Statements} from "../market/Statements.sol";
import {Verdict} from "../referee/IReferee.sol";
import {Terms} from "../referee/Terms.sol";
import {Court, Ending, Turn} from "./Court.sol";
import {DisputeRecord, Filing, IDisputes} from "./IDisputes.sol";
import {Case, IGames, Played} from "./IGames.sol";

/// @title Disputes about what a provider signed; what they promise is in IDisputes.
contract Disputes is IDisputes, Court {
    struct Commitment {
        uint64 made; // zero: none
        uint64 height; // the block's number
    }

    uint256 private constant OPEN_MAX = 8;
    uint256 private constant MOVES_MAX = 64;
    uint256 private constant PAYLOAD_MAX = 16 * 1024;

    IGames private immutable GAMES;

    mapping(bytes32 => DisputeRecord) private disputes;
    mapping(address => mapping(bytes32 => Commitment)) private commitments;
    mapping(bytes32 => mapping(address => uint256)) public openOf;
    mapping(bytes32 => bool) private applied;

    constructor(address market_, address games_) Court(market_) {
        GAMES = IGames(games_);
    }

    function commitDispute(CommitDispute calldata m, bytes calldata signature) external {
        bytes32 id = _digest(Messages.hash(m));
        if (applied[id]) revert AlreadyApplied(id);
        Domain.checkSigned(m.account, id, signature);
        if (_live(m.account, m.commitment)) revert Conflict(Why.Committed);
        applied[id] = true;
        commitments[m.account][m.commitment] = Commitment(uint64(block.timestamp), uint64(block.number));
        emit DisputeCommitted(id, m.account, m.commitment);
    }

    function fileDispute(Dispute calldata m, bytes calldata signature, Lease calldata terms, Filing calldata f)
        external
    {
        bytes32 id = _digest(Messages.hash(m));
        if (disputes[id].defender != address(0)) revert AlreadyApplied(id);
        Domain.checkSigned(m.challenger, id, signature);
        _checkFiling(m, terms, f);
        _useCommitment(m.challenger, id, f);
        if (openOf[m.lease][m.challenger] >= OPEN_MAX) revert Refused(Why.TooManyOpen);
        _access().openDispute(m.lease, m.challenger, m.bond, false);

        DisputeRecord storage d = disputes[id];
        d.challenger = m.challenger;
        d.bond = uint64(m.bond);
        d.defender = terms.provider;
        d.filed = uint40(block.timestamp);
        d.lease = m.lease;
        d.subject = m.subject;
        ++openOf[m.lease][m.challenger];
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
        if (_convicted(d.subject)) revert Conflict(Why.Convicted);
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
        if (_convicted(d.subject)) {
            // Another challenger was quicker: the bond comes back, the provider is not convicted twice.
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

    // Reading.

    function committed(address who, bytes32 commitment) external view returns (uint256) {
        return commitments[who][commitment].made;
    }

    function dispute(bytes32 id) external view returns (DisputeRecord memory) {
        return disputes[id];
    }

    function games() external view returns (address) {
        return address(GAMES);
    }

    // Inside.

    function _checkFiling(Dispute calldata m, Lease calldata terms, Filing calldata f) private view {
        LeaseRecord memory l = _lease(m.lease, terms);
        _checkDisputable(l, m.subject);
        if (m.subject != Statements.id(MARKET, f.evidence.statement)) revert Mismatch(Why.OtherStatement);
        if (Messages.hash(f.execution) != terms.execution) revert Mismatch(Why.OtherExecution);
        _checkEvidence(m.lease, terms, f.evidence, m.subject);
    }

    /// What the referee says of everything that lies beside the dispute: over at once, or a game.
    function _judge(bytes32 id, DisputeRecord storage d, Lease calldata terms, Filing calldata f) private {
        Case memory about = _caseOf(f);
        if (f.withoutGame) {
            if (f.moves.length != 0) revert Invalid(Why.TwoKindsOfEvidence);
            if (f.finish.length > PAYLOAD_MAX) revert Invalid(Why.TooLong);
            _filed(id, d, about);
            Request calldata r = f.evidence.request;
            Verdict verdict = GAMES.judgeFinish(about, r.stop_root, _packed(r.logit_bias), f.finish);
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
    function _use(address who, bytes32 commitment) private {
        if (!_live(who, commitment)) revert Refused(Why.NotCommitted);
        Commitment memory c = commitments[who][commitment];
        // A later block has another number or another time: some rollups count the blocks of the chain below.
        if (block.number <= c.height && block.timestamp <= c.made) revert Refused(Why.NotCommitted);
        delete commitments[who][commitment];
    }

    /// With a proof beside it the commitment names it too: nobody can file another in its place.
    function _useCommitment(address who, bytes32 id, Filing calldata f) private {
        _use(who, f.withoutGame ? sha256(abi.encodePacked(id, sha256(f.finish))) : sha256(abi.encodePacked(id)));
    }

    function _caseOf(Filing calldata f) private view returns (Case memory about) {
        Request calldata r = f.evidence.request;
        Receipt calldata s = f.evidence.statement.figures;
        about.subject.program = f.execution.program_hash;
        about.subject.weightsRoot = f.execution.weights_root;
        about.subject.promptRoot = r.prompt_root;
        about.subject.tapeRoot = s.tape_root;
        about.subject.logprobsRoot = s.logprobs_root;
        if (r.logit_bias.length != 0) about.subject.biasHash = keccak256(_packed(r.logit_bias));
        about.subject.constraint = r.constraint;
        about.subject.counts = Terms.counts(
            r.prompt_count,
            r.continuation,
            s.count,
            r.max_tokens,
            r.logprobs,
            r.seed,
            f.evidence.statement.progress ? uint32(Terms.PROGRESS) : Terms.receiptFinish(s.finish)
        );
        about.subject.sampling = Terms.sampling(
            r.repetition_penalty_bits,
            r.presence_penalty_bits,
            r.frequency_penalty_bits,
            r.temperature_bits,
            r.top_k,
            r.top_p_bits,
            r.min_p_bits
        );
        about.traceRoot = s.trace_root;
        about.saltCommitment = r.salt_commitment;
        about.layers = GAMES.layersOf(f.execution.program_hash);
        about.amount = uint64(s.amount);
    }

    function _packed(LogitBias[] calldata biases) private pure returns (bytes memory packed) {
        for (uint256 i = 0; i < biases.length; ++i) {
            packed = bytes.concat(packed, abi.encodePacked(biases[i].token, biases[i].bias_bits));
        }
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
        --openOf[d.lease][d.challenger];
        emit Decided(id, d.lease, outcome);
        _access().endDispute(d.lease, outcome == Ending.ProviderRight ? terms.payout : d.challenger, d.bond, false);
        if (outcome == Ending.ProviderWrong) {
            _access().convict(d.lease, terms, d.subject, 0, amount, d.challenger);
        } else if (outcome == Ending.InvalidModel) {
            _access().endForInvalidModel(d.lease, terms);
        }
    }
}
