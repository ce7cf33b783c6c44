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
    bool constrained; // and holds the answer to an automaton
    uint256 position;
    uint256 leaf;
    bool fault;
    uint256 words; // where in memory the ops are
    uint256 next; // and the next one goes
    uint256 layer; // whose tensors come, where a word has it
    uint256 formats; // where in memory their types are
    uint256 faultFrom;
    // The rows of the leaf's own layer and position, where a layer after them reads them; the token chosen.
    uint256 ownK;
    uint256 ownV;
    uint256 token;
}

/// @title The ops that lead into one leaf, part by part (spec/dispute.md section 3)
/// @dev src/verify/referee/ops_layer.cpp and ops_head.cpp in the same order. A source is an op before, FROM_OP | its
/// index.
library Ops {
    using ProgramBytes for Program;
    using Terms for uint256;

    uint256 private constant MOST = 128; // no leaf has as many ops
    uint256 private constant PIECE_MAX = 64; // bytes of a token that a constrained answer may have
    uint256 private constant U32 = OpWord.U32 << 8;
    uint256 private constant F16 = OpWord.F16 << 8;
    uint256 private constant I8 = OpWord.I8 << 8;
    uint256 private constant BY_SEGMENT = 1 << 10;
    uint256 private constant SCALAR = 1 << 11;
    uint256 private constant FROM_ANSWER = 1 << 12;

    uint256 private constant SOURCE = 0xffffff;
    uint256 private constant TWO_SOURCES = 0xffffffffffff;

    /// The leaf exists in a trace of the subject.
    function build(
        Program memory p,
        uint256 counts,
        uint256 sampling,
        bool biased,
        bool constrained,
        uint256 position,
        uint256 leaf,
        bool fault
    ) internal pure returns (OpList memory l) {
        l.p = p;
        l.counts = counts;
        l.sampling = sampling;
        l.biased = biased;
        l.constrained = constrained;
        l.position = position;
        l.leaf = leaf;
        l.fault = fault;
        uint256 words;
        assembly ("memory-safe") {
            words := mload(0x40)
            mstore(0x40, add(words, shl(5, MOST)))
        }
        l.words = words;
        l.next = words;
        uint256 x = leaf == 0
            ? _add(l, Kind.EMBEDDING | _tensor(l, Role.TOKEN_EMBD), p.dim, 1)
            : _layer(l, leaf - 1, OpWord.FROM_LEAF | leaf - 1);
        _tie(l, x, OpWord.TIE_X);
        l.faultFrom = count(l);
        if (leaf == p.layers) {
            _head(l, x);
        } else {
            _cacheRow(l, leaf, x);
            // Where no later leaf shows a fault in that layer.
            if (fault || leaf + 1 == p.layers && position < counts.firstSampled()) _layer(l, leaf, x);
        }
        if (!fault) l.faultFrom = count(l);
    }

    /// How many ops the list has.
    function count(OpList memory l) internal pure returns (uint256) {
        return (l.next - l.words) / 32;
    }

    function get(OpList memory l, uint256 index) internal pure returns (uint256 op) {
        uint256 words = l.words;
        assembly ("memory-safe") {
            op := mload(add(words, shl(5, index)))
        }
    }

    /// Layer `n` as it gives the residual stream after it; x entering it.
    function _layer(OpList memory l, uint256 n, uint256 x) private pure returns (uint256) {
        _enter(l, n);
        uint256 o = _attention(l, _query(l, x));
        x = _attended(l, x, o);
        return _fed(l, x);
    }

    /// The tensors that follow are those of layer `n`.
    function _enter(OpList memory l, uint256 n) private pure {
        l.layer = n << 88;
        l.formats = l.p.layerFormats(n);
    }

    function _query(OpList memory l, uint256 x) private pure returns (uint256 q) {
        unchecked {
            uint256 dim = l.p.dim;
            uint256 width = l.p.heads * l.p.headDim;
            uint256 type_ = _type(l, 1);
            q = _norm(l, x, 1, dim, _tensor(l, Role.ATTN_NORM));
            q = _quant(l, q, dim, _bit(type_));
            q = _product(l, q, _tensor(l, Role.ATTN_Q), width, dim, type_);
            if (l.p.biases) q = _add(l, Kind.ADD_BIAS | _tensor(l, Role.Q_BIAS) | q << 128, width, 1);
            if (l.p.headNorms) q = _norm(l, q, l.p.heads, l.p.headDim, _tensor(l, Role.Q_NORM));
            q = _add(l, Kind.ROPE | q << 128, width, 1);
        }
    }

    /// x + W_o o.
    function _attended(OpList memory l, uint256 x, uint256 o) private pure returns (uint256) {
        unchecked {
            uint256 dim = l.p.dim;
            uint256 width = l.p.heads * l.p.headDim;
            uint256 type_ = _type(l, ProgramBytes.BEFORE_OUTPUT + l.p.extraTensors());
            o = _quant(l, o, width, _bit(type_));
            o = _product(l, o, _tensor(l, Role.ATTN_OUTPUT), dim, width, type_);
            return _add(l, Kind.ADD_RESIDUAL | x << 128 | o << 152, dim, 1);
        }
    }

    /// x + W_down (silu(g) · u).
    function _fed(OpList memory l, uint256 x) private pure returns (uint256) {
        unchecked {
            uint256 dim = l.p.dim;
            uint256 ffn = l.p.ffn;
            uint256 first = ProgramBytes.BEFORE_OUTPUT + l.p.extraTensors(); // attn_output
            uint256 gate = _type(l, first + 2);
            uint256 up = _type(l, first + 3);
            uint256 h = _norm(l, x, 1, dim, _tensor(l, Role.FFN_NORM));
            h = _quant(l, h, dim, _bit(gate) | _bit(up));
            uint256 g = _product(l, h, _tensor(l, Role.FFN_GATE), ffn, dim, gate);
            h = _product(l, h, _tensor(l, Role.FFN_UP), ffn, dim, up);
            h = _add(l, Kind.SWIGLU | g << 128 | h << 152, ffn, 1);
            up = _type(l, first + 4); // of ffn_down
            h = _quant(l, h, ffn, _bit(up));
            h = _product(l, h, _tensor(l, Role.FFN_DOWN), dim, ffn, up);
            return _add(l, Kind.ADD_RESIDUAL | x << 128 | h << 152, dim, 1);
        }
    }

    function _attention(OpList memory l, uint256 q) private pure returns (uint256) {
        unchecked {
            uint256 heads = l.p.heads;
            uint256 segments = l.position / 256 + 1;
            uint256 pairs = heads * segments;
            uint256 positions = l.position + 1;
            uint256 common = l.layer | l.p.headDim << 104;
            uint256 chunks = pairs << 48 | l.layer;
            uint256 sc = _put(
                l,
                Kind.SCORE | BY_SEGMENT | (heads * positions) << 16 | chunks | _chunks(l.p.headDim) << 72 | q << 128
                    | l.ownK << 152
            );
            uint256 sm = _add(l, Kind.SEGMENT_MAX | common | sc << 128, pairs, 1);
            uint256 sp = _put(
                l, Kind.SEGMENT_EXP | BY_SEGMENT | (heads * positions) << 16 | chunks | 1 << 72 | sc << 128 | sm << 152
            );
            uint256 sl = _add(l, Kind.SEGMENT_SUM | common | sp << 128, pairs, 1);
            uint256 so = _add(
                l,
                Kind.WEIGHTED_VALUE | common | sp << 128 | l.ownV << 152,
                pairs * l.p.headDim,
                positions < 256 ? positions : 256
            );
            uint256 m = _add(l, Kind.RUNNING_MAX | common | sm << 128, heads, segments);
            uint256 w = _add(l, Kind.SEGMENT_WEIGHT | common | sm << 128 | m << 152, pairs, 1);
            uint256 total = _add(l, Kind.ATTENTION_SUM | common | w << 128 | sl << 152, heads, segments);
            return
                _add(
                    l, Kind.ATTENTION_OUT | common | w << 128 | so << 152 | total << 176, heads * l.p.headDim, segments
                );
        }
    }

    /// What layer `n` writes to the cache.
    function _cacheRow(OpList memory l, uint256 n, uint256 x) private pure {
        unchecked {
            _enter(l, n);
            Program memory p = l.p;
            uint256 dim = p.dim;
            uint256 width = p.kvHeads * p.headDim;
            uint256 typeK = _type(l, 2);
            uint256 typeV = _type(l, 3);
            uint256 h = _norm(l, x, 1, dim, _tensor(l, Role.ATTN_NORM));
            h = _quant(l, h, dim, _bit(typeK) | _bit(typeV));
            uint256 k = _product(l, h, _tensor(l, Role.ATTN_K), width, dim, typeK);
            if (p.biases) k = _add(l, Kind.ADD_BIAS | _tensor(l, Role.K_BIAS) | k << 128, width, 1);
            if (p.headNorms) k = _norm(l, k, p.kvHeads, p.headDim, _tensor(l, Role.K_NORM));
            k = _add(l, Kind.ROPE | k << 128, width, 1);
            k = _add(l, Kind.TO_HALF | F16 | k << 128, width, 1);
            _tie(l, k, OpWord.TIE_K);
            l.ownK = k;
            uint256 v = _product(l, h, _tensor(l, Role.ATTN_V), width, dim, typeV);
            if (p.biases) v = _add(l, Kind.ADD_BIAS | _tensor(l, Role.V_BIAS) | v << 128, width, 1);
            v = _add(l, Kind.TO_HALF | F16 | v << 128, width, 1);
            _tie(l, v, OpWord.TIE_V);
            l.ownV = v;
        }
    }

    /// The head, the choice of a token, and its log-probabilities.
    function _head(OpList memory l, uint256 x) private pure {
        unchecked {
            Program memory p = l.p;
            uint256 type_ = p.formatOf(Role.OUTPUT, 0);
            l.layer = 0;
            uint256 logits = _norm(l, x, 1, p.dim, _tensor(l, Role.OUTPUT_NORM));
            logits = _quant(l, logits, p.dim, _bit(type_));
            logits = _product(l, logits, _tensor(l, Role.OUTPUT), p.vocabulary, p.dim, type_);
            _tie(l, logits, OpWord.TIE_LOGITS);
            uint256 scores = _adjusted(l, logits);
            // A request's temperature is never -0.
            bool drawn = l.sampling.temperature() & 0x7fffffff != 0;
            if (drawn) scores = _add(l, Kind.TEMPERATURE | scores << 128, p.vocabulary, 1);
            if (l.fault) return; // nothing after it can be NaN or infinite
            if (l.constrained) scores = _constrained(l, scores);
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
            if (repetition) sources |= _add(l, Kind.TAPE_COUNT | U32, vocabulary, steps) << 152;
            if (counted) sources |= _add(l, Kind.TAPE_COUNT | U32 | FROM_ANSWER, vocabulary, steps) << 176;
            return _add(l, Kind.ADJUST | sources, vocabulary, 1);
        }
    }

    /// Where the answer so far leads in the automaton, where each token leads from there, and the scores of those that
    /// lead somewhere.
    function _constrained(OpList memory l, uint256 scores) private pure returns (uint256) {
        unchecked {
            uint256 vocabulary = l.p.vocabulary;
            uint256 answered = l.position - l.counts.firstSampled();
            uint256 state;
            if (answered > 0) state = _add(l, Kind.ANSWER_STATE | U32, answered, PIECE_MAX);
            uint256 states = _add(l, Kind.PIECE_STATE | U32 | state << 128, vocabulary, PIECE_MAX);
            return _add(l, Kind.CONSTRAIN | scores << 128 | states << 152, vocabulary, 1);
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
                uint256 zc = _add(l, Kind.SEGMENT_MAX | z << 128, n, 1);
                uint256 zm = _add(l, Kind.RUNNING_MAX | SCALAR | zc << 128, 1, n);
                uint256 p = _add(l, Kind.SHIFTED_EXP | z << 128 | zm << 152 | kappa << 176, vocabulary, 1);
                sources |= p << 176;
                if (topP) sources |= _nucleus(l, p, n) << 200;
            }
            return _add(l, Kind.NOISY | sources, vocabulary, 1);
        }
    }

    /// How many of z are at or above the threshold, and how many above it. Returns the threshold.
    function _topK(OpList memory l, uint256 z, uint256 n) private pure returns (uint256 k) {
        unchecked {
            k = _add(l, Kind.THRESHOLD | SCALAR, 1, 1);
            uint256 kg = _add(l, Kind.COUNT_AT | U32 | z << 128 | k << 152, n, 1);
            uint256 kl = _add(l, Kind.COUNT_ABOVE | U32 | z << 128 | k << 152, n, 1);
            uint256 kgt = _add(l, Kind.RUNNING_TOTAL | U32 | SCALAR | kg << 128, 1, n);
            uint256 klt = _add(l, Kind.RUNNING_TOTAL | U32 | SCALAR | kl << 128, 1, n);
            _add(l, Kind.THRESHOLD_OK | U32 | SCALAR | kgt << 128 | klt << 152, 1, 1);
        }
    }

    function _nucleus(OpList memory l, uint256 p, uint256 n) private pure returns (uint256 tau) {
        unchecked {
            uint256 ps = _add(l, Kind.SEGMENT_SUM | p << 128, n, 1);
            uint256 pt = _add(l, Kind.RUNNING_TOTAL | SCALAR | ps << 128, 1, n);
            tau = _add(l, Kind.THRESHOLD | SCALAR, 1, 1);
            uint256 pg = _add(l, Kind.COUNT_AT | p << 128 | tau << 152, n, 1);
            uint256 pl = _add(l, Kind.COUNT_ABOVE | p << 128 | tau << 152, n, 1);
            uint256 pgt = _add(l, Kind.RUNNING_TOTAL | SCALAR | pg << 128, 1, n);
            uint256 plt = _add(l, Kind.RUNNING_TOTAL | SCALAR | pl << 128, 1, n);
            _add(l, Kind.THRESHOLD_OK | U32 | SCALAR | pgt << 128 | plt << 152 | pt << 176, 1, 1);
        }
    }

    function _choice(OpList memory l, uint256 scores) private pure {
        unchecked {
            uint256 n = _chunks(l.p.vocabulary);
            uint256 bv = _add(l, Kind.SEGMENT_MAX | scores << 128, n, 1);
            uint256 bi = _add(l, Kind.BEST_ID | U32 | scores << 128, n, 1);
            l.token = _add(l, Kind.BEST_TOKEN | U32 | SCALAR | bi << 128 | bv << 152, 1, n);
            _tie(l, l.token, OpWord.TIE_TOKEN);
            _add(l, Kind.NEXT_TOKEN | U32 | SCALAR, 1, 1);
        }
    }

    function _logprobs(OpList memory l, uint256 logits) private pure {
        unchecked {
            uint256 vocabulary = l.p.vocabulary;
            uint256 n = _chunks(vocabulary);
            uint256 others = l.counts.logprobs() - 1;
            uint256 xc = _add(l, Kind.SEGMENT_MAX | logits << 128, n, 1);
            uint256 xm = _add(l, Kind.RUNNING_MAX | SCALAR | xc << 128, 1, n);
            uint256 e = _add(l, Kind.SHIFTED_EXP | logits << 128 | xm << 152, vocabulary, 1);
            uint256 es = _add(l, Kind.SEGMENT_SUM | e << 128, n, 1);
            uint256 et = _add(l, Kind.RUNNING_TOTAL | SCALAR | es << 128, 1, n);
            uint256 ln = _add(l, Kind.LOG_SUM | SCALAR | et << 128, 1, 1);
            uint256 numbers = 1 + 2 * others;
            uint256 lp =
                _add(l, Kind.LOGPROB | U32 | logits << 128 | l.token << 152 | xm << 176 | ln << 200, numbers, 1);
            if (others > 0) {
                uint256 lc = _add(l, Kind.RANK_COUNT | U32 | logits << 128 | lp << 152, n, 1);
                _add(l, Kind.RUNNING_TOTAL | U32 | SCALAR | lc << 128, 1, n);
            }
            _add(l, Kind.LOGPROB_LEAF | U32, numbers, 1);
        }
    }

    /// `heads`: how many parts of `width` values are normed each for itself; `tensor` the weights, as the op has them.
    function _norm(OpList memory l, uint256 x, uint256 heads, uint256 width, uint256 tensor)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 common = width << 104;
            uint256 sum = _add(l, Kind.NORM_SUM | common | x << 128, heads, _chunks(width));
            uint256 inverse = _add(l, Kind.NORM_INVERSE | common | sum << 128, heads, 1);
            return _add(l, Kind.NORM_VALUE | tensor | common | x << 128 | inverse << 152, heads * width, 1);
        }
    }

    /// A vector where it is plain, and its quantized forms where some product takes them (`takes`, a bit each): five
    /// sources, x, q8, its scales, q8k, its scales.
    function _quant(OpList memory l, uint256 x, uint256 values, uint256 takes) private pure returns (uint256 forms) {
        unchecked {
            forms = x;
            if (takes & 1 << Formats.Q8 != 0) {
                uint256 d = _add(l, Kind.Q8_SCALE | 32 << 104 | x << 128, values / 32, 1);
                forms |= _add(l, Kind.Q8_QUANT | I8 | 32 << 104 | x << 128 | d << 152, values, 1) << 24 | d << 48;
            }
            if (takes & 1 << Formats.Q8K != 0) {
                uint256 d = _add(l, Kind.Q8K_SCALE | 256 << 104 | x << 128, values / 256, 1);
                forms |= _add(l, Kind.Q8K_QUANT | I8 | 256 << 104 | x << 128 | d << 152, values, 1) << 72 | d << 96;
            }
        }
    }

    /// Rows of weights of this type times what they take of the forms of a vector.
    function _product(OpList memory l, uint256 forms, uint256 tensor, uint256 rows, uint256 columns, uint256 format)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 takes = Formats.activation(format);
            uint256 sources = takes == Formats.PLAIN
                ? forms & SOURCE
                : takes == Formats.Q8 ? forms >> 24 & TWO_SOURCES : forms >> 72 & TWO_SOURCES;
            return _add(l, Kind.PRODUCT | tensor | sources << 128, rows, _chunks(columns));
        }
    }

    function _bit(uint256 format) private pure returns (uint256) {
        return 1 << Formats.activation(format);
    }

    /// The type of tensor `index` of the layer.
    function _type(OpList memory l, uint256 index) private pure returns (uint256 v) {
        uint256 formats = l.formats;
        assembly ("memory-safe") {
            v := byte(0, mload(add(formats, index)))
        }
    }

    /// Tensor and layer as a word has them.
    function _tensor(OpList memory l, uint256 role) private pure returns (uint256) {
        unchecked {
            return role + 1 << 224 | l.layer;
        }
    }

    function _chunks(uint256 values) private pure returns (uint256) {
        unchecked {
            return (values + 255) / 256;
        }
    }

    /// An op in chunks of 256 values; `op` has its other fields.
    function _add(OpList memory l, uint256 op, uint256 values, uint256 steps) private pure returns (uint256) {
        unchecked {
            return _put(l, op | values << 16 | (values + 255) / 256 << 48 | steps << 72);
        }
    }

    function _put(OpList memory l, uint256 op) private pure returns (uint256) {
        unchecked {
            uint256 next = l.next;
            l.next = next + 32;
            assembly ("memory-safe") {
                mstore(next, op)
            }
            return OpWord.FROM_OP | (next - l.words) / 32;
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
