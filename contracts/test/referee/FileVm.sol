// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// What the tests of the referee use of forge's cheat codes beside `Vm`.
interface FileVm {
    function readFileBinary(string calldata path) external view returns (bytes memory);
    function toString(bytes calldata value) external pure returns (string memory);
    function envOr(string calldata name, string calldata otherwise) external view returns (string memory);
    function envOr(string calldata name, string calldata delimiter, string[] calldata otherwise)
        external
        view
        returns (string[] memory);
}
