// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Formats} from "../canon/Formats.sol";
import {IPrograms} from "./IPrograms.sol";
import {Program, ProgramBytes, Role} from "./Program.sol";

/// @title The program bytes of models, kept
/// @dev The checks are those of `parse_program` in src/verify/referee/program.cpp.
contract Programs is IPrograms {
    using ProgramBytes for Program;

    uint256 private constant PROGRAM_MAX = 4096;
    uint256 private constant VOCABULARY_MAX = 1 << 18;
    uint256 private constant WIDTH_MAX = 1 << 18;
    uint256 private constant HEAD_WIDTH_MAX = 1024;
    uint256 private constant HEADS_MAX = 1 << 12;
    uint256 private constant CONTEXT_MAX = 1 << 24;
    uint256 private constant ROPE_VALUES_MAX = 1 << 27;

    /// @inheritdoc IPrograms
    mapping(bytes32 program => address) public codeOf;

    /// @inheritdoc IPrograms
    function store(bytes calldata data) external returns (bytes32 program) {
        program = sha256(data);
        if (codeOf[program] != address(0)) return program;
        _check(data);
        // Code that begins with STOP cannot run, so that nothing can remove it.
        bytes memory code = abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a3d393df300", data);
        address made;
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        require(made != address(0));
        codeOf[program] = made;
        emit Stored(program, made);
    }

    function _check(bytes calldata data) private pure {
        if (data.length > PROGRAM_MAX || data.length <= ProgramBytes.HEADER) revert BadProgram();
        _checkNames(data);
        bytes memory copy = data;
        uint256 m;
        assembly ("memory-safe") {
            m := add(copy, 32)
        }
        Program memory p = ProgramBytes.read(m);
        _checkShapes(p);
        if (p.layers == 0 || p.layers > PROGRAM_MAX || uint8(data[68]) > 1) revert BadProgram();
        uint256 tensors = p.layers * p.tensorsPerLayer() + (p.tied ? 2 : 3);
        if (p.tensors != tensors) revert BadProgram();
        // Then whether there is a chat template, and its hash.
        uint256 end = ProgramBytes.HEADER + tensors;
        if (data.length <= end) revert BadProgram();
        uint256 template = uint8(data[end]);
        if (template > 1 || data.length != end + 1 + 32 * template) revert BadProgram();
        _checkTensors(p);
    }

    /// string("assay/program/0") ‖ string(architecture).
    function _checkNames(bytes calldata data) private pure {
        bytes memory front = abi.encodePacked(hex"0f000000", "assay/program/0", hex"05000000");
        bytes5 name = bytes5(data[23:28]);
        if (keccak256(data[:23]) != keccak256(front)) revert BadProgram();
        if (name != "llama" && name != "qwen2" && name != "qwen3") revert BadProgram();
    }

    function _checkShapes(Program memory p) private pure {
        if (p.vocabulary == 0 || p.vocabulary > VOCABULARY_MAX) revert BadProgram();
        if (p.dim == 0 || p.dim > WIDTH_MAX || p.ffn == 0 || p.ffn > WIDTH_MAX) revert BadProgram();
        if (p.headDim == 0 || p.headDim > HEAD_WIDTH_MAX || p.headDim % 2 != 0) revert BadProgram();
        if (p.heads == 0 || p.heads > HEADS_MAX || p.heads * p.headDim > WIDTH_MAX) revert BadProgram();
        if (p.kvHeads == 0 || p.heads % p.kvHeads != 0) revert BadProgram();
        if (p.context == 0 || p.context > CONTEXT_MAX || p.context * p.headDim > ROPE_VALUES_MAX) revert BadProgram();
        // A finite number above 0, and one of at least 1.
        if (p.epsilon == 0 || p.epsilon >= 0x7f800000) revert BadProgram();
        if (p.base < 0x3f800000 || p.base >= 0x7f800000) revert BadProgram();
    }

    function _checkTensors(Program memory p) private pure {
        for (uint256 layer; layer < p.layers; ++layer) {
            for (uint256 role = Role.ATTN_NORM; role <= Role.FFN_DOWN; ++role) {
                if (role >= Role.Q_BIAS && role <= Role.V_BIAS && !p.biases) continue;
                if (role >= Role.Q_NORM && role <= Role.K_NORM && !p.headNorms) continue;
                _checkTensor(p, role, layer);
            }
        }
        _checkTensor(p, Role.TOKEN_EMBD, 0);
        _checkTensor(p, Role.OUTPUT_NORM, 0);
        _checkTensor(p, Role.OUTPUT, 0);
    }

    function _checkTensor(Program memory p, uint256 role, uint256 layer) private pure {
        uint256 format = p.formatOf(role, layer);
        if (!Formats.known(format)) revert BadProgram();
        if (ProgramBytes.isVector(role) && format != Formats.F32_) revert BadProgram();
        (, uint256 columns) = p.extent(role);
        if (columns % Formats.blockValues(format) != 0) revert BadProgram();
    }
}
