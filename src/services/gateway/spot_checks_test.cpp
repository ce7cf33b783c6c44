// Spot checks against a real ledger whose clock is not this gateway's.
#include "services/gateway/spot_checks.hpp"

#include <gtest/gtest.h>

#include "io/files.hpp"
#include "protocol/audit_keys.hpp"
#include "settle/deal_testutil.hpp"
#include "settle/embedded/embedded_ledger.hpp"
#include "verify/keyed.hpp"

namespace assay::services {
namespace {

using settle::Deal;

constexpr std::uint8_t kAuditor = 8;
constexpr std::uint64_t kMoveS = 100;

struct SpotChecksTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-spot-checks");
  ManualClock ledgers, mine;
  std::unique_ptr<settle::EmbeddedLedger> ledger;
  std::unique_ptr<Deal> deal;
  std::unique_ptr<Buyer> buyer;
  Hash audit{};
  HireRecord hire;

  // An audit whose only auditor passed the receipt, and a check of that pass, written and not sent.
  void SetUp() override {
    const Hash beacon{0x42}, key{5};
    market::LedgerInfo info;
    info.domain.ledger = Hash{3};
    info.host = Deal::address(Deal::kHost);
    info.parameters.move_s = info.parameters.window_min_s = kMoveS;
    info.beacon = protocol::beacon_before(beacon);
    ledger = *settle::EmbeddedLedger::open(folder.file("ledger.db"), info, ledgers);
    deal = std::make_unique<Deal>(*ledger, now());
    const auto offer = deal->fund();
    const auto auditor = Deal::address(kAuditor);
    deal->must(deal->sign(protocol::Deposit{auditor, 3'000'000, ++deal->nonce}, Deal::kHost));
    deal->must(deal->sign(protocol::Stake{auditor, 2'000'000, ++deal->nonce}, kAuditor));
    deal->must(
        deal->sign(protocol::RegisterAuditor{.account = auditor,
                                             .execution = protocol::struct_hash(deal->execution),
                                             .active = true,
                                             .endpoint = "http://127.0.0.1:9",
                                             .fee = 20'000,
                                             .nonce = ++deal->nonce},
                   kAuditor));
    pass_time(1);
    const Hash lease = deal->open_lease(offer);
    const auto trade = deal->trade(lease, 1, deal->honest);
    const protocol::AuditRequest request{.buyer = Deal::address(Deal::kBuyer),
                                         .lease = lease,
                                         .subject = trade.dispute.dispute.message.subject,
                                         .auditors = 1,
                                         .fee_max = 20'000,
                                         .nonce = Hash{7}};
    audit = protocol::digest(deal->domain, request);
    deal->must(market::RequestAudit{.request = deal->sign(request, Deal::kBuyer),
                                    .evidence = trade.dispute.evidence});
    deal->must(deal->sign(protocol::Beacon{.round = 1, .value = beacon}, Deal::kHost));
    const Hash nonce = protocol::key_nonce(beacon, audit, auditor, key);
    deal->must(deal->sign(protocol::CommitAudit{auditor, audit, protocol::nonce_hash(nonce),
                                                protocol::keyed_root_hash(Hash{6}, key)},
                          kAuditor));
    pass_time(kMoveS);
    deal->must(
        deal->sign(protocol::RevealAudit{auditor, audit,
                                         static_cast<std::uint32_t>(protocol::AuditVerdict::pass)},
                   kAuditor));

    verify::PlaceRecorder recorder(trade.opening.salt_secret, 2,
                                   {{1, 0, verify::StateVector::x, 0}});
    ASSERT_TRUE(verify::replay_into(
        verify::Execution{verify::sampling_of(trade.dispute.evidence.request.message), Hash{},
                          trade.opening.prompt, trade.opening.answer, 0, false, 0},
        deal->honest.model, deal->honest.pool, engine::best_isa(), {}, verify::kReplayKvBytes,
        recorder));
    const Bytes proof = verify::check_proof_bytes(*recorder.proof());
    const market::CheckAudit check{
        .check = deal->sign(protocol::AuditCheck{.challenger = Deal::address(Deal::kBuyer),
                                                 .audit = audit,
                                                 .auditor = auditor,
                                                 .bond = 100'000,
                                                 .proof = crypto::sha256(proof),
                                                 .nonce = ++deal->nonce},
                            Deal::kBuyer),
        .execution = deal->execution,
        .program = deal->program,
        .proof = proof};
    hire.audit = audit;
    hire.checks.push_back({.auditor = auditor,
                           .operation = json::dump(market::to_json(market::Operation(check))),
                           .id = protocol::digest(deal->domain, check.check.message)});
    make_buyer();
  }
  std::uint64_t now() const { return static_cast<std::uint64_t>(ledgers.now_s()); }
  void pass_time(std::uint64_t seconds) { ledgers.ms += static_cast<std::int64_t>(seconds) * 1000; }
  void make_buyer() {
    const auto key = settle::deal_key(Deal::kBuyer);
    buyer.reset(new Buyer{
        .options = {},
        .key = key,
        .address = crypto::address_of(key),
        .ledger = *ledger->info(),
        .settlement = *ledger,
        .board = *ledger,
        .clock = mine,
        .models = {},
        .store = *Store::open(folder.file("gateway.db"), deal->domain, crypto::address_of(key)),
        .vault = *Vault::open(folder.path()),
        .providers = ProviderClient({})});
  }
  Result<bool> passed() {
    MarketView market(*buyer);
    return SpotChecks(*buyer, market).passed({}, hire, {}, *ledger->audit(audit));
  }
};

TEST_F(SpotChecksTest, TooEarlyForTheLedgerIsTriedAgain) {
  const auto due = ledger->audit(audit)->reveal_due;
  mine.ms = static_cast<std::int64_t>(due) * 1000;
  ledgers.ms = mine.ms - 1000;
  const auto early = passed();
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Errc::refused) << early.error().message;
  EXPECT_FALSE(hire.checks[0].operation.empty());
  ledgers.ms = mine.ms.load();
  EXPECT_EQ(passed().error().code, Errc::unavailable) << "it is asked now";
  ASSERT_EQ(ledger->audit(audit)->checks.size(), 1u);
  EXPECT_EQ(passed().error().code, Errc::unavailable) << "it has not answered";
  // Nor can it: the pass stands no more.
  mine.ms = static_cast<std::int64_t>(ledger->audit(audit)->checks[0].due) * 1000;
  ledgers.ms = mine.ms.load();
  EXPECT_EQ(passed().error().code, Errc::unavailable) << "looked at again";
  const auto last = passed();
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_FALSE(*last);
  EXPECT_EQ(ledger->account(Deal::address(kAuditor))->stake, 0);
}

}  // namespace
}  // namespace assay::services
