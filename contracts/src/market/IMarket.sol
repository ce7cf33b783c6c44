// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    Answer,
    Claim,
    Close,
    Dispute,
    Finalize,
    HashedRequest,
    Lease,
    Offer,
    OfferModel,
    Receipt,
    Release,
    Settlement,
    Stake,
    TopUp,
    Transfer,
    Unbond,
    Withdraw
} from "./Messages.sol";
import {SumNode} from "./MerkleSum.sol";

/// Fixed at construction; the rules between them are those of spec/ledger.md.
struct Parameters {
    uint32 exposureFactor; // unpaid escrow per provider ≤ factor × stake
    uint64 unbondingS;
    uint64 windowMinS; // challenge window a lease may ask for
    uint64 windowMaxS;
    uint64 leaseMaxS; // expiry ≤ opening + this
    uint64 moveS; // time for one move of a dispute
    uint64 stakeMin; // to be leased from at all
    uint64 disputeBond; // smallest bond
    uint64 rewardMax; // most a challenger gains by one conviction
    uint32 burnedBps; // share of a slash that is burned: 5000 … 10000
}

struct Account {
    uint64 available;
    uint64 stake;
    uint64 unbonding;
    uint64 exposure; // escrow of its open leases, as their provider
    uint32 convictions;
    uint64 slashed; // over its life
    uint32 unbondingFirst; // entries [first, next) of `unbondings` are pending
    uint32 unbondingNext;
    uint32 leaseFirst; // leases [first, next) of `leasesOf` may still be disputed
    uint32 leaseNext;
    uint64 bound; // of the stake: unbonding does not go below it while the account is registered to audit
}

struct Unbonding {
    uint64 amount;
    uint40 requested;
    uint40 due; // and not before every older lease is past dispute
}

enum LeaseState {
    Open,
    Closed,
    Convicted
}

enum Claiming {
    Free,
    Pending, // a claim is
    Barred // a contested claim was not opened in time: only settlements pay
}

struct LeaseRecord {
    uint64 escrow; // still held
    uint64 paid; // to the payout so far
    uint40 opened; // zero: no such lease
    uint40 until; // of an open lease: when its pending claim is due; else when it was closed
    uint32 window; // challenge window, seconds
    LeaseState state;
    Claiming claiming;
    bytes32 claim; // id of the last one
    uint64 madeWhole; // paid money that slashes gave back to the buyer
    uint32 disputes; // open ones, contests and demands among them
    uint8 demands; // open ones
    uint8 contests; // of the pending claim, so far
    bool contested; // the last contest has no answer yet
    uint8 block_; // that it asked for
    uint128 asked; // all that were asked for
    bytes32 contest; // id of the last contest
}

struct Contest {
    uint64 bond; // zero: no such contest
    uint8 outcome; // as in spec/messages.md: 0 opened, 1 not opened in time, 2 not judged
    bool decided;
}

struct Totals {
    uint64 deposited; // less `withdrawn`: all that is inside. A deposit that would take it over 2^63 − 1 lessens both
    uint64 withdrawn; // by what was withdrawn
    uint64 burned;
    uint64 bonds;
    uint64 fees; // held for audits
}

/// What a conviction did: slashed = burned + madeWhole + reward.
struct Conviction {
    uint64 slashed;
    uint64 burned;
    uint64 madeWhole;
    uint64 reward;
    uint64 refunded; // escrow, to the buyer
}

/// A leaf of a claim: the request that the buyer signed and the receipt it led to.
struct Leaf {
    HashedRequest request;
    bytes requestSignature;
    Receipt receipt;
    bytes receiptSignature;
}

/// What opens block `b` of a claim: all its leaves, the path of their tree up to the root; where another block comes
/// before, its last leaf, with a path of its own.
struct Block {
    Leaf[] leaves;
    SumNode[] path;
    Leaf[] before; // none, or one
    SumNode[] beforePath;
}

/// @title The market's money: accounts, stake, leases, claims
/// @notice The embedded ledger's state machine (spec/ledger.md) on a chain: the same messages, signed for the domain
/// that names this contract, the same rules in the same order, the same errors. Anyone may send a signed message: it
/// is its signer's act, whoever pays for the transaction. Money is in micro-units of one stablecoin of six decimals.
/// A lease's terms are not stored: they come along, and their digest is the lease's id.
///
/// @dev Trust. Nobody owns this contract: no upgrade, no pause, no fee, no parameter that changes, nobody who could
/// take, freeze or redirect money. What must be trusted, and for what:
/// - the chain: order, availability, time. The two courts (`courts`), fixed at construction: only they convict
///   providers, end leases for an invalid model and move their bonds; they are ownerless contracts and do so by the
///   rules of spec/dispute.md alone.
/// - the audits (`auditCourts`), fixed at construction, ownerless and bound to spec/audits.md: they may take fees and
///   bonds out of an account for what its owner signed, pay out or burn what they hold, slash the auditors they
///   convict, say that a receipt was false on purpose (then a conviction of it slashes nobody) and that stake still
///   answers for an audit (then it is not released yet). The registrations beside them may keep stake from being
///   unbonded. Neither touches leases, nor more of anybody's available money than was signed for.
/// - `blocks`, fixed at construction, without state or money: it alone says whether what opens a claim is right.
/// - the token and its issuer. Chosen when the market is deployed; it must keep what a transfer says (a deposit of
///   which less arrives is refused). Whom the issuer freezes cannot withdraw and can still transfer inside; nobody
///   else waits for that, since every payment stays inside until its owner withdraws. If the market itself is
///   frozen, withdrawals and deposits fail until it is not, and everything else goes on. If the token loses its
///   worth, so do all amounts alike: no oracle is asked, no rule depends on a price.
/// - a sequencer that stands still: time goes on, and deadlines with it. `moveS` and the windows must be longer than
///   the longest outage plus the delay of forced inclusion on the chain; a market with shorter ones is unsafe
///   there, and its parameters show it.
/// - of a buyer that is a contract: its `isValidSignature` may change its mind. Whoever sells to one may find a
///   contested claim impossible to open, and sells on account: settle often. What a provider signed is checked by
///   key alone and convicts for ever.
/// Safety depends on no one acting in time but the party that would lose: a buyer contests and disputes within
/// windows, a provider answers within deadlines, an auditor that passed does both.
/// Conserved: deposited − withdrawn = available, stake and unbonding of all accounts, the escrow of all leases, bonds,
/// fees held for audits, and what is burned; and that much of the token is here.
/// Canon 0 is a draft: what an execution id of it means may still change (`CANON`).
interface IMarket {
    event Deposited(address indexed account, address indexed from, uint256 amount);
    event Withdrawn(bytes32 indexed id, address indexed account, uint256 amount);
    event Transferred(bytes32 indexed id, address indexed account, address indexed to, uint256 amount);
    event Staked(bytes32 indexed id, address indexed account, uint256 amount);
    event Unbonded(bytes32 indexed id, address indexed account, uint256 amount, uint256 due);
    event Released(bytes32 indexed id, address indexed account, uint256 amount);
    event LeaseOpened(bytes32 indexed id, address indexed buyer, address indexed provider, Lease terms);
    event ToppedUp(bytes32 indexed id, bytes32 indexed lease, uint256 amount);
    event Settled(bytes32 indexed id, bytes32 indexed lease, uint256 cumulative);
    event Claimed(bytes32 indexed id, bytes32 indexed lease, uint256 total, uint256 count, bytes32 root, uint256 due);
    event ClaimContested(bytes32 indexed id, bytes32 indexed lease, uint256 firstLeaf, uint256 leaves, uint256 due);
    event ClaimOpened(bytes32 indexed id, bytes32 indexed lease, bytes32 indexed contest, uint256 due);
    /// `paid` above what was paid before, or nothing.
    event ClaimEnded(bytes32 indexed id, bytes32 indexed lease, uint256 paid, bool mayClaim);
    event LeaseEnded(bytes32 indexed lease, LeaseState state, uint256 refunded);
    event Convicted(
        bytes32 indexed lease, bytes32 indexed subject, address indexed provider, address challenger, Conviction done
    );

    // Money in and out.

    /// @notice Moves `amount` of the token from the sender into `account`.
    function deposit(address account, uint128 amount) external;
    /// @notice The same with an ERC-2612 permit by the sender. A permit that somebody used before is no error while
    /// the allowance is there.
    function depositWithPermit(address account, uint128 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
    /// @notice Available money leaves, to the account's own address.
    function withdraw(Withdraw calldata m, bytes calldata signature) external;
    function transfer(Transfer calldata m, bytes calldata signature) external;

    // Stake.

    function stake(Stake calldata m, bytes calldata signature) external;
    /// @notice Stake begins to unbond; it can be slashed until it is released. Not below what an auditor registered with.
    function unbond(Unbond calldata m, bytes calldata signature) external;
    /// @notice What is due, and older than every lease that can still be disputed and every audit that the account
    /// still answers for, becomes available.
    function release(Release calldata m, bytes calldata signature) external;
    /// @notice Forgets up to `most` of a provider's oldest leases if they are past dispute. `release` does so itself;
    /// this is for whoever has too many for one transaction.
    function prune(address provider, uint256 most) external;

    // Leases.

    /// @notice Opens escrow from the buyer's account.
    /// @param offer what the provider signed; `model` is entry number `index` of its models
    function openLease(
        Lease calldata terms,
        bytes calldata signature,
        Offer calldata offer,
        bytes calldata offerSignature,
        OfferModel calldata model,
        uint256 index
    ) external;
    function topUp(TopUp calldata m, bytes calldata signature, Lease calldata terms) external;
    /// @notice Tops a lease up with the sender's tokens: a deposit into the buyer's account, then `topUp`.
    function topUpWithPermit(
        TopUp calldata m,
        bytes calldata signature,
        Lease calldata terms,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;
    /// @notice Pays up to a cumulative total at once. By the buyer. A pending claim of no more ends.
    /// @param pending the lease's pending claim; read only if there is one
    function settle(
        Settlement calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Claim calldata pending
    ) external;
    /// @notice Ends a lease; the rest of its escrow returns to the buyer. By the provider at any time, by anybody
    /// after expiry + window; not while a claim is pending or a dispute open.
    function close(Close calldata m, bytes calldata signature, Lease calldata terms) external;

    // Claims.

    /// @notice Asks for a cumulative total without the buyer. By the provider. Nothing is paid before the window ends.
    function claim(Claim calldata m, bytes calldata signature, Lease calldata terms) external;
    /// @notice Demands receipts of the pending claim, under bond. By the buyer. The leaves asked for are block number
    /// `nonce` mod ⌈count / 32⌉ of 32 leaves (the last may have fewer). Each block once, one after the other, at most
    /// `CONTESTS_MAX` of one claim: the sums on a path tell the buyer where to look next.
    function contestClaim(Dispute calldata m, bytes calldata signature, Lease calldata terms, Claim calldata pending)
        external;
    /// @notice Shows them. The bond goes to the payout, and the buyer has another window to look into them.
    function openClaim(
        Answer calldata m,
        bytes calldata signature,
        Lease calldata terms,
        Claim calldata pending,
        Block calldata shown
    ) external;
    /// @notice After the window: pays the claim, or voids it where a contest found no answer.
    function finalize(Finalize calldata m, bytes calldata signature, Lease calldata terms, Claim calldata pending)
        external;

    // Reading.

    function account(address who) external view returns (Account memory);
    function exposureLimit(uint256 stake) external view returns (uint256);
    function unbondings(address who) external view returns (Unbonding[] memory);
    /// @notice Leases of a provider that it may still have to answer for, oldest first.
    function leasesOf(address provider) external view returns (bytes32[] memory);
    function lease(bytes32 id) external view returns (LeaseRecord memory);
    function contest(bytes32 id) external view returns (Contest memory);
    function convicted(bytes32 subject) external view returns (bool);
    /// @notice Whether an operation with a nonce was applied. All others are known by what they left.
    function applied(bytes32 id) external view returns (bool);
    function totals() external view returns (Totals memory);
    function parameters() external view returns (Parameters memory);
    function token() external view returns (address);
    function courts() external view returns (address disputes, address deliveries);
    function blocks() external view returns (address);
    function domainSeparator() external view returns (bytes32);
}

/// @title What the courts may do
/// @notice Called by the two courts only; anybody else is refused.
/// @dev `terms` must be those of the lease: courts check that before.
interface ICourtAccess {
    /// @notice Holds a bond and counts an open dispute about the lease.
    function openDispute(bytes32 lease, address challenger, uint128 bond, bool demand) external;
    /// @notice Ends it; the bond goes to `to`.
    function endDispute(bytes32 lease, address to, uint64 bond, bool demand) external;
    /// @notice Slashes the provider of the lease for a statement of `amount`, unless that is a canary; ends the lease
    /// where it is open.
    /// @param second another statement that is convicted with it, or zero
    function convict(
        bytes32 lease,
        Lease calldata terms,
        bytes32 subject,
        bytes32 second,
        uint256 amount,
        address challenger
    ) external returns (Conviction memory);
    /// @notice Ends an open lease whose model is invalid: nobody is slashed.
    function endForInvalidModel(bytes32 lease, Lease calldata terms) external returns (uint64 refunded);
}

/// @title What hired auditors cost and answer with
/// @notice The market's half of contracts/src/audits. Money moves for the audits of this market only, weights for its
/// auditors only; anybody else is refused.
interface IAuditMoney {
    /// @notice Takes fees out of an account, to be held for audits (`Totals.fees`).
    function holdFees(address from, uint256 amount) external;
    function payFees(address to, uint64 amount) external;
    function burnFees(uint64 amount) external;
    function holdBond(address from, uint128 bond) external;
    function returnBond(address to, uint64 bond) external;
    /// @notice Slashes stake and unbonding, as a provider's; `owed` goes to the buyer as far as it is there.
    function slashAuditor(address auditor, address buyer, address challenger, uint256 owed)
        external
        returns (Conviction memory);
    /// @notice Unbonding of `account` below `weight` is refused until this is called again, or the account slashed.
    function bindStake(address account, uint64 weight) external;

    /// @notice Since when a statement is convicted, and so known to be false; zero: it is not.
    function convictedAt(bytes32 subject) external view returns (uint256);
    /// @notice The audits and the registrations of auditors, fixed at construction.
    function auditCourts() external view returns (address audits, address auditors);
}
