// What an audit costs beside the generation it is about: one answer is decoded token by token, then
// audited in full and by samples. All figures are CPU seconds of this process.
//   assay_audit_bench MODEL.gguf [--prompt N] [--tokens N] [--threads N] [--rounds N]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "protocol/tokens.hpp"
#include "verify/audit.hpp"
#include "verify/identity.hpp"
#include "verify/layers_identity.hpp"
#include "verify/sampled.hpp"
#include "verify/states.hpp"

namespace {

using namespace assay;

// CPU time of all threads: what the work costs, whatever else the machine does meanwhile.
double seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

struct CpuClock : Clock {
  std::int64_t now_ms() const override { return static_cast<std::int64_t>(seconds() * 1000); }
};

struct Deal {
  protocol::Request request;
  protocol::Receipt receipt;
  protocol::Opening opening;
};

struct Arguments {
  std::uint32_t prompt = 64, tokens = 512, rounds = 3;
  unsigned threads = 2;
};

// The provider's side, in memory: not part of what is measured.
struct Recomputed : verify::StateSource {
  Recomputed(const Deal& of, std::shared_ptr<const engine::Model> by, ThreadPool& with)
      : deal(of), model(std::move(by)), pool(with) {}
  Status states(const protocol::StatesCall& call, const Take& take) override {
    auto tokens = deal.opening.prompt;
    tokens.insert(tokens.end(), deal.opening.answer.begin(), deal.opening.answer.end());
    tokens.resize(call.first + call.count);
    verify::StatesRecorder recorder(deal.opening.salt_secret, model->hyper().layers, call);
    engine::Session session(model, pool, engine::best_isa(),
                            static_cast<std::uint32_t>(tokens.size()));
    session.run(tokens, deal.request.prompt_count - 1, verify::sampling_of(deal.request),
                &recorder);
    for (std::uint32_t i = 0; i < call.count; ++i)
      if (auto position = recorder.take(i)) CHECK_OK(take(std::move(*position)));
    return {};
  }
  const Deal& deal;
  std::shared_ptr<const engine::Model> model;
  ThreadPool& pool;
};

// Decoded as a provider does; returns how long the answer took beyond its prompt.
double generate(Deal& deal, std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                const Arguments& a) {
  const auto vocab = model->hyper().vocab, layers = model->hyper().layers;
  verify::TraceBuilder trace(deal.opening.salt_secret, layers);
  engine::Session session(std::move(model), pool, engine::best_isa(), a.prompt + a.tokens);
  const engine::Sampling sampling = verify::sampling_of(deal.request);
  deal.opening.prompt.resize(a.prompt);
  for (std::uint32_t i = 0; i < a.prompt; ++i) deal.opening.prompt[i] = (i * 7919 + 11) % vocab;
  deal.opening.answer = session.run(deal.opening.prompt, a.prompt - 1, sampling, &trace).sampled;
  const double started = seconds();
  for (std::uint32_t from = a.prompt; deal.opening.answer.size() < a.tokens; ++from) {
    const std::vector<engine::Token> last(1, deal.opening.answer.back());
    deal.opening.answer.push_back(session.run(last, from, sampling, &trace).sampled.at(0));
  }
  const double took = seconds() - started;
  const auto& secret = deal.opening.salt_secret;
  deal.request.prompt_count = a.prompt;
  deal.request.prompt_root = protocol::prompt_root(secret, deal.opening.prompt);
  deal.request.salt_commitment = protocol::salt_commitment(secret);
  deal.request.stop_root = protocol::stop_root({});
  deal.request.max_tokens = a.tokens;
  deal.receipt.count = a.tokens;
  deal.receipt.finish = static_cast<std::uint32_t>(protocol::Finish::length);
  deal.receipt.tape_root = protocol::tape_root(secret, deal.opening.answer);
  deal.receipt.trace_root = trace.root();
  return took;
}

// Prompt and answer as a prompt alone: what `assay bench` calls prefill.
double prefill(const Deal& deal, std::shared_ptr<const engine::Model> model, ThreadPool& pool) {
  auto tokens = deal.opening.prompt;
  tokens.insert(tokens.end(), deal.opening.answer.begin(), deal.opening.answer.end());
  tokens.pop_back();
  verify::TraceBuilder trace(deal.opening.salt_secret, model->hyper().layers);
  engine::Session session(std::move(model), pool, engine::best_isa(),
                          static_cast<std::uint32_t>(tokens.size()));
  const double started = seconds();
  session.run(tokens, UINT32_MAX, {}, &trace);
  trace.root();
  return seconds() - started;
}

// Mapped for as long as the process lives.
Result<ByteView> mapped(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (fd < 0 || fstat(fd, &info) != 0 || info.st_size == 0)
    return fail(Errc::io, "cannot read {}", path);
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (data == MAP_FAILED) return fail(Errc::io, "cannot map {}", path);
  return ByteView(static_cast<const std::uint8_t*>(data), size);
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

Result<int> run(const char* path, const Arguments& a) {
  TRY(const ByteView file, mapped(path));
  TRY(const auto model, engine::Model::load(file));
  ThreadPool pool(a.threads);
  const std::uint32_t layers = model->hyper().layers;
  const auto leaves = verify::tensor_leaves(*model, pool);
  Deal deal;
  deal.opening.salt_secret.fill(5);
  const std::uint32_t drawn = layers / 2;
  TRY(const protocol::ExecutionId id,
      verify::layers_execution_id(*model, {&drawn, 1}, leaves, pool));
  deal.request.execution = protocol::struct_hash(id);
  const CpuClock clock;

  std::map<std::string, std::vector<double>> measured;
  for (std::uint32_t round = 0; round < a.rounds; ++round) {
    deal.opening.answer.clear();
    measured["generation"].push_back(generate(deal, model, pool, a));
    measured["prefill"].push_back(prefill(deal, model, pool));
    verify::AuditOptions full;
    full.identity = id;
    TRY(const auto whole,
        verify::replay_audit(deal.request, deal.receipt, deal.opening, model, pool, full, clock));
    if (!whole.match) return fail(Errc::internal, "{}", whole.reason);
    measured["full audit"].push_back(whole.seconds);
    for (const bool one : {false, true}) {
      verify::SampledOptions options;
      if (one) options.layers = {drawn};
      options.tensor_leaves = leaves;
      Recomputed source(deal, model, pool);
      TRY(const auto report, verify::sampled_audit(deal.request, deal.receipt, deal.opening, *model,
                                                   source, pool, options, clock));
      if (report.verdict != verify::SampledVerdict::match)
        return fail(Errc::internal, "{}", report.reason);
      measured[one ? "sampled, k = 1: arithmetic" : "head alone: arithmetic"].push_back(
          report.arithmetic_seconds);
      if (one)
        measured["sampled, k = 1: all but the provider"].push_back(report.seconds -
                                                                   report.provider_seconds);
    }
  }
  std::map<std::string, double> m;
  for (const auto& [name, values] : measured) m[name] = median(values);
  for (const auto& [name, value] : m) fmt::print("{:<38} {:8.3f} CPU s\n", name, value);
  const double positions = a.prompt + a.tokens - 1;
  // What the generation's own speeds say a replay as one prefill takes.
  const double decode_speed = (a.tokens - 1) / m["generation"],
               prefill_speed = positions / m["prefill"],
               predicted = positions / decode_speed * (decode_speed / prefill_speed);
  const double layer = m["sampled, k = 1: arithmetic"] - m["head alone: arithmetic"];
  fmt::print("decode {:.1f} tok/s, prefill {:.1f} tok/s, ratio {:.2f}\n", decode_speed,
             prefill_speed, prefill_speed / decode_speed);
  fmt::print("full audit / predicted                 {:8.3f}   (at most {:.3f})\n",
             m["full audit"] / predicted, 1 / 0.9);
  fmt::print("full audit / generation                {:8.3f}\n", m["full audit"] / m["generation"]);
  fmt::print("one layer / full audit                 {:8.4f}   (at most 2/L = {:.4f})\n",
             layer / m["full audit"], 2.0 / layers);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  const std::map<std::string_view, std::uint32_t*> numbers{
      {"--prompt", &a.prompt}, {"--tokens", &a.tokens}, {"--rounds", &a.rounds}};
  if (argc < 2 || argc % 2 != 0) {
    fmt::print(stderr,
               "usage: {} MODEL.gguf [--prompt N] [--tokens N] [--threads N] [--rounds N]\n",
               argv[0]);
    return 2;
  }
  for (int i = 2; i + 1 < argc; i += 2) {
    const auto value = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (const auto at = numbers.find(argv[i]); at != numbers.end())
      *at->second = value;
    else if (std::string_view(argv[i]) == "--threads")
      a.threads = value;
  }
  const auto done = run(argv[1], a);
  if (!done) fmt::print(stderr, "{}\n", done.error().message);
  return done ? *done : 1;
}
