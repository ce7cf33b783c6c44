// A buyer and a provider of a toy model on any hosted ledger, and the dispute between them, played
// for real. Header only, so that hosts' tests share it.
#pragma once
#include <functional>
#include <gtest/gtest.h>

#include "crypto/sha256.hpp"
#include "engine/gguf_testutil.hpp"
#include "market/settlement.hpp"
#include "protocol/tokens.hpp"
#include "settle/dispute_game.hpp"
#include "verify/constraint.hpp"
#include "verify/dispute/party.hpp"
#include "verify/identity.hpp"

namespace assay::settle {

inline crypto::SecretKey deal_key(std::uint8_t fill) {
  return *crypto::secret_key(Bytes(32, fill));
}

// One toy model and its commitments.
struct DealModel {
  explicit DealModel(Bytes gguf) : file(std::move(gguf)) {}
  Bytes file;
  std::shared_ptr<const engine::Model> model = *engine::Model::load(file);
  ThreadPool pool{1};
  std::shared_ptr<const verify::ModelTrees> trees =
      std::make_shared<const verify::ModelTrees>(model, pool);
};
inline Bytes deal_file() { return engine::toy_model({.layers = 2, .context = 64}); }
// The same but for one bit of the embedding of token 4.
inline Bytes deal_file_with_one_weight_changed() {
  const DealModel good(deal_file());
  const auto at = static_cast<std::size_t>(good.trees->chunk(0, 4, 0).data() - good.file.data());
  Bytes out = good.file;
  out[at + 1] ^= 0x10;
  return out;
}

class Deal {
 public:
  static constexpr std::uint8_t kHost = 1, kBuyer = 2, kProvider = 3, kPayout = 4;

  Deal(market::Settlement& ledger, std::uint64_t now)
      : ledger_(&ledger), domain(ledger.info()->domain), now_(now) {}

  // Another process of the same ledger.
  void reopened(market::Settlement& ledger) { ledger_ = &ledger; }

  static protocol::Address address(std::uint8_t fill) { return crypto::address_of(deal_key(fill)); }
  template <class M>
  protocol::Signed<M> sign(M message, std::uint8_t by) const {
    return protocol::sign(domain, std::move(message), deal_key(by));
  }
  Result<market::Applied> run(const market::Operation& operation) {
    auto applied = ledger_->submit(operation);
    if (record) record(operation, applied);
    return applied;
  }
  void must(const market::Operation& operation) {
    const auto applied = run(operation);
    ASSERT_TRUE(applied) << market::kind_of(operation) << ": " << applied.error().message;
  }

  // Everybody has money, the provider a stake, the buyer a lease of 1.00 for the honest model.
  protocol::Signed<protocol::Offer> fund() {
    must(sign(protocol::Deposit{address(kBuyer), 10'000'000, ++nonce}, kHost));
    must(sign(protocol::Deposit{address(kProvider), 5'000'000, ++nonce}, kHost));
    must(sign(protocol::Stake{address(kProvider), 5'000'000, ++nonce}, kProvider));
    protocol::Offer offer;
    offer.provider = address(kProvider);
    offer.payout = address(kPayout);
    offer.sequence = ++nonce;
    offer.endpoint = "http://127.0.0.1:9";
    offer.expires = now_ + 600;
    offer.models.push_back({"toy",
                            execution.weights_root,
                            execution.program_hash,
                            execution.canon,
                            {},
                            "F32",
                            300'000,
                            1'200'000,
                            64});
    return sign(offer, kProvider);
  }
  Hash open_lease(const protocol::Signed<protocol::Offer>& offer) {
    protocol::Lease lease;
    lease.buyer = address(kBuyer);
    lease.provider = offer.message.provider;
    lease.payout = offer.message.payout;
    lease.offer = protocol::digest(domain, offer.message);
    lease.execution = protocol::struct_hash(execution);
    lease.price_in = 300'000;
    lease.price_out = 1'200'000;
    lease.escrow = 1'000'000;
    lease.window = 3600;
    lease.expires = now_ + 3600;
    lease.nonce = ++nonce;
    terms = lease;
    const auto applied = run(market::OpenLease{sign(lease, kBuyer), offer});
    EXPECT_TRUE(applied) << applied.error().message;
    return applied ? applied->id : Hash{};
  }

  struct Trade {
    market::FileDispute dispute;  // by the buyer; transcript empty
    protocol::Opening opening;
  };
  // What an answer is to be held to, and what the provider holds it to.
  struct Held {
    canon::Automaton asked, used;
  };
  // The same with a request for another automaton: as a provider has it that holds to that one.
  Trade under(Trade t, const canon::Automaton& automaton) const {
    t.opening.automaton = canon::encode(automaton);
    t.dispute.evidence.request.message.constraint = constraint_of(automaton);
    return t;
  }
  // A receipt for six tokens of what `computes` does, which is sold as the honest model.
  Trade trade(const Hash& lease, std::uint64_t sequence, DealModel& computes,
              const std::optional<Held>& held = {}) {
    Trade t;
    auto& o = t.opening;
    o.salt_secret.fill(5);
    o.prompt = {1, 4, 8, 9};
    protocol::Request r;
    r.lease = lease;
    r.sequence = sequence;
    r.execution = terms.execution;
    r.prompt_root = protocol::prompt_root(o.salt_secret, o.prompt);
    r.prompt_count = 4;
    r.max_tokens = 6;
    r.stop_root = protocol::stop_root({});
    r.salt_commitment = protocol::salt_commitment(o.salt_secret);
    r.cap = *protocol::cap_for(terms, 4, 6);
    r.expires = now_ + 60;
    protocol::Request computed = r;
    Bytes automaton;
    if (held) {
      r.constraint = constraint_of(held->asked);
      computed.constraint = constraint_of(held->used);
      o.automaton = canon::encode(held->asked);
      automaton = canon::encode(held->used);
    }
    const auto sampling = verify::sampling_of(computed, automaton, *computes.model);
    EXPECT_TRUE(sampling) << sampling.error().message;
    o.request = protocol::digest(domain, r);
    verify::TraceBuilder trace(o.salt_secret, computes.model->hyper().layers);
    engine::Session session(computes.model, computes.pool, engine::best_isa(), 64);
    o.answer = engine::generate(session, o.prompt, {6, {}}, *sampling, &trace, {}).answer;
    protocol::Receipt receipt;
    receipt.request = o.request;
    receipt.count = 6;
    receipt.finish = static_cast<std::uint32_t>(protocol::Finish::length);
    receipt.tape_root = protocol::tape_root(o.salt_secret, o.answer);
    receipt.trace_root = trace.root();
    receipt.amount = *protocol::amount_of(terms, r, 6);
    receipt.key_sequence = sequence;
    t.dispute.evidence = {sign(r, kBuyer), sign(receipt, kProvider)};
    t.dispute.execution = execution;
    t.dispute.program = program;
    t.dispute.dispute = sign(protocol::Dispute{address(kBuyer), lease,
                                               protocol::digest(domain, receipt), 100'000, ++nonce},
                             kBuyer);
    return t;
  }
  std::unique_ptr<verify::Party> party(const Trade& t, DealModel& with) {
    auto subject = subject_of(t.dispute.execution, t.dispute.program,
                              t.dispute.evidence.request.message, t.dispute.evidence.statement);
    EXPECT_TRUE(subject) << subject.error().message;
    auto made = verify::Party::prepare(std::move(*subject), with.trees, t.opening, with.pool,
                                       engine::best_isa());
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  // The next move of whoever's turn it is, as that party makes it.
  Result<verify::PlayedMove> next(const market::FileDispute& so_far, verify::Party& provider,
                                  verify::Party& challenger) {
    TRY(const auto transcript, transcript_of(domain, terms.provider, so_far));
    const bool turn = transcript.game().turn() == verify::Side::provider;
    TRY(Bytes payload,
        turn ? provider.respond(transcript.game()) : challenger.challenge(transcript.game()));
    return sign_next(domain, transcript, std::move(payload), deal_key(turn ? kProvider : kBuyer));
  }
  Hash constraint_of(const canon::Automaton& automaton) const {
    return protocol::constraint_root(verify::parts_of(automaton, **honest.model->pieces()));
  }
  Hash id_of(const market::FileDispute& dispute) const {
    return protocol::digest(domain, dispute.dispute.message);
  }
  void commit(const market::FileDispute& dispute) {
    must(sign(
        protocol::CommitDispute{address(kBuyer), market::commitment_of(domain, dispute), ++nonce},
        kBuyer));
  }

  market::Settlement* ledger_;
  protocol::Domain domain;
  std::uint64_t now_;
  std::uint64_t nonce = 0;
  std::function<void(const market::Operation&, const Result<market::Applied>&)> record;
  DealModel honest{deal_file()};
  protocol::ExecutionId execution = *verify::execution_id(*honest.model, honest.pool);
  Bytes program = [this] {
    const auto tokenizer = *engine::Tokenizer::from(honest.model->gguf());
    const auto chat = engine::ChatTemplate::from(honest.model->gguf());
    return verify::program_bytes(
        verify::program_of(*honest.model, tokenizer, chat ? &*chat : nullptr, honest.pool));
  }();
  protocol::Lease terms;
};

}  // namespace assay::settle
