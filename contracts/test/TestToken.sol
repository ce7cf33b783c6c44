// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// A stablecoin with the habits of real ones: its issuer freezes whom it likes, or everybody; it may take a fee.
contract TestToken is ERC20, ERC20Permit {
    uint8 private immutable DECIMALS;
    mapping(address => bool) public frozen;
    bool public paused;
    uint256 public fee;

    error Frozen();

    constructor(uint8 decimals_) ERC20("Test Dollar", "TUSD") ERC20Permit("Test Dollar") {
        DECIMALS = decimals_;
    }

    function decimals() public view override returns (uint8) {
        return DECIMALS;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function freeze(address who, bool yes) external {
        frozen[who] = yes;
    }

    function pause(bool yes) external {
        paused = yes;
    }

    function setFee(uint256 fee_) external {
        fee = fee_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (paused || frozen[from] || frozen[to]) revert Frozen();
        super._update(from, to, amount);
        if (fee != 0 && from != address(0) && to != address(0)) super._update(to, address(0xfee), fee);
    }
}
