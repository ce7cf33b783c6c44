#include "services/gateway/spot_checks.hpp"

#include <algorithm>
#include <cmath>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "settle/retry.hpp"
#include "verify/keyed.hpp"
#include "verify/referee/opening.hpp"

namespace assay::services {
namespace {

using market::AuditView;
using market::DrawnAuditor;

bool stands(const DrawnAuditor& auditor) {
  return auditor.verdict == static_cast<std::uint32_t>(protocol::AuditVerdict::pass) &&
         !auditor.convicted;
}

using Values = verify::StateVector;

// A place of a trace with these heads; which vector is drawn before its chunk is known.
verify::CheckPlace draw_place(std::uint32_t positions, std::uint32_t first_head,
                              std::uint32_t layers) {
  const auto below = [](std::uint64_t n) {
    return static_cast<std::uint32_t>(io::random_u64() % n);
  };
  verify::CheckPlace place;
  place.position = below(positions);
  const bool head = place.position >= first_head;
  place.leaf = below(layers + (head ? 1 : 0));
  constexpr Values kCell[] = {Values::x, Values::k, Values::v};
  constexpr Values kHead[] = {Values::x, Values::logits};
  place.vector = place.leaf == layers ? kHead[below(2)] : kCell[below(3)];
  return place;
}

// The proof for a place from what the provider serves of it; nothing there need be true.
Result<Bytes> prove(verify::CheckPlace place, std::uint32_t layers, const Hash& salt_secret,
                    std::span<const Hash> position_roots, protocol::PositionStates served) {
  const auto bad = [] { return fail(Errc::mismatch, "the provider does not serve such a place"); };
  if (served.position != place.position || served.roots.size() != 1 || !served.roots[0] ||
      served.states.size() != 1 || served.rows.size() != 1 || place.leaf >= served.leaves.size() ||
      place.position >= position_roots.size())
    return bad();
  const protocol::LeafRoots& leaf = *served.roots[0];
  const Bytes& values = place.vector == Values::x   ? served.states[0]
                        : place.vector == Values::v ? served.rows[0].second
                                                    : served.rows[0].first;
  const std::size_t width = place.vector == Values::k || place.vector == Values::v
                                ? sizeof(std::uint16_t)
                                : sizeof(float);
  const std::size_t chunk_bytes = verify::kChunkValues * width;
  if (values.empty()) return bad();
  std::vector<Hash> chunk_leaves;
  for (std::size_t at = 0; at < values.size(); at += chunk_bytes)
    chunk_leaves.push_back(
        crypto::leaf_hash(ByteView(values).subspan(at, std::min(chunk_bytes, values.size() - at))));
  place.chunk = static_cast<std::uint32_t>(io::random_u64() % chunk_leaves.size());
  const auto chunk = ByteView(values).subspan(
      place.chunk * chunk_bytes, std::min(chunk_bytes, values.size() - place.chunk * chunk_bytes));
  const Hash salt = verify::leaf_salt(salt_secret, place.position, place.leaf);
  return verify::check_proof_bytes(verify::make_check_proof(
      place, position_roots, layers, served.leaves, {leaf.x, leaf.second, leaf.third}, chunk_leaves,
      salt, leaf.token, Bytes(chunk.begin(), chunk.end())));
}

bool drawn(double rate) { return static_cast<double>(io::random_u64()) < std::ldexp(rate, 64); }

}  // namespace

Result<bool> SpotChecks::passed(const RequestRecord& record, HireRecord& hire,
                                const LeaseRecord& lease, const AuditView& view) {
  for (const DrawnAuditor& auditor : view.drawn) {
    if (!stands(auditor)) continue;
    auto check = std::ranges::find(hire.checks, auditor.account, &HireCheck::auditor);
    if (check == hire.checks.end()) {
      HireCheck fresh{.auditor = auditor.account, .operation = {}, .id = {}};
      if (drawn(buyer_.options.spot_check)) {
        TRY(fresh, make(record, hire, lease, auditor));
      }
      hire.checks.push_back(std::move(fresh));
      check = std::prev(hire.checks.end());
      // Drawn once, and never again after a restart.
      CHECK_OK(buyer_.store->put_hire(hire));
    }
    if (!check->operation.empty()) CHECK_OK(follow(hire, *check, view));
  }
  return std::ranges::any_of(view.drawn, stands);
}

Result<HireCheck> SpotChecks::make(const RequestRecord& record, const HireRecord& hire,
                                   const LeaseRecord& lease, const DrawnAuditor& auditor) {
  HireCheck out{.auditor = auditor.account, .operation = {}, .id = {}};
  const auto model = buyer_.models.find(record.request.message.execution);
  if (!model)
    return fail(Errc::not_found, "the model '{}' is no longer in {}: put it back to check passes",
                record.model, buyer_.options.models_directory);
  TRY(const protocol::Opening opening, buyer_.vault.opening(record.statement_id));
  const protocol::Request& request = record.request.message;
  const std::uint32_t layers = model->program.layers;
  const std::string endpoint = market_.endpoint_of(lease);
  const auto trace = buyer_.providers.trace(
      endpoint, {.request = record.id, .salt_secret = opening.salt_secret, .positions = {}});
  // Errors of the provider prove nothing, and cost it nothing: other passes are checked.
  const auto none = [&](const std::string& why) {
    io::log_info("a pass is not checked: {}", why);
    return out;
  };
  if (!trace) return none(trace.error().message);
  if (trace->position_roots.empty()) return none("the provider serves no trace");
  const auto place = draw_place(static_cast<std::uint32_t>(trace->position_roots.size()),
                                request.prompt_count - request.continuation - 1, layers);
  const std::vector<std::uint32_t> leaf{place.leaf};
  std::optional<protocol::PositionStates> served;
  const Status sent = buyer_.providers.states(endpoint,
                                              {.request = record.id,
                                               .salt_secret = opening.salt_secret,
                                               .first = place.position,
                                               .count = 1,
                                               .states = leaf,
                                               .roots = leaf,
                                               .rows = leaf},
                                              [&](protocol::PositionStates position) -> Status {
                                                served = std::move(position);
                                                return {};
                                              });
  if (!sent || !served) return none(sent ? "the provider serves no states" : sent.error().message);
  auto proof = prove(place, layers, opening.salt_secret, trace->position_roots, std::move(*served));
  if (!proof) return none(proof.error().message);
  const market::CheckAudit operation{
      .check = buyer_.sign(
          protocol::AuditCheck{.challenger = buyer_.address,
                               .audit = hire.audit,
                               .auditor = auditor.account,
                               .bond = std::max(buyer_.ledger.parameters.dispute_bond, auditor.fee),
                               .proof = crypto::sha256(*proof),
                               .nonce = io::random_u64()}),
      .execution = lease.execution,
      .program = verify::program_bytes(model->program),
      .proof = std::move(*proof)};
  out.id = buyer_.id(operation.check.message);
  out.operation = json::dump(market::to_json(market::Operation(operation)));
  return out;
}

Status SpotChecks::follow(HireRecord& hire, HireCheck& check, const AuditView& view) {
  const auto open = std::ranges::find(view.checks, check.id, &market::OpenCheck::id);
  if (open != view.checks.end()) {
    if (buyer_.now() < open->due)
      return fail(Errc::unavailable, "auditor {} has until {} to answer a check",
                  check.auditor.to_string(), open->due);
    io::log_warn("auditor {} did not answer a check of its pass", check.auditor.to_string());
    CHECK_OK(buyer_.settlement.submit(
        buyer_.sign(protocol::Timeout{.account = buyer_.address, .dispute = check.id})));
    return fail(Errc::unavailable, "the check is over");  // looked at again with a new view
  }
  if (buyer_.now() < view.reveal_due)
    return fail(Errc::unavailable, "passes are checked from {} on", view.reveal_due);
  // On a chain what is sent in the last moment may come too late, and is paid for all the same.
  const std::uint64_t lag_s = market::chain_lag_s(buyer_.ledger);
  if (lag_s != 0 && buyer_.now() + lag_s >= view.check_due) {
    const auto before = buyer_.settlement.operation(check.id);
    if (!before && before.error().code == Errc::not_found)
      return give_up(hire, check, "there is no time left for it");
  }
  TRY(const json::value text, json::parse(check.operation));
  TRY(const json::object* object, json::as_object(text, "a stored check"));
  TRY(const market::Operation operation, market::operation_from_json(*object));
  const auto asked = buyer_.settlement.submit(operation);
  if (asked && !asked->already) return fail(Errc::unavailable, "a pass is being checked");
  if (asked) return {};  // asked before, and no longer open: answered
  // The ledger's clock may be behind this one's, the bond may come back.
  const bool in_time = asked.error().code == Errc::refused && buyer_.now() < view.check_due;
  if (in_time || settle::worth_repeating(asked.error())) return std::unexpected(asked.error());
  return give_up(hire, check, asked.error().message);
}

Status SpotChecks::give_up(HireRecord& hire, HireCheck& check, const std::string& why) {
  io::log_warn("a check of auditor {} is not taken: {}", check.auditor.to_string(), why);
  check.operation.clear();
  return buyer_.store->put_hire(hire);
}

}  // namespace assay::services
