// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Mismatch, Why} from "./Errors.sol";

/// What is signed for the ledger whose domain names the contract `market`, and who signed it.
library Domain {
    bytes32 private constant TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("Assay");
    bytes32 private constant VERSION = keccak256("0");

    /// Of the chain as it is now: nothing signed before a fork holds on the other side of it.
    function separator(address market) internal view returns (bytes32) {
        return keccak256(abi.encode(TYPE, NAME, VERSION, block.chainid, market));
    }

    function digest(address market, bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", separator(market), structHash));
    }

    /// By its key, whatever code the account may have; else as its code says (ERC-1271).
    function checkSigned(address signer, bytes32 id, bytes calldata signature) internal view {
        if (signedByKey(signer, id, signature)) return;
        if (signer.code.length == 0 || !SignatureChecker.isValidERC1271SignatureNowCalldata(signer, id, signature)) {
            revert Mismatch(Why.Signature);
        }
    }

    /// By its key alone: what convicts must hold for ever, and code may change its mind.
    function checkSignedByKey(address signer, bytes32 id, bytes calldata signature) internal pure {
        if (!signedByKey(signer, id, signature)) revert Mismatch(Why.Signature);
    }

    function signedByKey(address signer, bytes32 id, bytes calldata signature) private pure returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(id, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
