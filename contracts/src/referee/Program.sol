// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What a tensor is for; those of layers are per layer (src/verify/referee/program.hpp, `TensorRole`).
library Role {
    uint256 internal constant TOKEN_EMBD = 0;
    uint256 internal constant ATTN_NORM = 1;
    uint256 internal constant ATTN_Q = 2;
    uint256 internal constant ATTN_K = 3;
    uint256 internal constant ATTN_V = 4;
    uint256 internal constant Q_BIAS = 5;
    uint256 internal constant K_BIAS = 6;
    uint256 internal constant V_BIAS = 7;
    uint256 internal constant Q_NORM = 8;
    uint256 internal constant K_NORM = 9;
    uint256 internal constant ATTN_OUTPUT = 10;
    uint256 internal constant FFN_NORM = 11;
    uint256 internal constant FFN_GATE = 12;
    uint256 internal constant FFN_UP = 13;
    uint256 internal constant FFN_DOWN = 14;
    uint256 internal constant OUTPUT_NORM = 15;
    uint256 internal constant OUTPUT = 16; // token_embd where tied
}

/// The shapes of a program. Floats are bits.
struct Program {
    uint256 vocabulary;
    uint256 dim;
    uint256 layers;
    uint256 heads;
    uint256 kvHeads;
    uint256 headDim;
    uint256 ffn;
    uint256 context;
    uint256 epsilon;
    uint256 base;
    bool tied;
    // by the architecture's name
    bool halves; // RoPE pairs are halves of a head
    bool biases; // of q, k and v
    bool headNorms;
    bytes32 ropeRoot;
    uint256 tensors; // how many
    uint256 formats; // where in memory their types are, a byte each
}

/// @title Reading the program bytes of spec/model.md
library ProgramBytes {
    /// Bytes before the tensors' types: the names of all architectures have five letters.
    uint256 internal constant HEADER = 137;

    /// The program whose bytes begin at `m` in memory; architecture, length and values are as `Programs` checked.
    function read(uint256 m) internal pure returns (Program memory p) {
        uint256 tail;
        assembly ("memory-safe") {
            function le32(ptr) -> v {
                v := shr(224, mload(ptr))
                v := or(and(shr(8, v), 0xff00ff), shl(8, and(v, 0xff00ff)))
                v := or(shr(16, v), shl(16, and(v, 0xffff)))
            }
            for { let i := 0 } lt(i, 10) { i := add(i, 1) } {
                mstore(add(p, shl(5, i)), le32(add(add(m, 28), shl(2, i))))
            }
            // The last letter of llama, qwen2, qwen3.
            tail := byte(0, mload(add(m, 27)))
            mstore(add(p, 320), eq(byte(0, mload(add(m, 68))), 1)) // tied
            mstore(add(p, 448), mload(add(m, 69))) // ropeRoot
            mstore(add(p, 480), le32(add(m, 133))) // tensors
            mstore(add(p, 512), add(m, 137))
        }
        p.halves = tail != 0x61;
        p.biases = tail == 0x32;
        p.headNorms = tail == 0x33;
    }

    /// The program kept at `at`, whose code is one zero byte and the program's.
    function load(address ptr) internal view returns (Program memory) {
        uint256 m;
        assembly ("memory-safe") {
            m := mload(0x40)
            let size := sub(extcodesize(ptr), 1)
            extcodecopy(ptr, m, 1, size)
            mstore(0x40, and(add(add(m, size), 63), not(31)))
        }
        return read(m);
    }

    function tensorsPerLayer(Program memory p) internal pure returns (uint256) {
        return 9 + (p.biases ? 3 : 0) + (p.headNorms ? 2 : 0);
    }

    /// Place in the canonical order of spec/model.md.
    function tensorIndex(Program memory p, uint256 role, uint256 layer) internal pure returns (uint256) {
        unchecked {
            if (role == Role.TOKEN_EMBD || role == Role.OUTPUT && p.tied) return 0;
            uint256 perLayer = tensorsPerLayer(p);
            if (role >= Role.OUTPUT_NORM) return 1 + p.layers * perLayer + (role - Role.OUTPUT_NORM);
            // Roles are in that order; those between v and the output are not in every architecture.
            uint256 absent = (role > Role.V_BIAS && !p.biases ? 3 : 0) + (role > Role.K_NORM && !p.headNorms ? 2 : 0);
            return 1 + layer * perLayer + role - 1 - absent;
        }
    }

    /// Rows and columns; one row of vectors.
    function extent(Program memory p, uint256 role) internal pure returns (uint256 rows, uint256 columns) {
        unchecked {
            if (role == Role.TOKEN_EMBD || role == Role.OUTPUT) return (p.vocabulary, p.dim);
            if (role == Role.ATTN_Q) return (p.heads * p.headDim, p.dim);
            if (role == Role.ATTN_K || role == Role.ATTN_V) return (p.kvHeads * p.headDim, p.dim);
            if (role == Role.Q_BIAS) return (1, p.heads * p.headDim);
            if (role == Role.K_BIAS || role == Role.V_BIAS) return (1, p.kvHeads * p.headDim);
            if (role == Role.Q_NORM || role == Role.K_NORM) return (1, p.headDim);
            if (role == Role.ATTN_OUTPUT) return (p.dim, p.heads * p.headDim);
            if (role == Role.FFN_GATE || role == Role.FFN_UP) return (p.ffn, p.dim);
            if (role == Role.FFN_DOWN) return (p.dim, p.ffn);
            return (1, p.dim); // the norms
        }
    }

    /// ggml's type of a tensor.
    function format(Program memory p, uint256 index) internal pure returns (uint256 f) {
        uint256 ptr = p.formats + index;
        assembly ("memory-safe") {
            f := byte(0, mload(ptr))
        }
    }

    function formatOf(Program memory p, uint256 role, uint256 layer) internal pure returns (uint256) {
        return format(p, tensorIndex(p, role, layer));
    }

    function isVector(uint256 role) internal pure returns (bool) {
        return role == Role.ATTN_NORM || role == Role.FFN_NORM || role == Role.OUTPUT_NORM
            || role >= Role.Q_BIAS && role <= Role.K_NORM;
    }
}
