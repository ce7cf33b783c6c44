// The whole host over HTTP: money in, a lease, a dispute played to its end, the log replayed.
#include "services/market/market_service.hpp"

#include <array>
#include <gtest/gtest.h>
#include <thread>

#include "io/http_client.hpp"
#include "settle/auction_testutil.hpp"
#include "settle/deal_testutil.hpp"
#include "settle/log_testutil.hpp"
#include "settle/remote.hpp"

namespace assay::services {
namespace {

using namespace protocol;
using settle::Deal;

struct MarketServiceTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-market");
  ManualClock clock;
  std::string log_url;
  std::unique_ptr<MarketService> service;
  std::unique_ptr<settle::RemoteLedger> remote;

  void SetUp() override { start(); }
  void start() {
    remote.reset();
    service.reset();
    MarketOptions options;
    options.data_dir = folder.file("data");
    options.beacon_ms = 20;
    options.log_url = log_url;
    options.log_ms = 20;
    auto started = MarketService::start(options, settle::deal_key(Deal::kHost), clock);
    ASSERT_TRUE(started) << started.error().message;
    service = std::move(*started);
    remote = std::make_unique<settle::RemoteLedger>(service->url() + "/");
  }
  std::uint64_t now() const { return static_cast<std::uint64_t>(clock.now_s()); }

  // Through the board, as a buyer finds it.
  Hash open_lease(Deal& deal) {
    EXPECT_TRUE(remote->publish(deal.fund()));
    const auto listed = remote->offers();
    EXPECT_EQ(listed->size(), 1u);
    return deal.open_lease(listed->at(0));
  }
  void expect_log_is_good() {
    auto replay = *settle::LogReplay::start(*remote->info());
    const auto log = *remote->log(1);
    std::size_t rows = 0;
    for (std::size_t at = 0; at < log.size(); ++rows) {
      const auto end = log.find('\n', at);
      const auto row = settle::log_row_from_line(std::string_view(log).substr(at, end - at));
      ASSERT_TRUE(row) << row.error().message;
      const auto added = replay.add(*row);
      ASSERT_TRUE(added) << added.error().message;
      at = end + 1;
    }
    EXPECT_EQ(rows, remote->totals()->operations);
    EXPECT_EQ(replay.state().totals.state, remote->totals()->state);
  }
};

TEST_F(MarketServiceTest, AnswersSayWhatIsWrong) {
  EXPECT_EQ(remote->account(Deal::address(9))->available, 0);
  EXPECT_EQ(remote->lease(Hash{}).error().code, Errc::not_found);
  EXPECT_EQ(remote->game(Hash{}).error().code, Errc::not_found);
  const Deal deal(*remote, now());
  const auto refused =
      remote->submit(deal.sign(Withdraw{Deal::address(Deal::kBuyer), 5, 1}, Deal::kBuyer));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_NE(refused.error().message.find("0.00 available"), std::string::npos);
  io::HttpClient client;
  for (const auto* body : {"", "[]", "{", "{\"kind\":\"mint\"}", "{\"kind\":\"deposit\"}"}) {
    const auto reply = client.post_json(service->url() + "/ledger/operations", body);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 400) << body;
  }
  EXPECT_EQ(client.get(service->url() + "/ledger/leases/0x12")->status, 400);
  EXPECT_EQ(client.get(service->url() + "/ledger/disputes/0x12/game")->status, 400);
  EXPECT_EQ(client.get(service->url() + "/ledger/log?from=x")->status, 400);
}

TEST_F(MarketServiceTest, OneDirectoryOneProcess) {
  MarketOptions options;
  options.data_dir = folder.file("data");
  const auto second = MarketService::start(options, settle::deal_key(Deal::kHost), clock);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::conflict);
}

TEST_F(MarketServiceTest, ALiarIsConvictedWithoutAModelOnTheHost) {
  Deal deal(*remote, now());
  settle::DealModel changed(settle::deal_file_with_one_weight_changed());
  const auto lease = open_lease(deal);
  const auto t = deal.trade(lease, 1, changed);
  const auto provider = deal.party(t, changed), challenger = deal.party(t, deal.honest);
  EXPECT_EQ(remote->submit(t.dispute).error().code, Errc::refused) << "not committed";
  deal.commit(t.dispute);
  deal.must(t.dispute);
  const Hash id = deal.id_of(t.dispute);
  for (int moves = 0; remote->dispute(id)->state == market::DisputeState::open; ++moves) {
    if (moves == 4) {  // as after kill -9: nothing but the log is left
      start();
      EXPECT_EQ(remote->game(id)->transcript.size(), 4u);
    }
    const auto next = deal.next(*remote->game(id), *provider, *challenger);
    ASSERT_TRUE(next) << next.error().message;
    const auto moved = remote->submit(settle::as_operation(*next));
    ASSERT_TRUE(moved) << moved.error().message;
  }
  const auto d = *remote->dispute(id);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong) << d.reason;
  EXPECT_TRUE(d.reason.starts_with("position 1, layer 0, op x")) << d.reason;
  EXPECT_EQ(remote->account(Deal::address(Deal::kProvider))->stake, 0);
  EXPECT_EQ(remote->lease(lease)->state, market::LeaseState::convicted);
  EXPECT_TRUE(remote->submit(t.dispute)->already);
  expect_log_is_good();
}

TEST_F(MarketServiceTest, AProviderThatDoesNotMoveIsConvictedAtTheDeadline) {
  Deal deal(*remote, now());
  const auto t = deal.trade(open_lease(deal), 1, deal.honest);
  deal.commit(t.dispute);
  deal.must(t.dispute);
  const Timeout timeout{Deal::address(Deal::kBuyer), deal.id_of(t.dispute)};
  EXPECT_EQ(remote->submit(deal.sign(timeout, Deal::kBuyer)).error().code, Errc::refused);
  clock.ms += 3'600'000;
  deal.must(deal.sign(timeout, Deal::kBuyer));
  EXPECT_EQ(remote->dispute(deal.id_of(t.dispute))->outcome, Outcome::provider_wrong);
  expect_log_is_good();
}

// The host publishes a round when somebody waits for one, after a restart too.
TEST_F(MarketServiceTest, TheBeaconDrawsWhoeverIsRegistered) {
  constexpr std::uint8_t kAuditor = 6;
  Deal deal(*remote, now());
  const auto auditor = Deal::address(kAuditor);
  deal.must(deal.sign(Deposit{auditor, 3'000'000, 1}, Deal::kHost));
  deal.must(deal.sign(protocol::Stake{auditor, 2'000'000, 1}, kAuditor));
  const auto execution = struct_hash(deal.execution);
  deal.must(deal.sign(RegisterAuditor{.account = auditor,
                                      .execution = execution,
                                      .active = true,
                                      .endpoint = "http://127.0.0.1:9",
                                      .fee = 7},
                      kAuditor));
  ASSERT_EQ(remote->auditors(execution)->size(), 1u);
  EXPECT_EQ(remote->auditors(execution)->at(0).account, auditor);
  EXPECT_TRUE(remote->auditors(Hash{})->empty());
  EXPECT_EQ(remote->audit(Hash{}).error().code, Errc::not_found);
  clock.ms += 1'000;
  const auto lease = open_lease(deal);
  const auto t = deal.trade(lease, 1, deal.honest);
  for (std::uint64_t round = 1; round <= 2; ++round) {
    if (round == 2) start();
    const auto asked = remote->submit(market::RequestAudit{
        deal.sign(AuditRequest{.buyer = Deal::address(Deal::kBuyer),
                               .lease = lease,
                               .subject = t.dispute.dispute.message.subject,
                               .auditors = 1,
                               .fee_max = 9,
                               .nonce = Hash{static_cast<std::uint8_t>(round)}},
                  Deal::kBuyer),
        t.dispute.evidence});
    ASSERT_TRUE(asked) << asked.error().message;
    for (int i = 0; i < 500 && remote->audit(asked->id)->state == market::AuditState::waiting; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const auto audit = *remote->audit(asked->id);
    ASSERT_EQ(audit.state, market::AuditState::drawn);
    EXPECT_EQ(audit.round, round);
    EXPECT_EQ(audit.drawn.at(0).account, auditor);
  }
  EXPECT_EQ(remote->account(auditor)->audits.size(), 2u);
  expect_log_is_good();
  // Nobody waits: no round is used up.
  const auto operations = remote->totals()->operations;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(remote->totals()->operations, operations);
}

// Every row of the ledger is in the log under its sequence, also those from before there was one;
// who has a stake may append through the market.
TEST_F(MarketServiceTest, PublishesItsRowsAndLetsStakedProvidersAppend) {
  Deal deal(*remote, now());
  const auto lease = open_lease(deal);
  settle::LogInMemory log;
  log_url = log.url();
  start();
  const auto info = *remote->info();
  const auto rows_in_log = [&] { return log.entries(info.host).size(); };
  const auto wait = [&](std::size_t rows) {
    for (int i = 0; i < 500 && rows_in_log() < rows; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return rows_in_log() == rows;
  };
  ASSERT_TRUE(wait(remote->totals()->operations));
  start();
  ASSERT_TRUE(wait(remote->totals()->operations)) << "again: the same entries";
  const std::string rows = *remote->log(1);
  std::size_t at = 0, sequence = 0;
  for (const auto& entry : log.entries(info.host)) {
    const auto end = rows.find('\n', at);
    const auto row = *settle::log_row_from_line(std::string_view(rows).substr(at, end - at));
    at = end + 1;
    EXPECT_EQ(entry.number, ++sequence);
    EXPECT_EQ(entry.ledger, info.domain.separator());
    EXPECT_EQ(entry.commitment, tlog::row_commitment(row.hash));
  }

  settle::LogWriter market(service->url() + "/log");
  const Hash ledger = info.domain.separator();
  const auto entry = [&](const Hash& of, std::uint8_t party, std::uint64_t number) {
    return tlog::sign_entry(of, number, Hash{1}, settle::deal_key(party));
  };
  const auto provider = crypto::address_of(settle::deal_key(Deal::kProvider));
  EXPECT_EQ(*market.next_number(ledger, provider), 1u);
  EXPECT_TRUE(market.append(std::array{entry(ledger, Deal::kProvider, 1)}));
  EXPECT_EQ(*market.next_number(ledger, provider), 2u);
  EXPECT_EQ(market.append(std::array{entry(ledger, Deal::kProvider, 3)}).error().code,
            Errc::refused);
  EXPECT_EQ(market.append(std::array{entry(ledger, Deal::kBuyer, 1)}).error().code, Errc::refused);
  EXPECT_EQ(market.append(std::array{entry(Hash{1}, Deal::kProvider, 2)}).error().code,
            Errc::invalid);

  // An auction's record, for a lease that came of it and no other.
  const settle::AuctionParties parties{info.domain, settle::deal_key(Deal::kBuyer),
                                       settle::deal_key(Deal::kProvider)};
  auto auction = settle::auction_entry(parties, 1, 1);
  EXPECT_EQ(market.append_auction(auction).error().code, Errc::not_found) << "no lease";
  auction.lease = lease;
  EXPECT_EQ(market.append_auction(auction).error().code, Errc::refused) << "another lease";
  auction.domain.ledger = Hash{7};
  EXPECT_EQ(market.append_auction(auction).error().code, Errc::invalid) << "another ledger";
}

}  // namespace
}  // namespace assay::services
