// Answers that buyers demand on the ledger (spec/ledger.md, "Delivery").
#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "market/statements.hpp"
#include "protocol/delivery.hpp"
#include "services/provider/dispute_desk.hpp"

namespace assay::services {
namespace {

// The host is not believed: what is sealed is what this id was signed for, and a keystream serves
// one statement only.
Result<market::DemandDelivery> demand_of(const ProviderCore& core, const Hash& id) {
  TRY(market::Operation operation, core.settlement.operation(id));
  auto* demand = std::get_if<market::DemandDelivery>(&operation);
  if (demand == nullptr || market::operation_id(core.ledger.domain, operation) != id ||
      market::statement_id(core.ledger.domain, demand->evidence.statement) !=
          demand->demand.message.subject)
    return fail(Errc::mismatch, "the ledger shows something else than the demand {}", to_hex(id));
  return std::move(*demand);
}

}  // namespace

Status DisputeDesk::deliver(const Hash& id) {
  TRY(const market::DemandDelivery demand, demand_of(core_, id));
  const market::Statement& statement = demand.evidence.statement;
  const Hash& request_id = market::statement_request(statement);
  TRY(const auto stored, core_.store->request(request_id));
  if (!stored) return fail(Errc::not_found, "there is no request {} here", to_hex(request_id));
  const protocol::Request& request = stored->request.message;
  const std::uint32_t count = market::statement_count(statement);
  CHECK_OK(protocol::sealed_bytes(request, count));

  protocol::Opening opening;
  if (stored->outcome && stored->outcome->answer.size() >= count) {
    opening.answer = stored->outcome->answer;
    opening.logprobs = stored->outcome->logprobs;
    opening.answer.resize(count);
    opening.logprobs.resize(std::size_t{count} * protocol::logprob_width(request));
  } else {
    const ServedModel* served = core_.serving(request.execution);
    if (served == nullptr)
      return fail(Errc::not_found,
                  "the model of request {} is not served here any more: serve it "
                  "again to deliver its answer",
                  to_hex(request_id));
    const std::lock_guard lock(mutex_);
    CHECK_OK(answer_again(*stored, served->model, count, opening));
  }
  const Bytes sealed =
      protocol::seal_answer(stored->salt_secret, id, opening.answer, opening.logprobs);
  // It would be reported and cost the stake; silence leaves time to find what is wrong.
  if (opening.answer.size() != count)
    return fail(Errc::mismatch, "the answer to {} ended sooner than signed for",
                to_hex(request_id));
  if (const auto fault =
          market::delivery_fault(request, statement, id, stored->salt_secret, sealed))
    return fail(Errc::mismatch, "what is stored of request {} is not delivered: {}",
                to_hex(request_id), *fault);
  const protocol::Delivery delivery{core_.address, id, crypto::sha256(sealed)};
  CHECK_OK(core_.settlement.submit(market::Deliver{core_.sign(delivery), sealed}));
  io::log_info("demand {}: {} answer tokens delivered on the ledger", to_hex(id), count);
  return {};
}

}  // namespace assay::services
