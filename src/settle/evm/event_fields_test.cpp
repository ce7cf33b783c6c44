#include "settle/evm/event_fields.hpp"

#include <gtest/gtest.h>

#include "crypto/abi.hpp"
#include "market/money.hpp"

namespace assay::settle::evm {
namespace {

using crypto::AbiWriter;
using crypto::Address;

Event event_of(std::string_view name, std::vector<Hash> indexed, const AbiWriter& data) {
  Event out;
  out.topics = {*event_named(name)};
  out.topics.insert(out.topics.end(), indexed.begin(), indexed.end());
  out.data = data.encode();
  return out;
}
Hash topic_of(const Address& a) {
  Hash out{};
  std::ranges::copy(a.bytes, out.begin() + 12);
  return out;
}
std::string shown(const Event& event) {
  const auto fields = event_fields(event);
  if (!fields) return "error: " + fields.error().message;
  std::string out;
  for (const auto& f : *fields) out += f.name + "=" + f.shown + " ";
  return out;
}

TEST(EventFields, AreNamedAndReadable) {
  const Address a = *Address::parse("0x00112233445566778899aAbBcCdDeEfF00112233");
  const std::string brief = a.to_string().substr(0, 8) + "…" + a.to_string().substr(38);
  EXPECT_EQ(shown(event_of("Staked", {Hash{1}, topic_of(a)}, AbiWriter().uint(2'500'000u))),
            "id=0x010000…0000 account=" + brief + " amount=" + market::format_money(2'500'000) +
                " ");
  const auto unbonded = event_of("Unbonded", {Hash{1}, topic_of(a)},
                                 AbiWriter().uint(1u).uint(1'700'000'000u));
  EXPECT_NE(shown(unbonded).find("due=2023-11-14 22:13:20Z"), std::string::npos) << shown(unbonded);
  EXPECT_EQ(event_fields(unbonded)->back().value, "1700000000");
  const auto ended = event_of("LeaseEnded", {Hash{1}}, AbiWriter().uint(2u).uint(0u));
  EXPECT_NE(shown(ended).find("state=convicted"), std::string::npos) << shown(ended);
  const auto moved = event_of("Moved", {Hash{1}, Hash{}},
                              AbiWriter().bytes(Bytes(33, 5)).uint(1'700'000'000u));
  EXPECT_NE(shown(moved).find("number=0 due=2023-11-14"), std::string::npos) << shown(moved);
}

TEST(EventFields, OfHiredAuditorsToo) {
  const Address a = *Address::parse("0x00112233445566778899aAbBcCdDeEfF00112233");
  AbiWriter registered;
  registered.boolean(true).bytes(view("http://127.0.0.1:9")).uint(50'000u);
  const std::string shown_registered =
      shown(event_of("AuditorRegistered", {Hash{1}, topic_of(a), Hash{2}}, registered));
  EXPECT_NE(shown_registered.find("active=yes endpoint=http://127.0.0.1:9 fee="), std::string::npos)
      << shown_registered;
  const auto revealed = event_of("AuditRevealed", {Hash{1}, Hash{2}, topic_of(a)},
                                 AbiWriter().uint(2u));
  EXPECT_NE(shown(revealed).find("verdict=fail"), std::string::npos) << shown(revealed);
  AbiWriter asked;
  asked.address(a).uint(1u).uint(1'700'000'000u).bytes(Bytes(40, 1));
  const auto check = event_of("CheckAsked", {Hash{1}, Hash{2}, topic_of(a)}, asked);
  EXPECT_NE(shown(check).find("due=2023-11-14 22:13:20Z"), std::string::npos) << shown(check);
}

TEST(EventFields, WhatIsNoEventOfOursIsAnError) {
  Event event;
  EXPECT_EQ(event_fields(event).error().code, Errc::unsupported);
  event = event_of("Staked", {Hash{1}}, AbiWriter().uint(1u));
  EXPECT_EQ(event_fields(event).error().code, Errc::invalid);
  event = event_of("Staked", {Hash{1}, Hash{2}}, AbiWriter());
  EXPECT_EQ(event_fields(event).error().code, Errc::invalid);
  event = event_of("LeaseEnded", {Hash{1}}, AbiWriter().uint(9u).uint(0u));
  EXPECT_EQ(event_fields(event).error().code, Errc::invalid);
}

}  // namespace
}  // namespace assay::settle::evm
