// assay attack garbage-delivery
#include "cli/attack_delivery.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/signing_key.hpp"
#include "crypto/sha256.hpp"
#include "io/random.hpp"
#include "protocol/delivery.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

struct AttackDeliveryOptions {
  std::string demand, market;
  KeyOptions key;
};

// Of the right length and rightly signed: only who unseals it sees that it is noise.
Result<int> run_attack_delivery(const Context& context, const AttackDeliveryOptions& options) {
  auto id = array_from_hex<32>(options.demand);
  if (!id) return fail(Errc::invalid, "'{}' is not an id: {}", options.demand, id.error().message);
  settle::RemoteLedger ledger(options.market);
  TRY(const auto info, ledger.info());
  TRY(const crypto::SecretKey key, load_key(options.key));
  TRY(const auto operation, ledger.operation(*id));
  const auto* demand = std::get_if<market::DemandDelivery>(&operation);
  if (demand == nullptr) return fail(Errc::invalid, "{} is no demand", options.demand);
  TRY(const std::size_t size,
      protocol::sealed_bytes(demand->evidence.request.message,
                             market::statement_count(demand->evidence.statement)));
  Bytes noise;
  while (noise.size() < size) append(noise, io::random_hash());
  noise.resize(size);
  const protocol::Delivery delivery{crypto::address_of(key), *id, crypto::sha256(noise)};
  TRY(const auto applied,
      ledger.submit(market::Deliver{protocol::sign(info.domain, delivery, key), noise}));
  if (context.json())
    context.print(market::to_json(applied));
  else
    fmt::print("delivered {} bytes of noise\n", size);
  return kOk;
}

}  // namespace

void add_attack_delivery(CLI::App& attack, Context& context) {
  CLI::App* verb = context.verb(
      attack, "garbage-delivery", "answers a buyer's demand with noise of the right length",
      "assay attack garbage-delivery 0x12… --key provider.json --market http://127.0.0.1:8790");
  const auto o = std::make_shared<AttackDeliveryOptions>();
  verb->add_option("DEMAND", o->demand, "id of the demand")->required();
  verb->add_option("--market", o->market, "the host's address")->required();
  add_key_options(verb, o->key, "the provider's key")->required();
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_attack_delivery(context, *o); });
}

}  // namespace assay::cli
