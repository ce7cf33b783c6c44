// assay bench: what this machine does with a model, commitments included, beside what its memory
// would allow.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstring>
#include <ctime>
#include <sys/resource.h>

#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "cli/progress.hpp"
#include "engine/forward.hpp"
#include "engine/kernels/self_check.hpp"
#include "verify/trace.hpp"

namespace assay::cli {
namespace {

using engine::Forward, engine::Sequence, engine::Slice, engine::Token;

struct BenchOptions {
  std::string model, isa;
  unsigned threads = 0, prompt = 512, decode = 64, depth = 0, streams = 1, rounds = 5;
  bool no_commit = false;
};

double seconds_of(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
double wall_s() { return seconds_of(CLOCK_MONOTONIC); }
double process_cpu_s() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

// A trace that knows what it cost.
class TimedTrace : public engine::StateSink {
 public:
  explicit TimedTrace(std::uint32_t layers) : trace_(Hash{}, layers) {}
  void reserve(std::uint32_t positions) override { trace_.reserve(positions); }
  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override {
    timed([&] { trace_.cell(position, layer, x, k, v); });
  }
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            Token token) override {
    timed([&] { trace_.head(position, x, logits, token); });
  }
  void expect_logits(std::uint32_t position, std::size_t count) override {
    timed([&] { trace_.expect_logits(position, count); });
  }
  void logits(std::uint32_t position, std::size_t part, std::span<const float> values) override {
    timed([&] { trace_.logits(position, part, values); });
  }
  void fault(engine::NumericFault fault) override { trace_.fault(fault); }
  // The root a receipt would carry now.
  void commit() {
    timed([&] { (void)trace_.root(); });
  }
  double cost_s() const { return static_cast<double>(cost_ns_.load()) * 1e-9; }

 private:
  void timed(const auto& work) {
    // A thread's own time takes a system call to read, which costs as much as the shortest work.
    const double start = wall_s();
    work();
    cost_ns_ += static_cast<std::int64_t>((wall_s() - start) * 1e9);
  }
  verify::TraceBuilder trace_;
  std::atomic<std::int64_t> cost_ns_{0};
};

// One stream of tokens: its place in the cache, and the commitment to it.
struct Stream {
  Stream(engine::PagePool& pages, std::uint32_t layers) : sequence(pages), trace(layers) {}
  Sequence sequence;
  TimedTrace trace;
  Token next = 1;
};

struct Sample {
  double tokens_per_s = 0, commit_share = 0, cpu_s_per_token = 0;
};

class Bench {
 public:
  Bench(const ModelFile& file, const BenchOptions& options, engine::Isa isa, unsigned threads)
      : options_(options),
        model_(file.model),
        pool_(threads),
        forward_(model_, pool_, *engine::find_kernels(isa)) {}

  Sample prefill() {
    auto pages = pool_for(1, options_.depth + options_.prompt);
    Stream stream(pages, model_->hyper().layers);
    feed(stream, options_.depth, false);
    Stream* const only[] = {&stream};
    return measure(options_.prompt, only, [&] { feed(stream, options_.prompt, true); });
  }

  Sample decode() {
    const std::uint32_t positions = std::max(options_.depth, 1u) + options_.decode;
    auto pages = pool_for(options_.streams, positions);
    std::vector<std::unique_ptr<Stream>> streams;
    for (unsigned s = 0; s < options_.streams; ++s) {
      streams.push_back(std::make_unique<Stream>(pages, model_->hyper().layers));
      streams.back()->next = s + 1;
      feed(*streams.back(), std::max(options_.depth, 1u), false);
    }
    std::vector<Stream*> all;
    for (auto& s : streams) all.push_back(s.get());
    return measure(options_.decode * options_.streams, all, [&] {
      for (unsigned i = 0; i < options_.decode; ++i) step(all);
    });
  }

  // Bytes per second of reading every weight once, with all threads.
  double stream_rate(ByteView bytes) {
    std::atomic<std::uint64_t> sink{0};
    const std::size_t chunk = std::min<std::size_t>(4u << 20, bytes.size() / 128 * 128),
                      chunks = chunk == 0 ? 0 : bytes.size() / chunk;
    if (chunks == 0) return 0;
    const std::size_t passes = std::max<std::size_t>(1, (512u << 20) / bytes.size());
    const double start = wall_s();
    for (std::size_t pass = 0; pass < passes; ++pass)
      pool_.parallel_for(chunks, 1, [&](std::size_t begin, std::size_t end) {
        sink += sum_of(bytes.subspan(begin * chunk, (end - begin) * chunk));
      });
    return static_cast<double>(passes * chunks * chunk) / (wall_s() - start);
  }

 private:
  // Whole vectors in order, as the hardware's prefetcher likes it.
  static std::uint64_t sum_of(ByteView bytes) {
    typedef std::uint64_t Vector __attribute__((vector_size(16)));
    Vector sum[8] = {};
    for (std::size_t i = 0; i + sizeof sum <= bytes.size(); i += sizeof sum)
      for (std::size_t v = 0; v < 8; ++v) {
        Vector part;
        std::memcpy(&part, &bytes[i + v * sizeof part], sizeof part);
        sum[v] += part;
      }
    std::uint64_t total = 0;
    for (const Vector& v : sum) total += v[0] + v[1];
    return total;
  }

  engine::PagePool pool_for(unsigned streams, std::uint32_t positions) const {
    return {forward_.layout(), std::size_t{streams} * (positions / engine::kPagePositions + 1)};
  }

  // Appends `count` made-up tokens; the head is computed at the last one if `sample`.
  void feed(Stream& stream, std::uint32_t count, bool sample) {
    std::vector<Token> tokens(count);
    for (std::uint32_t i = 0; i < count; ++i)
      tokens[i] = (stream.next * 31 + i * 37 + 5) % model_->hyper().vocab;
    std::span<const Token> rest(tokens);
    while (!rest.empty()) {
      const auto part = rest.first(std::min<std::size_t>(rest.size(), Forward::kTile));
      rest = rest.subspan(part.size());
      const std::uint32_t after =
          stream.sequence.position() + static_cast<std::uint32_t>(part.size());
      Slice slice = slice_of(stream, part);
      slice.sample_from = sample && rest.empty() ? after - 1 : after;
      forward_.run({&slice, 1});
    }
  }

  void step(std::span<Stream* const> streams) {
    std::vector<Slice> slices;
    for (Stream* s : streams) {
      slices.push_back(slice_of(*s, {&s->next, 1}));
      slices.back().sample_from = s->sequence.position();
    }
    forward_.run(slices);
    for (std::size_t i = 0; i < slices.size(); ++i)
      if (!slices[i].sampled.empty()) streams[i]->next = slices[i].sampled.back();
  }

  Slice slice_of(Stream& stream, std::span<const Token> tokens) {
    (void)stream.sequence.reserve(stream.sequence.position() +
                                  static_cast<std::uint32_t>(tokens.size()));
    return {.sequence = &stream.sequence,
            .tokens = tokens,
            .sampling = &greedy_,
            .sink = options_.no_commit ? nullptr : &stream.trace};
  }

  Sample measure(unsigned tokens, std::span<Stream* const> streams, const auto& work) {
    const auto commit_cost = [&] {
      double sum = 0;
      for (const Stream* s : streams) sum += s->trace.cost_s();
      return sum;
    };
    const double before = commit_cost(), cpu = process_cpu_s(), start = wall_s();
    work();
    if (!options_.no_commit)
      for (Stream* s : streams) s->trace.commit();
    const double wall = wall_s() - start, spent = process_cpu_s() - cpu;
    return {tokens / wall, (commit_cost() - before) / spent, spent / tokens};
  }

  const BenchOptions& options_;
  std::shared_ptr<const engine::Model> model_;
  ThreadPool pool_;
  Forward forward_;
  const engine::Sampling greedy_{};
};

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v.empty() ? 0 : v[v.size() / 2];
}

struct Series {
  std::vector<double> rates, shares, cpu;
  void add(const Sample& s) {
    rates.push_back(s.tokens_per_s);
    shares.push_back(s.commit_share);
    cpu.push_back(s.cpu_s_per_token);
  }
  json::object document() const {
    return {{"tokens_per_second", median(rates)},
            {"tokens_per_second_min", *std::ranges::min_element(rates)},
            {"tokens_per_second_max", *std::ranges::max_element(rates)},
            {"cpu_ms_per_token", median(cpu) * 1e3},
            {"commit_share", median(shares)}};
  }
};

// What one decoded token must read: every weight but the embedding table (unless it is the output
// too), and the cache of the positions before it.
double bytes_per_token(const engine::Model& model, unsigned depth) {
  double bytes = 0;
  for (const engine::Tensor* t : model.weights()) bytes += static_cast<double>(t->data.size());
  if (!model.tied()) bytes -= static_cast<double>(model.embedding().data.size());
  const auto& h = model.hyper();
  return bytes + 4.0 * depth * h.layers * h.kv_dim();
}

std::string row(const Series& s, const std::string& test, double roofline) {
  const auto [low, high] = std::ranges::minmax_element(s.rates);
  std::string line = fmt::format("| {:<16} | {:>10.2f} | {:>9.2f} … {:<9.2f} | {:>7.2f} % |", test,
                                 median(s.rates), *low, *high, median(s.shares) * 100);
  line += roofline > 0
              ? fmt::format(" {:>9.2f} ({:.0f} %) |", roofline, 100 * median(s.rates) / roofline)
              : fmt::format(" {:>9} |", "");
  return line;
}

Result<int> run_bench(const Context& context, const BenchOptions& options) {
  const double started = wall_s();
  TRY(const ModelFile file, ModelFile::open(options.model));
  const double loaded = wall_s();
  engine::Isa isa = engine::best_isa();
  if (!options.isa.empty()) {
    TRY(isa, engine::parse_isa(options.isa));
  }
  fmt::print(stderr, "{}", engine::self_test_failures());
  const unsigned threads = thread_count(options.threads);
  const auto& hyper = file.model->hyper();
  const std::uint64_t needed =
      std::uint64_t{std::max(options.depth, 1u)} + std::max(options.prompt, options.decode);
  if (needed > hyper.context)
    return fail(Errc::invalid,
                "the model holds {} positions, this run needs {}: lower -p, -n or -d",
                hyper.context, needed);

  BenchOptions first = options;
  first.prompt = 1, first.depth = 0;
  Bench(file, first, isa, threads).prefill();
  const double first_token = wall_s();

  Bench bench(file, options, isa, threads);
  Series prefill, decode;
  std::vector<double> rates;
  {
    Progress progress("measuring");
    for (unsigned r = 0; r < options.rounds; ++r) {
      progress.update(r, options.rounds);
      rates.push_back(bench.stream_rate(file.file.bytes()));
      if (options.prompt > 0) prefill.add(bench.prefill());
      if (options.decode > 0) decode.add(bench.decode());
      rates.push_back(bench.stream_rate(file.file.bytes()));
    }
  }
  const double rate = median(rates), roofline = rate / bytes_per_token(*file.model, options.depth);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const double peak_mib = static_cast<double>(usage.ru_maxrss) / 1024;

  if (context.json()) {
    json::object out{
        {"model", options.model},    {"isa", engine::isa_name(isa)},     {"threads", threads},
        {"rounds", options.rounds},  {"committing", !options.no_commit}, {"depth", options.depth},
        {"streams", options.streams}};
    if (options.prompt > 0) out["prefill"] = prefill.document();
    if (options.decode > 0) out["decode"] = decode.document();
    if (options.decode > 0)
      out["commit_share"] = median(decode.shares);
    else if (options.prompt > 0)
      out["commit_share"] = median(prefill.shares);
    out["roofline"] =
        json::object{{"gigabytes_per_second", rate / 1e9}, {"decode_tokens_per_second", roofline}};
    out["load_ms"] = (loaded - started) * 1e3;
    out["first_token_ms"] = (first_token - started) * 1e3;
    out["peak_memory_mib"] = peak_mib;
    context.print(out);
    return kOk;
  }
  fmt::print("{}  {}  {} thread{}  canon 0, {}\n\n", bold(options.model), engine::isa_name(isa),
             threads, threads == 1 ? "" : "s",
             options.no_commit ? "not committing" : "committing every state");
  fmt::print("| {:<16} | {:>10} | {:>9} … {:<9} | {:>9} | {:>9} |\n", "test", "tokens/s", "lowest",
             "highest", "commits", "roofline");
  fmt::print("|{:-<18}|{:->12}|{:-<23}|{:->11}|{:->11}|\n", "", "", "", "", "");
  const std::string depth = options.depth ? fmt::format(" @ {}", options.depth) : "";
  if (options.prompt > 0)
    fmt::print("{}\n", row(prefill, fmt::format("prefill {}{}", options.prompt, depth), 0));
  if (options.decode > 0) {
    const std::string streams = options.streams > 1 ? fmt::format(" × {}", options.streams) : "";
    fmt::print("{}\n", row(decode, fmt::format("decode {}{}{}", options.decode, streams, depth),
                           options.streams == 1 ? roofline : 0));
  }
  fmt::print(
      "\nmemory read {:.1f} GB/s; loaded in {:.0f} ms, first token after {:.0f} ms; peak "
      "{:.0f} MiB\n",
      rate / 1e9, (loaded - started) * 1e3, (first_token - started) * 1e3, peak_mib);
  return kOk;
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  auto options = std::make_shared<BenchOptions>();
  auto* verb =
      context.verb(app, "bench", "how fast this machine runs a model, commitments included",
                   "assay bench --model models/tern-q8_0.gguf -p 256 -n 64 --threads 2");
  verb->add_option("--model", options->model, "GGUF file")->required();
  verb->add_option("--threads", options->threads, "0: one per core (default)");
  verb->add_option("-p", options->prompt, "tokens of the prompt; 0: do not measure prefill");
  verb->add_option("-n", options->decode, "tokens to decode; 0: do not measure decode");
  verb->add_option("-d", options->depth, "positions already in the context");
  verb->add_option("--streams", options->streams, "sequences decoded together")
      ->check(CLI::Range(1u, 512u));
  verb->add_option("--rounds", options->rounds, "medians are over so many")
      ->check(CLI::Range(1u, 1000u));
  verb->add_option("--isa", options->isa, "an instruction set (default: the best of this machine)");
  verb->add_flag("--no-commit", options->no_commit, "without the trace, to see what it costs");
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return run_bench(context, *options); });
}

}  // namespace assay::cli
