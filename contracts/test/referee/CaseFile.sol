// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What one case says of a step (src/verify/referee/proof_cases_testutil.hpp, `ProofCase`).
struct Case {
    uint256 kind;
    uint256 says; // value, fault, invalid model; the proof is invalid, does not open
    uint256 bits; // of a value
    uint256[29] words; // subject, revealed, place, running
    bytes biases;
    bytes proof;
}

/// A file of cases in memory: u32 programs, each u16 length ‖ bytes; u32 cases, each u8 kind ‖ u8 says ‖ u32 bits ‖
/// 29 words, each u8 length ‖ bytes ‖ u16 length ‖ biases ‖ u16 length ‖ proof. Big-endian.
library CaseFile {
    struct File {
        uint256 ptr;
        uint256 end;
    }

    function open(bytes memory data) internal pure returns (File memory f) {
        assembly ("memory-safe") {
            mstore(f, add(data, 32))
            mstore(add(f, 32), add(add(data, 32), mload(data)))
        }
    }

    function number(File memory f, uint256 size) internal pure returns (uint256 v) {
        uint256 ptr = f.ptr;
        f.ptr = ptr + size;
        require(f.ptr <= f.end, "the file ends early");
        if (size == 0) return 0;
        assembly ("memory-safe") {
            v := shr(sub(256, shl(3, size)), mload(ptr))
        }
    }

    function bytes_(File memory f, uint256 size) internal pure returns (bytes memory out) {
        uint256 ptr = f.ptr;
        f.ptr = ptr + size;
        require(f.ptr <= f.end, "the file ends early");
        out = new bytes(size);
        assembly ("memory-safe") {
            mcopy(add(out, 32), ptr, size)
        }
    }

    function next(File memory f) internal pure returns (Case memory c) {
        c.kind = number(f, 1);
        c.says = number(f, 1);
        c.bits = number(f, 4);
        for (uint256 i; i < c.words.length; ++i) {
            c.words[i] = number(f, number(f, 1));
        }
        c.biases = bytes_(f, number(f, 2));
        c.proof = bytes_(f, number(f, 2));
    }

    /// A call's bytes: words, then biases and proof.
    function call(bytes4 selector, bytes memory words, bytes memory biases, bytes memory proof)
        internal
        pure
        returns (bytes memory)
    {
        uint256 head = words.length + 64;
        uint256 padded = (biases.length + 31) / 32 * 32;
        bytes memory tail =
            abi.encodePacked(biases.length, biases, new bytes(padded - biases.length), proof.length, proof);
        return abi.encodePacked(selector, words, head, head + 32 + padded, tail);
    }
}
