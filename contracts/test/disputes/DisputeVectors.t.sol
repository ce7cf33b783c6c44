// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ending, Turn} from "../../src/disputes/Court.sol";
import {Case, Game, Phase, Played} from "../../src/disputes/IGames.sol";
import {DisputeRecord, Filing} from "../../src/disputes/IDisputes.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {Refused, Why} from "../../src/market/Errors.sol";
import {IPrograms} from "../../src/referee/IPrograms.sol";
import {IReferee, Revealed} from "../../src/referee/IReferee.sol";
import {OpWord} from "../../src/referee/OpWord.sol";
import {Vm} from "../Vm.sol";
import {DisputeWorld, Trees} from "./DisputeWorld.sol";

/// The games of spec/vectors/dispute, which C++ played, payload for payload on the chain and with the real referee: the
/// phases, who wins, and what that moves. Signed anew, since there is another ledger, and so with other states.
contract DisputeVectorsTest is DisputeWorld {
    using OpWord for uint256;

    IReferee private referee;
    IPrograms private programs;
    string private json;
    OfferModel private model;
    Lease private terms;
    Filing private filed;
    bytes private last; // payload
    bytes private ops; // of the ops reveal

    function setUp() public {
        programs = IPrograms(vm.deployCode("Programs.sol:Programs", ""));
        referee = IReferee(
            vm.deployCode(
                "Referee.sol:Referee",
                abi.encode(
                    programs,
                    vm.deployCode("LayerSteps.sol:LayerSteps", ""),
                    vm.deployCode("ProductSteps.sol:ProductSteps", ""),
                    vm.deployCode("AttentionSteps.sol:AttentionSteps", ""),
                    vm.deployCode("SamplingSteps.sol:SamplingSteps", ""),
                    vm.deployCode("LogprobSteps.sol:LogprobSteps", ""),
                    vm.deployCode("ConstraintSteps.sol:ConstraintSteps", ""),
                    vm.deployCode("Finish.sol:Finish", "")
                )
            )
        );
        build(address(referee), address(programs));
        fund();
    }

    function offered() internal view override returns (OfferModel memory) {
        return model;
    }

    function test_everyGameOfTheVectors() public {
        Vm.DirEntry[] memory files = vm.readDir(string.concat(vm.projectRoot(), "/../spec/vectors/dispute"));
        vm.assertEq(files.length, 25, "games");
        for (uint256 i = 0; i < files.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            json = vm.readFile(files[i].path);
            play(files[i].path);
            vm.revertToState(snapshot);
        }
    }

    function play(string memory name) private {
        prepare();
        Filing memory f = filed;
        Case memory about = caseOf(f, layersOf());
        uint256 snapshot = vm.snapshotState();
        bytes32 d = file(other, disputeOf(f.evidence, other), terms, f);
        uint256 count = 0;
        while (vm.keyExistsJson(json, moveAt(count))) ++count;
        Played[] memory moves = new Played[](count);
        delete last;
        delete ops;
        for (uint256 i = 0; i < count; ++i) moves[i] = playOne(d, about, i);
        finish(d, about, name);

        // The same in one transaction, played before it was filed.
        vm.revertToState(snapshot);
        Dispute memory m = disputeOf(f.evidence, other);
        f.moves = moves;
        f.signatures = transcript(idOf(m), m.subject, moves);
        if (!vm.parseJsonBool(json, ".expired")) goesOn(m, f);
        finish(file(other, m, terms, f), about, name);
    }

    function playOne(bytes32 d, Case memory about, uint256 i) private returns (Played memory p) {
        Game memory g = games.game(address(disputes), d);
        vm.assertEq(phase(g.phase), vm.parseJsonString(json, at("phases", i)), "phase");
        p.payload = vm.parseJsonBytes(json, string.concat(moveAt(i), ".payload"));
        p.earlier = earlierOf(g, about, p.payload);
        if (g.phase == Phase.Step) p.biases = biasesOf(filed.evidence.request);
        bool providers = disputes.dispute(d).turn == Turn.Provider;
        accepted(address(disputes), moving(providers ? provider : other, d, terms, about, p));
        if (g.phase == Phase.Ops && providers) ops = p.payload;
        last = p.payload;
    }

    /// A transcript that does not end where its game does.
    function goesOn(Dispute memory m, Filing memory f) private {
        uint256 snapshot = vm.snapshotState();
        uint256 count = f.moves.length;
        (Played[] memory moves, bytes[] memory signatures) = (f.moves, f.signatures);
        (f.moves, f.signatures) = (new Played[](count + 1), new bytes[](count + 1));
        for (uint256 i = 0; i <= count; ++i) {
            f.moves[i] = moves[i < count ? i : 0];
            f.signatures[i] = signatures[i < count ? i : 0];
        }
        commit(other, commitmentOf(m, f));
        refused(address(disputes), filing(other, m, terms, f), Refused.selector, Why.Decided);
        (f.moves, f.signatures) = (moves, signatures);
        vm.revertToState(snapshot);
    }

    function finish(bytes32 d, Case memory about, string memory name) private {
        if (vm.parseJsonBool(json, ".expired")) {
            vm.warp(disputes.dispute(d).due);
            accepted(address(disputes), timingOut(buyer, d, terms, about));
        }
        DisputeRecord memory r = disputes.dispute(d);
        string memory outcome = vm.parseJsonString(json, ".outcome");
        bool wrong = keccak256(bytes(outcome)) == keccak256("provider wrong");
        vm.assertTrue(r.decided, name);
        vm.assertTrue(wrong || keccak256(bytes(outcome)) == keccak256("challenger wrong"), outcome);
        vm.assertTrue(r.outcome == (wrong ? Ending.ProviderWrong : Ending.ProviderRight), name);
        vm.assertEq(market.account(provider.at).stake, wrong ? 0 : 10_000_000, name);
        vm.assertEq(market.totals().bonds, 0, name);
    }

    /// Signed as they follow each other, turn by turn as the phases say.
    function transcript(bytes32 d, bytes32 subject, Played[] memory moves)
        private
        view
        returns (bytes[] memory signatures)
    {
        signatures = new bytes[](moves.length);
        bytes32 state = sha256(abi.encodePacked("assay/dispute/v0", d, subject));
        bool choosing = false;
        for (uint32 i = 0; i < moves.length; ++i) {
            bytes32 p = keccak256(bytes(vm.parseJsonString(json, at("phases", i))));
            bool providers = !choosing && p != keccak256("step") && p != keccak256("salt");
            choosing = providers;
            Move memory m = Move(d, i, state, sha256(moves[i].payload));
            signatures[i] = sign(providers ? provider : other, keccak256(abi.encode(Messages.MOVE, m)));
            state = sha256(abi.encodePacked("assay/move/v0", state, m.payload));
        }
    }

    function earlierOf(Game memory g, Case memory about, bytes memory payload)
        private
        view
        returns (bytes memory)
    {
        if (g.phase == Phase.Step) return abi.encode(revealedOf(g, about));
        if (!g.choosing) return "";
        bool tree = g.phase == Phase.Positions || g.phase == Phase.Leaves || g.phase == Phase.Chunks;
        return tree ? Trees.pick(last, number(payload, 0)) : last;
    }

    /// What the step needs of the ops reveal, read anew.
    function revealedOf(Game memory g, Case memory about) private view returns (Revealed memory r) {
        bytes memory ops_ = ops;
        (uint256[] memory list,) = referee.ops(about.subject, g.position, g.leaf, g.fault);
        uint256 at_ = g.fault ? 36 : 32;
        (r.positionsRoot, r.positionRoot) = (g.positionsRoot, g.positionRoot);
        (r.positions, r.positionLeaves) = (g.positions, g.positionLeaves);
        bool head = g.leaf == about.layers;
        if (!g.fault) {
            r.x = word(ops_, at_);
            if (!head) (r.k, r.v) = (word(ops_, at_ + 32), word(ops_, at_ + 64));
            at_ += head ? 68 : 96;
        }
        uint256 count = g.fault ? number(ops_, 0) : list.length;
        uint256[5] memory wanted = [uint256(g.op), from(g.word.a()), from(g.word.b()), from(g.word.c()), from(g.word.d())];
        for (uint256 i = 0; i < count; ++i) {
            bytes32 root = word(ops_, at_);
            if (list[i].scalar()) root &= bytes32(uint256(0xffffffff) << 224);
            for (uint256 k = 0; k < 5; ++k) if (wanted[k] == i) r.roots[k] = root;
            at_ += list[i].scalar() ? 4 : 32;
        }
    }

    function from(uint256 source) private pure returns (uint256) {
        return source.isOp() ? source.index() : type(uint256).max;
    }

    // The vector.

    function prepare() private {
        bytes memory program = vm.parseJsonBytes(json, ".program");
        programs.store(program);
        delete filed;
        filed.execution = ExecutionId(vm.parseJsonBytes32(json, ".weights_root"), sha256(program), 0);
        model.weights_root = filed.execution.weights_root;
        model.program_hash = filed.execution.program_hash;
        model.price_in = PRICE_IN;
        model.price_out = PRICE_OUT;
        model.context = 1;
        (terms,) = lease(5_000_000);
        Evidence memory e;
        e.request = requestOf();
        e.requestSignature = sign(buyer, this.hashRequest(e.request));
        Receipt memory r = e.statement.figures;
        r.request = digest(this.hashRequest(e.request));
        r.count = uint32(vm.parseJsonUint(json, ".receipt.count"));
        r.finish = uint32(vm.parseJsonUint(json, ".receipt.finish"));
        r.tape_root = vm.parseJsonBytes32(json, ".receipt.tape_root");
        r.trace_root = vm.parseJsonBytes32(json, ".receipt.trace_root");
        r.logprobs_root = vm.parseJsonBytes32(json, ".receipt.logprobs_root");
        r.amount = priceOf(e.request.prompt_count, r.count);
        signStatement(e);
        filed.evidence = e;
    }

    function requestOf() private view returns (Request memory m) {
        m = request(terms, 1);
        m.prompt_root = vm.parseJsonBytes32(json, ".request.prompt_root");
        m.prompt_count = uint32(vm.parseJsonUint(json, ".request.prompt_count"));
        m.continuation = uint32(vm.parseJsonUint(json, ".request.continuation"));
        uint256 count = 0;
        while (vm.keyExistsJson(json, at("request.logit_bias", count))) ++count;
        m.logit_bias = new LogitBias[](count);
        for (uint256 i = 0; i < count; ++i) {
            m.logit_bias[i] = LogitBias(
                uint32(vm.parseJsonUint(json, string.concat(at("request.logit_bias", i), ".token"))),
                uint32(vm.parseJsonUint(json, string.concat(at("request.logit_bias", i), ".bias_bits")))
            );
        }
        m.repetition_penalty_bits = uint32(vm.parseJsonUint(json, ".request.repetition_penalty_bits"));
        m.presence_penalty_bits = uint32(vm.parseJsonUint(json, ".request.presence_penalty_bits"));
        m.frequency_penalty_bits = uint32(vm.parseJsonUint(json, ".request.frequency_penalty_bits"));
        m.temperature_bits = uint32(vm.parseJsonUint(json, ".request.temperature_bits"));
        m.constraint = vm.parseJsonBytes32(json, ".request.constraint");
        m.top_k = uint32(vm.parseJsonUint(json, ".request.top_k"));
        m.top_p_bits = uint32(vm.parseJsonUint(json, ".request.top_p_bits"));
        m.min_p_bits = uint32(vm.parseJsonUint(json, ".request.min_p_bits"));
        m.seed = uint64(vm.parseJsonUint(json, ".request.seed"));
        m.max_tokens = uint32(vm.parseJsonUint(json, ".request.max_tokens"));
        m.logprobs = uint32(vm.parseJsonUint(json, ".request.logprobs"));
        m.stop_root = vm.parseJsonBytes32(json, ".request.stop_root");
        m.salt_commitment = vm.parseJsonBytes32(json, ".request.salt_commitment");
    }

    function layersOf() private view returns (uint32) {
        return games.layersOf(filed.execution.program_hash);
    }

    function moveAt(uint256 i) private pure returns (string memory) {
        return at("moves", i);
    }

    function at(string memory list, uint256 i) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(i), "]");
    }

    function word(bytes memory data, uint256 at_) private pure returns (bytes32 out) {
        assembly ("memory-safe") { out := mload(add(add(data, 32), at_)) }
    }

    function number(bytes memory data, uint256 at_) private pure returns (uint256) {
        return uint256(uint8(data[at_])) | uint256(uint8(data[at_ + 1])) << 8 | uint256(uint8(data[at_ + 2])) << 16
            | uint256(uint8(data[at_ + 3])) << 24;
    }

    function phase(Phase p) private pure returns (string memory) {
        string[8] memory names =
            ["positions", "leaves", "ops", "chunks", "values", "running", "step", "salt"];
        return names[uint256(p)];
    }
}
