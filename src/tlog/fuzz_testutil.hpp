// Fuzz inputs through what strangers write of and to a log. What parses must be written the same
// again, and nothing forged may verify. Called by tests/fuzz/*_fuzz.cpp and, over the committed
// corpora, by corpus_test.cpp.
#pragma once
#include "base/assert.hpp"
#include "tlog/monitor.hpp"
#include "tlog/proof_file.hpp"
#include "tlog/tlog_testutil.hpp"

namespace assay::tlog {

inline void fuzz_note(ByteView input) {
  const std::string_view bytes = text(input);
  if (const auto note = parse_note(bytes)) {
    ASSAY_ASSERT(to_string(*note) == bytes);
    const SignerKey nobody = test_key("nobody");
    // The fuzzer cannot sign; what it changes of a seed must not pass for the seed.
    (void)verify_note(*note,
                      std::vector{nobody.verifier(), test_key("example.com/log").verifier()});
    if (const auto checkpoint = parse_checkpoint(note->text))
      ASSAY_ASSERT(to_text(*checkpoint) == note->text);
  }
  if (const auto lines = parse_signature_lines(bytes)) {
    std::string again;
    for (const auto& line : *lines) again += to_line(line);
    ASSAY_ASSERT(again == bytes);
  }
  if (const auto checkpoint = parse_checkpoint(bytes)) ASSAY_ASSERT(to_text(*checkpoint) == bytes);
  if (const auto key = VerifierKey::parse(bytes)) ASSAY_ASSERT(key->to_string() == bytes);
  if (const auto key = SignerKey::parse(bytes)) ASSAY_ASSERT(key->to_string() == bytes);
}

inline void fuzz_tile(ByteView input) {
  if (const auto id = parse_tile_path(text(input))) ASSAY_ASSERT(tile_path(*id) == text(input));
  if (const auto entries = parse_entries(input, 256)) {
    Bytes again;
    for (const ByteView entry : *entries) append_entry(again, entry);
    ASSAY_ASSERT(std::ranges::equal(again, input));
    for (const ByteView entry : *entries)
      if (const auto parsed = LogEntry::parse(entry)) {
        ASSAY_ASSERT(std::ranges::equal(parsed->to_bytes(), entry));
        (void)parsed->check_signature();
      }
    // As a bundle of a log somebody else wrote.
    if (!entries->empty()) {
      MemoryLog log;
      std::vector<Bytes> copies;
      for (const ByteView entry : *entries) copies.emplace_back(entry.begin(), entry.end());
      log.append(copies);
      Monitor monitor;
      ASSAY_ASSERT(monitor.follow(log.checkpoint(), log.policy(), log.tiles).has_value());
      ASSAY_ASSERT(monitor.size() == copies.size());
    }
  }
  if (const auto edge = Edge::from_bytes(input)) {
    (void)edge->root();
    ASSAY_ASSERT(std::ranges::equal(edge->to_bytes(), input));
  }
}

inline void fuzz_tlog_proof(ByteView input) {
  const auto proof = parse_proof_file(text(input));
  if (!proof) return;
  ASSAY_ASSERT(to_string(*proof) == text(input));
  static const MemoryLog log = [] {
    MemoryLog out;
    out.grow(600);
    return out;
  }();
  // Whatever is said of it, no leaf but the true one is at that index.
  ASSAY_ASSERT(!verify_proof_file(*proof, Hash{1}, log.policy()));
}

inline void fuzz_witness(ByteView input) {
  static const MemoryLog log = [] {
    MemoryLog out;
    out.grow(5);
    return out;
  }();
  MemoryWitnessStore store;
  store.logs[log.key.name] = {3, log.root(3), {}};
  const ManualClock clock;
  Witness witness(test_key("w", KeyType::cosignature), {log.policy()}, store, clock);
  const auto answer = witness.add_checkpoint(text(input));
  if (const auto request = parse_add_checkpoint(text(input)))
    ASSAY_ASSERT(to_string(*request) == text(input));
  // Only the log's own five entries continue the three.
  if (answer.status == 200) {
    ASSAY_ASSERT(store.logs[log.key.name].root == log.root(5));
    ASSAY_ASSERT(parse_signature_lines(answer.body)->size() == 1);
  } else {
    ASSAY_ASSERT(answer.status >= 400 && answer.status < 500);
    ASSAY_ASSERT(store.logs[log.key.name].size == 3);
  }
}

}  // namespace assay::tlog
