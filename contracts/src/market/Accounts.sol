// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Domain} from "./Domain.sol";
import {AlreadyApplied, Invalid, Refused, Why} from "./Errors.sol";
import {Account, IMarket, LeaseRecord, LeaseState, Parameters, Totals, Unbonding} from "./IMarket.sol";
import {Messages, Release, Stake, Transfer, Unbond, Withdraw} from "./Messages.sol";

/// Money and stake (src/market/ledger_accounts.cpp). All money that is in the contract belongs to an account, a lease,
/// a bond or an audit, or is burned: it stays here for ever and is nobody's.
abstract contract Accounts is IMarket, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 internal constant UNBONDINGS_MAX = 64;
    uint256 internal constant AMOUNT_MAX = uint64(type(int64).max);
    /// Of lease and unbonding, and so of windows; over a century.
    uint256 private constant TIMES_MAX = type(uint32).max;

    IERC20 internal immutable TOKEN;
    uint256 internal immutable EXPOSURE_FACTOR;
    uint256 internal immutable UNBONDING_S;
    uint256 internal immutable WINDOW_MIN_S;
    uint256 internal immutable WINDOW_MAX_S;
    uint256 internal immutable LEASE_MAX_S;
    uint256 internal immutable MOVE_S;
    uint256 internal immutable STAKE_MIN;
    uint256 internal immutable DISPUTE_BOND;
    uint256 internal immutable REWARD_MAX;
    uint256 internal immutable BURNED_BPS;

    Totals internal sums;
    mapping(address => Account) internal accounts;
    mapping(address => mapping(uint256 => Unbonding)) internal unbondingOf;
    mapping(address => mapping(uint256 => bytes32)) internal liveLeases;
    mapping(bytes32 => bool) public applied;

    mapping(bytes32 => LeaseRecord) internal leases;

    constructor(address token_, Parameters memory p) {
        if (IERC20Metadata(token_).decimals() != 6) revert Invalid(Why.Token);
        if (
            p.exposureFactor == 0 || p.burnedBps < 5000 || p.burnedBps > 10000 || p.windowMinS == 0
                || p.windowMinS > p.windowMaxS || p.moveS == 0 || p.windowMinS < p.moveS
                || p.unbondingS < p.windowMaxS || p.leaseMaxS == 0 || p.leaseMaxS > TIMES_MAX || p.unbondingS > TIMES_MAX
                || p.disputeBond == 0 || p.stakeMin > AMOUNT_MAX || p.disputeBond > AMOUNT_MAX
                || p.rewardMax > AMOUNT_MAX
        ) revert Invalid(Why.Parameters);
        TOKEN = IERC20(token_);
        EXPOSURE_FACTOR = p.exposureFactor;
        UNBONDING_S = p.unbondingS;
        WINDOW_MIN_S = p.windowMinS;
        WINDOW_MAX_S = p.windowMaxS;
        LEASE_MAX_S = p.leaseMaxS;
        MOVE_S = p.moveS;
        STAKE_MIN = p.stakeMin;
        DISPUTE_BOND = p.disputeBond;
        REWARD_MAX = p.rewardMax;
        BURNED_BPS = p.burnedBps;
    }

    // Money in and out.

    function deposit(address to, uint128 amount) external nonReentrant {
        _deposit(to, amount);
    }

    function depositWithPermit(address to, uint128 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
    {
        _permit(amount, deadline, v, r, s);
        _deposit(to, amount);
    }

    function withdraw(Withdraw calldata m, bytes calldata signature) external nonReentrant {
        bytes32 id = _once(Messages.hash(m));
        _positive(m.amount);
        Domain.checkSigned(m.account, id, signature);
        _debit(m.account, m.amount);
        sums.withdrawn += uint64(m.amount);
        emit Withdrawn(id, m.account, m.amount);
        TOKEN.safeTransfer(m.account, m.amount);
    }

    function transfer(Transfer calldata m, bytes calldata signature) external {
        bytes32 id = _once(Messages.hash(m));
        _positive(m.amount);
        if (m.to == address(0)) revert Invalid(Why.ZeroAddress);
        Domain.checkSigned(m.account, id, signature);
        _debit(m.account, m.amount);
        _credit(m.to, m.amount);
        emit Transferred(id, m.account, m.to, m.amount);
    }

    // Stake.

    function stake(Stake calldata m, bytes calldata signature) external {
        bytes32 id = _once(Messages.hash(m));
        _positive(m.amount);
        Domain.checkSigned(m.account, id, signature);
        _debit(m.account, m.amount);
        accounts[m.account].stake += uint64(m.amount);
        emit Staked(id, m.account, m.amount);
    }

    function unbond(Unbond calldata m, bytes calldata signature) external {
        bytes32 id = _once(Messages.hash(m));
        _positive(m.amount);
        Domain.checkSigned(m.account, id, signature);
        Account storage a = accounts[m.account];
        if (a.stake < m.amount) revert Refused(Why.Stake);
        if (a.exposure > exposureLimit(a.stake - m.amount)) revert Refused(Why.Exposure);
        if (a.stake - m.amount < a.bound) revert Refused(Why.AuditorRegistered);
        if (a.unbondingNext - a.unbondingFirst >= UNBONDINGS_MAX) revert Refused(Why.TooManyUnbondings);
        uint40 due = uint40(block.timestamp + UNBONDING_S);
        unbondingOf[m.account][a.unbondingNext++] = Unbonding(uint64(m.amount), uint40(block.timestamp), due);
        a.stake -= uint64(m.amount);
        a.unbonding += uint64(m.amount);
        emit Unbonded(id, m.account, m.amount, due);
    }

    function release(Release calldata m, bytes calldata signature) external {
        bytes32 id = _once(Messages.hash(m));
        Domain.checkSigned(m.account, id, signature);
        Account storage a = accounts[m.account];
        uint256 first = a.unbondingFirst;
        uint256 next = a.unbondingNext;
        if (first == next) revert Refused(Why.NothingUnbonding);
        // What was staked while a lease was open answers for that lease until nobody can dispute it; the same of audits.
        uint256 oldest = _prune(m.account, type(uint256).max);
        uint256 audited = _oldestAudit(m.account);
        if (audited < oldest) oldest = audited;
        // Entries are in order of both times: those that are ready come first.
        uint64 amount = 0;
        for (; first < next; ++first) {
            Unbonding storage entry = unbondingOf[m.account][first];
            if (entry.due > block.timestamp) {
                if (amount == 0) revert Refused(Why.UnbondingNotDue);
                break;
            }
            if (entry.requested >= oldest) {
                if (amount == 0) revert Refused(Why.LeaseStillDisputable);
                break;
            }
            amount += entry.amount;
        }
        a.unbondingFirst = uint32(first);
        a.unbonding -= amount;
        a.available += amount;
        emit Released(id, m.account, amount);
    }

    function prune(address provider, uint256 most) external {
        _prune(provider, most);
    }

    // Reading.

    function account(address who) external view returns (Account memory) {
        return accounts[who];
    }

    function exposureLimit(uint256 staked) public view returns (uint256) {
        if (staked < STAKE_MIN) return 0;
        uint256 limit = staked * EXPOSURE_FACTOR;
        return limit < AMOUNT_MAX ? limit : AMOUNT_MAX;
    }

    function unbondings(address who) external view returns (Unbonding[] memory list) {
        Account storage a = accounts[who];
        list = new Unbonding[](a.unbondingNext - a.unbondingFirst);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = unbondingOf[who][a.unbondingFirst + i];
        }
    }

    function leasesOf(address provider) external view returns (bytes32[] memory list) {
        Account storage a = accounts[provider];
        list = new bytes32[](a.leaseNext - a.leaseFirst);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = liveLeases[provider][a.leaseFirst + i];
        }
    }

    function totals() external view returns (Totals memory) {
        return sums;
    }

    function parameters() external view returns (Parameters memory) {
        return Parameters({
            exposureFactor: uint32(EXPOSURE_FACTOR),
            unbondingS: uint64(UNBONDING_S),
            windowMinS: uint64(WINDOW_MIN_S),
            windowMaxS: uint64(WINDOW_MAX_S),
            leaseMaxS: uint64(LEASE_MAX_S),
            moveS: uint64(MOVE_S),
            stakeMin: uint64(STAKE_MIN),
            disputeBond: uint64(DISPUTE_BOND),
            rewardMax: uint64(REWARD_MAX),
            burnedBps: uint32(BURNED_BPS)
        });
    }

    function token() external view returns (address) {
        return address(TOKEN);
    }

    function domainSeparator() external view returns (bytes32) {
        return Domain.separator(address(this));
    }

    // Inside.

    /// When the oldest audit was drawn that the account may still be convicted for; the largest number: there is none.
    function _oldestAudit(address who) internal virtual returns (uint256);

    /// The id of an operation that is applied now and never again. Undone with everything else where a check fails.
    function _once(bytes32 structHash) internal returns (bytes32 id) {
        id = Domain.digest(address(this), structHash);
        if (applied[id]) revert AlreadyApplied(id);
        applied[id] = true;
    }

    function _positive(uint256 amount) internal pure {
        if (amount == 0 || amount > AMOUNT_MAX) revert Invalid(Why.Amount);
    }

    function _debit(address from, uint256 amount) internal {
        Account storage a = accounts[from];
        if (a.available < amount) revert Refused(Why.Available);
        a.available -= uint64(amount);
    }

    /// Cannot overflow: all pots together never exceed what is inside.
    function _credit(address to, uint256 amount) internal {
        accounts[to].available += uint64(amount);
    }

    function _holdBond(address from, uint256 bond) internal {
        if (bond < DISPUTE_BOND) revert Refused(Why.BondTooSmall);
        _debit(from, bond);
        sums.bonds += uint64(bond);
    }

    function _returnBond(address to, uint256 bond) internal {
        sums.bonds -= uint64(bond);
        _credit(to, bond);
    }

    function _deposit(address to, uint128 amount) internal {
        _positive(amount);
        if (to == address(0)) revert Invalid(Why.ZeroAddress);
        uint64 inside = sums.deposited - sums.withdrawn;
        if (inside + uint256(amount) > AMOUNT_MAX) revert Refused(Why.DepositsTooLarge);
        // What came and went is bounded by nothing: where its sum would end, it begins anew.
        if (sums.deposited + uint256(amount) > AMOUNT_MAX) (sums.deposited, sums.withdrawn) = (inside, 0);
        sums.deposited += uint64(amount);
        _credit(to, amount);
        emit Deposited(to, msg.sender, amount);
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        if (TOKEN.balanceOf(address(this)) - before != amount) revert Refused(Why.Token);
    }

    /// Whoever saw the permit may have used it first: the allowance is what counts.
    function _permit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) internal {
        try IERC20Permit(address(TOKEN)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
    }

    /// Drops up to `most` of the oldest leases that are past dispute. When the oldest that is not was opened.
    function _prune(address provider, uint256 most) internal returns (uint256 oldest) {
        Account storage a = accounts[provider];
        uint256 first = a.leaseFirst;
        uint256 next = a.leaseNext;
        oldest = type(uint256).max;
        for (; first < next; ++first) {
            bytes32 id = liveLeases[provider][first];
            LeaseRecord storage l = leases[id];
            if (most == 0 || l.state == LeaseState.Open || l.disputes != 0 || block.timestamp <= uint256(l.until) + l.window) {
                oldest = l.opened;
                break;
            }
            --most;
        }
        a.leaseFirst = uint32(first);
    }
}
