#include "protocol/recovered_signers.hpp"

#include <gtest/gtest.h>

#include "protocol/messages.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

TEST(RecoveredSigners, AnswerAsRecoveringDoes) {
  const auto domain = embedded_domain();
  const auto good = sign(domain, sample<Deposit>(false), key_named("signer one"));
  auto forged = good;
  forged.signature = sign(domain, sample<Deposit>(true), key_named("signer two")).signature;
  auto broken = good;
  broken.signature.bytes.fill(0xff);
  const auto ask = [&](const Signed<Deposit>& m) {
    const auto answer = check_signature(domain, m, address_named("signer one"));
    return answer ? std::string("good") : answer.error().message;
  };
  const std::vector<std::string> plain = {ask(good), ask(forged), ask(broken)};
  EXPECT_EQ(plain[0], "good");

  RecoveredSigners known;
  for (const auto& m : {good, forged, broken}) known.add(digest(domain, m.message), m.signature);
  {
    const RecoveredSigners::Scope scope(known);
    EXPECT_EQ((std::vector<std::string>{ask(good), ask(forged), ask(broken)}), plain);
    auto other = good;
    other.message.nonce += 1;  // the signature is known, for another message
    EXPECT_NE(ask(other), "good");
  }
  EXPECT_EQ((std::vector<std::string>{ask(good), ask(forged), ask(broken)}), plain);
}

}  // namespace
}  // namespace assay::protocol
