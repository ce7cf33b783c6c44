#include "cli/provider_verb.hpp"

#include <CLI/CLI.hpp>
#include <map>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/kv_memory.hpp"
#include "cli/option_checks.hpp"
#include "cli/stake.hpp"
#include "cli/tls_options.hpp"
#include "io/hardware.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "market/screen.hpp"
#include "services/provider/provider_service.hpp"

namespace assay::cli {
namespace {

// The tensor type most bytes have: what people call the quantization.
std::string quantization(const engine::Model& model) {
  std::map<std::string, std::uint64_t> bytes;
  for (const engine::Tensor* tensor : model.weights())
    bytes[engine::type_name(static_cast<std::uint32_t>(tensor->type))] += tensor->data.size();
  return std::ranges::max_element(bytes, {}, [](const auto& b) { return b.second; })->first;
}

std::string stem(const std::string& path) {
  const auto slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

std::string hardware_text(const io::Hardware& hardware) {
  std::string text = hardware.cpu_model.value_or("unknown CPU");
  text += fmt::format(", {} threads", hardware.logical_cpus);
  for (const io::Gpu& gpu : hardware.gpus) text += ", " + gpu.name;
  return text;
}

Result<services::ServedModel> served(const Offered& offered, const ProviderFlags& flags,
                                     ThreadPool& pool) {
  TRY(const auto id, offered.claims->identity(pool));
  services::ServedModel out{offered.serves->model, {}, offered.computer};
  protocol::OfferModel& m = out.advertised;
  m.name = flags.name.empty() ? stem(offered.claims->path) : flags.name;
  m.weights_root = id.weights_root;
  m.program_hash = id.program_hash;
  m.canon = id.canon;
  m.file_alias = id.file_sha256;
  m.quantization = quantization(*offered.claims->model);
  TRY(m.price_in, market::parse_money(flags.price_in));
  TRY(m.price_out, market::parse_money(flags.price_out));
  m.context =
      std::min(offered.claims->model->hyper().context, offered.serves->model->hyper().context);
  return out;
}

}  // namespace

void add_provider_flags(CLI::App* verb, ProviderFlags& flags) {
  auto& s = flags.service;
  verb->add_option("--name", flags.name, "name buyers ask for (default: the file's)");
  verb->add_option("--price-in", flags.price_in, "per million prompt tokens, e.g. 0.30");
  verb->add_option("--price-out", flags.price_out, "per million answer tokens, e.g. 1.20");
  add_settlement_flags(verb, flags.ledger, false);
  add_key_options(verb, flags.key, "the operating key");
  verb->add_option("--data", s.data_dir, "folder of its database; made when missing");
  verb->add_option("--payout", flags.payout, "address that is paid (default: the key's own)");
  verb->add_option("--bid-discount", flags.bid_discount_percent,
                   "percent off the list price in auctions, while idle (default 0)")
      ->check(CLI::Range(0.0, 100.0));
  verb->add_option("--rebate", flags.rebate,
                   "percent (at most 50) that an answer slower than the offer says costs less: a "
                   "promise in the offer, kept by mutual settlement (default 0)");
  verb->add_option(
      "--first-token-ms", s.first_token_ms,
      "the offer's time to the first token of a short prompt, ms (default: as measured "
      "at the start, twice that with --rebate)");
  verb->add_option("--per-token-ms", s.per_token_ms, "and per further token, likewise");
  verb->add_option("--rebate-allowance", s.rebate_allowance_ms,
                   "ms the network may add to what this machine's clock saw before a rebate is "
                   "refused (default 100)");
  verb->add_option("--batch-discount", flags.batch_discount_percent,
                   "percent off the list price for batches, which are taken while fewer than half "
                   "the slots are in use (default 0: no such offer)")
      ->check(CLI::Range(0.0, 100.0));
  verb->add_option("--address", s.address, "address to listen on (default 127.0.0.1)")
      ->check(listen_value());
  verb->add_option("--port", s.port, "port (default: a free one)");
  verb->add_option("--endpoint", s.public_endpoint, "URL in the offer (default: where it listens)");
  add_tls_options(verb, s.tls);
  verb->add_option("--region", s.region, "claimed in the offer, e.g. eu");
  verb->add_option("--slots", s.slots, "requests of a model computed at a time (default 4)")
      ->check(CLI::Range(1, 256));
  verb->add_option("--queue", s.queue, "requests that may wait beyond that (default 8)")
      ->check(CLI::Range(0, 4096));
  add_kv_memory(verb, flags.kv_memory_mib, "s of all models");
  verb->add_flag("--no-prefix-cache", flags.no_prefix_cache,
                 "compute every prompt whole, even one this buyer has sent before");
  verb->add_option("--threads", flags.threads, "engine threads (default: all)")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--stake", flags.stake, "raise the stake to this amount, e.g. 5.00");
  verb->add_option("--log-delay", s.log_delay_ms,
                   "receipts go to the market's log at multiples of so many ms (default 10000)")
      ->check(CLI::PositiveNumber);
  verb->add_option("--log-pad", s.log_pad,
                   "a multiple of so many numbers at a time, the rest voids (default 4)")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--rest", s.rest_s,
                   "seconds without a request after which a lease is claimed or closed "
                   "(default 3600)");
  add_x402_flags(verb, flags.x402, "asked directly; nothing is staked on such an answer");
}

Result<int> run_provider(const Context& context, ProviderFlags flags,
                         std::span<const Offered> offered) {
  const std::pair<const char*, const std::string*> required[] = {
      {"--price-in", &flags.price_in},
      {"--price-out", &flags.price_out},
      {"--market", &flags.ledger.market},
      {"--key", &flags.key.file},
      {"--data", &flags.service.data_dir}};
  for (const auto& [name, value] : required)
    if (value->empty())
      return context.report({Errc::invalid, fmt::format("{} is required (see --help)", name)},
                            kUsage);
  const io::StopSignal stop;
  CHECK_OK(io::setup_log("", "provider"));
  TRY(const crypto::SecretKey key, load_key(flags.key));
  std::vector<services::ServedModel> models;
  {
    ThreadPool pool(thread_count(flags.threads));
    for (const Offered& o : offered) {
      TRY(auto model, served(o, flags, pool));
      models.push_back(std::move(model));
    }
  }
  auto& options = flags.service;
  if (!flags.payout.empty()) {
    TRY(options.payout, crypto::Address::parse(flags.payout));
  }
  const auto hardware = io::discover_hardware();
  options.hardware = hardware_text(hardware);
  if (!hardware.gpus.empty() && hardware.gpus.front().vram_bytes)
    options.vram_mib = static_cast<std::uint32_t>(*hardware.gpus.front().vram_bytes >> 20);
  options.threads = thread_count(flags.threads);
  // A chain keeps no log of receipts.
  if (!flags.ledger.on_chain()) options.log_url = flags.ledger.market + "/log";
  options.bid_discount_bps = static_cast<std::uint32_t>(flags.bid_discount_percent * 100.0);
  if (!flags.rebate.empty()) {
    const auto rebate = market::parse_rebate(flags.rebate);
    if (!rebate) return fail_in("--rebate", rebate.error());
    options.rebate_ppm = *rebate;
  }
  options.batch_discount_bps = static_cast<std::uint32_t>(flags.batch_discount_percent * 100.0);
  options.prefix_cache = !flags.no_prefix_cache;
  const std::uint64_t kv_mib = kv_memory_mib(flags.kv_memory_mib, hardware);
  options.kv_bytes = static_cast<std::size_t>((kv_mib << 20) / models.size());

  const io::SystemClock clock;
  const auto stopping = [&stop] { return stop.requested(); };
  TRY(auto open, OpenSettlement::open(flags.ledger, key, options.data_dir, clock, stopping));
  CHECK_OK(raise_stake(open, key, flags.stake, stopping));
  TRY(auto till, OpenTill::open(flags.x402, flags.ledger, open, key, options.data_dir, clock));
  options.till = till.till();
  TRY(auto service, services::ProviderService::start(options, std::move(models), key,
                                                     open.settlement(), open.board(), clock));
  if (context.json())
    context.print(json::object{{"ready", "provider"},
                               {"url", service->url()},
                               {"port", service->port()},
                               {"address", service->address().to_string()},
                               {"data", options.data_dir},
                               {"kv_memory_mib", kv_mib}});
  else
    fmt::print("provider ready on {} as {}, {} MiB for the KV cache\n", service->url(),
               service->address().to_string(), kv_mib);
  std::fflush(stdout);
  stop.wait();
  service->stop();
  if (!context.json()) {
    TRY(const auto totals, service->totals());
    fmt::print("{} receipts over {}, {} answer tokens\n", totals.receipts,
               market::format_money(totals.receipted), totals.tokens_out);
  }
  return kOk;
}

}  // namespace assay::cli
