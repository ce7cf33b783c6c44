// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Chain} from "../../src/canon/Chain.sol";
import {F32} from "../../src/canon/F32.sol";
import {FastProduct} from "../../src/canon/FastProduct.sol";
import {Formats} from "../../src/canon/Formats.sol";
import {Test} from "../Vm.sol";

/// The fast versions against the readable ones, on random numbers of every kind.
contract FastTest is Test {
    /// Numbers as C++'s hostile ones: ordinary, of a few magnitudes, tiny, subnormal, zero, ties, special.
    function _number(uint256 random, uint256 mode) private pure returns (uint256) {
        uint256 bits = uint32(random);
        uint256 pick = uint32(random >> 32) % 16;
        if (mode == 0) return bits;
        if (pick == 0) return bits & 0x80000000;
        if (pick == 1) return bits & 0x807fffff;
        if (pick == 2 && mode == 2) return 0x7f800000 | bits & 0x80000001;
        uint256 spread = mode == 1 ? 4 : 30;
        if (mode == 4) return bits & 0x80000000 | (uint32(random >> 64) % 3 + 126) << 23;
        return bits & 0x807fffff | (127 - spread / 2 + uint32(random >> 64) % spread) << 23;
    }

    function testFuzz_chain(uint256 seed, uint256 count, uint256 mode) public pure {
        count = count % 256 + 1;
        mode %= 5;
        uint256[] memory a = new uint256[](count);
        uint256[] memory b = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            a[i] = _number(uint256(keccak256(abi.encode(seed, i, 0))), mode);
            b[i] = _number(uint256(keccak256(abi.encode(seed, i, 1))), mode);
        }
        (uint256 pa, uint256 pb) = (_words(a), _words(b));
        uint256 expected = Chain.readable(pa, pb, 32, count);
        (bool ordinary, uint256 fast) = Chain.fast(pa, pb, 32, count);
        if (ordinary) require(fast == expected, "products");
        // Ordinary numbers take the fast way, up to a sum that vanishes.
        require(ordinary || mode == 0 || mode == 2 || mode == 4, "not taken");
        require(Chain.sum(pa, count) == _plainSum(a), "sum");
    }

    function _plainSum(uint256[] memory a) private pure returns (uint256 acc) {
        for (uint256 i; i < a.length; ++i) {
            acc = F32.add(acc, a[i]);
        }
    }

    function testFuzz_blocks(uint256 seed, bool eight, uint256 count, uint256 mode) public view {
        count = count % 8 + 1;
        uint256 format = eight ? Formats.Q8_0 : Formats.Q4_0;
        bytes memory w = _bytes(seed, Formats.blockBytes(format) * count);
        bytes memory q = _bytes(~seed, 32 * count);
        uint256[] memory scales = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            scales[i] = _number(uint256(keccak256(abi.encode(seed, i))), mode % 4);
        }
        this.blocks(format, w, q, scales);
    }

    function blocks(uint256 format, bytes calldata w, bytes calldata q, uint256[] memory scales) external pure {
        uint256 ptr = _words(scales);
        uint256 fast = FastProduct.blocks(format, _at(w), _at(q), ptr, scales.length);
        require(fast == Formats.blocks(format, w, q, ptr), "blocks");
    }

    function testFuzz_superblocks(uint256 seed, uint256 which) public view {
        uint256 format = Formats.Q4_K + which % 3;
        this.sums(format, _bytes(seed, Formats.blockBytes(format)), _bytes(~seed, 256));
    }

    function sums(uint256 format, bytes calldata w, bytes calldata q) external pure {
        (int256 isum, int256 msum) = FastProduct.sums(format, _at(w), _at(q));
        (int256 i, int256 m) = Formats.sums(format, w, q);
        require(isum == i && msum == m, "sums");
    }

    function _bytes(uint256 seed, uint256 size) private pure returns (bytes memory out) {
        out = new bytes(size);
        // One in four: everything at its largest, -128 or 127.
        uint256 extreme = seed % 4;
        for (uint256 i; i < size; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            out[i] = extreme == 0 ? (random % 2 == 0 ? bytes1(0x80) : bytes1(0x7f)) : bytes1(uint8(random));
        }
    }

    function _words(uint256[] memory a) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := add(a, 32)
        }
    }

    function _at(bytes calldata data) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := data.offset
        }
    }
}
