#include "services/gateway/attempt.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <thread>

#include "base/hex.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "services/gateway/gatekeeper.hpp"

namespace assay::services {
namespace {

// Seconds. An answer that may be asked for again must not wait for a provider that is gone longer
// than a clock may be wrong (docs/decisions/0033): after this nobody begins it any more.
constexpr std::uint64_t kJobRequestS = 120;
constexpr int kRoomTries = 8;
constexpr auto kPickUpPause = std::chrono::milliseconds(50);

// The most tokens whose price stays within the budget; 0 when not even one does.
std::uint32_t tokens_for(const protocol::OfferModel& model, std::size_t prompt, std::uint32_t limit,
                         Micros budget) {
  std::uint32_t low = 0, high = limit;
  while (low < high) {
    const std::uint32_t middle = high - (high - low) / 2;
    const auto price = protocol::price(model.price_in, model.price_out, prompt, middle);
    if (price && *price <= budget) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

constexpr io::Metric kAttempts{"assay_gateway_attempts_total",
                               "Requests sent to a provider, by how they ended."};

std::string_view to_string(Attempt::End end) {
  switch (end) {
    case Attempt::End::receipt:
      return "receipt";
    case Attempt::End::complete:
      return "complete";
    case Attempt::End::stopped:
      return "stopped";
    case Attempt::End::died:
      return "died";
    case Attempt::End::refused:
      return "refused";
  }
  return "?";
}

// What an answer may cost where the client names no limit.
constexpr std::uint32_t kDefaultAnswer = 4096;

// They become text for a client: tokens must exist, the rest be logarithms, of 0 perhaps.
Status check_alternatives(std::span<const std::uint32_t> logprobs, std::size_t width,
                          std::uint32_t vocabulary) {
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    const bool is_token = i % width % 2 == 1;
    const float value = std::bit_cast<float>(logprobs[i]);
    if (is_token ? logprobs[i] >= vocabulary : !(value < std::numeric_limits<float>::infinity()))
      return fail(Errc::mismatch, "the provider sent log-probabilities that cannot be");
  }
  return {};
}

std::uint32_t milliseconds(std::uint64_t ms) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(ms, UINT32_MAX));
}

// Rounded up; the first token's time is its own.
std::uint32_t per_token_ms(std::uint64_t ms, std::size_t tokens) {
  const std::uint64_t gaps = std::max<std::size_t>(tokens, 2) - 1;
  return milliseconds((ms + gaps - 1) / gaps);
}

}  // namespace

ApiResult<Attempts::Size> Attempts::size(const Plan& plan, const market::Candidate& candidate,
                                         std::size_t earlier, Micros most) const {
  const protocol::OfferModel& offered = candidate.offer.message.models[candidate.model];
  const std::size_t prompt = plan.prompt.size() + earlier;
  const std::uint32_t context = std::min(offered.context, plan.model->model->hyper().context);
  if (prompt >= context)
    return api_fail(400, "context_length_exceeded", "messages",
                    "the prompt has {} tokens, the context of '{}' is {}: shorten it", prompt,
                    plan.model_name, context);
  // No longer than what could be demanded of a provider that signs and keeps the answer.
  const std::uint32_t room =
      std::min(static_cast<std::uint32_t>(context - prompt),
               market::demandable_tokens(buyer_.ledger.domain, plan.sampling));
  const std::uint32_t tokens =
      plan.max_tokens ? std::min(room, *plan.max_tokens - static_cast<std::uint32_t>(earlier))
                      : std::max(1u, tokens_for(offered, prompt, std::min(room, kDefaultAnswer),
                                                std::min(most, buyer_.options.escrow)));
  const auto cap = protocol::price(offered.price_in, offered.price_out, prompt, tokens);
  if (!cap) return std::unexpected(to_api_error(cap.error()));
  return Size{tokens, *cap};
}

ApiResult<void> Attempts::prepare(const Plan& plan, const market::Candidate& candidate) {
  TRY(const Micros budget, left(plan.spender));
  TRY(const Size size, this->size(plan, candidate, 0, budget));
  if (budget < size.cap) return std::unexpected(over_budget(plan.spender, budget, size.cap));
  CHECK_OK(leases_.obtain(candidate, size.cap, !plan.auction.empty()));
  return {};
}

ApiResult<void> Attempts::affordable(Micros amount) const {
  CHECK_OK(leases_.affordable(amount, "this request may cost up to"));
  return {};
}

ApiResult<Micros> Attempts::left(const Spender& spender) const {
  if (!spender.budget) return std::numeric_limits<Micros>::max();
  const auto spent = buyer_.store->spent(spender);
  if (!spent) return std::unexpected(to_api_error(spent.error()));
  return std::max<Micros>(0, *spender.budget - *spent);
}

ApiResult<protocol::InferenceCall> Attempts::sign_request(const Plan& plan,
                                                          const market::Candidate& candidate,
                                                          std::span<const std::uint32_t> earlier,
                                                          Attempt& attempt, LeaseRecord& lease) {
  protocol::InferenceCall call;
  call.prompt = plan.prompt;
  call.prompt.insert(call.prompt.end(), earlier.begin(), earlier.end());
  call.stop_ids = plan.stop_ids;
  call.automaton = plan.automaton;
  call.salt_secret = io::random_hash();
  TRY(const Micros budget, left(plan.spender));
  TRY(const Size size, this->size(plan, candidate, earlier.size(), budget));
  const auto make = [&](std::uint64_t sequence) -> Result<RequestRecord> {
    RequestRecord record;
    record.lease = lease.id;
    record.model = plan.model->name;
    record.created_s = buyer_.clock.now_s();
    record.always_audit = plan.always_audit;
    record.api_key = plan.spender.api_key;
    record.job = plan.job;
    protocol::Request request = plan.sampling;
    request.lease = lease.id;
    request.sequence = sequence;
    request.execution = lease.lease.message.execution;
    request.prompt_root = protocol::prompt_root(call.salt_secret, call.prompt);
    request.prompt_count = static_cast<std::uint32_t>(call.prompt.size());
    request.continuation = static_cast<std::uint32_t>(earlier.size());
    request.max_tokens = size.max_tokens;
    request.stop_root = protocol::stop_root(call.stop_ids);
    request.salt_commitment = protocol::salt_commitment(call.salt_secret);
    request.cap = size.cap;
    const std::uint64_t lives_s = plan.job.empty()
                                      ? buyer_.options.request_s
                                      : std::min(buyer_.options.request_s, kJobRequestS);
    request.expires = std::min(buyer_.now() + lives_s, lease.lease.message.expires);
    record.request = buyer_.sign(request);
    record.id = buyer_.id(record.request.message);
    buyer_.active.add(record.id);
    // The secrets are on disk before the request is: whatever is signed can be audited later.
    CHECK_OK(buyer_.vault.write_pending({.request = record.id,
                                         .salt_secret = call.salt_secret,
                                         .prompt = call.prompt,
                                         .answer = {},
                                         .stop_ids = call.stop_ids,
                                         .automaton = call.automaton,
                                         .logprobs = {},
                                         .position_roots = {},
                                         .positions = {}}));
    return record;
  };
  // Another request may take the room between the two steps: then room is made again.
  Result<RequestRecord> record = fail(Errc::refused, "no room in the lease");
  for (int i = 0; i < kRoomTries && !record && record.error().code == Errc::refused; ++i) {
    TRY(const Micros most, left(plan.spender));
    if (most < size.cap) return std::unexpected(over_budget(plan.spender, most, size.cap));
    TRY(lease, leases_.obtain(candidate, size.cap, !plan.auction.empty()));
    attempt.lease = lease.id;
    call.lease = lease.lease;
    record = buyer_.store->add_request(lease.id, size.cap, plan.spender, make);
  }
  if (!record) return std::unexpected(to_api_error(record.error()));
  call.request = record->request;
  attempt.record = std::move(*record);
  io::log_fields(io::LogLevel::info, "asked",
                 {{"request", to_hex(attempt.record->id)},
                  {"lease", to_hex(lease.id)},
                  {"provider", attempt.provider.to_string()}});
  return call;
}

Attempt Attempts::run(const Plan& plan, const market::Candidate& candidate,
                      std::span<const std::uint32_t> earlier,
                      const std::function<bool(const protocol::TokenEvent&)>& on_tokens,
                      const std::function<bool()>& cancelled,
                      const std::function<void()>& on_asked) {
  Attempt attempt;
  for (bool again = false;; again = true) {
    attempt = {};
    attempt.provider = candidate.offer.message.provider;
    LeaseRecord lease;
    auto call = sign_request(plan, candidate, earlier, attempt, lease);
    if (!call) {
      attempt.error = std::move(call).error();
      return attempt;
    }
    if (on_asked) on_asked();
    stream(*call, lease, plan.model->model->hyper().vocab, on_tokens, cancelled, attempt);
    buyer_.active.remove(attempt.record->id);
    if (again || (cancelled && cancelled()) || !needs_another_lease(attempt, lease)) break;
  }
  // Who finds fault with another's tokens has not failed.
  const bool contradicted = attempt.error && attempt.error->code == "continuation";
  buyer_.metrics.count(kAttempts, {{"end", std::string(to_string(attempt.end))}});
  // Nobody here left: a provider that bills prompts and ends their answers early comes last, too.
  const bool cut_short =
      attempt.end == Attempt::End::receipt && attempt.finish == protocol::Finish::cancelled;
  // Who has no room for work that can wait keeps its word.
  const bool refused = attempt.end == Attempt::End::refused && !plan.may_wait;
  if (!contradicted && (cut_short || attempt.end == Attempt::End::died || refused))
    market_.failed(attempt.provider);
  return attempt;
}

void Attempts::stream(const protocol::InferenceCall& call, const LeaseRecord& lease,
                      std::uint32_t vocabulary,
                      const std::function<bool(const protocol::TokenEvent&)>& on_tokens,
                      const std::function<bool()>& cancelled, Attempt& attempt) {
  using Next = ProviderClient::Next;
  const protocol::Request& request = call.request.message;
  std::optional<Signed<protocol::Progress>> progress;
  bool stopped = false, client_left = false, complete = false, contradicted = false;
  const std::size_t width = protocol::logprob_width(request);
  protocol::LogprobsRoot logprobs_root(call.salt_secret, request);  // over attempt.logprobs

  const std::int64_t asked_ms = io::steady_ms();
  protocol::AnswerClock clock(asked_ms);

  const auto on_token = [&](const protocol::TokenEvent& event) -> Result<Next> {
    const std::int64_t came_ms = io::steady_ms();
    if (complete || attempt.tokens.size() + event.tokens.size() > request.max_tokens)
      return fail(Errc::mismatch, "the provider sent more tokens than were asked for");
    if (event.logprobs.size() != event.tokens.size() * width)
      return fail(Errc::mismatch, "the provider sent other log-probabilities than were asked for");
    CHECK_OK(check_alternatives(event.logprobs, width, vocabulary));
    for (const std::uint32_t token : event.tokens) {
      if (token >= vocabulary)
        return fail(Errc::mismatch, "the provider sent a token id outside the vocabulary");
      attempt.tokens.push_back(token);
      if (std::ranges::binary_search(call.stop_ids, token)) complete = true;
    }
    attempt.logprobs.insert(attempt.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
    if (attempt.tokens.size() == request.max_tokens) complete = true;
    stopped = !on_tokens(event);
    clock.token(came_ms, io::steady_ms());
    return stopped ? Next::done : Next::more;
  };
  const auto on_progress = [&](const Signed<protocol::Progress>& signed_progress) -> Result<Next> {
    const std::uint32_t count = signed_progress.message.count;
    if (count > attempt.tokens.size())
      return fail(Errc::mismatch, "the provider signed for tokens it did not send");
    if (count < logprobs_root.size())
      return fail(Errc::mismatch, "the provider signed for fewer tokens than before");
    for (std::size_t have = logprobs_root.size(); width > 0 && have < count; ++have)
      logprobs_root.append(std::span(attempt.logprobs).subspan(have * width, width));
    CHECK_OK(protocol::check_progress(buyer_.ledger.domain, lease.lease.message, request,
                                      call.salt_secret, std::span(attempt.tokens).first(count),
                                      logprobs_root.root(), signed_progress));
    if (!progress || progress->message.count < count) progress = signed_progress;
    return Next::more;
  };
  const auto on_receipt = [&](const Signed<protocol::Receipt>& receipt) -> Result<Next> {
    protocol::Opening opening{.request = attempt.record->id,
                              .salt_secret = call.salt_secret,
                              .prompt = call.prompt,
                              .answer = attempt.tokens,
                              .stop_ids = call.stop_ids,
                              .automaton = call.automaton,
                              .logprobs = attempt.logprobs,
                              .position_roots = {},
                              .positions = {}};
    CHECK_OK(rebates_.note(*attempt.record, lease, clock.times(), attempt.tokens.size()));
    TRY(attempt.record, intake_.accept(*attempt.record, lease, std::move(opening), receipt));
    attempt.finish = static_cast<protocol::Finish>(receipt.message.finish);
    attempt.end = Attempt::End::receipt;
    return Next::done;
  };
  const auto on_event = [&](const protocol::InferenceEvent& event) -> Result<Next> {
    if (const auto* tokens = std::get_if<protocol::TokenEvent>(&event)) return on_token(*tokens);
    if (const auto* p = std::get_if<Signed<protocol::Progress>>(&event)) return on_progress(*p);
    if (const auto* r = std::get_if<Signed<protocol::Receipt>>(&event)) return on_receipt(*r);
    const auto& error = std::get<protocol::ErrorEvent>(event);
    contradicted = error.code == "continuation" && request.continuation > 0;
    return fail(Errc::unavailable, "the provider gave up: {}", error.message.substr(0, 300));
  };
  const auto gone = [&] { return client_left = client_left || (cancelled && cancelled()); };

  int refused_with = 0;
  const Status done =
      buyer_.providers.infer(market_.endpoint_of(lease), call, on_event, gone, refused_with);
  attempt.busy = refused_with == 429 || refused_with == 503;
  protocol::AnswerTimes times = clock.times();
  if (!clock.has_token() && client_left)  // who was given up on took at least so long
    times.first_token_ms = static_cast<std::uint64_t>(io::steady_ms() - asked_ms);
  // How fast it is for those who do not wait is not learned from those who do.
  if (clock.has_token() && !protocol::for_batches(lease.lease.message, lease.offer.message)) {
    const auto first = milliseconds(times.first_token_ms);
    const auto each = per_token_ms(times.stream_ms, attempt.tokens.size());
    market_.measured(attempt.provider, first, each);
    buyer_.latencies.add(lease.id, first, each);
  }
  if (attempt.end == Attempt::End::receipt) return;
  // How long the rest would have taken, nobody waited for.
  times.stream_ms = 0;
  if (const Status noted = rebates_.note(*attempt.record, lease, times, 1); !noted)
    io::log_error("a late answer is not noted: {}", noted.error().message);
  if (!done) {
    attempt.error = to_api_error(done.error());
    if (contradicted) attempt.error->code = "continuation";
    io::log_info("provider {}: {}", attempt.provider.to_string(), done.error().message);
  }
  if (stopped || client_left) {
    attempt.end = Attempt::End::stopped;
  } else if (complete) {
    attempt.end = Attempt::End::complete;
  } else {
    attempt.end = attempt.tokens.empty() ? Attempt::End::refused : Attempt::End::died;
  }
  if (!attempt.tokens.empty()) save_partial(call, progress, attempt);
  // Nobody waits for the receipt of a client that left; a provider that died is asked later.
  const bool worth_waiting = stopped || complete;
  if (worth_waiting && !gone()) await_receipt(attempt, cancelled);
}

bool Attempts::needs_another_lease(Attempt& attempt, const LeaseRecord& lease) {
  const bool refused = attempt.end == Attempt::End::refused && attempt.error &&
                       attempt.error->code == assay::to_string(Errc::refused);
  if (!refused) return false;
  const auto usable = leases_.usable(lease);
  if (!usable || *usable) return false;
  io::log_info("provider {}: another lease is needed", attempt.provider.to_string());
  // Out of a lease that has ended nobody is paid: its cap counts against nothing. Beside a claim
  // that is pending the provider might yet serve what it refused.
  if (const auto now = buyer_.store->lease(lease.id); now && now->stage == LeaseStage::ended) {
    attempt.record->stage = RequestStage::expired;
    attempt.record->reason = "refused: the lease had ended on the ledger";
    if (const Status kept = buyer_.store->update_request(*attempt.record, RequestStage::signed_off);
        !kept)
      io::log_info("a refused request stays open: {}", kept.error().message);
  }
  return true;
}

void Attempts::save_partial(const protocol::InferenceCall& call,
                            const std::optional<Signed<protocol::Progress>>& progress,
                            Attempt& attempt) {
  Status saved = buyer_.vault.write_pending({.request = attempt.record->id,
                                             .salt_secret = call.salt_secret,
                                             .prompt = call.prompt,
                                             .answer = attempt.tokens,
                                             .stop_ids = call.stop_ids,
                                             .automaton = call.automaton,
                                             .logprobs = attempt.logprobs,
                                             .position_roots = {},
                                             .positions = {}});
  if (saved && progress) {
    attempt.record->statement = *progress;
    saved = buyer_.store->update_request(*attempt.record, RequestStage::signed_off);
  }
  if (!saved) io::log_error("cannot keep an unfinished answer: {}", saved.error().message);
}

void Attempts::await_receipt(Attempt& attempt, const std::function<bool()>& cancelled) {
  const std::int64_t deadline_ms = io::steady_ms() + buyer_.options.pick_up_ms;
  while (true) {
    auto picked = intake_.pick_up(*attempt.record);
    if (picked) {
      attempt.record = std::move(picked->record);
      const auto& receipt = std::get<Signed<protocol::Receipt>>(*attempt.record->statement);
      attempt.finish = static_cast<protocol::Finish>(receipt.message.finish);
      attempt.error.reset();
      if (attempt.end == Attempt::End::complete) attempt.end = Attempt::End::receipt;
      return;
    }
    const bool later = picked.error().code == Errc::unavailable ||
                       picked.error().code == Errc::not_found ||
                       picked.error().code == Errc::conflict;
    if (!later || io::steady_ms() >= deadline_ms || (cancelled && cancelled())) {
      if (!attempt.error) attempt.error = to_api_error(picked.error());
      return;
    }
    std::this_thread::sleep_for(kPickUpPause);
  }
}

}  // namespace assay::services
