// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Invalid, Mismatch, Refused, Why} from "../../src/market/Errors.sol";
import {Account, IMarket, Parameters, Unbonding} from "../../src/market/IMarket.sol";
import "../../src/market/Messages.sol";
import {World} from "../World.sol";

/// Money in and out, stake, unbonding.
contract AccountsTest is World {
    function setUp() public {
        build(address(0), address(0));
        fund();
    }

    function withdrawal(Party memory by, Withdraw memory m) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.withdraw, (m, sign(by, keccak256(abi.encode(Messages.WITHDRAW, m)))));
    }

    function transferring(Party memory by, Transfer memory m) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.transfer, (m, sign(by, keccak256(abi.encode(Messages.TRANSFER, m)))));
    }

    function staking(Party memory by, Stake memory m) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.stake, (m, sign(by, keccak256(abi.encode(Messages.STAKE, m)))));
    }

    function unbonding(Party memory by, Unbond memory m) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.unbond, (m, sign(by, keccak256(abi.encode(Messages.UNBOND, m)))));
    }

    function releasing(Party memory by, Release memory m) private view returns (bytes memory) {
        return abi.encodeCall(IMarket.release, (m, sign(by, keccak256(abi.encode(Messages.RELEASE, m)))));
    }

    function test_deposit() public {
        vm.assertEq(available(buyer.at), 100_000_000, "the buyer's");
        vm.assertEq(token.balanceOf(address(market)), market.totals().deposited, "all of it");
        refused(address(market), abi.encodeCall(IMarket.deposit, (buyer.at, 0)), Invalid.selector, Why.Amount);
        refused(address(market), abi.encodeCall(IMarket.deposit, (buyer.at, 1 << 63)), Invalid.selector, Why.Amount);
        refused(address(market), abi.encodeCall(IMarket.deposit, (address(0), 1)), Invalid.selector, Why.ZeroAddress);
        uint128 most = (1 << 63) - 1;
        refused(
            address(market), abi.encodeCall(IMarket.deposit, (buyer.at, most)), Refused.selector, Why.DepositsTooLarge
        );
    }

    /// Money that comes and goes closes the market to nobody: only what is inside is bounded.
    function test_depositsAreBoundedByWhatIsInside() public {
        uint128 most = (1 << 63) - 1;
        uint128 room = most - market.totals().deposited;
        uint128 before = market.totals().deposited - market.totals().withdrawn;
        token.mint(address(this), most);
        token.approve(address(market), type(uint256).max);
        for (uint64 i = 0; i < 5; ++i) {
            market.deposit(other.at, room);
            refused(
                address(market), abi.encodeCall(IMarket.deposit, (buyer.at, 1)), Refused.selector, Why.DepositsTooLarge
            );
            accepted(address(market), withdrawal(other, Withdraw(other.at, room, 900 + i)));
            vm.prank(other.at);
            token.transfer(address(this), room);
            vm.assertEq(market.totals().deposited - market.totals().withdrawn, before, "inside");
        }
        market.deposit(buyer.at, 1_000_000);
        vm.assertEq(market.totals().deposited - market.totals().withdrawn, before + 1_000_000, "inside");
        vm.assertEq(token.balanceOf(address(market)), before + 1_000_000, "its tokens");
    }

    function test_aTokenThatKeepsAFeeIsRefused() public {
        token.mint(address(this), 10);
        token.approve(address(market), 10);
        token.setFee(1);
        refused(address(market), abi.encodeCall(IMarket.deposit, (buyer.at, 10)), Refused.selector, Why.Token);
    }

    function test_depositWithPermit() public {
        token.mint(other.at, 7);
        (uint8 v, bytes32 r, bytes32 s) = permit(other, 7, 2000);
        vm.prank(other.at);
        market.depositWithPermit(buyer.at, 7, 2000, v, r, s);
        vm.assertEq(available(buyer.at), 100_000_007, "deposited");
    }

    function test_aPermitThatWasUsedAlreadyIsNoError() public {
        token.mint(other.at, 7);
        (uint8 v, bytes32 r, bytes32 s) = permit(other, 7, 2000);
        token.permit(other.at, address(market), 7, 2000, v, r, s);
        vm.prank(other.at);
        market.depositWithPermit(buyer.at, 7, 2000, v, r, s);
        vm.assertEq(available(buyer.at), 100_000_007, "deposited");
    }

    function permit(Party memory who, uint256 amount, uint256 deadline)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 type_ = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 hash =
            keccak256(abi.encode(type_, who.at, address(market), amount, token.nonces(who.at), deadline));
        return vm.sign(who.key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), hash)));
    }

    function test_withdraw() public {
        Withdraw memory m = Withdraw(other.at, 500_000, 1);
        bytes memory call = withdrawal(other, m);
        accepted(address(market), call);
        vm.assertEq(token.balanceOf(other.at), 500_000, "paid out");
        vm.assertEq(available(other.at), 4_500_000, "the rest");
        vm.assertEq(market.totals().withdrawn, 500_000, "counted");
        applied(address(market), call, digest(keccak256(abi.encode(Messages.WITHDRAW, m))));

        refused(address(market), withdrawal(other, Withdraw(other.at, 0, 2)), Invalid.selector, Why.Amount);
        refused(address(market), withdrawal(other, Withdraw(other.at, 4_500_001, 2)), Refused.selector, Why.Available);
        refused(address(market), withdrawal(buyer, Withdraw(other.at, 1, 2)), Mismatch.selector, Why.Signature);
    }

    function test_whomTheIssuerFreezesCanStillTransferInside() public {
        token.freeze(other.at, true);
        (bool done,) = address(market).call(withdrawal(other, Withdraw(other.at, 1, 1)));
        vm.assertTrue(!done, "frozen");
        accepted(address(market), transferring(other, Transfer(other.at, buyer.at, 5_000_000, 1)));
        accepted(address(market), withdrawal(buyer, Withdraw(buyer.at, 105_000_000, 1)));
        vm.assertEq(token.balanceOf(buyer.at), 105_000_000, "nobody else waits");
    }

    function test_transfer() public {
        bytes memory call = transferring(buyer, Transfer(buyer.at, other.at, 1_000_000, 1));
        accepted(address(market), call);
        vm.assertEq(available(other.at), 6_000_000, "moved");
        applied(
            address(market),
            call,
            digest(keccak256(abi.encode(Messages.TRANSFER, Transfer(buyer.at, other.at, 1_000_000, 1))))
        );
        refused(address(market), transferring(buyer, Transfer(buyer.at, other.at, 0, 2)), Invalid.selector, Why.Amount);
        refused(
            address(market), transferring(buyer, Transfer(buyer.at, address(0), 1, 2)), Invalid.selector, Why.ZeroAddress
        );
        refused(
            address(market), transferring(other, Transfer(buyer.at, other.at, 1, 2)), Mismatch.selector, Why.Signature
        );
        refused(
            address(market),
            transferring(buyer, Transfer(buyer.at, other.at, 99_000_001, 2)),
            Refused.selector,
            Why.Available
        );
    }

    function test_stake() public {
        accepted(address(market), staking(other, Stake(other.at, 5_000_000, 1)));
        vm.assertEq(market.account(other.at).stake, 5_000_000, "staked");
        vm.assertEq(market.exposureLimit(5_000_000), 15_000_000, "limit");
        vm.assertEq(market.exposureLimit(999_999), 0, "under the least");
        vm.assertEq(market.exposureLimit(1 << 62), (1 << 63) - 1, "at most what can be counted");
        refused(address(market), staking(other, Stake(other.at, 0, 2)), Invalid.selector, Why.Amount);
        refused(address(market), staking(buyer, Stake(other.at, 1, 2)), Mismatch.selector, Why.Signature);
        refused(address(market), staking(other, Stake(other.at, 1, 2)), Refused.selector, Why.Available);
    }

    function test_unbondAndRelease() public {
        refused(address(market), releasing(provider, Release(provider.at, 1)), Refused.selector, Why.NothingUnbonding);
        refused(address(market), unbonding(provider, Unbond(provider.at, 0, 1)), Invalid.selector, Why.Amount);
        refused(address(market), unbonding(buyer, Unbond(provider.at, 1, 1)), Mismatch.selector, Why.Signature);
        refused(address(market), unbonding(provider, Unbond(provider.at, 10_000_001, 1)), Refused.selector, Why.Stake);
        accepted(address(market), unbonding(provider, Unbond(provider.at, 4_000_000, 1)));
        vm.warp(1001);
        accepted(address(market), unbonding(provider, Unbond(provider.at, 1_000_000, 2)));
        Unbonding[] memory list = market.unbondings(provider.at);
        vm.assertEq(list.length, 2, "entries");
        (Lease memory later,) = lease(1_000_000);
        vm.assertEq(list[1].due, 1501, "due");
        vm.warp(1499);
        refused(address(market), releasing(provider, Release(provider.at, 1)), Refused.selector, Why.UnbondingNotDue);
        refused(address(market), releasing(buyer, Release(provider.at, 1)), Mismatch.selector, Why.Signature);
        vm.warp(1500);
        accepted(address(market), releasing(provider, Release(provider.at, 1)));
        vm.assertEq(available(provider.at), 4_000_000, "the first");
        applied(
            address(market),
            releasing(provider, Release(provider.at, 1)),
            digest(keccak256(abi.encode(Messages.RELEASE, Release(provider.at, 1))))
        );
        vm.warp(1501);
        refused(
            address(market), releasing(provider, Release(provider.at, 2)), Refused.selector, Why.LeaseStillDisputable
        );
        close(later, provider);
        vm.warp(1602);
        accepted(address(market), releasing(provider, Release(provider.at, 2)));
        Account memory a = market.account(provider.at);
        vm.assertEq(a.available, 5_000_000, "both");
        vm.assertEq(a.unbonding, 0, "none left");
    }

    function test_unbondingIsBoundedByExposureAndNumber() public {
        (, bytes32 id) = lease(6_000_000);
        vm.assertEq(market.lease(id).escrow, 6_000_000, "exposure");
        refused(address(market), unbonding(provider, Unbond(provider.at, 8_000_001, 1)), Refused.selector, Why.Exposure);
        for (uint64 i = 0; i < 64; ++i) accepted(address(market), unbonding(provider, Unbond(provider.at, 1, 10 + i)));
        refused(
            address(market), unbonding(provider, Unbond(provider.at, 1, 1)), Refused.selector, Why.TooManyUnbondings
        );
    }

    function test_stakeOutlastsLeaseWindowAndDispute() public {
        (Lease memory terms,) = lease(6_000_000);
        accepted(address(market), unbonding(provider, Unbond(provider.at, 1_000_000, 1)));
        vm.warp(1500);
        refused(
            address(market), releasing(provider, Release(provider.at, 1)), Refused.selector, Why.LeaseStillDisputable
        );
        close(terms, provider);
        vm.warp(1600);
        refused(
            address(market), releasing(provider, Release(provider.at, 1)), Refused.selector, Why.LeaseStillDisputable
        );
        vm.assertEq(market.leasesOf(provider.at).length, 1, "still answers for it");
        vm.warp(1601);
        accepted(address(market), releasing(provider, Release(provider.at, 1)));
        vm.assertEq(market.leasesOf(provider.at).length, 0, "forgotten");
    }

    function test_pruneForgetsWhatIsPastDispute() public {
        (Lease memory first,) = lease(1_000_000);
        (Lease memory second,) = lease(1_000_000);
        (Lease memory third, bytes32 last) = lease(1_000_000);
        close(first, provider);
        close(second, provider);
        vm.warp(1101);
        market.prune(provider.at, 1);
        vm.assertEq(market.leasesOf(provider.at).length, 2, "one");
        market.prune(provider.at, 9);
        vm.assertEq(market.leasesOf(provider.at)[0], last, "up to the one that is open");
        close(third, provider);
    }

    function test_parametersAreCheckedOnce() public {
        Parameters memory good = smallParameters();
        vm.assertEq(abi.encode(market.parameters()), abi.encode(good), "as given");
        for (uint256 i = 0; i < 14; ++i) {
            Parameters memory p = smallParameters();
            if (i == 0) p.exposureFactor = 0;
            else if (i == 1) p.burnedBps = 4999;
            else if (i == 2) p.burnedBps = 10_001;
            else if (i == 3) p.windowMinS = 0;
            else if (i == 4) p.windowMinS = 201;
            else if (i == 5) p.moveS = 0;
            else if (i == 6) p.moveS = 51;
            else if (i == 7) p.unbondingS = 199;
            else if (i == 8) p.leaseMaxS = 0;
            else if (i == 9) p.leaseMaxS = 1 << 32;
            else if (i == 10) p.unbondingS = 1 << 32;
            else if (i == 11) p.disputeBond = 0;
            else if (i == 12) p.stakeMin = 1 << 63;
            else p.rewardMax = 1 << 63;
            made(address(token), p, Why.Parameters);
        }
        made(vm.deployCode("TestToken.sol:TestToken", abi.encode(uint8(18))), good, Why.Token);
    }

    function made(address token_, Parameters memory p, Why why) private {
        bytes memory code = abi.encodePacked(
            vm.getCode("Market.sol:Market"), abi.encode(token_, p, courts())
        );
        vm.expectRevert(abi.encodeWithSelector(Invalid.selector, why));
        this.create(code);
    }

    function create(bytes calldata code) external returns (address made_) {
        bytes memory m = code;
        assembly ("memory-safe") {
            made_ := create(0, add(m, 32), mload(m))
            if iszero(made_) {
                returndatacopy(m, 0, returndatasize())
                revert(m, returndatasize())
            }
        }
    }

    function test_reading() public view {
        vm.assertEq(market.token(), address(token), "token");
        (address d, address l) = market.courts();
        vm.assertEq(d, address(disputes), "disputes");
        vm.assertEq(l, address(deliveries), "deliveries");
        vm.assertEq(market.CANON(), 0, "a draft");
        vm.assertEq(disputes.market(), address(market), "one market");
        vm.assertEq(disputes.games(), address(games), "games");
        bytes32 type_ =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 separator = keccak256(
            abi.encode(type_, keccak256("Assay"), keccak256("0"), block.chainid, address(market))
        );
        vm.assertEq(market.domainSeparator(), separator, "domain");
    }
}
