// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPrograms} from "../../src/referee/IPrograms.sol";
import {IReferee, Place, Revealed, Running, Subject, Verdict, Outcome} from "../../src/referee/IReferee.sol";

/// A referee for tests of everything but steps: leaves have the ops it is told, and a proof is a word that says how
/// the step ends. The real one is tested beside it, and with games in DisputeVectors.t.sol.
contract ToyReferee is IReferee {
    uint256[] private list;
    uint256 private from;
    bytes32 public lastRevealed;
    bytes32 public lastPlace;
    bytes32 public lastRunning;
    uint256 public lastClaimed;

    function setOps(uint256[] memory ops_, uint256 faultFrom) external {
        list = ops_;
        from = faultFrom;
    }

    function ops(Subject calldata, uint32, uint32, bool fault) external view returns (uint256[] memory, uint256) {
        return (list, fault ? from : list.length);
    }

    function execute(
        Subject calldata,
        Revealed calldata,
        Place calldata,
        Running calldata,
        bytes calldata,
        bytes calldata
    ) external pure returns (Outcome, uint32) {
        return (Outcome.value, 0);
    }

    /// The proof is the verdict's word, then what the test expects to arrive here.
    function judge(
        Subject calldata,
        Revealed calldata revealed,
        Place calldata place,
        Running calldata running,
        uint256 claimed,
        bytes calldata,
        bytes calldata proof
    ) external pure returns (Verdict) {
        if (proof.length > 32) {
            bytes32 expected = bytes32(proof[proof.length - 32:]);
            if (keccak256(abi.encode(revealed, place, running, claimed)) != expected) revert ProofMismatch();
            return verdictOf(proof[:proof.length - 32]);
        }
        return verdictOf(proof);
    }

    function judgeSalt(bytes32, uint32, uint32, bytes32 salt, bytes32 secret) external pure returns (bool) {
        if (secret == 0) revert ProofMismatch();
        return salt != keccak256(abi.encode(secret));
    }

    function judgeFinish(Subject calldata, bytes32, bytes calldata, bytes calldata proof)
        external
        pure
        returns (Verdict)
    {
        return verdictOf(proof);
    }

    function verdictOf(bytes calldata word) private pure returns (Verdict) {
        bytes32 w = keccak256(word);
        if (w == keccak256("right")) return Verdict.follows;
        if (w == keccak256("wrong")) return Verdict.differs;
        if (w == keccak256("invalid")) return Verdict.invalidModel;
        if (w == keccak256("short")) revert ProofInvalid();
        if (w == keccak256("nostep")) revert NoSuchStep();
        if (w == keccak256("noprogram")) revert UnknownProgram();
        revert ProofMismatch();
    }
}

/// Programs of two layers, all of them: the toy's own, and whatever it is told to know.
contract ToyPrograms is IPrograms {
    address private immutable CODE;
    mapping(bytes32 => bool) private known;

    function know(bytes32 hash) external {
        known[hash] = true;
    }

    constructor() {
        CODE = address(new Bytes(program()));
    }

    function program() public pure returns (bytes memory) {
        return abi.encodePacked(
            hex"0f000000", "assay/program/0", hex"05000000", "llama", hex"0e000000", hex"20000000", hex"02000000"
        );
    }

    function store(bytes calldata) external pure returns (bytes32) {
        revert BadProgram();
    }

    function codeOf(bytes32 hash) external view returns (address) {
        return known[hash] || hash == sha256(program()) ? CODE : address(0);
    }
}

contract Bytes {
    constructor(bytes memory data) {
        bytes memory code = bytes.concat(hex"00", data);
        assembly ("memory-safe") { return(add(code, 32), mload(code)) }
    }
}
