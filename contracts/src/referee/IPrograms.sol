// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The program bytes of models (spec/model.md, "Program hash")
/// @notice Anyone posts a program once; every later dispute about its model names the hash. Nobody can change or
/// remove one.
/// @dev Kept are only bytes that `parse_program` of the C++ side accepts: a dispute never meets another shape.
interface IPrograms {
    event Stored(bytes32 indexed program, address code);

    /// Not the bytes of a program of canon 0.
    error BadProgram();

    /// Keeps them, if they are not kept yet. `program` is their SHA-256.
    function store(bytes calldata data) external returns (bytes32 program);

    /// Where the bytes are the code, behind one zero byte; zero: not kept.
    function codeOf(bytes32 program) external view returns (address);
}
