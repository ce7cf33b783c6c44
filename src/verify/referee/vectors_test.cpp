// spec/vectors/referee/<kind>.json: written from here with ASSAY_WRITE_VECTORS=1, else compared
// byte for byte; read back, every case is executed from what the file says alone.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>

#include "canon/hostile_mode_testutil.hpp"
#include "verify/referee/vector_sources_testutil.hpp"

namespace assay::verify::test {
namespace {

std::uint64_t random_of(Random& random, std::uint64_t n) {
  switch (random.below(4)) {
    case 0:
      return 0;
    case 1:
      return n - 1;
    default:
      return random.below(static_cast<std::uint32_t>(n));
  }
}

std::uint64_t random_element(Random& random, const Op& op, std::uint32_t position) {
  const std::uint64_t chunk = random_of(random, op.chunks);
  return chunk * kChunkValues + random_of(random, chunk_values(op, chunk, position));
}

struct Collected {
  std::vector<json::object> subjects;
  std::map<OpKind, json::array> cases;
};

// One op: a case from computed states, one of each hostile way, and one with an input cut short.
void collect(Collected& into, std::uint32_t subject, const World& w, LeafRun& run,
             const LeafPlace& place, std::uint32_t index, Random& random) {
  const Op& op = run.list().ops[index];
  const auto write = [&](const StepPlace& at, const std::vector<std::uint32_t>& running,
                         const Recorder::Answer& answer) {
    Recorder recorder(answer);
    const auto value = execute_step(w.subject, run.list(), at, running, recorder);
    Case c{subject, at, running, recorder.asked(), result_text(value)};
    into.cases[op.kind].push_back(to_json(c, run.list()));
    return c;
  };
  const auto random_place = [&] {
    StepPlace at{place, index, random_element(random, op, place.position), 0};
    at.step =
        static_cast<std::uint32_t>(random_of(random, steps_of(op, at.element, place.position)));
    return at;
  };
  StepPlace at = random_place();
  auto running = run.element(index, at.element);
  running.resize(std::min<std::size_t>(running.size(), at.step));
  at.step = static_cast<std::uint32_t>(running.size());
  write(at, running, honest(run, w));
  for (std::uint32_t mode = 0; mode < kModes; ++mode) {
    at = random_place();
    running.clear();
    for (std::uint32_t i = 0; i < at.step; ++i)
      running.push_back(hostile_running(w.subject, op, random, mode));
    Case c =
        write(at, running, hostile(w.subject, run.list(), place.position, random.bits(), mode));
    if (mode != 1 || c.inputs.empty()) continue;
    c.inputs.back().bytes.pop_back();
    write(at, running, replayed(c));
  }
}

void collect_crafted(Collected& into, const std::vector<VectorSource>& all) {
  std::uint32_t seed = 1;
  for (const Crafted& c : crafted()) {
    const World& w = *all[c.source].world;
    const LeafPlace& place = all[c.source].places[c.place];
    const OpList list = ops_of(w.subject, place);
    const StepPlace at{place, op_named(list, c.op), c.element, c.step};
    Recorder recorder(crafted_answer(c, w.subject, list, place.position, seed++));
    const auto value = execute_step(w.subject, list, at, c.running, recorder);
    into.cases[list.ops[at.op].kind].push_back(
        to_json({c.source, at, c.running, recorder.asked(), result_text(value)}, list));
  }
}

Collected collect_all() {
  Collected out;
  Random random(77);
  const auto all = vector_sources();
  for (std::uint32_t s = 0; s < all.size(); ++s) {
    const World& w = *all[s].world;
    out.subjects.push_back(to_json(w.subject));
    std::map<std::string, int> taken;
    for (const LeafPlace& place : all[s].places) {
      LeafRun run(w, place);
      run.run();
      EXPECT_EQ(run.fault(), "");
      for (std::uint32_t i = 0; i < run.list().ops.size(); ++i) {
        const Op& op = run.list().ops[i];
        if (op.kind == OpKind::threshold || op.kind < all[s].first) continue;
        // One op of a kind, format, type and place is enough.
        std::string sort =
            fmt::format("{} {} {}", kind_name(op.kind), static_cast<int>(op.type), op.steps > 1);
        if (op.tensor) sort += canon::info(op.tensor->format).name;
        if (op.kind == OpKind::segment_max) sort += run.list().ops[op.a.op].name;
        if (op.kind == OpKind::piece_state && op.a.from == Source::From::none) sort += " first";
        if (place.fault && op.kind != OpKind::score && op.kind != OpKind::weighted_value) continue;
        if (place.fault) sort += " fault";
        if (taken[sort]++ == 0) collect(out, s, w, run, place, i, random);
      }
    }
  }
  collect_crafted(out, all);
  return out;
}

std::filesystem::path path_of(OpKind kind) {
  return std::filesystem::path(ASSAY_SOURCE_DIR) / "spec/vectors/referee" /
         fmt::format("{}.json", kind_name(kind));
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Of every kind that has a step.
TEST(RefereeVectors, AreWhatIsWritten) {
  const Collected all = collect_all();
  const char* write = std::getenv("ASSAY_WRITE_VECTORS");
  std::size_t total = 0;
  for (std::size_t k = 0; k < kKinds; ++k) {
    const auto kind = static_cast<OpKind>(k);
    if (kind == OpKind::threshold) continue;
    SCOPED_TRACE(kind_name(kind));
    ASSERT_TRUE(all.cases.contains(kind));
    const json::array& cases = all.cases.at(kind);
    EXPECT_GE(cases.size(), 6u);
    total += cases.size();
    json::array subjects;
    for (const auto& s : all.subjects) subjects.push_back(s);
    const std::string text =
        json::dump_pretty(json::object{{"about", "one step each (spec/dispute.md, Vectors)"},
                                       {"kind", kind_name(kind)},
                                       {"subjects", subjects},
                                       {"cases", cases}}) +
        "\n";
    if (write != nullptr && *write == '1') {
      std::filesystem::create_directories(path_of(kind).parent_path());
      std::ofstream(path_of(kind), std::ios::binary) << text;
    }
    EXPECT_TRUE(read_text(path_of(kind)) == text)
        << "differs: a step changed, or was never written";
  }
  EXPECT_GT(total, 400u);
}

TEST(RefereeVectors, SayAllAStepNeeds) {
  for (std::size_t k = 0; k < kKinds; ++k) {
    const auto kind = static_cast<OpKind>(k);
    if (kind == OpKind::threshold) continue;
    SCOPED_TRACE(kind_name(kind));
    const auto file = json::parse(read_text(path_of(kind)));
    ASSERT_TRUE(file);
    std::vector<Subject> subjects;
    for (const json::value& s : file->at("subjects").as_array())
      subjects.push_back(*subject_from_json(s.as_object()));
    for (const json::value& v : file->at("cases").as_array()) {
      const Case c = *case_from_json(v.as_object());
      const Subject& subject = subjects[c.subject];
      Recorder inputs(replayed(c));
      const OpList list = ops_of(subject, c.place.leaf);
      const auto value = execute_step(subject, list, c.place, c.running, inputs);
      EXPECT_EQ(result_text(value), c.result);
      // Also in a thread whose mode somebody else's library has changed.
      Recorder again(replayed(c));
      const auto hostile = [&] {
        const canon::test::HostileMode mode;
        return execute_step(subject, list, c.place, c.running, again);
      }();
      EXPECT_EQ(result_text(hostile), c.result);
      EXPECT_EQ(inputs.asked().size(), c.inputs.size());
    }
  }
}

}  // namespace
}  // namespace assay::verify::test
