// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// The kinds of ops, in the order of src/verify/referee/ops.hpp.
library Kind {
    uint256 internal constant NORM_SUM = 0;
    uint256 internal constant NORM_INVERSE = 1;
    uint256 internal constant NORM_VALUE = 2;
    uint256 internal constant Q8_SCALE = 3;
    uint256 internal constant Q8_QUANT = 4;
    uint256 internal constant Q8K_SCALE = 5;
    uint256 internal constant Q8K_QUANT = 6;
    uint256 internal constant PRODUCT = 7;
    uint256 internal constant ADD_BIAS = 8;
    uint256 internal constant ROPE = 9;
    uint256 internal constant TO_HALF = 10;
    uint256 internal constant SCORE = 11;
    uint256 internal constant SEGMENT_MAX = 12;
    uint256 internal constant SEGMENT_EXP = 13;
    uint256 internal constant SEGMENT_SUM = 14;
    uint256 internal constant WEIGHTED_VALUE = 15;
    uint256 internal constant RUNNING_MAX = 16;
    uint256 internal constant SEGMENT_WEIGHT = 17;
    uint256 internal constant ATTENTION_SUM = 18;
    uint256 internal constant ATTENTION_OUT = 19;
    uint256 internal constant ADD_RESIDUAL = 20;
    uint256 internal constant SWIGLU = 21;
    uint256 internal constant EMBEDDING = 22;
    uint256 internal constant TAPE_COUNT = 23;
    uint256 internal constant ADJUST = 24;
    uint256 internal constant TEMPERATURE = 25;
    uint256 internal constant THRESHOLD = 26;
    uint256 internal constant COUNT_AT = 27;
    uint256 internal constant COUNT_ABOVE = 28;
    uint256 internal constant RUNNING_TOTAL = 29;
    uint256 internal constant THRESHOLD_OK = 30;
    uint256 internal constant SHIFTED_EXP = 31;
    uint256 internal constant NOISY = 32;
    uint256 internal constant BEST_ID = 33;
    uint256 internal constant BEST_TOKEN = 34;
    uint256 internal constant NEXT_TOKEN = 35;
    uint256 internal constant LOG_SUM = 36;
    uint256 internal constant LOGPROB = 37;
    uint256 internal constant RANK_COUNT = 38;
    uint256 internal constant LOGPROB_LEAF = 39;
    uint256 internal constant ANSWER_STATE = 40;
    uint256 internal constant PIECE_STATE = 41;
    uint256 internal constant CONSTRAIN = 42;
}

/// One op of a leaf in a word (src/verify/referee/ops.hpp, `Op`). From bit 0: kind (8), type (2), by segment (1),
/// scalar (1), counts from the answer on (1), tie (3), values (32), chunks (24), steps (16), layer (16), width (24),
/// the sources a, b, c, d (24 each), tensor role + 1 (8; 0: none).
library OpWord {
    uint256 internal constant F32 = 0;
    uint256 internal constant U32 = 1;
    uint256 internal constant F16 = 2;
    uint256 internal constant I8 = 3;

    uint256 internal constant TIE_NONE = 0;
    uint256 internal constant TIE_X = 1;
    uint256 internal constant TIE_K = 2;
    uint256 internal constant TIE_V = 3;
    uint256 internal constant TIE_LOGITS = 4;
    uint256 internal constant TIE_TOKEN = 5;

    /// A source: nothing, op i of the list, or x of leaf l of the position.
    uint256 internal constant NONE = 0;
    uint256 internal constant FROM_OP = 1 << 16;
    uint256 internal constant FROM_LEAF = 2 << 16;

    function kind(uint256 op) internal pure returns (uint256) {
        return uint8(op);
    }

    function valueType(uint256 op) internal pure returns (uint256) {
        return op >> 8 & 3;
    }

    /// Bytes of one value.
    function valueBytes(uint256 op) internal pure returns (uint256) {
        // 4, 4, 2, 1 by type
        return 0x01020404 >> (8 * valueType(op)) & 0xff;
    }

    /// Chunks are (head, segment) of positions.
    function bySegment(uint256 op) internal pure returns (bool) {
        return op & 1 << 10 != 0;
    }

    /// Given in the clear instead of a root.
    function scalar(uint256 op) internal pure returns (bool) {
        return op & 1 << 11 != 0;
    }

    /// A count of tokens from the answer's first on, not from position 0.
    function fromAnswer(uint256 op) internal pure returns (bool) {
        return op & 1 << 12 != 0;
    }

    /// Which root of the leaf the op's root must be: `TIE_…`.
    function tie(uint256 op) internal pure returns (uint256) {
        return op >> 13 & 7;
    }

    function values(uint256 op) internal pure returns (uint256) {
        return uint32(op >> 16);
    }

    function chunks(uint256 op) internal pure returns (uint256) {
        return uint24(op >> 48);
    }

    /// Most steps of any element; `stepsOf` says how many one has.
    function steps(uint256 op) internal pure returns (uint256) {
        return uint16(op >> 72);
    }

    /// Of tensors and rows of the cache.
    function layer(uint256 op) internal pure returns (uint256) {
        return uint16(op >> 88);
    }

    /// Norms and attention: values of a head; quantizers: block.
    function width(uint256 op) internal pure returns (uint256) {
        return uint24(op >> 104);
    }

    function a(uint256 op) internal pure returns (uint256) {
        return uint24(op >> 128);
    }

    function b(uint256 op) internal pure returns (uint256) {
        return uint24(op >> 152);
    }

    function c(uint256 op) internal pure returns (uint256) {
        return uint24(op >> 176);
    }

    function d(uint256 op) internal pure returns (uint256) {
        return uint24(op >> 200);
    }

    /// The tensor it reads, as `Role` + 1.
    function tensor(uint256 op) internal pure returns (uint256) {
        return op >> 224;
    }

    function isOp(uint256 source) internal pure returns (bool) {
        return source >> 16 == 1;
    }

    function isLeaf(uint256 source) internal pure returns (bool) {
        return source >> 16 == 2;
    }

    /// Index of the op, or the leaf, of a source.
    function index(uint256 source) internal pure returns (uint256) {
        return uint16(source);
    }

    /// Values of chunk `chunk`: 256, or what is left.
    function chunkValues(uint256 op, uint256 chunk, uint256 position) internal pure returns (uint256) {
        uint256 rest = bySegment(op) ? position + 1 - chunk % (position / 256 + 1) * 256 : values(op) - chunk * 256;
        return rest < 256 ? rest : 256;
    }

    /// Steps of one element.
    function stepsOf(uint256 op, uint256 element, uint256 position) internal pure returns (uint256) {
        if (kind(op) != Kind.WEIGHTED_VALUE) return steps(op);
        uint256 rest = position + 1 - element / width(op) % (position / 256 + 1) * 256;
        return rest < 256 ? rest : 256;
    }
}
