#include "market/screen.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/hex.hpp"
#include "base/loopback.hpp"
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
  std::vector<Refusal>& list;
  template <class... Args>
  void add(Reason code, fmt::format_string<Args...> format, Args&&... args) {
    list.push_back({code, fmt::format(format, std::forward<Args>(args)...)});
  }
};

template <class T>
bool among(const std::vector<T>& list, const T& value) {
  return std::ranges::find(list, value) != list.end();
}

void check_speed(const Speed& speed, const Job& job, Refusals& refuse) {
  const std::string_view said = speed.is_measured ? "measured" : "claimed";
  if (job.max_first_token_ms && speed.first_token_ms > *job.max_first_token_ms)
    refuse.add(Reason::first_token, "first token {} ms {} > {} ms", speed.first_token_ms, said,
               *job.max_first_token_ms);
  if (job.max_per_token_ms && speed.per_token_ms > *job.max_per_token_ms)
    refuse.add(Reason::per_token, "per token {} ms {} > {} ms", speed.per_token_ms, said,
               *job.max_per_token_ms);
}

void check_account(const ProviderFacts& facts, const Job& job, Refusals& refuse) {
  const auto& account = facts.account;
  if (account.stake < job.min_stake)
    refuse.add(Reason::stake, "stake {} < {}", format_money(account.stake),
               format_money(job.min_stake));
  const auto exposure = add(account.exposure, job.escrow);
  if (job.escrow > 0 && (!exposure || *exposure > account.exposure_limit))
    refuse.add(Reason::exposure, "exposure {} > limit {} of stake {}",
               format_money(exposure.value_or(INT64_MAX)), format_money(account.exposure_limit),
               format_money(account.stake));
  if (facts.record.convictions > 0)
    refuse.add(Reason::convicted, "convicted: {}", facts.record.last_conviction);
}

void check_rebates(const Offer& offer, const Record& record, const Job& job, Refusals& refuse) {
  const auto percent = [](std::uint32_t ppm) { return static_cast<double>(ppm) / 1e4; };
  if (rebate_of(offer, record) < job.min_rebate_ppm) {
    if (offer.rebate_ppm < job.min_rebate_ppm)
      refuse.add(Reason::rebate, "rebate {:g} % < {:g} %", percent(offer.rebate_ppm),
                 percent(job.min_rebate_ppm));
    else
      refuse.add(Reason::rebate, "rebate {:g} % promised, refused {} of {} times",
                 percent(offer.rebate_ppm), record.rebates_refused,
                 record.rebates_refused + record.rebates_kept);
  }
  if (record.rebates_broken > 0)
    refuse.add(Reason::rebate_broken, "claimed what it had given up by signature, {} times",
               record.rebates_broken);
}

protocol::ExecutionId execution_of(const OfferModel& model) {
  return {model.weights_root, model.program_hash, model.canon};
}

bool is_named(const OfferModel& model, const Job& job) {
  return job.names.empty() || among(job.names, model.name);
}

// No model of the offer is meant: what it sells instead.
void refuse_model(const Offer& offer, const Job& job, Refusals& refuse) {
  const auto named =
      std::ranges::find_if(offer.models, [&](const auto& model) { return is_named(model, job); });
  if (named == offer.models.end()) {
    refuse.add(Reason::model, "does not offer model '{}'",
               job.names.empty() ? std::string() : job.names.front());
  } else if (!job.identity) {
    refuse.add(Reason::execution, "offers '{}' with another execution id", named->name);
  } else if (named->weights_root != job.identity->weights_root) {
    refuse.add(Reason::weights, "offers '{}' with other weights: {}… instead of {}…", named->name,
               to_hex(named->weights_root).substr(0, 10),
               to_hex(job.identity->weights_root).substr(0, 10));
  } else if (named->program_hash != job.identity->program_hash) {
    refuse.add(Reason::program,
               "offers '{}' with another program (tokenizer, template or hyper-parameters)",
               named->name);
  } else {
    refuse.add(Reason::program, "offers '{}' in canon {} instead of {}", named->name, named->canon,
               job.identity->canon);
  }
}

// The cheapest model that does, or why the first that was meant does not.
std::optional<std::size_t> choose_model(const Offer& offer, const Job& job, Refusals& refuse) {
  std::optional<std::size_t> best;
  double best_price = 0;
  std::vector<Refusal> why;
  bool meant = false;
  for (std::size_t i = 0; i < offer.models.size(); ++i) {
    const auto& model = offer.models[i];
    if (!is_meant(model, job)) continue;
    meant = true;
    auto reasons = check_model(model, job);
    if (!reasons.empty()) {
      if (why.empty()) why = std::move(reasons);
      continue;
    }
    const double price =
        price_of(model.price_in, model.price_out, job.prompt_tokens, job.max_tokens);
    if (best && price >= best_price) continue;
    best = i;
    best_price = price;
  }
  if (best) return best;
  if (!meant) refuse_model(offer, job, refuse);
  std::ranges::move(why, std::back_inserter(refuse.list));
  return std::nullopt;
}

constexpr std::pair<Reason, std::string_view> kReasons[] = {
    {Reason::expired, "expired"},
    {Reason::not_listed, "not_listed"},
    {Reason::ignored, "ignored"},
    {Reason::model, "model"},
    {Reason::execution, "execution"},
    {Reason::weights, "weights"},
    {Reason::program, "program"},
    {Reason::canon, "canon"},
    {Reason::context, "context"},
    {Reason::price_in, "price_in"},
    {Reason::price_out, "price_out"},
    {Reason::quantization, "quantization"},
    {Reason::vram, "vram"},
    {Reason::first_token, "first_token"},
    {Reason::per_token, "per_token"},
    {Reason::region, "region"},
    {Reason::stake, "stake"},
    {Reason::exposure, "exposure"},
    {Reason::evidence, "evidence"},
    {Reason::rebate, "rebate"},
    {Reason::plain_http, "plain_http"},
    {Reason::rebate_broken, "rebate_broken"},
    {Reason::convicted, "convicted"},
    {Reason::ledger_unknown, "ledger_unknown"},
};

}  // namespace

std::string_view to_string(Reason reason) {
  for (const auto& [code, name] : kReasons)
    if (code == reason) return name;
  return "unknown";
}

Result<std::uint32_t> parse_rebate(std::string_view percent) {
  const auto number = parse_money(percent);
  constexpr std::uint32_t kPerPercent = 10'000, kMost = protocol::kRebateMax / kPerPercent;
  if (!number || *number < 0 || *number > kMost * 1'000'000)
    return fail(Errc::invalid, "'{}' is not a percentage from 0 to {}", percent.substr(0, 40),
                kMost);
  return static_cast<std::uint32_t>(*number * kPerPercent / 1'000'000);
}

bool is_in_the_clear(std::string_view endpoint) {
  constexpr std::string_view kPlain = "http://";
  if (!endpoint.starts_with(kPlain)) return false;
  endpoint.remove_prefix(kPlain.size());
  const std::string_view authority = endpoint.substr(0, endpoint.find_first_of("/?#"));
  // Whoever hides the host behind a user name is not called at all.
  if (authority.find('@') != std::string_view::npos) return true;
  const std::string_view host = authority.starts_with('[')
                                    ? authority.substr(0, authority.find(']') + 1)
                                    : authority.substr(0, authority.find(':'));
  return !is_loopback_host(host);
}

bool sells_something_else(Reason reason) {
  return reason == Reason::model || reason == Reason::execution || reason == Reason::weights ||
         reason == Reason::program;
}

void check_provider(const Offer& offer, const Job& job, const ProviderFacts* facts,
                    std::uint64_t now, std::vector<Refusal>& out) {
  Refusals refuse{out};
  if (offer.expires <= now)
    refuse.add(Reason::expired, "offer expired {} s ago", now - offer.expires);
  if (!job.only.empty() && !among(job.only, offer.provider))
    refuse.add(Reason::not_listed, "not one of the {} providers asked for", job.only.size());
  if (among(job.ignore, offer.provider))
    refuse.add(Reason::ignored, "on the list of ignored providers");
  if (offer.vram_mib < job.min_vram_mib)
    refuse.add(Reason::vram, "VRAM {} < {} GiB", gib(offer.vram_mib), gib(job.min_vram_mib));
  check_speed(speed_of(offer, facts == nullptr ? Record{} : facts->record), job, refuse);
  if (!job.regions.empty() && !among(job.regions, offer.region))
    refuse.add(Reason::region, "region '{}' is not one of {}", offer.region,
               fmt::join(job.regions, ", "));
  if (!job.plain_http && is_in_the_clear(offer.endpoint))
    refuse.add(Reason::plain_http, "its endpoint is not on this machine and has no TLS");
  check_rebates(offer, facts == nullptr ? Record{} : facts->record, job, refuse);
  // Nothing here can tell evidence from 32 bytes that somebody wrote: until it can, none counts.
  if (job.evidence)
    refuse.add(Reason::evidence, "{}",
               offer.evidence == Hash{} ? "shows no hardware evidence"
                                        : "shows hardware evidence that cannot be checked here");
  if (facts == nullptr)
    refuse.add(Reason::ledger_unknown, "its account could not be read from the ledger");
  else
    check_account(*facts, job, refuse);
}

bool is_meant(const OfferModel& model, const Job& job) {
  if (job.identity)
    return model.weights_root == job.identity->weights_root &&
           model.program_hash == job.identity->program_hash && model.canon == job.identity->canon;
  if (job.execution) return protocol::struct_hash(execution_of(model)) == *job.execution;
  return is_named(model, job);
}

std::vector<Refusal> check_model(const OfferModel& model, const Job& job) {
  std::vector<Refusal> out;
  Refusals refuse{out};
  const std::uint64_t tokens = std::uint64_t{job.prompt_tokens} + job.max_tokens;
  if (job.verification != Verification::none && model.canon != protocol::kCanon)
    refuse.add(Reason::canon, "canon {} cannot be verified here, only {}", model.canon,
               protocol::kCanon);
  if (model.context < tokens)
    refuse.add(Reason::context, "context {} < {} tokens", model.context, tokens);
  if (!job.quantizations.empty() && !among(job.quantizations, model.quantization))
    refuse.add(Reason::quantization, "quantization '{}' is not one of {}", model.quantization,
               fmt::join(job.quantizations, ", "));
  if (job.max_price_in && model.price_in > *job.max_price_in)
    refuse.add(Reason::price_in, "price in {} > ceiling {} per million",
               format_money(model.price_in), format_money(*job.max_price_in));
  if (job.max_price_out && model.price_out > *job.max_price_out)
    refuse.add(Reason::price_out, "price out {} > ceiling {} per million",
               format_money(model.price_out), format_money(*job.max_price_out));
  const auto price =
      protocol::price(model.price_in, model.price_out, job.prompt_tokens, job.max_tokens);
  if (!price) refuse.add(Reason::price_out, "{}", price.error().message);
  return out;
}

Candidate candidate_of(const Signed<Offer>& offer, std::size_t model, const Job& job,
                       const ProviderFacts& facts) {
  const auto& m = offer.message.models[model];
  Candidate out{.offer = offer,
                .model = model,
                .execution = execution_of(m),
                .speed = speed_of(offer.message, facts.record),
                .reliability_ppm = reliability_ppm(facts.record),
                .newcomer = facts.record.served == 0 && facts.record.proven_good_milli == 0,
                .audited = facts.record.audited,
                .stake = facts.account.stake};
  const auto price = protocol::price(m.price_in, m.price_out, job.prompt_tokens, job.max_tokens);
  ASSAY_ASSERT(price.has_value());
  out.expected_price = *price;
  out.price = price_of(m.price_in, m.price_out, job.prompt_tokens, job.max_tokens);
  out.score = score_of(out.price, out.speed, job.max_tokens, unreliability(out.reliability_ppm));
  out.primary = primary_of(job.sort, out.price, out.speed, out.score);
  return out;
}

Screening screen(std::span<const Signed<Offer>> offers, const Job& job,
                 const std::map<Address, ProviderFacts>& facts, std::uint64_t now) {
  Screening out;
  for (const auto& offer : offers) {
    const auto& m = offer.message;
    const auto it = facts.find(m.provider);
    const auto* known = it == facts.end() ? nullptr : &it->second;
    std::vector<Refusal> reasons;
    check_provider(m, job, known, now, reasons);
    Refusals refuse{reasons};
    const auto model = choose_model(m, job, refuse);
    if (reasons.empty())
      out.fitting.push_back(candidate_of(offer, *model, job, *known));
    else
      out.refused.push_back({m.provider, m.endpoint, std::move(reasons)});
  }
  std::ranges::sort(out.fitting, ranks_before);
  std::ranges::sort(out.refused, {}, &Refused::provider);
  return out;
}

std::string explain(const Screening& screening) {
  if (screening.fitting.empty() && screening.refused.empty())
    return "no provider fits: there is no offer on the board";
  std::vector<std::string> parts;
  for (const auto& refused : screening.refused) {
    if (parts.size() == kExplained) break;
    std::vector<std::string_view> texts;
    for (const auto& reason : refused.reasons) texts.push_back(reason.text);
    parts.push_back(fmt::format("{} ({})", refused.provider.to_string(), fmt::join(texts, ", ")));
  }
  if (screening.refused.size() > kExplained)
    parts.push_back(fmt::format("and {} more", screening.refused.size() - kExplained));
  return fmt::format("{}: {}", screening.fitting.empty() ? "no provider fits" : "refused",
                     fmt::join(parts, "; "));
}

}  // namespace assay::market
