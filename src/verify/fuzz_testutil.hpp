// What tests/fuzz/keyed_fuzz.cpp runs and keyed_test.cpp replays: checks of an auditor's pass and
// answers to them, from strangers. Violated properties are assertions.
#pragma once
#include "base/assert.hpp"
#include "protocol/audit_keys.hpp"
#include "verify/keyed.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {

// Vectors of 1, 2 and 3 chunks in 3 layers, heads from position 2 on.
inline Subject fuzz_checked(bool fault) {
  Subject s;
  s.program.layers = 3;
  s.program.dim = 300;
  s.program.heads = s.program.kv_heads = 1;
  s.program.head_dim = 256;
  s.program.vocab = 600;
  s.request.prompt_count = 3;
  s.count = 3;
  s.finish = static_cast<std::uint32_t>(fault ? protocol::Finish::fault : protocol::Finish::stop);
  return s;
}

struct FuzzedCheck {
  bool opened = false, judged = false;
};

// Whether the receipt ends in a fault (a byte), length of the proof (2), the proof, the answer.
inline FuzzedCheck fuzz_keyed(ByteView data) {
  if (data.size() < 3) return {};
  Subject subject = fuzz_checked((data[0] & 1) != 0);
  const std::size_t length =
      std::min<std::size_t>(load_le<std::uint16_t>(&data[1]), data.size() - 3);
  const ByteView proof = data.subspan(3, length), answer = data.subspan(3 + length);
  const auto asked = parse_check_proof(proof);
  const auto reply = parse_check_reply(answer);
  // One encoding each.
  if (asked) ASSAY_ASSERT(std::ranges::equal(check_proof_bytes(*asked), proof));
  if (reply) ASSAY_ASSERT(std::ranges::equal(check_reply_bytes(*reply), answer));

  // The fuzzer need not find the roots of what it changes: they are taken from the proofs.
  KeyedTerms terms{.beacon = Hash{0xbe}, .audit = Hash{0xad}, .auditor = {}};
  terms.auditor.bytes.fill(0x77);
  if (asked)
    subject.trace_root = trace_root(asked->path.tree_root, asked->positions, asked->layers);
  if (reply) {
    terms.nonce_hash = protocol::nonce_hash(
        protocol::key_nonce(terms.beacon, terms.audit, terms.auditor, reply->key));
    if (asked)
      terms.root_hash = protocol::keyed_root_hash(
          trace_root(reply->path.tree_root, asked->positions, asked->layers), reply->key);
  }

  FuzzedCheck out{open_check(subject, proof).has_value(),
                  judge_check(proof, terms, answer).has_value()};
  ASSAY_ASSERT(asked || !out.opened);
  ASSAY_ASSERT((asked && reply) || !out.judged);
  if (!out.opened) return out;
  // What opens is one place with one set of values, and its answer is one auditor's.
  CheckProof other = *asked;
  other.values.back() ^= 1;
  ASSAY_ASSERT(!open_check(subject, check_proof_bytes(other)));
  ASSAY_ASSERT(!judge_check(check_proof_bytes(other), terms, answer));
  other = *asked;
  other.place.position ^= 1;
  ASSAY_ASSERT(!open_check(subject, check_proof_bytes(other)));
  ASSAY_ASSERT(!judge_check(check_proof_bytes(other), terms, answer));
  terms.auditor.bytes[0] ^= 1;
  ASSAY_ASSERT(!judge_check(proof, terms, answer));
  return out;
}

}  // namespace assay::verify
