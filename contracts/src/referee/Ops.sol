// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {F32} from "../canon/F32.sol";
import {Formats} from "../canon/Formats.sol";
import {Kind, OpWord} from "./OpWord.sol";
import {Program, ProgramBytes, Role} from "./Program.sol";
import {Terms} from "./Terms.sol";

/// A list of ops under way.
struct OpList {
    Program p;
    uint256 counts; // `Terms`
    uint256 sampling;
    bool biased; // the request has logit biases
    uint256 position;
    uint256 leaf;
    bool fault;
    uint256 words; // where in memory the ops are
    uint256 count;
    uint256 faultFrom;
    // The rows of the leaf's own layer and position, where a layer after them reads them; the token chosen.
    uint256 ownK;
    uint256 ownV;
    uint256 token;
}

/// A vector where it is plain, and its quantized forms where some product takes them.
struct Activations {
    uint256 plain;
    uint256 q8;
    uint256 q8Scale;
    uint256 q8k;
    uint256 q8kScale;
}

/// @title The ops that lead into one leaf, part by part (spec/dispute.md section 3)
/// @dev src/verify/referee/ops_layer.cpp and ops_head.cpp in the same order. A source is an op before, FROM_OP | its
/// index.
library Ops {
    using ProgramBytes for Program;
    using Terms for uint256;

    uint256 private constant MOST = 128; // no leaf has as many ops
    uint256 private constant U32 = OpWord.U32 << 8;
    uint256 private constant F16 = OpWord.F16 << 8;
    uint256 private constant I8 = OpWord.I8 << 8;
    uint256 private constant BY_SEGMENT = 1 << 10;
    uint256 private constant SCALAR = 1 << 11;
    uint256 private constant FROM_ANSWER = 1 << 12;

    /// The leaf exists in a trace of the subject.
    function build(
        Program memory p,
        uint256 counts,
        uint256 sampling,
        bool biased,
        uint256 position,
        uint256 leaf,
        bool fault
    ) internal pure returns (OpList memory l) {
        l.p = p;
        l.counts = counts;
        l.sampling = sampling;
        l.biased = biased;
        l.position = position;
        l.leaf = leaf;
        l.fault = fault;
        uint256 words;
        assembly ("memory-safe") {
            words := mload(0x40)
            mstore(0x40, add(words, shl(5, MOST)))
        }
        l.words = words;
        if (leaf == 0) _add(l, Kind.EMBEDDING, p.dim, 1, _tensor(Role.TOKEN_EMBD, 0));
        else _layer(l, leaf - 1, OpWord.FROM_LEAF | leaf - 1);
        uint256 x = OpWord.FROM_OP | l.count - 1;
        _tie(l, x, OpWord.TIE_X);
        l.faultFrom = l.count;
        if (leaf == p.layers) {
            _head(l, x);
        } else {
            _cacheRow(l, leaf, x);
            // Where no later leaf shows a fault in that layer.
            if (fault || leaf + 1 == p.layers && position < counts.firstSampled()) _layer(l, leaf, x);
        }
        if (!fault) l.faultFrom = l.count;
    }

    function get(OpList memory l, uint256 index) internal pure returns (uint256 op) {
        uint256 words = l.words;
        assembly ("memory-safe") {
            op := mload(add(words, shl(5, index)))
        }
    }

    /// Layer `n` as it gives the residual stream after it; x entering it.
    function _layer(OpList memory l, uint256 n, uint256 x) private pure {
        unchecked {
            Program memory p = l.p;
            uint256 width = p.heads * p.headDim;
            uint256 h = _norm(l, x, 1, p.dim, Role.ATTN_NORM, n);
            uint256 q = _product(l, _quant(l, h, p.dim, _bit(p, Role.ATTN_Q, n)), Role.ATTN_Q, n);
            if (p.biases) q = _add(l, Kind.ADD_BIAS, width, 1, _tensor(Role.Q_BIAS, n) | q << 128);
            if (p.headNorms) q = _norm(l, q, p.heads, p.headDim, Role.Q_NORM, n);
            q = _add(l, Kind.ROPE, width, 1, q << 128);

            uint256 o = _attention(l, n, q);
            uint256 pr = _product(l, _quant(l, o, width, _bit(p, Role.ATTN_OUTPUT, n)), Role.ATTN_OUTPUT, n);
            uint256 x1 = _add(l, Kind.ADD_RESIDUAL, p.dim, 1, x << 128 | pr << 152);

            h = _norm(l, x1, 1, p.dim, Role.FFN_NORM, n);
            Activations memory a = _quant(l, h, p.dim, _bit(p, Role.FFN_GATE, n) | _bit(p, Role.FFN_UP, n));
            uint256 g = _product(l, a, Role.FFN_GATE, n);
            uint256 u = _product(l, a, Role.FFN_UP, n);
            uint256 mm = _add(l, Kind.SWIGLU, p.ffn, 1, g << 128 | u << 152);
            uint256 dn = _product(l, _quant(l, mm, p.ffn, _bit(p, Role.FFN_DOWN, n)), Role.FFN_DOWN, n);
            _add(l, Kind.ADD_RESIDUAL, p.dim, 1, x1 << 128 | dn << 152);
        }
    }

    function _attention(OpList memory l, uint256 n, uint256 q) private pure returns (uint256) {
        unchecked {
            uint256 heads = l.p.heads;
            uint256 segments = l.position / 256 + 1;
            uint256 pairs = heads * segments;
            uint256 positions = l.position + 1;
            uint256 common = n << 88 | l.p.headDim << 104;
            uint256 chunks = pairs << 48 | n << 88;
            uint256 sc = _put(
                l,
                Kind.SCORE | BY_SEGMENT | (heads * positions) << 16 | chunks | _chunks(l.p.headDim) << 72 | q << 128
                    | l.ownK << 152
            );
            uint256 sm = _add(l, Kind.SEGMENT_MAX, pairs, 1, common | sc << 128);
            uint256 sp = _put(
                l,
                Kind.SEGMENT_EXP | BY_SEGMENT | (heads * positions) << 16 | chunks | 1 << 72 | sc << 128 | sm << 152
            );
            uint256 sl = _add(l, Kind.SEGMENT_SUM, pairs, 1, common | sp << 128);
            uint256 so = _add(
                l,
                Kind.WEIGHTED_VALUE,
                pairs * l.p.headDim,
                positions < 256 ? positions : 256,
                common | sp << 128 | l.ownV << 152
            );
            uint256 m = _add(l, Kind.RUNNING_MAX, heads, segments, common | sm << 128);
            uint256 w = _add(l, Kind.SEGMENT_WEIGHT, pairs, 1, common | sm << 128 | m << 152);
            uint256 total = _add(l, Kind.ATTENTION_SUM, heads, segments, common | w << 128 | sl << 152);
            return _add(
                l,
                Kind.ATTENTION_OUT,
                heads * l.p.headDim,
                segments,
                common | w << 128 | so << 152 | total << 176
            );
        }
    }

    /// What the layer writes to the cache.
    function _cacheRow(OpList memory l, uint256 n, uint256 x) private pure {
        unchecked {
            Program memory p = l.p;
            uint256 width = p.kvHeads * p.headDim;
            uint256 h = _norm(l, x, 1, p.dim, Role.ATTN_NORM, n);
            Activations memory a = _quant(l, h, p.dim, _bit(p, Role.ATTN_K, n) | _bit(p, Role.ATTN_V, n));
            uint256 k = _product(l, a, Role.ATTN_K, n);
            if (p.biases) k = _add(l, Kind.ADD_BIAS, width, 1, _tensor(Role.K_BIAS, n) | k << 128);
            if (p.headNorms) k = _norm(l, k, p.kvHeads, p.headDim, Role.K_NORM, n);
            k = _add(l, Kind.ROPE, width, 1, k << 128);
            k = _add(l, Kind.TO_HALF | F16, width, 1, k << 128);
            _tie(l, k, OpWord.TIE_K);
            uint256 v = _product(l, a, Role.ATTN_V, n);
            if (p.biases) v = _add(l, Kind.ADD_BIAS, width, 1, _tensor(Role.V_BIAS, n) | v << 128);
            v = _add(l, Kind.TO_HALF | F16, width, 1, v << 128);
            _tie(l, v, OpWord.TIE_V);
            l.ownK = k;
            l.ownV = v;
        }
    }

    /// The head, the choice of a token, and its log-probabilities.
    function _head(OpList memory l, uint256 x) private pure {
        unchecked {
            Program memory p = l.p;
            uint256 h = _norm(l, x, 1, p.dim, Role.OUTPUT_NORM, 0);
            uint256 logits = _product(l, _quant(l, h, p.dim, _bit(p, Role.OUTPUT, 0)), Role.OUTPUT, 0);
            _tie(l, logits, OpWord.TIE_LOGITS);
            uint256 scores = _adjusted(l, logits);
            // A request's temperature is never -0.
            bool drawn = l.sampling.temperature() & 0x7fffffff != 0;
            if (drawn) scores = _add(l, Kind.TEMPERATURE, p.vocabulary, 1, scores << 128);
            if (l.fault) return; // nothing after it can be NaN or infinite
            if (drawn) scores = _drawn(l, scores);
            _choice(l, scores);
            if (l.counts.logprobs() != 0 && l.position + 1 >= l.counts.prompt()) _logprobs(l, logits);
        }
    }

    /// Bias and penalties, where the request has any.
    function _adjusted(OpList memory l, uint256 logits) private pure returns (uint256) {
        unchecked {
            bool repetition = l.sampling.repetition() != F32.ONE;
            bool counted = (l.sampling.presence() | l.sampling.frequency()) & 0x7fffffff != 0;
            if (!repetition && !counted && !l.biased) return logits;
            uint256 n = l.counts.prompt();
            uint256 positions = l.position + 1;
            uint256 onPrompt = n < positions ? n : positions;
            uint256 steps = _chunks(onPrompt) + _chunks(positions - onPrompt);
            uint256 vocabulary = l.p.vocabulary;
            uint256 sources = logits << 128;
            if (repetition) sources |= _add(l, Kind.TAPE_COUNT | U32, vocabulary, steps, 0) << 152;
            if (counted) sources |= _add(l, Kind.TAPE_COUNT | U32 | FROM_ANSWER, vocabulary, steps, 0) << 176;
            return _add(l, Kind.ADJUST, vocabulary, 1, sources);
        }
    }

    function _drawn(OpList memory l, uint256 z) private pure returns (uint256) {
        unchecked {
            uint256 vocabulary = l.p.vocabulary;
            uint256 n = _chunks(vocabulary);
            bool topP = F32.gt(F32.ONE, l.sampling.topP());
            uint256 kappa;
            uint256 k = l.sampling.topK();
            if (k > 0 && k < vocabulary) kappa = _topK(l, z, n);
            uint256 sources = z << 128 | kappa << 152;
            if (topP || F32.gt(l.sampling.minP(), 0)) {
                uint256 zc = _add(l, Kind.SEGMENT_MAX, n, 1, z << 128);
                uint256 zm = _add(l, Kind.RUNNING_MAX | SCALAR, 1, n, zc << 128);
                uint256 p = _add(l, Kind.SHIFTED_EXP, vocabulary, 1, z << 128 | zm << 152 | kappa << 176);
                sources |= p << 176;
                if (topP) sources |= _nucleus(l, p, n) << 200;
            }
            return _add(l, Kind.NOISY, vocabulary, 1, sources);
        }
    }

    /// How many of z are at or above the threshold, and how many above it. Returns the threshold.
    function _topK(OpList memory l, uint256 z, uint256 n) private pure returns (uint256 k) {
        unchecked {
            k = _add(l, Kind.THRESHOLD | SCALAR, 1, 1, 0);
            uint256 kg = _add(l, Kind.COUNT_AT | U32, n, 1, z << 128 | k << 152);
            uint256 kl = _add(l, Kind.COUNT_ABOVE | U32, n, 1, z << 128 | k << 152);
            uint256 kgt = _add(l, Kind.RUNNING_TOTAL | U32 | SCALAR, 1, n, kg << 128);
            uint256 klt = _add(l, Kind.RUNNING_TOTAL | U32 | SCALAR, 1, n, kl << 128);
            _add(l, Kind.THRESHOLD_OK | U32 | SCALAR, 1, 1, kgt << 128 | klt << 152);
        }
    }

    function _nucleus(OpList memory l, uint256 p, uint256 n) private pure returns (uint256 tau) {
        unchecked {
            uint256 ps = _add(l, Kind.SEGMENT_SUM, n, 1, p << 128);
            uint256 pt = _add(l, Kind.RUNNING_TOTAL | SCALAR, 1, n, ps << 128);
            tau = _add(l, Kind.THRESHOLD | SCALAR, 1, 1, 0);
            uint256 pg = _add(l, Kind.COUNT_AT, n, 1, p << 128 | tau << 152);
            uint256 pl = _add(l, Kind.COUNT_ABOVE, n, 1, p << 128 | tau << 152);
            uint256 pgt = _add(l, Kind.RUNNING_TOTAL | SCALAR, 1, n, pg << 128);
            uint256 plt = _add(l, Kind.RUNNING_TOTAL | SCALAR, 1, n, pl << 128);
            _add(l, Kind.THRESHOLD_OK | U32 | SCALAR, 1, 1, pgt << 128 | plt << 152 | pt << 176);
        }
    }

    function _choice(OpList memory l, uint256 scores) private pure {
        unchecked {
            uint256 n = _chunks(l.p.vocabulary);
            uint256 bv = _add(l, Kind.SEGMENT_MAX, n, 1, scores << 128);
            uint256 bi = _add(l, Kind.BEST_ID | U32, n, 1, scores << 128);
            l.token = _add(l, Kind.BEST_TOKEN | U32 | SCALAR, 1, n, bi << 128 | bv << 152);
            _tie(l, l.token, OpWord.TIE_TOKEN);
            _add(l, Kind.NEXT_TOKEN | U32 | SCALAR, 1, 1, 0);
        }
    }

    function _logprobs(OpList memory l, uint256 logits) private pure {
        unchecked {
            uint256 vocabulary = l.p.vocabulary;
            uint256 n = _chunks(vocabulary);
            uint256 others = l.counts.logprobs() - 1;
            uint256 xc = _add(l, Kind.SEGMENT_MAX, n, 1, logits << 128);
            uint256 xm = _add(l, Kind.RUNNING_MAX | SCALAR, 1, n, xc << 128);
            uint256 e = _add(l, Kind.SHIFTED_EXP, vocabulary, 1, logits << 128 | xm << 152);
            uint256 es = _add(l, Kind.SEGMENT_SUM, n, 1, e << 128);
            uint256 et = _add(l, Kind.RUNNING_TOTAL | SCALAR, 1, n, es << 128);
            uint256 ln = _add(l, Kind.LOG_SUM | SCALAR, 1, 1, et << 128);
            uint256 numbers = 1 + 2 * others;
            uint256 lp = _add(
                l, Kind.LOGPROB | U32, numbers, 1, logits << 128 | l.token << 152 | xm << 176 | ln << 200
            );
            if (others > 0) {
                uint256 lc = _add(l, Kind.RANK_COUNT | U32, n, 1, logits << 128 | lp << 152);
                _add(l, Kind.RUNNING_TOTAL | U32 | SCALAR, 1, n, lc << 128);
            }
            _add(l, Kind.LOGPROB_LEAF | U32, numbers, 1, 0);
        }
    }

    /// `heads`: how many parts of `width` values are normed each for itself.
    function _norm(OpList memory l, uint256 x, uint256 heads, uint256 width, uint256 role, uint256 n)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 sum = _add(l, Kind.NORM_SUM, heads, _chunks(width), width << 104 | x << 128);
            uint256 inverse = _add(l, Kind.NORM_INVERSE, heads, 1, width << 104 | sum << 128);
            return _add(
                l, Kind.NORM_VALUE, heads * width, 1, _tensor(role, n) | width << 104 | x << 128 | inverse << 152
            );
        }
    }

    /// `takes`: bits of the activations that some product takes.
    function _quant(OpList memory l, uint256 x, uint256 values, uint256 takes)
        private
        pure
        returns (Activations memory a)
    {
        unchecked {
            a.plain = x;
            if (takes & 1 << Formats.Q8 != 0) {
                a.q8Scale = _add(l, Kind.Q8_SCALE, values / 32, 1, 32 << 104 | x << 128);
                a.q8 = _add(l, Kind.Q8_QUANT | I8, values, 1, 32 << 104 | x << 128 | a.q8Scale << 152);
            }
            if (takes & 1 << Formats.Q8K != 0) {
                a.q8kScale = _add(l, Kind.Q8K_SCALE, values / 256, 1, 256 << 104 | x << 128);
                a.q8k = _add(l, Kind.Q8K_QUANT | I8, values, 1, 256 << 104 | x << 128 | a.q8kScale << 152);
            }
        }
    }

    function _product(OpList memory l, Activations memory a, uint256 role, uint256 n) private pure returns (uint256) {
        unchecked {
            (uint256 rows, uint256 columns) = l.p.extent(role);
            uint256 takes = Formats.activation(l.p.formatOf(role, n));
            uint256 sources = takes == Formats.PLAIN
                ? a.plain << 128
                : takes == Formats.Q8 ? a.q8 << 128 | a.q8Scale << 152 : a.q8k << 128 | a.q8kScale << 152;
            return _add(l, Kind.PRODUCT, rows, _chunks(columns), _tensor(role, n) | sources);
        }
    }

    function _bit(Program memory p, uint256 role, uint256 n) private pure returns (uint256) {
        return 1 << Formats.activation(p.formatOf(role, n));
    }

    function _tensor(uint256 role, uint256 layer) private pure returns (uint256) {
        return role + 1 << 224 | layer << 88;
    }

    function _chunks(uint256 values) private pure returns (uint256) {
        unchecked {
            return (values + 255) / 256;
        }
    }

    /// An op in chunks of 256 values; `kind` with its type and flags, `rest` the fields that are in place already.
    function _add(OpList memory l, uint256 kind, uint256 values, uint256 steps, uint256 rest)
        private
        pure
        returns (uint256)
    {
        return _put(l, kind | values << 16 | _chunks(values) << 48 | steps << 72 | rest);
    }

    function _put(OpList memory l, uint256 op) private pure returns (uint256) {
        unchecked {
            uint256 index = l.count++;
            uint256 words = l.words;
            assembly ("memory-safe") {
                mstore(add(words, shl(5, index)), op)
            }
            return OpWord.FROM_OP | index;
        }
    }

    function _tie(OpList memory l, uint256 source, uint256 tie) private pure {
        if (l.fault) return;
        uint256 words = l.words;
        assembly ("memory-safe") {
            let op := add(words, shl(5, and(source, 0xffff)))
            mstore(op, or(mload(op), shl(13, tie)))
        }
    }
}
