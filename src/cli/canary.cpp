#include "cli/canary.hpp"

#include "engine/session.hpp"
#include "io/random.hpp"
#include "protocol/tokens.hpp"
#include "verify/replay.hpp"

namespace assay::cli {

Result<settle::AuditedReceipt> lay_canary(
    const protocol::Domain& domain, const CanaryParties& parties, const protocol::Lease& lease,
    const Hash& lease_id, const protocol::ExecutionId& execution, const ModelFile& serve,
    std::string_view prompt, std::uint32_t max_tokens, std::uint64_t expires, ThreadPool& pool) {
  settle::AuditedReceipt out;
  out.execution = execution;
  protocol::Opening& opening = out.opening;
  opening.salt_secret = io::random_hash();
  opening.prompt = serve.tokenizer.encode(prompt);
  const std::size_t positions = opening.prompt.size() + max_tokens;
  if (opening.prompt.empty() || positions > serve.model->hyper().context)
    return fail(Errc::invalid, "a prompt of {} tokens and {} more do not fit the model's context",
                opening.prompt.size(), max_tokens);

  protocol::Request request;
  request.lease = lease_id;
  request.sequence = 1;
  request.execution = lease.execution;
  request.prompt_root = protocol::prompt_root(opening.salt_secret, opening.prompt);
  request.prompt_count = static_cast<std::uint32_t>(opening.prompt.size());
  request.max_tokens = max_tokens;
  request.stop_root = protocol::stop_root({});
  request.salt_commitment = protocol::salt_commitment(opening.salt_secret);
  TRY(request.cap, protocol::cap_for(lease, request.prompt_count, max_tokens));
  request.expires = expires;
  out.request = protocol::sign(domain, request, parties.buyer);
  opening.request = protocol::digest(domain, request);

  verify::TraceBuilder trace(opening.salt_secret, serve.model->hyper().layers);
  engine::Session session(serve.model, pool, engine::best_isa(),
                          static_cast<std::uint32_t>(positions));
  const engine::Generation answer =
      engine::generate(session, opening.prompt, {.max_tokens = max_tokens, .stop_ids = {}},
                       verify::sampling_of(request), &trace, {});
  if (answer.finish != engine::Finish::length)
    return fail(Errc::refused, "the worse model meets a numeric fault: try another prompt");
  opening.answer = answer.answer;

  protocol::Receipt receipt;
  receipt.request = opening.request;
  receipt.count = static_cast<std::uint32_t>(opening.answer.size());
  receipt.tape_root = protocol::tape_root(opening.salt_secret, opening.answer);
  receipt.trace_root = trace.root();
  receipt.finish = static_cast<std::uint32_t>(protocol::Finish::length);
  TRY(receipt.amount, protocol::amount_of(lease, request, receipt.count));
  receipt.key_sequence = 1;
  out.receipt = protocol::sign(domain, receipt, parties.provider);
  return out;
}

}  // namespace assay::cli
