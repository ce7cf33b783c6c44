// A deal whose buyer hires an auditor, on any hosted ledger: real executions, keyed trees, checks
// and games. Header only, as deal_testutil.hpp.
#pragma once
#include "protocol/audit_keys.hpp"
#include "settle/beacon_chain.hpp"
#include "settle/deal_testutil.hpp"
#include "verify/keyed.hpp"

namespace assay::settle {

class AuditedDeal : public Deal {
 public:
  static constexpr std::uint8_t kAuditor = 6;

  // `on` lets move_s go by.
  AuditedDeal(market::Settlement& ledger, std::uint64_t now, BeaconChain& beacon,
              std::function<void()> on)
      : Deal(ledger, now), beacon_(beacon), move_on(std::move(on)) {}

  // Everybody has money, provider and auditor a stake; the auditor is registered.
  protocol::Signed<protocol::Offer> hire() {
    auto offer = fund();
    must(sign(protocol::Deposit{address(kAuditor), 3'000'000, ++nonce}, kHost));
    must(sign(protocol::Stake{address(kAuditor), 2'000'000, ++nonce}, kAuditor));
    must(sign(protocol::RegisterAuditor{.account = address(kAuditor),
                                        .execution = protocol::struct_hash(execution),
                                        .active = true,
                                        .endpoint = "http://127.0.0.1:9",
                                        .fee = 50'000,
                                        .nonce = ++nonce},
              kAuditor));
    return offer;
  }

  Result<market::Applied> ask(const Trade& t) {
    const auto& evidence = t.dispute.evidence;
    auto applied = run(market::RequestAudit{
        sign(protocol::AuditRequest{.buyer = address(kBuyer),
                                    .lease = evidence.request.message.lease,
                                    .subject = market::statement_id(domain, evidence.statement),
                                    .auditors = 1,
                                    .fee_max = 60'000,
                                    .nonce = Hash{1}},
             kBuyer),
        evidence});
    if (applied) audit = applied->id;
    return applied;
  }
  protocol::Signed<protocol::Beacon> next_round() {
    const auto round = ledger_->audit(audit)->round;
    return sign(protocol::Beacon{round, beacon_.value(round)}, kHost);
  }
  void request(const Trade& t) {
    const auto asked = ask(t);
    ASSERT_TRUE(asked) << asked.error().message;
    must(next_round());
    ASSERT_EQ(view().drawn.size(), 1u);
  }
  market::AuditView view() { return *ledger_->audit(audit); }

  // The auditor's own execution of what the provider was asked.
  void execute(const Trade& t, DealModel& with, verify::TraceBuilder& into) {
    engine::Session session(with.model, with.pool, engine::best_isa(), 64);
    engine::generate(session, t.opening.prompt, {6, {}},
                     verify::sampling_of(t.dispute.evidence.request.message), &into, {});
  }
  Hash key_nonce() { return protocol::key_nonce(view().beacon, audit, address(kAuditor), key); }
  std::uint32_t layers() { return honest.model->hyper().layers; }
  void commit_root(const Hash& keyed_root) {
    must(sign(protocol::CommitAudit{address(kAuditor), audit, protocol::nonce_hash(key_nonce()),
                                    protocol::keyed_root_hash(keyed_root, key)},
              kAuditor));
  }
  // Its pass, once commitments are in.
  Hash pass() {
    move_on();
    must(sign(protocol::RevealAudit{address(kAuditor), audit,
                                    static_cast<std::uint32_t>(protocol::AuditVerdict::pass)},
              kAuditor));
    return view().drawn[0].pass;
  }
  Hash pass_of(const Trade& t, DealModel& with) {
    request(t);
    verify::KeyedBuilder keyed(key_nonce(), layers());
    execute(t, with, keyed);
    commit_root(keyed.root());
    return pass();
  }

  market::CheckAudit check(const Trade& t, DealModel& with, const verify::CheckPlace& place) {
    verify::PlaceRecorder recorder(t.opening.salt_secret, layers(), {place});
    execute(t, with, recorder);
    const auto proof = verify::check_proof_bytes(*recorder.proof());
    return {sign(protocol::AuditCheck{.challenger = address(kBuyer),
                                      .audit = audit,
                                      .auditor = address(kAuditor),
                                      .bond = 100'000,
                                      .proof = crypto::sha256(proof),
                                      .nonce = ++nonce},
                 kBuyer),
            execution, program, proof};
  }
  Result<market::Applied> answer(const Trade& t, const Hash& id, const verify::CheckPlace& place) {
    auto recorder = verify::PlaceRecorder::keyed(key_nonce(), layers(), {place});
    execute(t, honest, recorder);
    return run(market::AnswerCheck{sign(protocol::CheckAnswer{address(kAuditor), id}, kAuditor),
                                   verify::check_reply_bytes({key, recorder.proof()->path})});
  }
  market::FileDispute against_pass(const Trade& t, const Hash& said) {
    auto op = t.dispute;
    op.dispute = sign(
        protocol::Dispute{address(kBuyer), t.dispute.dispute.message.lease, said, 100'000, ++nonce},
        kBuyer);
    return op;
  }
  // The auditor in the provider's part, until it is decided or a side has no move.
  void play(const Hash& id, verify::Party& auditor, verify::Party& challenger) {
    while (ledger_->dispute(id)->state == market::DisputeState::open) {
      const auto transcript = *transcript_of(domain, address(kAuditor), *ledger_->game(id));
      const bool turn = transcript.game().turn() == verify::Side::provider;
      auto payload =
          turn ? auditor.respond(transcript.game()) : challenger.challenge(transcript.game());
      if (!payload) return;
      const auto move =
          sign_next(domain, transcript, std::move(*payload), deal_key(turn ? kAuditor : kBuyer));
      if (!run(as_operation(move))) return;
    }
  }
  market::Operation timeout(const Hash& id) {
    return sign(protocol::Timeout{address(kBuyer), id}, kBuyer);
  }
  market::Operation settlement() {
    return sign(protocol::SettleAudit{address(kBuyer), audit}, kBuyer);
  }

  BeaconChain& beacon_;
  std::function<void()> move_on;
  Hash audit{};
  const Hash key{0x4b};
};

}  // namespace assay::settle
