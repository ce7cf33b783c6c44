// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Chain} from "../../src/canon/Chain.sol";
import {Elementary} from "../../src/canon/Elementary.sol";
import {F32} from "../../src/canon/F32.sol";
import {FastProduct} from "../../src/canon/FastProduct.sol";
import {Formats} from "../../src/canon/Formats.sol";
import {Half} from "../../src/canon/Half.sol";
import {Test} from "../Vm.sol";

/// spec/vectors/canon: the arithmetic alone, whole vectors and rows.
contract CanonTest is Test {
    string private json;
    uint256 private cases;

    /// Reads a file; `cases` is how many it has.
    function _open(string memory name) private {
        json = vm.readFile(string.concat("../spec/vectors/canon/", name, ".json"));
        cases = 0;
        while (vm.keyExistsJson(json, _key(cases, ""))) ++cases;
        require(cases > 0, name);
    }

    function _key(uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]", field);
    }

    function _hex(bytes memory text) private pure returns (bytes memory out) {
        return vm.parseBytes(string.concat("0x", string(text)));
    }

    function _number(bytes memory text) private pure returns (uint256) {
        bytes memory b = _hex(text);
        return uint256(bytes32(b)) >> 256 - 8 * b.length;
    }

    function _bits(uint256 i, string memory field) private view returns (uint256) {
        return _number(bytes(vm.parseJsonString(json, _key(i, field))));
    }

    function _bytes(uint256 i, string memory field) private view returns (bytes memory) {
        return _hex(bytes(vm.parseJsonString(json, _key(i, field))));
    }

    function _all(uint256 i, string memory field) private view returns (uint256[] memory out) {
        string[] memory texts = vm.parseJsonStringArray(json, _key(i, field));
        out = new uint256[](texts.length);
        for (uint256 n; n < texts.length; ++n) {
            out[n] = _number(bytes(texts[n]));
        }
    }

    function test_exp() public {
        _open("exp");
        for (uint256 i; i < cases; ++i) {
            require(Elementary.exp(_bits(i, ".x")) == _bits(i, ".y"), vm.toString(i));
        }
    }

    function test_log() public {
        _open("log");
        for (uint256 i; i < cases; ++i) {
            require(Elementary.log(_bits(i, ".x")) == _bits(i, ".y"), vm.toString(i));
        }
    }

    function test_toFp16() public {
        _open("to_fp16");
        for (uint256 i; i < cases; ++i) {
            uint256 half = Half.narrow(_bits(i, ".x"));
            bool finite = vm.parseJsonBool(json, _key(i, ".finite"));
            require(Half.finite(half) == finite && (!finite || half == _bits(i, ".fp16")), vm.toString(i));
        }
    }

    /// Every binary16 widens to a number that narrows to it.
    function test_everyHalf() public pure {
        for (uint256 half; half < 0x10000; half += 7) {
            if (Half.finite(half)) require(Half.narrow(Half.widen(half)) == half);
        }
    }

    function test_swiglu() public {
        _open("swiglu");
        for (uint256 i; i < cases; ++i) {
            uint256[] memory gate = _all(i, ".gate");
            uint256[] memory up = _all(i, ".up");
            uint256[] memory y = _all(i, ".y");
            for (uint256 n; n < y.length; ++n) {
                require(F32.mul(Elementary.silu(gate[n]), up[n]) == y[n], vm.toString(n));
            }
        }
    }

    function test_rmsNorm() public {
        _open("rms_norm");
        for (uint256 i; i < cases; ++i) {
            uint256[] memory x = _all(i, ".x");
            uint256[] memory w = _all(i, ".weight");
            uint256[] memory y = _all(i, ".y");
            uint256 squares = _dot(x, x);
            uint256 mean = F32.div(squares, F32.fromInt(int256(x.length)));
            uint256 inverse = F32.div(F32.ONE, F32.sqrt(F32.add(mean, _bits(i, ".epsilon"))));
            for (uint256 n; n < y.length; ++n) {
                require(F32.mul(F32.mul(x[n], inverse), w[n]) == y[n], vm.toString(n));
            }
        }
    }

    function test_dequantize() public {
        _open("dequantize");
        for (uint256 i; i < cases; ++i) {
            uint256 format = _format(vm.parseJsonString(json, _key(i, ".format")));
            this.dequantize(format, _bytes(i, ".row"), _all(i, ".values"));
        }
    }

    function dequantize(uint256 format, bytes calldata row, uint256[] calldata values) external pure {
        uint256 size = 256 / Formats.blockValues(format) * Formats.blockBytes(format);
        for (uint256 n; n < values.length; n += 3) {
            uint256 begin = n / 256 * size;
            require(Formats.value(format, row[begin:], n % 256) == values[n], vm.toString(n));
        }
    }

    function test_kProducts() public {
        _open("k_products");
        for (uint256 i; i < cases; ++i) {
            uint256 format = _format(vm.parseJsonString(json, _key(i, ".format")));
            uint256 y = this.superblocks(format, _bytes(i, ".row"), _bytes(i, ".q"), _all(i, ".scale"));
            require(y == _bits(i, ".y"), vm.toString(i));
        }
    }

    function superblocks(uint256 format, bytes calldata row, bytes calldata q, uint256[] calldata scales)
        external
        pure
        returns (uint256 total)
    {
        uint256 size = Formats.blockBytes(format);
        for (uint256 b; b < scales.length; ++b) {
            bytes calldata w = row[b * size:];
            bytes calldata a = q[256 * b:];
            (uint256 wAt, uint256 aAt) = (_at(w), _at(a));
            (int256 isum, int256 msum) = FastProduct.sums(format, wAt, aAt);
            (int256 i, int256 m) = Formats.sums(format, w, a);
            require(isum == i && msum == m, "fast");
            total = F32.add(total, Formats.combine(format, isum, msum, w, scales[b]));
        }
    }

    function test_plainRows() public {
        _open("row_products");
        for (uint256 i; i < cases; ++i) {
            uint256[] memory x = _all(i, ".x");
            bytes memory row = _bytes(i, ".f16");
            uint256[] memory halves = new uint256[](x.length);
            uint256[] memory tops = new uint256[](x.length);
            for (uint256 n; n < x.length; ++n) {
                uint256 v = uint256(uint8(row[2 * n])) | uint256(uint8(row[2 * n + 1])) << 8;
                (halves[n], tops[n]) = (Half.widen(v), v << 16);
            }
            require(_dot(halves, x) == _bits(i, ".f16_y"), "f16");
            require(_dot(tops, x) == _bits(i, ".bf16_y"), "bf16");
        }
    }

    function test_logprobs() public {
        _open("logprobs");
        for (uint256 i; i < cases; ++i) {
            uint256[] memory logits = _all(i, ".logits");
            uint256[] memory out = _all(i, ".logprobs");
            uint256 largest = _bits(i, ".maximum");
            uint256 total;
            uint256 acc;
            for (uint256 n; n < logits.length; ++n) {
                acc = F32.add(n % 256 == 0 ? 0 : acc, Elementary.exp(F32.sub(logits[n], largest)));
                if (n % 256 == 255 || n + 1 == logits.length) total = F32.add(total, acc);
            }
            uint256 sum = Elementary.log(total);
            require(sum == _bits(i, ".log_sum"), vm.toString(i));
            for (uint256 n; n < out.length; ++n) {
                require(F32.sub(F32.sub(logits[n], largest), sum) == out[n], vm.toString(n));
            }
        }
    }

    function test_gumbel() public {
        _open("sampling");
        for (uint256 i; i < cases; ++i) {
            uint256 seed = vm.parseUint(vm.parseJsonString(json, _key(i, ".seed")));
            uint256 position = vm.parseJsonUint(json, _key(i, ".position"));
            require(Elementary.gumbel(seed, position, 0) == _bits(i, ".gumbel_of_token_0"), vm.toString(i));
        }
    }

    /// chain(a · b), by the fast sum and the readable one.
    function _dot(uint256[] memory a, uint256[] memory b) private pure returns (uint256 total) {
        for (uint256 begin; begin < a.length; begin += 256) {
            uint256 count = a.length - begin < 256 ? a.length - begin : 256;
            uint256 pa;
            uint256 pb;
            assembly ("memory-safe") {
                pa := add(add(a, 32), shl(5, begin))
                pb := add(add(b, 32), shl(5, begin))
            }
            uint256 acc = Chain.dot(pa, pb, 32, count);
            require(acc == Chain.readable(pa, pb, 32, count), "fast");
            total = F32.add(total, acc);
        }
    }

    function _format(string memory name) private pure returns (uint256) {
        bytes32 hash = keccak256(bytes(name));
        if (hash == keccak256("F32")) return Formats.F32_;
        if (hash == keccak256("F16")) return Formats.F16;
        if (hash == keccak256("BF16")) return Formats.BF16;
        if (hash == keccak256("Q8_0")) return Formats.Q8_0;
        if (hash == keccak256("Q4_0")) return Formats.Q4_0;
        if (hash == keccak256("Q4_K")) return Formats.Q4_K;
        if (hash == keccak256("Q5_K")) return Formats.Q5_K;
        require(hash == keccak256("Q6_K"), name);
        return Formats.Q6_K;
    }

    function _at(bytes calldata data) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := data.offset
        }
    }
}
