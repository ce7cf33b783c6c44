// Accounts, stake, leases, settlements.
#include <gtest/gtest.h>

#include "market/ledger_testutil.hpp"
#include "market/money.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

#define EXPECT_REFUSED(expression, errc, words)                                                   \
  do {                                                                                            \
    const auto result_ = (expression);                                                            \
    ASSERT_FALSE(result_.has_value());                                                            \
    EXPECT_EQ(result_.error().code, errc) << result_.error().message;                             \
    EXPECT_NE(result_.error().message.find(words), std::string::npos) << result_.error().message; \
  } while (0)

TEST(Ledger, DepositTransferWithdraw) {
  World w;
  w.deposit(w.buyer, 5'000'000);
  ASSERT_TRUE(w.run(w.sign(Transfer{w.buyer.address, w.other.address, 2'000'000, 1}, w.buyer)));
  ASSERT_TRUE(w.run(w.sign(Withdraw{w.other.address, 500'000, 1}, w.other)));
  EXPECT_EQ(w.account(w.buyer).available, 3'000'000);
  EXPECT_EQ(w.account(w.other).available, 1'500'000);
  EXPECT_EQ(w.state.totals.deposited, 5'000'000);
  EXPECT_EQ(w.state.totals.withdrawn, 500'000);
  EXPECT_REFUSED(w.run(w.sign(Withdraw{w.other.address, 1'500'001, 2}, w.other)), Errc::refused,
                 "has 1.50 available, 1.500001 needed");
  EXPECT_REFUSED(w.run(w.sign(Withdraw{w.other.address, 0, 2}, w.other)), Errc::invalid,
                 "more than zero");
  EXPECT_REFUSED(w.run(w.sign(Transfer{w.buyer.address, {}, 1, 2}, w.buyer)), Errc::invalid,
                 "zero address");
}

TEST(Ledger, SignaturesAreTheRightPersons) {
  World w;
  w.fund();
  EXPECT_REFUSED(w.run(w.sign(Deposit{w.buyer.address, 1, 99}, w.buyer)), Errc::mismatch,
                 "signature");
  EXPECT_REFUSED(w.run(w.sign(Withdraw{w.buyer.address, 1, 1}, w.other)), Errc::mismatch,
                 "signature");
  auto altered = w.sign(Withdraw{w.buyer.address, 1, 1}, w.buyer);
  altered.message.amount = 2;
  EXPECT_REFUSED(w.run(altered), Errc::mismatch, "signature");
  auto high_s = w.sign(Withdraw{w.buyer.address, 1, 1}, w.buyer);
  high_s.signature.bytes[32] ^= 0x80;
  EXPECT_FALSE(w.run(high_s));
  auto opening = w.open_lease(1'000'000);
  opening.lease = w.sign(opening.lease.message, w.other);
  EXPECT_REFUSED(w.run(opening), Errc::mismatch, "signature");
  opening = w.open_lease(1'000'000);
  opening.offer = w.sign(opening.offer.message, w.buyer);
  EXPECT_REFUSED(w.run(opening), Errc::mismatch, "signature");
}

TEST(Ledger, AnotherLedgersOperationsAreForeign) {
  World here, there(small_parameters(), 2);
  here.fund();
  there.fund();
  // Not one of them verifies on the other ledger, whose accounts are the same.
  const auto lease = there.run(there.open_lease(1'000'000))->id;
  const std::vector<Operation> foreign = {
      there.sign(Deposit{there.buyer.address, 1, 50}, there.host),
      there.sign(Withdraw{there.buyer.address, 1, 51}, there.buyer),
      there.sign(Transfer{there.buyer.address, there.other.address, 1, 52}, there.buyer),
      there.sign(Stake{there.other.address, 1, 53}, there.other),
      there.sign(Unbond{there.provider.address, 1, 54}, there.provider),
      there.open_lease(1'000'000),
      there.sign(TopUp{there.buyer.address, lease, 1, 55}, there.buyer),
      there.sign(protocol::Settlement{lease, 1}, there.buyer),
  };
  for (const auto& operation : foreign) {
    EXPECT_TRUE(there.run(operation)) << kind_of(operation);
    const auto refused = here.run(operation);
    ASSERT_FALSE(refused) << kind_of(operation);
    EXPECT_TRUE(refused.error().code == Errc::mismatch || refused.error().code == Errc::not_found)
        << refused.error().message;
  }
}

TEST(Ledger, TimeDoesNotRunBackwards) {
  World w;
  w.deposit(w.buyer, 1'000);
  const auto op = w.sign(Withdraw{w.buyer.address, 1, 1}, w.buyer);
  EXPECT_REFUSED(apply(w.state, op, w.time - 1), Errc::invalid, "before the last");
  EXPECT_REFUSED(apply(w.state, op, UINT64_MAX), Errc::invalid, "time");
  EXPECT_TRUE(apply(w.state, op, w.time));
}

TEST(Ledger, DepositsCannotOverflow) {
  World w;
  w.deposit(w.buyer, INT64_MAX);
  EXPECT_REFUSED(w.run(w.sign(Deposit{w.other.address, 1, 99}, w.host)), Errc::refused, "deposits");
}

TEST(Ledger, OnlyWhatIsInsideIsBounded) {
  World w;
  w.deposit(w.other, 5);
  for (std::uint64_t i = 0; i < 3; ++i) {
    w.deposit(w.buyer, INT64_MAX - 5);
    EXPECT_REFUSED(w.run(w.sign(Deposit{w.other.address, 1, 99}, w.host)), Errc::refused,
                   "deposits");
    ASSERT_TRUE(w.run(w.sign(Withdraw{w.buyer.address, INT64_MAX - 5, i}, w.buyer)));
    EXPECT_TRUE(w.state.totals.conserved());
    EXPECT_EQ(w.state.totals.deposited - w.state.totals.withdrawn, 5);
  }
  w.deposit(w.buyer, 1'000'000);
  EXPECT_TRUE(w.state.totals.conserved());
}

TEST(Ledger, ParametersThatBreakARuleMakeNoLedger) {
  const auto bad = [](auto change) {
    LedgerInfo info;
    change(info.parameters);
    return !genesis(info, ToyReferee{}).has_value();
  };
  EXPECT_FALSE(bad([](Parameters&) {}));
  EXPECT_TRUE(bad([](Parameters& p) { p.burned_bps = 4999; }));
  EXPECT_TRUE(bad([](Parameters& p) { p.unbonding_s = p.window_max_s - 1; }));
  EXPECT_TRUE(bad([](Parameters& p) { p.window_min_s = p.window_max_s + 1; }));
  EXPECT_TRUE(bad([](Parameters& p) { p.exposure_factor = 0; }));
  EXPECT_TRUE(bad([](Parameters& p) { p.dispute_bond = 0; }));
  EXPECT_TRUE(bad([](Parameters& p) { p.move_s = 0; }));
  EXPECT_TRUE(bad([](Parameters& p) { p.move_s = p.window_min_s + 1; }));
}

TEST(Ledger, ExposureIsBoundedByStake) {
  World w;
  w.fund();
  w.lease(20'000'000);
  EXPECT_EQ(w.account(w.provider).exposure, 20'000'000);
  EXPECT_EQ(w.account(w.provider).exposure_limit, 30'000'000);
  EXPECT_REFUSED(w.run(w.open_lease(10'000'001)), Errc::refused,
                 "exposure 30.000001 would exceed 3 x stake 10.00");
  const auto second = w.lease(10'000'000);
  EXPECT_REFUSED(w.run(w.sign(TopUp{w.buyer.address, second, 1, 9}, w.buyer)), Errc::refused,
                 "exposure");
  EXPECT_REFUSED(w.run(w.sign(Unbond{w.provider.address, 1, 9}, w.provider)), Errc::refused,
                 "exposure");
  // Paid money is no longer exposed.
  ASSERT_TRUE(w.run(w.sign(protocol::Settlement{second, 4'000'000}, w.buyer)));
  EXPECT_EQ(w.account(w.provider).exposure, 26'000'000);
  EXPECT_EQ(w.account(w.payout).available, 4'000'000);
  ASSERT_TRUE(w.run(w.sign(TopUp{w.buyer.address, second, 3'000'000, 10}, w.buyer)));
  ASSERT_TRUE(w.run(w.sign(Unbond{w.provider.address, 333'333, 10}, w.provider)));
}

TEST(Ledger, NoStakeNoLease) {
  World w;
  w.deposit(w.buyer, 10'000'000);
  w.deposit(w.provider, 10'000'000);
  w.stake(w.provider, 999'999);
  EXPECT_REFUSED(w.run(w.open_lease(1)), Errc::refused, "asks for at least 1.00");
}

TEST(Ledger, LeaseTermsAreThoseOfTheOffer) {
  World w;
  w.fund();
  const auto changed = [&](auto change) {
    auto op = w.open_lease(1'000'000);
    change(op);
    op.lease = w.sign(op.lease.message, w.buyer);
    return w.run(op);
  };
  EXPECT_TRUE(changed([](OpenLease&) {}));
  EXPECT_REFUSED(changed([](OpenLease& o) { --o.lease.message.price_out; }), Errc::refused,
                 "prices");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.execution[0] ^= 1; }), Errc::refused,
                 "execution");
  EXPECT_REFUSED(changed([&](OpenLease& o) { o.lease.message.payout = w.buyer.address; }),
                 Errc::refused, "payout");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.offer[0] ^= 1; }), Errc::mismatch,
                 "another offer");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.window = 49; }), Errc::refused,
                 "window");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.window = 201; }), Errc::refused,
                 "window");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.expires += 5'000; }), Errc::refused,
                 "runs");
  EXPECT_REFUSED(changed([&](OpenLease& o) { o.lease.message.expires = w.time; }), Errc::refused,
                 "expired");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.disclosure = 3; }), Errc::invalid,
                 "disclosure");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.escrow = 0; }), Errc::invalid,
                 "escrow");
  EXPECT_REFUSED(changed([](OpenLease& o) { o.lease.message.escrow = 200'000'000; }), Errc::refused,
                 "available");
  const auto stale = w.open_lease(1'000'000);
  w.time += 101;
  EXPECT_REFUSED(w.run(stale), Errc::refused, "offer expired");
}

TEST(Ledger, SettlementsAreCumulativeAndTheHighestWins) {
  World w;
  w.fund();
  const auto lease = w.lease(5'000'000);
  const auto low = w.sign(protocol::Settlement{lease, 1'000'000}, w.buyer);
  const auto high = w.sign(protocol::Settlement{lease, 3'000'000}, w.buyer);
  ASSERT_TRUE(w.run(high));
  EXPECT_REFUSED(w.run(low), Errc::conflict, "not above the 3.00");
  EXPECT_EQ(w.account(w.payout).available, 3'000'000);
  EXPECT_REFUSED(w.run(w.sign(protocol::Settlement{lease, 5'000'001}, w.buyer)), Errc::refused,
                 "escrow too small: 2.00 held, 2.000001 to pay");
  EXPECT_REFUSED(w.run(w.sign(protocol::Settlement{lease, 4'000'000}, w.provider)), Errc::mismatch,
                 "signature");
  ASSERT_TRUE(w.run(w.sign(protocol::Settlement{lease, 5'000'000}, w.buyer)));
  EXPECT_EQ(w.account(w.payout).available, 5'000'000);
  EXPECT_EQ(w.lease_of(lease).escrow, 0);
}

TEST(Ledger, ProviderClosesAnyTimeAnybodyAfterExpiryAndWindow) {
  World w;
  w.fund();
  const auto first = w.lease(5'000'000), second = w.lease(6'000'000);
  EXPECT_REFUSED(w.run(w.sign(Close{w.other.address, first}, w.other)), Errc::refused,
                 "others than the provider");
  ASSERT_TRUE(w.run(w.sign(Close{w.provider.address, first}, w.provider)));
  EXPECT_EQ(w.account(w.buyer).available, 94'000'000);
  EXPECT_REFUSED(w.run(w.sign(Close{w.buyer.address, first}, w.buyer)), Errc::refused, "closed");
  EXPECT_REFUSED(w.run(w.sign(protocol::Settlement{first, 1}, w.buyer)), Errc::refused, "closed");
  EXPECT_REFUSED(w.run(w.sign(TopUp{w.buyer.address, first, 1, 77}, w.buyer)), Errc::refused,
                 "closed");
  w.time += 400;
  EXPECT_REFUSED(w.run(w.sign(Close{w.buyer.address, second}, w.buyer)), Errc::refused,
                 "expiry + window");
  EXPECT_REFUSED(w.run(w.sign(Close{w.other.address, second}, w.other)), Errc::refused,
                 "expiry + window");
  w.time += 1;
  ASSERT_TRUE(w.run(w.sign(Close{w.other.address, second}, w.other)));  // to the buyer all the same
  EXPECT_EQ(w.account(w.buyer).available, 100'000'000);
  EXPECT_EQ(w.account(w.provider).exposure, 0);
}

TEST(Ledger, UnbondingOutlastsTheLeasesItAnswersFor) {
  World w;
  w.fund();
  const auto lease = w.lease(5'000'000);
  w.time += 1;
  ASSERT_TRUE(w.run(w.sign(Unbond{w.provider.address, 5'000'000, 1}, w.provider)));
  EXPECT_REFUSED(w.run(w.sign(Release{w.provider.address, 1}, w.provider)), Errc::refused, "due");
  w.time += 500;
  EXPECT_REFUSED(w.run(w.sign(Release{w.provider.address, 1}, w.provider)), Errc::refused,
                 "can still be disputed");
  ASSERT_TRUE(w.run(w.sign(Close{w.provider.address, lease}, w.provider)));
  w.time += 100;
  EXPECT_REFUSED(w.run(w.sign(Release{w.provider.address, 1}, w.provider)), Errc::refused,
                 "can still be disputed");
  w.time += 1;
  // A lease opened after the unbonding does not hold it back.
  ASSERT_TRUE(w.run(w.open_lease(1'000'000)));
  ASSERT_TRUE(w.run(w.sign(Release{w.provider.address, 1}, w.provider)));
  EXPECT_EQ(w.account(w.provider).available, 5'000'000);
  EXPECT_TRUE(w.account(w.provider).unbonding.empty());
}

TEST(Money, IsExactBothWays) {
  EXPECT_EQ(format_money(0), "0.00");
  EXPECT_EQ(format_money(1'250'000), "1.25");
  EXPECT_EQ(format_money(1), "0.000001");
  EXPECT_EQ(format_money(-3'000'000), "-3.00");
  EXPECT_EQ(format_money(INT64_MAX), "9223372036854.775807");
  EXPECT_EQ(format_money(INT64_MIN), "-9223372036854.775808");
  for (const Micros m : {Micros{0}, Micros{1}, Micros{999'999}, Micros{12'340'000}, INT64_MAX})
    EXPECT_EQ(*parse_money(format_money(m)), m);
  EXPECT_EQ(*parse_money("25"), 25'000'000);
  EXPECT_EQ(*parse_money("0.5"), 500'000);
  for (const auto* bad : {"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "0.0000001", " 1",
                          "9223372036854.775808", "99999999999999999999"})
    EXPECT_FALSE(parse_money(bad)) << bad;
}

}  // namespace
}  // namespace assay::market::test
