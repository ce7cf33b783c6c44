// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

/// The stablecoin of devnets, worth nothing. It moves by signed authorizations (EIP-3009), too, as USDC does and as x402's
/// `exact` wants. TestToken has the bad habits instead, and is what docs/gas.md measures.
contract TestDollar is ERC20, ERC20Permit, ERC3009 {
    uint8 private immutable DECIMALS;

    constructor(uint8 decimals_) ERC20("Test Dollar", "TUSD") ERC20Permit("Test Dollar") {
        DECIMALS = decimals_;
    }

    function decimals() public view override returns (uint8) {
        return DECIMALS;
    }

    function version() external pure returns (string memory) {
        return "1";
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
