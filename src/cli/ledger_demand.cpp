// assay ledger demand: an answer that was signed for and never sent, by way of the ledger.
#include <CLI/CLI.hpp>
#include <memory>
#include <thread>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/ledger_verbs.hpp"
#include "cli/receipt_input.hpp"
#include "cli/signing_key.hpp"
#include "crypto/sha256.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "market/statements.hpp"
#include "protocol/delivery.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

struct LedgerDemandOptions {
  std::string market, receipt, opening, out;
  KeyOptions key;
  bool report = false;
};

// What every step needs.
struct Case {
  settle::RemoteLedger ledger;
  market::LedgerInfo info;
  crypto::SecretKey key;
  market::Address self{};
  protocol::ReceiptFile file;
  protocol::Opening opening;

  template <class M>
  protocol::Signed<M> sign(M message) const {
    return protocol::sign(info.domain, std::move(message), key);
  }
};

// The same demand every time it is made: what was cut off goes on.
market::DemandDelivery demand_of(const Case& c) {
  return {
      c.sign(protocol::Demand{.buyer = c.self,
                              .lease = c.file.request.message.lease,
                              .subject = protocol::digest(c.info.domain, c.file.receipt.message),
                              .bond = c.info.parameters.dispute_bond,
                              .nonce = 0}),
      {c.file.request, c.file.receipt}};
}

// As the ledger has it once the provider delivered, or the deadline of that has passed and
// convicted.
Result<market::DisputeView> await(Case& c, const Hash& demand) {
  const io::SystemClock clock;
  for (;;) {
    TRY(const market::DisputeView view, c.ledger.dispute(demand));
    if (view.state == market::DisputeState::decided || view.moves != 0) return view;
    if (static_cast<std::uint64_t>(clock.now_s()) >= view.due) {
      const auto ended = c.ledger.submit(c.sign(protocol::Timeout{c.self, demand}));
      if (ended) continue;
      // The ledger's clock may be behind this one.
      if (ended.error().code != Errc::refused && ended.error().code != Errc::conflict)
        return std::unexpected(ended.error());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

Result<market::Deliver> delivered(Case& c, const market::DisputeView& view, std::size_t size) {
  TRY(market::Operation operation, c.ledger.operation(view.game));
  auto* deliver = std::get_if<market::Deliver>(&operation);
  if (deliver == nullptr || market::operation_id(c.info.domain, operation) != view.game ||
      deliver->answer.size() != size ||
      crypto::sha256(deliver->answer) != deliver->delivery.message.answer)
    return fail(Errc::mismatch, "the ledger shows something else than what was delivered");
  return std::move(*deliver);
}

Result<int> show(const Context& context, const Case& c, const Hash& demand,
                 const std::string& outcome, const std::string& reason, int code) {
  if (context.json())
    context.print(json::object{{"demand", to_hex(demand)},
                               {"outcome", outcome},
                               {"reason", reason},
                               {"tokens", c.opening.answer.size()}});
  else
    fmt::print("{}  {}\ndemand    {}\n", code == kOk ? green(outcome) : red(outcome), reason,
               to_hex(demand));
  return code;
}

Result<int> run_ledger_demand(const Context& context, const LedgerDemandOptions& options) {
  Case c{settle::RemoteLedger(options.market), {}, {}, {}, {}, {}};
  TRY(c.file, read_receipt(options.receipt));
  TRY(c.opening, read_opening(options.opening));
  TRY(c.info, c.ledger.info());
  TRY(c.key, load_key(options.key));
  c.self = crypto::address_of(c.key);
  const protocol::Request& request = c.file.request.message;
  if (c.opening.request != protocol::digest(c.info.domain, request))
    return fail(Errc::mismatch, "{} is of another request than {}", options.opening,
                options.receipt);
  if (protocol::salt_commitment(c.opening.salt_secret) != request.salt_commitment)
    return fail(Errc::mismatch, "{} has not the secret that the request commits to",
                options.opening);
  const std::uint32_t count = c.file.receipt.message.count;
  TRY(const std::size_t size, protocol::sealed_bytes(request, count));

  TRY(const auto filed, c.ledger.submit(demand_of(c)));
  TRY(const market::DisputeView view, await(c, filed.id));
  if (view.moves == 0 || view.outcome == protocol::Outcome::provider_wrong)
    return show(context, c, filed.id, std::string(market::to_string(view.outcome)), view.reason,
                kFailed);
  TRY(const market::Deliver got, delivered(c, view, size));
  const market::Statement statement = c.file.receipt;
  if (const auto fault =
          market::delivery_fault(request, statement, filed.id, c.opening.salt_secret, got.answer)) {
    if (!options.report)
      return show(
          context, c, filed.id, "garbage",
          *fault + fmt::format("; --report until {} convicts the provider and publishes the "
                               "salt secret",
                               view.due),
          kFailed);
    CHECK_OK(c.ledger.submit(market::ReportDelivery{
        c.sign(protocol::DeliveryReport{c.self, filed.id, c.opening.salt_secret}), got}));
    TRY(const market::DisputeView decided, c.ledger.dispute(filed.id));
    return show(context, c, filed.id, std::string(market::to_string(decided.outcome)),
                decided.reason, kFailed);
  }
  auto answer =
      protocol::unseal_answer(c.opening.salt_secret, filed.id, request, count, got.answer);
  c.opening.answer = std::move(answer.answer);
  c.opening.logprobs = std::move(answer.logprobs);
  const std::string& out = options.out.empty() ? options.opening : options.out;
  CHECK_OK(io::write_file_atomic(out, ::assay::view(protocol::to_text(c.opening)), 0600));
  // Only now: the answer is on disk. The provider's bond and payments need not wait longer.
  if (view.state == market::DisputeState::open)
    CHECK_OK(c.ledger.submit(c.sign(protocol::Timeout{c.self, filed.id})));
  return show(context, c, filed.id, "delivered",
              fmt::format("{} answer tokens in {}: now `assay audit`", count, out), kOk);
}

}  // namespace

void add_ledger_demand(CLI::App& ledger, Context& context) {
  CLI::App* verb = context.verb(
      ledger, "demand", "make a provider hand over an answer it signed for, under bond",
      "assay ledger demand receipt.json --opening pending.json --key buyer.json \\\n"
      "    --market http://127.0.0.1:8790");
  const auto o = std::make_shared<LedgerDemandOptions>();
  verb->add_option("RECEIPT", o->receipt, "receipt file whose answer never came")->required();
  verb->add_option("--opening", o->opening, "its opening without the answer: the salt secret")
      ->required();
  verb->add_option("--out", o->out, "opening with the answer (default: --opening is replaced)");
  verb->add_option("--market", o->market, "the host's address")->required();
  verb->add_flag("--report", o->report,
                 "convict a provider that delivers something else; publishes the salt secret, and "
                 "with it what was delivered and any guess of the prompt");
  add_key_options(verb, o->key, "the buyer's key")->required();
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_ledger_demand(context, *o); });
}

}  // namespace assay::cli
