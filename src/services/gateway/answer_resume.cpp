// What earlier tries of the same job came to, in this process or one before it.
#include <algorithm>
#include <thread>

#include "io/system_clock.hpp"
#include "protocol/tokens.hpp"
#include "services/gateway/answer.hpp"

namespace assay::services {
namespace {

constexpr auto kResumePause = std::chrono::milliseconds(50);

bool lied(const RequestRecord& record) {
  return record.stage == RequestStage::mismatch || record.stage == RequestStage::disputed ||
         record.stage == RequestStage::refunded || record.audit == AuditState::mismatch;
}

// How an answer of these tokens ended, if it did.
std::optional<protocol::Finish> finish_of(const RequestRecord& record,
                                          const protocol::Opening& opening) {
  if (record.statement)
    if (const auto* receipt = std::get_if<Signed<protocol::Receipt>>(&*record.statement)) {
      const auto finish = static_cast<protocol::Finish>(receipt->message.finish);
      if (finish == protocol::Finish::cancelled) return std::nullopt;
      return finish;
    }
  if (!opening.answer.empty() &&
      std::ranges::binary_search(opening.stop_ids, opening.answer.back()))
    return protocol::Finish::stop;
  if (opening.answer.size() >= record.request.message.max_tokens) return protocol::Finish::length;
  return std::nullopt;
}

}  // namespace

ApiResult<RequestRecord> Answers::settle_earlier(RequestRecord record, TokenSink& sink) {
  const std::int64_t deadline_ms = io::steady_ms() + buyer_.options.pick_up_ms;
  while (record.stage == RequestStage::signed_off) {
    const auto picked = attempts_.pick_up(record);
    if (picked) return picked->record;
    // It never had the request, or does not give the receipt: what is here is all there is.
    const bool later =
        picked.error().code == Errc::unavailable || picked.error().code == Errc::conflict;
    const bool waited = io::steady_ms() >= deadline_ms || sink.gone();
    // Whoever says that it is computing will have an answer; whoever does not answer may never
    // have.
    const std::uint64_t until = picked.error().code == Errc::conflict
                                    ? buyer_.receipt_until(record)
                                    : record.request.message.expires;
    const bool expired = buyer_.now() > until;
    // The background picks receipts up, too, and files what convicts.
    auto again = buyer_.store->request(record.id);
    if (!again) return std::unexpected(to_api_error(again.error()));
    record = std::move(*again);
    if (!later || (waited && expired)) break;
    if (waited) {
      // Another provider would be paid for what this one may be about to deliver.
      auto pending = api_fail(503, "earlier_try_pending", "",
                              "an earlier try of this request may still be answered by its "
                              "provider ({}): ask again; in {} s another one is asked",
                              picked.error().message, until + 1 - std::min(buyer_.now(), until));
      pending.error().retry = true;
      return pending;
    }
    std::this_thread::sleep_for(kResumePause);
  }
  return record;
}

ApiResult<bool> Answers::resume(Plan& plan, Delivery delivery, TokenSink& sink, Answer& answer) {
  if (plan.job.empty()) return false;
  auto records = buyer_.store->requests_of_job(plan.job);
  if (!records) return std::unexpected(to_api_error(records.error()));
  const bool held = delivery == Delivery::verify_before_stream;
  std::vector<std::uint32_t> tokens, logprobs;
  std::optional<protocol::Finish> finish;
  std::optional<ApiError> open;  // what is not known yet
  const std::size_t width = protocol::logprob_width(plan.sampling);
  for (RequestRecord& earlier : *records) {
    // What the first was to come to, the answer comes to: its limit may have been drawn from
    // prices.
    if (&earlier == &records->front() && !plan.max_tokens)
      plan.max_tokens = earlier.request.message.max_tokens;
    auto settled = settle_earlier(std::move(earlier), sink);
    if (!settled) {
      // Another one, asked at the same time, may have the whole answer.
      open = std::move(settled).error();
      continue;
    }
    RequestRecord record = std::move(*settled);
    if (held && record.audit == AuditState::pending) {
      auto audited = worker_.audit_now(record.id);
      if (!audited) return std::unexpected(to_api_error(audited.error()));
      record = std::move(*audited);
    }
    Attempt attempt;
    attempt.lease = record.lease;
    attempt.record = record;
    if (const auto lease = buyer_.store->lease(record.lease))
      attempt.provider = lease->lease.message.provider;
    const auto opening = record.statement && record.stage != RequestStage::signed_off
                             ? buyer_.vault.opening(record.statement_id)
                             : buyer_.vault.pending(record.id);
    if (opening && !lied(record) && (!held || record.audit == AuditState::match)) {
      const std::size_t before = record.request.message.continuation;
      if (before > tokens.size()) continue;  // of a text that is not there
      // Where two were asked at once, the other one went no further.
      if (before + opening->answer.size() < tokens.size() &&
          std::ranges::equal(opening->answer,
                             std::span(tokens).subspan(before, opening->answer.size()))) {
        attempt.finish = std::nullopt;
        answer.attempts.insert(answer.attempts.begin(), std::move(attempt));
        continue;
      }
      finish.reset();
      tokens.resize(std::min(tokens.size(), before));
      logprobs.resize(std::min(logprobs.size(), before * width));
      tokens.insert(tokens.end(), opening->answer.begin(), opening->answer.end());
      logprobs.insert(logprobs.end(), opening->logprobs.begin(), opening->logprobs.end());
      finish = finish_of(record, *opening);
    } else if (lied(record)) {
      finish.reset();
      tokens.clear();
      logprobs.clear();
    }
    attempt.finish = finish;
    answer.attempts.push_back(std::move(attempt));
  }
  if (open && !finish) return std::unexpected(std::move(*open));
  if (held && !finish) tokens.clear(), logprobs.clear();
  if (tokens.empty()) return false;
  answer.tokens = tokens;
  if (!sink.tokens({tokens, logprobs})) finish = protocol::Finish::stop;
  answer.finish = finish;
  return finish.has_value();
}

}  // namespace assay::services
