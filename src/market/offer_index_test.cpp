// The index finds what the whole screening finds, and a relaxation makes somebody fit.
#include "market/offer_index.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

#include "market/money.hpp"
#include "market/quote.hpp"
#include "market/relaxation.hpp"

namespace assay::market::test {
namespace {

constexpr std::uint64_t kNow = 1'000;

struct Drawn {
  std::mt19937_64 random;
  std::vector<Signed<Offer>> offers;
  std::map<Address, ProviderFacts> facts;

  std::uint32_t up_to(std::uint64_t most) { return static_cast<std::uint32_t>(random() % most); }
  template <class T, std::size_t N>
  T one_of(const T (&list)[N]) {
    return list[up_to(N)];
  }

  // Few distinct values, so that ties and near misses are common.
  explicit Drawn(std::uint64_t seed, std::size_t count) : random(seed) {
    for (std::size_t i = 0; i < count; ++i) {
      Signed<Offer> offer;
      Offer& m = offer.message;
      m.provider.bytes[0] = static_cast<std::uint8_t>(random());
      m.provider.bytes[19] = static_cast<std::uint8_t>(i);
      m.provider.bytes[18] = static_cast<std::uint8_t>(i >> 8);
      m.region = one_of({"eu", "us", "ap"});
      m.vram_mib = one_of({0u, 8192u, 24576u});
      m.first_token_ms = one_of({100u, 200u, 400u});
      m.per_token_ms = one_of({10u, 20u});
      m.rebate_ppm = one_of({0u, 1'999u, 100'000u, 100'001u, 500'000u});
      m.endpoint = one_of({"http://127.0.0.1:1", "https://a.example", "http://a.example:8790"});
      m.expires = up_to(10) == 0 ? kNow : kNow + 1;
      const std::uint32_t models = 1 + up_to(3);
      for (std::uint32_t k = 0; k < models; ++k)
        m.models.push_back({.name = fmt::format("m{}{}", k, up_to(4) == 0 ? "@batch" : ""),
                            .weights_root = Hash{static_cast<std::uint8_t>(up_to(2))},
                            .program_hash = Hash{9},
                            .quantization = one_of({"Q8_0", "Q4_K_M"}),
                            .price_in = one_of({100'000, 200'000}),
                            .price_out = one_of({300'000, 400'000, 500'000}),
                            .context = one_of({512u, 4096u})});
      if (up_to(20) != 0) facts[m.provider] = draw_facts();
      offers.push_back(std::move(offer));
    }
  }
  ProviderFacts draw_facts() {
    ProviderFacts out;
    out.account.stake = 1'000'000 * one_of({0, 1, 5});
    out.account.exposure_limit = 3 * out.account.stake;
    out.account.exposure = 1'000'000 * up_to(4);
    out.record.served = up_to(4);
    out.record.failures = up_to(3);
    if (up_to(15) == 0) out.record.convictions = 1;
    if (up_to(15) == 0) out.record.rebates_broken = 1;
    out.record.rebates_kept = up_to(5);
    out.record.rebates_refused = up_to(3);
    if (up_to(4) == 0) {
      out.record.measured = kMeasuredMin;
      out.record.first_token_ms = one_of({100u, 1000u});
      out.record.per_token_ms = one_of({10u, 30u});
    }
    return out;
  }
  Job job() {
    Job out;
    out.names = {"m0"};
    out.identity =
        protocol::ExecutionId{Hash{static_cast<std::uint8_t>(up_to(2))}, Hash{9}, protocol::kCanon};
    out.prompt_tokens = up_to(300);
    out.max_tokens = 1 + up_to(300);
    const auto perhaps = [&] { return up_to(4) == 0; };
    if (perhaps()) out.max_price_in = 150'000;
    if (perhaps()) out.max_price_out = 450'000;
    if (perhaps()) out.min_vram_mib = 8192;
    if (perhaps()) out.max_first_token_ms = 300;
    if (perhaps()) out.max_per_token_ms = 15;
    if (perhaps()) out.regions = {"eu", "nowhere"};
    if (perhaps()) out.quantizations = {"Q8_0"};
    if (perhaps()) out.min_rebate_ppm = one_of({1u, 100'000u, 100'001u, 500'000u});
    if (perhaps()) out.plain_http = false;
    if (perhaps()) out.min_stake = 1'000'000;
    if (perhaps()) out.escrow = 1'000'000;
    out.may_wait = perhaps();
    for (int i = 0; perhaps() && i < 5; ++i)
      out.only.push_back(offers[up_to(offers.size())].message.provider);
    if (perhaps()) out.ignore.push_back(offers[up_to(offers.size())].message.provider);
    out.sort = one_of({Sort::balanced, Sort::price, Sort::throughput, Sort::latency});
    return out;
  }
};

using Choice = std::tuple<Address, std::size_t, Micros, double>;
std::vector<Choice> choices(std::span<const Candidate> candidates) {
  std::vector<Choice> out;
  for (const auto& c : candidates)
    out.emplace_back(c.offer.message.provider, c.model, c.expected_price, c.score);
  return out;
}

TEST(OfferIndex, FindsWhatScreeningFinds) {
  std::size_t found = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Drawn d(seed, 120);
    OfferIndex index(d.offers, d.facts);
    for (int round = 0; round < 25; ++round) {
      const Job job = d.job();
      const auto whole = choices(screen(d.offers, job, d.facts, kNow).fitting);
      for (const std::size_t most : {1u, 5u, 1000u}) {
        const auto best = choices(index.best(job, kNow, most));
        const auto count = static_cast<std::ptrdiff_t>(std::min(most, whole.size()));
        ASSERT_EQ(best, std::vector(whole.begin(), whole.begin() + count)) << seed << " " << round;
        found += best.size();
      }
      // What is learned meanwhile counts at once.
      const auto& provider = d.offers[d.up_to(d.offers.size())].message.provider;
      if (!d.facts.contains(provider)) continue;
      d.facts[provider] = d.draw_facts();
      index.set_facts(provider, d.facts[provider]);
    }
  }
  EXPECT_GT(found, 10'000u);
}

TEST(OfferIndex, AnEmptyOneFindsNobody) {
  Job job;
  job.identity = protocol::ExecutionId{};
  EXPECT_TRUE(OfferIndex().best(job, kNow, 3).empty());
}

// Applies a change as a buyer would.
Job relaxed(Job job, const Relaxation& relaxation) {
  for (const auto& [key_view, value] : relaxation.change) {
    const std::string_view key = key_view;
    const auto money = [](const json::value& v) {
      return *parse_money(std::string_view(v.get_string()));
    };
    if (key == "max_price") {
      if (const auto* v = value.get_object().if_contains("prompt")) job.max_price_in = money(*v);
      if (const auto* v = value.get_object().if_contains("completion"))
        job.max_price_out = money(*v);
    } else if (key == "max_latency_ms") {
      if (const auto* v = value.get_object().if_contains("first_token"))
        job.max_first_token_ms = v->to_number<std::uint32_t>();
      if (const auto* v = value.get_object().if_contains("per_token"))
        job.max_per_token_ms = v->to_number<std::uint32_t>();
    } else if (key == "min_vram_mib") {
      job.min_vram_mib = value.to_number<std::uint32_t>();
    } else if (key == "min_rebate") {
      job.min_rebate_ppm = static_cast<std::uint32_t>(std::lround(value.to_number<double>() * 1e4));
    } else if (key == "max_tokens") {
      job.max_tokens = value.to_number<std::uint32_t>();
    } else if (key == "min_stake") {
      job.min_stake = money(value);
    } else if (key == "escrow") {
      job.escrow = money(value);
    } else if (key == "regions" || key == "quantizations") {
      std::vector<std::string> list;
      for (const auto& item : value.get_array()) list.emplace_back(item.get_string());
      (key == "regions" ? job.regions : job.quantizations) = list;
    } else if (key == "only" || key == "ignore") {
      std::vector<Address> list;
      for (const auto& item : value.get_array())
        list.push_back(*Address::parse(std::string_view(item.get_string())));
      (key == "only" ? job.only : job.ignore) = list;
    } else {
      ADD_FAILURE() << "unknown change " << key;
    }
  }
  return job;
}

TEST(Relaxation, AppliedItFindsThatProviderAtThatPrice) {
  std::size_t found = 0, hopeless = 0;
  for (std::uint64_t seed = 100; seed < 160; ++seed) {
    Drawn d(seed, 6);
    for (int round = 0; round < 20; ++round) {
      const Job job = d.job();
      const auto relaxation = cheapest_relaxation(d.offers, job, d.facts, kNow);
      if (!screen(d.offers, job, d.facts, kNow).fitting.empty()) {
        EXPECT_FALSE(relaxation);
        continue;
      }
      if (!relaxation) {
        ++hopeless;
        continue;
      }
      ++found;
      EXPECT_FALSE(relaxation->text.empty());
      const auto after = screen(d.offers, relaxed(job, *relaxation), d.facts, kNow);
      const auto who = std::ranges::find_if(after.fitting, [&](const Candidate& c) {
        return c.offer.message.provider == relaxation->provider;
      });
      ASSERT_NE(who, after.fitting.end()) << explain(after) << json::dump(to_json(*relaxation));
      // What is cheapest unrounded may be a unit dearer where both parts of a price round up.
      EXPECT_LE(who->expected_price, relaxation->price + 1);
    }
  }
  EXPECT_GT(found, 200u);
  EXPECT_GT(hopeless, 20u);
}

TEST(Quote, AddsUpAnswerAuditsAndWhatIsHeld) {
  Candidate c;
  protocol::OfferModel model;
  model.price_in = 1'000'000;
  model.price_out = 2'000'000;
  c.offer.message.models.push_back(model);
  c.expected_price = 300;
  c.stake = 10'000'000;
  Job job;
  job.prompt_tokens = 100;
  job.max_tokens = 100;
  QuoteTerms terms;
  terms.escrow = 5'000;
  terms.auditors = 2;
  terms.audit_fee = 1'001;
  terms.audit_rate_q32 = kAuditAlways / 4;
  const std::vector two{c, c};
  auto q = *quote(two, job, terms);
  EXPECT_EQ(q.answer, 300);
  EXPECT_EQ(q.first, 102);
  EXPECT_EQ(q.audits, 501);  // a quarter of 2002, rounded up
  EXPECT_EQ(q.audits_most, 2'002);
  EXPECT_EQ(q.expected, 801);
  EXPECT_EQ(q.most, 2'302);
  EXPECT_EQ(q.held, 5'000 + 2'002 + terms.parameters.dispute_bond);

  terms.answers = 20;
  q = *quote(two, job, terms);
  EXPECT_EQ(q.first, 20 * 102);
  EXPECT_EQ(q.expected, 20 * 801);
  EXPECT_EQ(q.most, 20 * 2'302);
  // The lease must hold them all.
  EXPECT_EQ(q.held, 20 * 300 + 20 * 2'002 + terms.parameters.dispute_bond);
  terms.answers = 1;

  terms.replicas = 2;
  terms.always_audited = true;
  q = *quote(two, job, terms);
  EXPECT_EQ(q.most, 2 * 2'302);
  EXPECT_EQ(q.expected, q.most);
  EXPECT_EQ(q.held, 10'000 + 2 * 2'002 + terms.parameters.dispute_bond);

  terms = {};  // by policy: a newcomer is always audited
  q = *quote(two, job, terms);
  EXPECT_EQ(q.audit_rate_q32, kAuditAlways);
  EXPECT_EQ(q.most, 300);
  EXPECT_EQ(to_json(q).at("audit_rate"), 1.0);
  terms.escrow = INT64_MAX;
  EXPECT_EQ(quote(two, job, terms).error().code, Errc::refused);
}

}  // namespace
}  // namespace assay::market::test
