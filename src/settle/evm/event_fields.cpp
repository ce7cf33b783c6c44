#include "settle/evm/event_fields.hpp"

#include <ctime>

#include "base/hex.hpp"
#include "market/money.hpp"
#include "settle/evm/encoding.hpp"

namespace assay::settle::evm {
namespace {

enum class Kind {
  address,
  id,
  money,
  number,
  time,
  boolean,
  state,
  ending,
  verdict,
  text,
  bytes,
  skip
};

struct Layout {
  std::string_view name;
  std::vector<std::pair<const char*, Kind>> indexed, data;
};

const std::vector<Layout>& layouts() {
  using enum Kind;
  static const std::vector<Layout> all{
      {"Deposited", {{"account", address}, {"from", address}}, {{"amount", money}}},
      {"Withdrawn", {{"id", id}, {"account", address}}, {{"amount", money}}},
      {"Transferred", {{"id", id}, {"account", address}, {"to", address}}, {{"amount", money}}},
      {"Staked", {{"id", id}, {"account", address}}, {{"amount", money}}},
      {"Unbonded", {{"id", id}, {"account", address}}, {{"amount", money}, {"due", time}}},
      {"Released", {{"id", id}, {"account", address}}, {{"amount", money}}},
      {"LeaseOpened",
       {{"id", id}, {"buyer", address}, {"provider", address}},
       {{"", skip},
        {"", skip},
        {"payout", address},
        {"offer", id},
        {"execution", id},
        {"price_in", money},
        {"price_out", money},
        {"escrow", money},
        {"audit_chain", id},
        {"disclosure", number},
        {"window", number},
        {"expires", time}}},
      {"ToppedUp", {{"id", id}, {"lease", id}}, {{"amount", money}}},
      {"Settled", {{"id", id}, {"lease", id}}, {{"cumulative", money}}},
      {"Claimed",
       {{"id", id}, {"lease", id}},
       {{"total", money}, {"count", number}, {"root", id}, {"due", time}}},
      {"ClaimContested",
       {{"id", id}, {"lease", id}},
       {{"first_leaf", number}, {"leaves", number}, {"due", time}}},
      {"ClaimOpened", {{"id", id}, {"lease", id}, {"contest", id}}, {{"due", time}}},
      {"ClaimEnded", {{"id", id}, {"lease", id}}, {{"paid", money}, {"may_claim", boolean}}},
      {"LeaseEnded", {{"lease", id}}, {{"state", state}, {"refunded", money}}},
      {"Convicted",
       {{"lease", id}, {"subject", id}, {"provider", address}},
       {{"challenger", address},
        {"slashed", money},
        {"burned", money},
        {"made_whole", money},
        {"reward", money},
        {"refunded", money}}},
      {"DisputeCommitted", {{"id", id}, {"account", address}}, {{"commitment", id}}},
      {"DisputeFiled",
       {{"id", id}, {"lease", id}, {"subject", id}},
       {{"challenger", address}, {"defender", address}, {"bond", money}}},
      {"Moved", {{"dispute", id}, {"number", number}}, {{"", bytes}, {"due", time}}},
      {"Decided", {{"dispute", id}, {"lease", id}}, {{"outcome", ending}}},
      {"Demanded",
       {{"id", id}, {"lease", id}, {"subject", id}},
       {{"buyer", address}, {"bond", money}}},
      {"Delivered", {{"id", id}, {"demand", id}}, {{"due", time}}},
      {"AuditorRegistered",
       {{"id", id}, {"account", address}, {"execution", id}},
       {{"active", boolean}, {"endpoint", text}, {"fee", money}}},
      {"BeaconPublished", {{"id", id}, {"round", number}}, {{"value", id}}},
      {"AuditRequested",
       {{"id", id}, {"lease", id}, {"subject", id}},
       {{"buyer", address}, {"auditors", number}, {"fee_max", money}, {"round", number}}},
      {"AuditorDrawn", {{"audit", id}, {"account", address}}, {{"fee", money}}},
      {"AuditDrawn", {{"audit", id}}, {{"auditors", number}, {"commit_due", time}}},
      {"AuditCommitted",
       {{"id", id}, {"audit", id}, {"account", address}},
       {{"nonce_hash", id}, {"root_hash", id}}},
      {"AuditRevealed", {{"id", id}, {"audit", id}, {"account", address}}, {{"verdict", verdict}}},
      {"AuditSettled", {{"id", id}, {"audit", id}}, {}},
      {"CanaryKnown", {{"id", id}, {"lease", id}, {"subject", id}}, {}},
      {"AuditorConvicted",
       {{"audit", id}, {"auditor", address}, {"challenger", address}},
       {{"slashed", money}, {"burned", money}, {"made_whole", money}, {"reward", money}}},
      {"CheckAsked",
       {{"id", id}, {"audit", id}, {"auditor", address}},
       {{"challenger", address}, {"bond", money}, {"due", time}, {"", bytes}}},
      {"CheckEnded", {{"check", id}, {"audit", id}}, {{"answered", boolean}}},
      {"Anchored", {{"by", address}, {"origin", id}, {"size", number}}, {{"root", id}}},
      {"Attested", {{"by", address}, {"execution", id}, {"file", id}}, {{"sequence", number}}},
      {"Stored", {{"program", id}}, {{"code", address}}}};
  return all;
}

std::string short_hex(const std::string& hex) {
  return hex.size() <= 14 ? hex : hex.substr(0, 8) + "…" + hex.substr(hex.size() - 4);
}

std::string date(std::uint64_t unix_s) {
  const auto t = static_cast<std::time_t>(std::min<std::uint64_t>(unix_s, 253'402'300'799));
  std::tm parts{};
  gmtime_r(&t, &parts);
  char out[32];
  return {out, std::strftime(out, sizeof out, "%Y-%m-%d %H:%M:%SZ", &parts)};
}

template <std::size_t N>
Result<EventField> named_state(const char* name, AbiReader& in, const char* const (&names)[N]) {
  TRY(const std::uint64_t n, in.u64());
  if (n >= N) return fail(Errc::invalid, "there is no {} {}", name, n);
  return EventField{name, names[n], names[n]};
}

Result<EventField> read_field(const char* name, Kind kind, AbiReader& in) {
  switch (kind) {
    case Kind::address: {
      TRY(const auto a, in.address());
      return EventField{name, a.to_string(), short_hex(a.to_string())};
    }
    case Kind::skip:
    case Kind::id: {
      TRY(const Hash word, in.bytes32());
      return EventField{name, to_hex(word), short_hex(to_hex(word))};
    }
    case Kind::money: {
      TRY(const std::int64_t n, in.i64());
      return EventField{name, std::to_string(n), market::format_money(n)};
    }
    case Kind::number: {
      TRY(const std::uint64_t n, in.u64());
      return EventField{name, std::to_string(n), std::to_string(n)};
    }
    case Kind::time: {
      TRY(const std::uint64_t n, in.u64());
      return EventField{name, std::to_string(n), date(n)};
    }
    case Kind::boolean: {
      TRY(const bool b, in.boolean());
      return EventField{name, b ? "true" : "false", b ? "yes" : "no"};
    }
    case Kind::state:
      return named_state(name, in, {"open", "closed", "convicted"});
    case Kind::ending:
      return named_state(name, in,
                         {"provider_right", "provider_wrong", "not_judged", "invalid_model"});
    case Kind::verdict:
      return named_state(name, in, {"none", "pass", "fail", "unauditable"});
    case Kind::text: {
      TRY(const std::string words, in.string());
      return EventField{name, words, words};
    }
    case Kind::bytes:
      CHECK_OK(in.bytes());
      return EventField{};
  }
  return fail(Errc::invalid, "unknown kind of field");
}

}  // namespace

Result<std::vector<EventField>> event_fields(const Event& event) {
  const std::string name = event.topics.empty() ? "" : event_name(event.topics[0]);
  const auto layout = std::ranges::find(layouts(), name, &Layout::name);
  if (layout == layouts().end())
    return fail(Errc::unsupported, "not an event that this program knows");
  std::vector<EventField> out;
  const auto add = [&](const char* field, Kind kind, AbiReader& in) -> Status {
    TRY(EventField read, read_field(field, kind, in));
    if (!read.name.empty()) out.push_back(std::move(read));
    return {};
  };
  if (event.topics.size() != layout->indexed.size() + 1)
    return fail(Errc::invalid, "{} topics are not a {}'s", event.topics.size(), name);
  for (std::size_t i = 0; i < layout->indexed.size(); ++i) {
    AbiReader topic{ByteView(event.topics[i + 1])};
    CHECK_OK(add(layout->indexed[i].first, layout->indexed[i].second, topic));
  }
  AbiReader data{ByteView(event.data)};
  for (const auto& [field, kind] : layout->data) CHECK_OK(add(field, kind, data));
  return out;
}

}  // namespace assay::settle::evm
