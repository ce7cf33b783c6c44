#include "market/screen.hpp"

#include <algorithm>
#include <tuple>

#include "market/money.hpp"
#include "protocol/tokens.hpp"

namespace assay::market {

using protocol::Offer;
using protocol::OfferModel;

namespace {

std::string gib(std::uint32_t mib) {
  if (mib % 1024 == 0) return fmt::format("{}", mib / 1024);
  return fmt::format("{}.{}", mib / 1024, mib % 1024 * 10 / 1024);
}

struct Refusals {
  std::vector<Refusal> list;
  template <class... Args>
  void add(Reason code, fmt::format_string<Args...> format, Args&&... args) {
    list.push_back({code, fmt::format(format, std::forward<Args>(args)...)});
  }
};

void check_provider(const Offer& offer, const Job& job, const ProviderFacts* facts,
                    std::uint64_t now, Refusals& refuse) {
  const auto among = [&](const std::vector<Address>& list) {
    return std::ranges::find(list, offer.provider) != list.end();
  };
  if (offer.expires <= now)
    refuse.add(Reason::expired, "offer expired {} s ago", now - offer.expires);
  if (!job.only.empty() && !among(job.only))
    refuse.add(Reason::not_listed, "not one of the {} providers asked for", job.only.size());
  if (among(job.ignore)) refuse.add(Reason::ignored, "on the list of ignored providers");
  if (offer.vram_mib < job.min_vram_mib)
    refuse.add(Reason::vram, "VRAM {} < {} GiB", gib(offer.vram_mib), gib(job.min_vram_mib));
  if (job.max_first_token_ms && offer.first_token_ms > *job.max_first_token_ms)
    refuse.add(Reason::first_token, "first token {} ms > {} ms", offer.first_token_ms,
               *job.max_first_token_ms);
  if (job.max_per_token_ms && offer.per_token_ms > *job.max_per_token_ms)
    refuse.add(Reason::per_token, "per token {} ms > {} ms", offer.per_token_ms,
               *job.max_per_token_ms);
  if (!job.regions.empty() && std::ranges::find(job.regions, offer.region) == job.regions.end())
    refuse.add(Reason::region, "region '{}' is not one of {}", offer.region,
               fmt::join(job.regions, ", "));
  if (facts == nullptr) {
    refuse.add(Reason::ledger_unknown, "its account could not be read from the ledger");
    return;
  }
  const auto& account = facts->account;
  if (account.stake < job.min_stake)
    refuse.add(Reason::stake, "stake {} < {}", format_money(account.stake),
               format_money(job.min_stake));
  const auto exposure = add(account.exposure, job.escrow);
  if (job.escrow > 0 && (!exposure || *exposure > account.exposure_limit))
    refuse.add(Reason::exposure, "exposure {} > limit {} of stake {}",
               format_money(exposure.value_or(INT64_MAX)), format_money(account.exposure_limit),
               format_money(account.stake));
  if (facts->record.convictions > 0)
    refuse.add(Reason::convicted, "convicted: {}", facts->record.last_conviction);
}

// Why this model of an offer does not do; empty when it does.
std::vector<Refusal> check_model(const OfferModel& model, const Job& job) {
  Refusals refuse;
  const std::uint64_t tokens = std::uint64_t{job.prompt_tokens} + job.max_tokens;
  if (job.verification != Verification::none && model.canon != protocol::kCanon)
    refuse.add(Reason::canon, "canon {} cannot be verified here, only {}", model.canon,
               protocol::kCanon);
  if (model.context < tokens)
    refuse.add(Reason::context, "context {} < {} tokens", model.context, tokens);
  if (job.max_price_in && model.price_in > *job.max_price_in)
    refuse.add(Reason::price_in, "price in {} > {} per million", format_money(model.price_in),
               format_money(*job.max_price_in));
  if (job.max_price_out && model.price_out > *job.max_price_out)
    refuse.add(Reason::price_out, "price out {} > {} per million", format_money(model.price_out),
               format_money(*job.max_price_out));
  return refuse.list;
}

protocol::ExecutionId execution_of(const OfferModel& model) {
  return {model.weights_root, model.program_hash, model.canon};
}

struct Choice {
  std::size_t model;
  Micros price;
};

// The cheapest model that does, or why each that was meant does not.
std::optional<Choice> choose_model(const Offer& offer, const Job& job, Refusals& refuse) {
  std::optional<Choice> best;
  std::vector<Refusal> why;
  bool named = false, executes = false;
  for (std::size_t i = 0; i < offer.models.size(); ++i) {
    const auto& model = offer.models[i];
    if (!job.model.empty() && model.name != job.model) continue;
    named = true;
    if (job.execution && protocol::struct_hash(execution_of(model)) != *job.execution) continue;
    executes = true;
    auto reasons = check_model(model, job);
    const auto price =
        protocol::price(model.price_in, model.price_out, job.prompt_tokens, job.max_tokens);
    if (!price) reasons.push_back({Reason::price_out, price.error().message});
    if (!reasons.empty()) {
      if (why.empty()) why = std::move(reasons);
      continue;
    }
    if (!best || *price < best->price) best = Choice{i, *price};
  }
  if (best) return best;
  if (!named)
    refuse.add(Reason::model, "does not offer model '{}'", job.model);
  else if (!executes)
    refuse.add(Reason::execution, "offers '{}' with another execution id", job.model);
  std::ranges::move(why, std::back_inserter(refuse.list));
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::expired:
      return "expired";
    case Reason::not_listed:
      return "not_listed";
    case Reason::ignored:
      return "ignored";
    case Reason::model:
      return "model";
    case Reason::execution:
      return "execution";
    case Reason::canon:
      return "canon";
    case Reason::context:
      return "context";
    case Reason::price_in:
      return "price_in";
    case Reason::price_out:
      return "price_out";
    case Reason::vram:
      return "vram";
    case Reason::first_token:
      return "first_token";
    case Reason::per_token:
      return "per_token";
    case Reason::region:
      return "region";
    case Reason::stake:
      return "stake";
    case Reason::exposure:
      return "exposure";
    case Reason::convicted:
      return "convicted";
    case Reason::ledger_unknown:
      return "ledger_unknown";
  }
  return "unknown";
}

Screening screen(std::span<const Signed<Offer>> offers, const Job& job,
                 const std::map<Address, ProviderFacts>& facts, std::uint64_t now) {
  Screening out;
  for (const auto& offer : offers) {
    const auto& m = offer.message;
    const auto it = facts.find(m.provider);
    const auto* known = it == facts.end() ? nullptr : &it->second;
    Refusals refuse;
    check_provider(m, job, known, now, refuse);
    const auto choice = choose_model(m, job, refuse);
    if (!refuse.list.empty()) {
      out.refused.push_back({m.provider, m.endpoint, std::move(refuse.list)});
      continue;
    }
    out.fitting.push_back({offer, choice->model, execution_of(m.models[choice->model]),
                           choice->price, success_ppm(known->record), known->account.stake});
  }
  std::ranges::sort(out.fitting, [](const Candidate& a, const Candidate& b) {
    return std::tie(a.expected_price, b.success_ppm, b.stake, a.offer.message.provider) <
           std::tie(b.expected_price, a.success_ppm, a.stake, b.offer.message.provider);
  });
  std::ranges::sort(out.refused, {}, &Refused::provider);
  return out;
}

std::string explain(const Screening& screening) {
  if (screening.fitting.empty() && screening.refused.empty())
    return "no provider fits: there is no offer on the board";
  std::vector<std::string> parts;
  for (const auto& refused : screening.refused) {
    std::vector<std::string_view> texts;
    for (const auto& reason : refused.reasons) texts.push_back(reason.text);
    parts.push_back(fmt::format("{} ({})", refused.provider.to_string(), fmt::join(texts, ", ")));
  }
  return fmt::format("{}: {}", screening.fitting.empty() ? "no provider fits" : "refused",
                     fmt::join(parts, "; "));
}

}  // namespace assay::market
