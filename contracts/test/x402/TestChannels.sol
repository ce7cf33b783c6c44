// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";

struct ChannelConfig {
    address payer;
    address payerAuthorizer;
    address receiver;
    address receiverAuthorizer;
    address token;
    uint40 withdrawDelay;
    bytes32 salt;
}

interface ICollector {
    function collect(address payer, address token, uint256 amount, bytes32 channelId, bytes calldata data) external;
}

/// For tests only: what x402's `batch-settlement` says of its contract, written from the public specification, with the
/// calls and the EIP-712 domain of the published one, which no package carries. Without contract wallets, without what a
/// relayer needs (claimWithSignature, refundWithSignature), and without its care for strange tokens.
contract TestChannels is EIP712 {
    using SafeERC20 for IERC20;

    struct Voucher {
        ChannelConfig channel;
        uint128 maxClaimableAmount;
    }
    struct VoucherClaim {
        Voucher voucher;
        bytes signature;
        uint128 totalClaimed;
    }
    struct Funds {
        uint128 balance;
        uint128 totalClaimed;
    }
    struct Withdrawal {
        uint128 amount;
        uint40 initiatedAt;
    }
    struct Earned {
        uint128 totalClaimed;
        uint128 totalSettled;
    }

    bytes32 private constant CONFIG = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    );
    bytes32 private constant VOUCHER = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");

    mapping(bytes32 id => Funds) public channels;
    mapping(bytes32 id => Withdrawal) public pendingWithdrawals;
    mapping(bytes32 id => uint256) public refundNonce;
    mapping(address receiver => mapping(address token => Earned)) public receivers;

    error WithdrawDelayOutOfRange();
    error DepositCollectionFailed();
    error NotAuthorizedToClaim();
    error NotAuthorizedToRefund();
    error NotThePayer();
    error ClaimExceedsCeiling();
    error ClaimExceedsBalance();
    error InvalidSignature();
    error WithdrawalAlreadyPending();
    error WithdrawalNotPending();
    error WithdrawDelayNotElapsed();
    error WithdrawAmountExceedsAvailable();

    constructor() EIP712("x402 Batch Settlement", "1") {}

    function getChannelId(ChannelConfig calldata config) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CONFIG, config)));
    }

    function deposit(ChannelConfig calldata config, uint128 amount, address collector, bytes calldata data) external {
        if (config.withdrawDelay < 15 minutes || config.withdrawDelay > 30 days) revert WithdrawDelayOutOfRange();
        bytes32 id = getChannelId(config);
        channels[id].balance += amount;
        uint256 before = IERC20(config.token).balanceOf(address(this));
        ICollector(collector).collect(config.payer, config.token, amount, id, data);
        if (IERC20(config.token).balanceOf(address(this)) != before + amount) revert DepositCollectionFailed();
    }

    function claim(VoucherClaim[] calldata claims) external {
        for (uint256 i = 0; i < claims.length; ++i) {
            ChannelConfig calldata config = claims[i].voucher.channel;
            if (!_receives(config)) revert NotAuthorizedToClaim();
            bytes32 id = getChannelId(config);
            Funds storage funds = channels[id];
            uint128 total = claims[i].totalClaimed;
            if (total <= funds.totalClaimed) continue;
            if (total > claims[i].voucher.maxClaimableAmount) revert ClaimExceedsCeiling();
            if (total > funds.balance) revert ClaimExceedsBalance();
            bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(VOUCHER, id, claims[i].voucher.maxClaimableAmount)));
            if (ECDSA.recover(digest, claims[i].signature) != config.payerAuthorizer) revert InvalidSignature();
            receivers[config.receiver][config.token].totalClaimed += total - funds.totalClaimed;
            funds.totalClaimed = total;
        }
    }

    function settle(address receiver, address token) external {
        Earned storage earned = receivers[receiver][token];
        uint128 amount = earned.totalClaimed - earned.totalSettled;
        earned.totalSettled = earned.totalClaimed;
        if (amount > 0) IERC20(token).safeTransfer(receiver, amount);
    }

    function refund(ChannelConfig calldata config, uint128 amount) external {
        if (!_receives(config)) revert NotAuthorizedToRefund();
        bytes32 id = getChannelId(config);
        ++refundNonce[id];
        Withdrawal storage pending = pendingWithdrawals[id];
        uint128 given = _free(id, amount);
        if (given >= pending.amount) delete pendingWithdrawals[id];
        else pending.amount -= given;
        _pay(config, id, given);
    }

    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external {
        bytes32 id = _payers(config);
        if (pendingWithdrawals[id].initiatedAt != 0) revert WithdrawalAlreadyPending();
        if (amount == 0 || amount != _free(id, amount)) revert WithdrawAmountExceedsAvailable();
        pendingWithdrawals[id] = Withdrawal(amount, uint40(block.timestamp));
    }

    function finalizeWithdraw(ChannelConfig calldata config) external {
        bytes32 id = _payers(config);
        Withdrawal memory pending = pendingWithdrawals[id];
        if (pending.initiatedAt == 0) revert WithdrawalNotPending();
        if (block.timestamp < uint256(pending.initiatedAt) + config.withdrawDelay) revert WithdrawDelayNotElapsed();
        delete pendingWithdrawals[id];
        _pay(config, id, _free(id, pending.amount));
    }

    function _receives(ChannelConfig calldata config) private view returns (bool) {
        return msg.sender == config.receiver || msg.sender == config.receiverAuthorizer;
    }

    function _payers(ChannelConfig calldata config) private view returns (bytes32) {
        if (msg.sender != config.payer && msg.sender != config.payerAuthorizer) revert NotThePayer();
        return getChannelId(config);
    }

    /// Of `amount`, what is not claimed.
    function _free(bytes32 id, uint128 amount) private view returns (uint128) {
        uint128 free = channels[id].balance - channels[id].totalClaimed;
        return amount < free ? amount : free;
    }

    function _pay(ChannelConfig calldata config, bytes32 id, uint128 amount) private {
        channels[id].balance -= amount;
        if (amount > 0) IERC20(config.token).safeTransfer(config.payer, amount);
    }
}

/// Takes deposits by EIP-3009's receiveWithAuthorization, whose nonce names the channel.
contract TestCollector is ICollector {
    address private immutable CHANNELS;

    error OnlyChannels();

    constructor(address channels) {
        CHANNELS = channels;
    }

    function collect(address payer, address token, uint256 amount, bytes32 channelId, bytes calldata data) external {
        if (msg.sender != CHANNELS) revert OnlyChannels();
        (uint256 after_, uint256 before, uint256 salt, bytes memory signature) =
            abi.decode(data, (uint256, uint256, uint256, bytes));
        bytes32 nonce = keccak256(abi.encode(channelId, salt));
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
        IERC3009(token).receiveWithAuthorization(payer, address(this), amount, after_, before, nonce, v, r, s);
        SafeERC20.safeTransfer(IERC20(token), CHANNELS, amount);
    }
}
