#include "cli/audit_sampled.hpp"

#include <CLI/CLI.hpp>
#include <fmt/ranges.h>

#include "base/hex.hpp"
#include "cli/file_journal.hpp"
#include "cli/progress.hpp"
#include "engine/hyper.hpp"
#include "io/files.hpp"
#include "io/pinned_url.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "protocol/audit_draw.hpp"
#include "verify/sampled_journal.hpp"

namespace assay::cli {
namespace {

struct Draw {
  std::vector<std::uint32_t> layers;
  std::string_view by;
};

// Which layers: those of an audit begun before, those given, the lease's draw, or, where nobody
// tells the link, chance of our own, which the provider cannot have known either.
Result<Draw> draw(const SampledFlags& flags, const SampledInput& input, std::uint32_t depth,
                  FileJournal& journal) {
  const auto& f = input.file;
  if (!flags.chosen.empty()) {
    std::vector<std::uint32_t> layers = flags.chosen;
    std::ranges::sort(layers);
    const auto twice = std::ranges::unique(layers);
    layers.erase(twice.begin(), twice.end());
    return Draw{std::move(layers), "chosen"};
  }
  Hash link = input.opening.audit_link;
  if (!flags.link.empty()) {
    TRY(link, array_from_hex<32>(flags.link));
  }
  const Hash receipt = protocol::digest(f.domain, f.receipt.message);
  if (link != Hash{}) {
    const std::uint64_t sequence = f.request.message.sequence;
    if (!protocol::audit_link_matches(f.lease.message.audit_chain, link, sequence))
      return fail(Errc::mismatch,
                  "the link is not number {} of the lease's audit chain: give the one the lease's "
                  "buyer has",
                  sequence);
    return Draw{protocol::audit_layers(link, receipt, depth, flags.layers), "lease"};
  }
  TRY(const Bytes before, journal.read());
  auto begun = verify::journal_layers(before, f.request.message, f.receipt.message);
  if (begun && begun->size() == std::min(flags.layers, depth)) return Draw{*begun, "chance"};
  return Draw{protocol::audit_layers(io::random_hash(), receipt, depth, flags.layers), "chance"};
}

Result<std::vector<Hash>> tensor_leaves(const SampledFlags& flags, const SampledInput& input,
                                        services::ProviderClient& client,
                                        const std::string& endpoint) {
  if (flags.tensors.empty()) {
    auto reply = client.tensors(endpoint, input.file.request.message.execution);
    if (reply) return std::move(reply->leaves);
    return fail(reply.error().code,
                "no tensor leaves from the provider ({}): make them with `assay model tensors` and "
                "give --tensors",
                reply.error().message);
  }
  TRY(const std::string text, io::read_file(flags.tensors));
  const auto parsed = [&]() -> Result<protocol::TensorsReply> {
    TRY(const json::value value, json::parse(text));
    TRY(const json::object* object, json::as_object(value, "the file"));
    return protocol::tensors_reply_from_json(*object);
  }();
  if (!parsed) return fail_in(flags.tensors, parsed.error());
  return parsed->leaves;
}

std::string_view word(verify::SampledVerdict verdict) {
  switch (verdict) {
    case verify::SampledVerdict::match:
      return "match";
    case verify::SampledVerdict::mismatch:
      return "mismatch";
    case verify::SampledVerdict::unanswered:
      return "unanswered";
  }
  return "unanswered";
}

json::object audit_sampled_document(const SampledInput& input, const Draw& drawn,
                                    const verify::SampledReport& r) {
  json::array layers;
  for (const std::uint32_t layer : drawn.layers) layers.emplace_back(layer);
  const double power = static_cast<double>(drawn.layers.size()) / r.layers;
  json::object o{{"mode", "sampled"},
                 {"verdict", word(r.verdict)},
                 {"match", r.verdict == verify::SampledVerdict::match},
                 {"reason", r.reason},
                 {"provider", input.file.lease.message.provider.to_string()},
                 {"trace_root", to_hex(input.file.receipt.message.trace_root)},
                 {"drawn", std::move(layers)},
                 {"drawn_by", drawn.by},
                 {"layers", r.layers},
                 {"power", power},
                 {"positions", r.positions},
                 {"heads", r.heads},
                 {"resumed", r.resumed},
                 {"seconds", r.seconds},
                 {"arithmetic_seconds", r.arithmetic_seconds},
                 {"provider_seconds", r.provider_seconds},
                 {"arithmetic_share", r.seconds > 0 ? r.arithmetic_seconds / r.seconds : 0.0},
                 {"difference", nullptr}};
  if (r.difference) o["difference"] = difference_json(*r.difference, r.layers);
  return o;
}

void print_audit_sampled(const SampledInput& input, const Draw& drawn,
                         const verify::SampledReport& r) {
  if (r.verdict == verify::SampledVerdict::match)
    fmt::print("{}\n", green(r.reason));
  else if (r.verdict == verify::SampledVerdict::mismatch)
    fmt::print("{}  {}\n", red("MISMATCH"), r.reason);
  else
    fmt::print("{}\n", r.reason);
  fmt::print("provider        {}\n", input.file.lease.message.provider.to_string());
  fmt::print("receipt's root  {}\n", to_hex(input.file.receipt.message.trace_root));
  fmt::print("layers          {} of {}, by {}\n", fmt::join(drawn.layers, ", "), r.layers,
             drawn.by == "lease"    ? "the lease's draw"
             : drawn.by == "chance" ? "chance of this machine (no link was given)"
                                    : "choice");
  fmt::print("{} positions, {} heads in {:.2f} s ({}): arithmetic {:.2f} s, provider {:.2f} s\n",
             r.positions, r.heads, r.seconds, engine::isa_name(input.isa), r.arithmetic_seconds,
             r.provider_seconds);
}

}  // namespace

json::object difference_json(const verify::Difference& d, std::uint32_t layers) {
  json::object out{{"position", d.position},
                   {"layer", d.layer},
                   {"head", d.layer == layers},
                   {"op", d.op},
                   {"row", nullptr},
                   {"segment", nullptr},
                   {"expected_bits", nullptr},
                   {"claimed_bits", nullptr}};
  if (d.value) {
    out["row"] = d.value->row;
    out["segment"] = d.value->row / 256;
    out["expected_bits"] = d.value->ours;
    out["claimed_bits"] = d.value->theirs;
  }
  return out;
}

void add_sampled_flags(CLI::App* verb, SampledFlags& flags) {
  auto* count = verb->add_option(
      "--layers", flags.layers,
      "sampled audit of K layers (drawn by the lease), embedding, head and sampling: reads only "
      "their weights, asks the provider for states; catches a cheat in one of L layers with "
      "probability K/L, no more");
  count->check(CLI::Range(1, 1024));
  verb->add_option("--layer", flags.chosen, "these layers instead of a draw (from 0)")
      ->excludes(count)
      ->check(CLI::Range(0, 1023));
  verb->add_option("--link", flags.link, "link of the lease's audit chain, if not in the opening");
  verb->add_option("--provider", flags.provider, "where its states are (default: as in the offer)");
  verb->add_option("--tensors", flags.tensors,
                   "tensor leaves (`assay model tensors`; default: the provider's)");
}

Result<int> audit_sampled(const Context& context, const SampledFlags& flags,
                          const SampledInput& input) {
  FileJournal journal(input.state_path);
  TRY(const io::MappedFile mapped, io::MappedFile::open(input.model_path));
  const auto depth = [&]() -> Result<std::uint32_t> {
    TRY(const auto gguf, engine::Gguf::parse(mapped.bytes()));
    TRY(const auto hyper, engine::read_hyper(gguf));
    return hyper.layers;
  }();
  if (!depth) return fail_in(input.model_path, depth.error());
  TRY(const Draw drawn, draw(flags, input, *depth, journal));
  const auto model = engine::Model::load_layers(mapped.bytes(), drawn.layers);
  if (!model) return fail_in(input.model_path, model.error());

  services::ProviderClient client({});
  const std::string endpoint =
      flags.provider.empty()
          ? io::pinned(input.file.offer.message.endpoint, input.file.offer.message.tls_key)
          : flags.provider;
  TRY(const auto leaves, tensor_leaves(flags, input, client, endpoint));
  ThreadPool pool(input.threads);
  Progress bar("auditing");
  verify::SampledOptions options;
  options.isa = input.isa;
  options.layers = drawn.layers;
  options.tensor_leaves = leaves;
  options.journal = &journal;
  options.progress = [&](double fraction) {
    bar.update(static_cast<std::uint64_t>(fraction * 1000), 1000);
    return true;
  };
  ProviderStates source(client, endpoint);
  const io::SystemClock clock;
  auto report = verify::sampled_audit(input.file.request.message, input.file.receipt.message,
                                      input.opening, **model, source, pool, options, clock);
  if (!report && report.error().code == Errc::conflict)
    return fail_in(journal.path(), report.error());
  if (!report) return std::unexpected(report.error());
  if (report->verdict != verify::SampledVerdict::unanswered) journal.remove();

  if (context.json())
    context.print(audit_sampled_document(input, drawn, *report));
  else
    print_audit_sampled(input, drawn, *report);
  return report->verdict == verify::SampledVerdict::match ? kOk : kFailed;
}

}  // namespace assay::cli
