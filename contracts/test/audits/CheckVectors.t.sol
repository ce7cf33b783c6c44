// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "../../src/audits/AuditMessages.sol";
import {AuditRecord, AuditState, Drawn, IAuditAccess, IAudits} from "../../src/audits/IAudits.sol";
import {IChecks} from "../../src/audits/IChecks.sol";
import {NotFound, Why} from "../../src/market/Errors.sol";
import "../../src/market/Messages.sol";
import {Evidence} from "../../src/market/Statements.sol";
import {Programs} from "../../src/referee/Programs.sol";
import {ToyReferee} from "../disputes/Toy.sol";
import {AuditWorld} from "./AuditWorld.sol";
import {Traces} from "./Traces.sol";

/// The checks of spec/vectors/trace/keyed-checks.json, asked and answered on the chain. Round, audit and auditor are the
/// vectors', so that the audits are told what to say of them; the auditor has no key, and signs by its code.
contract CheckVectorsTest is AuditWorld {
    bytes32 private program;
    bytes32 private traceRoot;
    bytes32 private audit;
    address private who;
    string private json;

    function setUp() public {
        json = vm.readFile(string.concat(vm.projectRoot(), "/../spec/vectors/trace/keyed-checks.json"));
        Programs programs = Programs(vm.deployCode("Programs.sol:Programs", ""));
        program = programs.store(Traces.program(Traces.Shape(5, 3, 300, 256, 600, 2, 0)));
        build(address(new ToyReferee()), address(programs));
        traceRoot = vm.parseJsonBytes32(json, ".trace_root");
        hire(0);
        audit = vm.parseJsonBytes32(json, ".audit");
        who = vm.parseJsonAddress(json, ".auditor");
        vm.etch(who, address(new SignsAnything()).code);
        say();
    }

    function offered() internal view override returns (OfferModel memory model) {
        model = super.offered();
        model.program_hash = program;
    }

    function request(Lease memory terms_, uint64 sequence) internal view override returns (Request memory r) {
        r = super.request(terms_, sequence);
        r.prompt_count = uint32(vm.parseJsonUint(json, ".prompt_count"));
    }

    function receiptOf(uint64 sequence) internal view override returns (Evidence memory e) {
        e = evidence(terms, sequence, 3, keccak256("tape"));
        e.statement.figures.trace_root = traceRoot;
        signStatement(e);
    }

    function say() private {
        AuditRecord memory a;
        (a.buyer, a.state, a.round) = (buyer.at, AuditState.Drawn, 1);
        a.drawnAt = uint40(1000 - 2 * MOVE_S);
        (a.lease, a.subject) = (leaseId, subjectOf(receiptOf(1)));
        Drawn[] memory all = new Drawn[](1);
        (all[0].account, all[0].verdict) = (who, uint8(PASS));
        all[0].nonceHash = vm.parseJsonBytes32(json, ".nonce_hash");
        all[0].rootHash = vm.parseJsonBytes32(json, ".root_hash");
        address at = address(audits);
        bytes32 beacon = vm.parseJsonBytes32(json, ".beacon");
        vm.mockCall(at, abi.encodeCall(IAudits.audit, (audit)), abi.encode(a, all));
        vm.mockCall(at, abi.encodeCall(IAudits.beaconAt, (1)), abi.encode(beacon));
        vm.mockCall(at, abi.encodeCall(IAuditAccess.hold, (audit, who, other.at, 100_000, true)), "");
        vm.mockCall(at, abi.encodeCall(IAuditAccess.end, (audit, who, who, 100_000, true)), "");
    }

    function test_theVectorsAreAskedAndAnswered() public {
        uint256 i = 0;
        for (; vm.keyExistsJson(json, at(i)); ++i) {
            bytes memory proof = vm.parseJsonBytes(json, string.concat(at(i), ".proof"));
            bytes memory reply = vm.parseJsonBytes(json, string.concat(at(i), ".answer"));
            AuditCheck memory m = AuditCheck(other.at, audit, who, 100_000, sha256(proof), ++nonce);
            accepted(address(checks), checking(other, m, receiptOf(1), proof));
            bytes memory call =
                abi.encodeCall(IChecks.answer, (CheckAnswer(who, idOf(m)), "by its code", proof, reply));
            accepted(address(checks), call);
            vm.assertTrue(checks.record(idOf(m)).ended, "answered");
            refused(address(checks), call, NotFound.selector, Why.NoCheck);
        }
        vm.assertEq(i, 5, "checks");
    }

    function at(uint256 i) private pure returns (string memory) {
        return string.concat(".checks[", vm.toString(i), "]");
    }
}

/// An account by its code (ERC-1271), for whoever has no key in a test.
contract SignsAnything {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}
