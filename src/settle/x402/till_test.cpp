// Payments against the real token on anvil: what is refused and why, that each settles once however
// its process ends, and what becomes of those that somebody else touches.
#include <thread>

#include "settle/x402/x402_testutil.hpp"

namespace assay::settle::x402 {
namespace {

using Fate = Till::Outcome::Fate;

class X402Till : public X402Test {
 protected:
  Hash taken(const Payment& p) {
    const auto row = till->take(p, kRequest, p.accepted.amount);
    EXPECT_TRUE(row) << row.error().code << ": " << row.error().message;
    return payment_id(p);
  }
  Hash answered(const Payment& p) {
    const Hash id = taken(p);
    EXPECT_TRUE(till->answered(id));
    return id;
  }
  Till::Outcome settled(const Hash& id) {
    const auto outcome = till->settle(id);
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome.value_or(Till::Outcome{});
  }
  std::string refusal(const Payment& p, Micros price, int status = 402) {
    const auto known = till->find(p, kRequest);
    if (!known) return known.error().code;
    const auto row = till->take(p, kRequest, price);
    if (row) return "taken";
    EXPECT_EQ(row.error().status, status) << row.error().message;
    return row.error().code;
  }
  PaymentState state(const Hash& id) { return (*till->payments().find(id))->state; }
};

TEST_F(X402Till, APaymentIsSettledOnce) {
  const Payment p = payment(1'200);
  EXPECT_FALSE(*till->find(p, kRequest));
  const Hash id = answered(p);
  const auto first = settled(id);
  ASSERT_EQ(first.fate, Fate::settled);
  EXPECT_TRUE(first.response.success);
  EXPECT_EQ(first.response.payer, payer);
  EXPECT_EQ(first.response.amount, 1'200);
  EXPECT_EQ(settled(id).response.transaction, first.response.transaction);
  // The same header once more finds it, and pays nothing.
  const auto again = till->find(p, kRequest);
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->state, PaymentState::settled);
  EXPECT_EQ(till->find(p, kOtherRequest).error().status, 409);
  EXPECT_EQ(balance(shop), 1'200);
  EXPECT_EQ(balance(payer), kMinted - 1'200);
}

TEST_F(X402Till, WhatIsNotAskedForIsRefused) {
  EXPECT_EQ(refusal(payment(1'000), 1'000), "taken");
  EXPECT_EQ(refusal(payment(1'001), 1'000), "taken");  // the price fell since
  EXPECT_EQ(refusal(payment(999), 1'000), "invalid_exact_evm_payload_authorization_value_mismatch");
  const auto with = [&](auto&& change) {
    Payment p = payment(1'000);
    change(p);
    sign(p);
    return refusal(p, 1'000);
  };
  const auto now = static_cast<std::uint64_t>(clock.now_s());
  EXPECT_EQ(with([](Payment& p) { p.authorization.value = 1'500; }),
            "invalid_exact_evm_payload_authorization_value_mismatch");
  EXPECT_EQ(with([](Payment& p) { p.authorization.to.bytes[19] = 1; }),
            "invalid_exact_evm_payload_recipient_mismatch");
  EXPECT_EQ(with([](Payment& p) { p.accepted.pay_to.bytes[19] = 1; }),
            "invalid_payment_requirements");
  EXPECT_EQ(with([](Payment& p) { p.accepted.asset.bytes[19] = 1; }),
            "invalid_payment_requirements");
  EXPECT_EQ(with([](Payment& p) { p.accepted.chain_id = 1; }), "invalid_payment_requirements");
  EXPECT_EQ(with([](Payment& p) { p.accepted.version = "2"; }), "invalid_payment_requirements");
  EXPECT_EQ(with([&](Payment& p) { p.authorization.valid_after = now + 60; }),
            "invalid_exact_evm_payload_authorization_valid_after");
  EXPECT_EQ(with([&](Payment& p) { p.authorization.valid_before = now + 2; }),
            "invalid_exact_evm_payload_authorization_valid_before");
  // Signed by somebody else, or changed since.
  Payment p = payment(1'000);
  p.signature = crypto::sign(digest(p.accepted, p.authorization), other_key);
  EXPECT_EQ(refusal(p, 1'000), "invalid_exact_evm_payload_signature");
  p = payment(1'000);
  ++p.authorization.valid_before;
  EXPECT_EQ(refusal(p, 1'000), "invalid_exact_evm_payload_signature");
  // Money that is not there, and money that is promised already: two were taken above.
  EXPECT_EQ(refusal(payment(kMinted + 1), 1'000), "insufficient_funds");
  EXPECT_EQ(refusal(payment(kMinted - 2'001), 1'000), "taken");
  EXPECT_EQ(refusal(payment(1), 1), "insufficient_funds");
  EXPECT_EQ(balance(shop), 0);
}

TEST_F(X402Till, AnAuthorizationThatWasUsedIsNotTaken) {
  const Payment p = payment(10);
  call(*by_deployer, Token::transfer_call(p.authorization, p.signature));
  EXPECT_EQ(refusal(p, 10), "invalid_exact_evm_nonce_already_used");
}

TEST_F(X402Till, AnIdentifierStandsForItsFirstPayment) {
  const Payment first = payment(100, "pay_0123456789abcdef");
  const Hash id = answered(first);
  // Signed anew, as clients do that try again: the first pays, the second never.
  const Payment second = payment(100, "pay_0123456789abcdef");
  auto found = till->find(second, kRequest);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->id, id);
  EXPECT_EQ(till->find(second, kOtherRequest).error().status, 409);
  ASSERT_EQ(settled(id).fate, Fate::settled);
  found = till->find(second, kRequest);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->state, PaymentState::settled);
  // What is on the chain is not enough to ask for the answer.
  Payment without = first;
  without.id.reset();
  EXPECT_EQ(till->find(without, kRequest).error().status, 409);
  // Another payer's identifiers are its own.
  std::swap(payer_key, other_key);
  payer = crypto::address_of(payer_key);
  mint(payer, 100);
  const Payment other = payment(100, "pay_0123456789abcdef");
  EXPECT_FALSE(*till->find(other, kRequest));
  taken(other);
  EXPECT_EQ(balance(shop), 100);
}

// To crash at every point between two writes, and to go on with what the files say.
TEST_F(X402Till, AnAnswerIsFetchedWhileItIsKept) {
  const Payment brief = payment(100);
  ASSERT_EQ(settled(answered(brief)).fate, Fate::settled);
  later.s = 299;
  EXPECT_TRUE(till->find(brief, kRequest));
  later.s = 302;
  EXPECT_EQ(till->find(brief, kRequest).error().status, 410);
  // Asked for, and paid thirteen hours later: half a day from then, were it kept so long.
  later.s = 0;
  Payment late = payment(100, "pay_0123456789abcdef");
  late.authorization.valid_before += 100'000;
  sign(late);
  const Hash id = answered(late);
  later.s = 13 * 3'600;
  ASSERT_EQ(settled(id).fate, Fate::settled);
  later.s = 22 * 3'600;
  EXPECT_TRUE(till->find(late, kRequest));
  later.s = 23 * 3'600 + 2;
  EXPECT_EQ(till->find(late, kRequest).error().status, 410);
}

TEST_F(X402Till, EveryCrashPoint) {
  const Payment p = payment(70);
  const Hash id = taken(p);
  round_ms = 20;
  // Taken: nothing settles that has no answer, however long it waits.
  open();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(state(id), PaymentState::taken);
  ASSERT_TRUE(*till->find(p, kRequest));
  EXPECT_EQ(balance(shop), 0);
  // Released: the same may try again.
  till->release(id);
  open();
  EXPECT_EQ(state(id), PaymentState::released);
  EXPECT_EQ((*till->find(p, kRequest))->state, PaymentState::taken);
  // Answered, and nothing sent: the next process settles it, asked or not.
  automine(false);
  round_ms = 1'000'000;
  open();
  ASSERT_TRUE(till->answered(id));
  round_ms = 20;
  open();
  const auto sent = [&] {
    const auto status = by_seller->status(till->intent_of(id));
    return status && status->has_value();
  };
  for (int tries = 0; tries < 200 && !sent(); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(sent());
  round_ms = 1'000'000;
  open();
  // Sent, and its end not known: not sent again, not charged again.
  EXPECT_EQ(settled(id).fate, Fate::unknown);
  open();
  EXPECT_EQ(settled(id).fate, Fate::unknown);
  EXPECT_EQ(state(id), PaymentState::answered);
  ASSERT_TRUE(chain->mine());
  open();  // mined, and nobody has noticed
  const auto done = settled(id);
  ASSERT_EQ(done.fate, Fate::settled);
  open();
  EXPECT_EQ(settled(id).response.transaction, done.response.transaction);
  automine(true);
  EXPECT_EQ(balance(shop), 70);
  EXPECT_EQ(balance(payer), kMinted - 70);
}

TEST_F(X402Till, WhoeverSentItItIsPaid) {
  const Payment p = payment(33);
  const Hash id = answered(p);
  // In one block's time somebody else sends the very same transfer.
  const Hash theirs = call(*by_deployer, Token::transfer_call(p.authorization, p.signature));
  const auto outcome = settled(id);
  ASSERT_EQ(outcome.fate, Fate::settled);
  EXPECT_EQ(outcome.response.transaction, theirs);
  EXPECT_EQ(balance(shop), 33);
}

TEST_F(X402Till, ANonceSpentOnSomethingElseIsNoPayment) {
  const Payment p = payment(33);
  const Hash id = answered(p);
  Payment elsewhere = p;
  elsewhere.authorization.to = Address{{0x77}};
  sign(elsewhere);
  call(*by_deployer, Token::transfer_call(elsewhere.authorization, elsewhere.signature));
  const auto outcome = settled(id);
  EXPECT_EQ(outcome.fate, Fate::failed);
  EXPECT_EQ(outcome.response.error, "invalid_exact_evm_nonce_already_used");
  EXPECT_FALSE(outcome.response.transaction);
  EXPECT_EQ(balance(shop), 0);
}

TEST_F(X402Till, MoneyThatIsGoneFailsAndALatePaymentStillCounts) {
  const Payment p = payment(kMinted);
  const Hash id = answered(p);
  give_away(payer_key, Address{{0x77}}, 1);
  auto outcome = settled(id);
  ASSERT_EQ(outcome.fate, Fate::failed);
  EXPECT_EQ(outcome.response.error, "insufficient_funds");
  // Said to be over, it is not sent again when there is money again.
  mint(payer, 1);
  EXPECT_EQ(settled(id).fate, Fate::failed);
  EXPECT_EQ(balance(shop), 0);
  // But should the payer's money move after all, its answer is its.
  const Hash theirs = call(*by_deployer, Token::transfer_call(p.authorization, p.signature));
  outcome = settled(id);
  ASSERT_EQ(outcome.fate, Fate::settled);
  EXPECT_EQ(outcome.response.transaction, theirs);
}

TEST_F(X402Till, ATokenWithoutAuthorizationsIsNotOne) {
  const auto none = Token::open(chain->rpc(), Address{{0x99}});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::unsupported) << none.error().message;
}

}  // namespace
}  // namespace assay::settle::x402
