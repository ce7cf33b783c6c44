#include "crypto/keccak.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/finish.hpp"
#include "verify/referee/opening.hpp"
#include "verify/referee/proof_cases_testutil.hpp"

namespace assay::verify::test {
namespace {

// Big-endian fields, as the EVM reads them.
template <class T>
void put(Bytes& out, T n) {
  for (std::size_t i = sizeof n; i-- > 0;) out.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
}

// A word without the zeros in front: how many bytes, then they.
void put_word(Bytes& out, ByteView word) {
  while (!word.empty() && word.front() == 0) word = word.subspan(1);
  out.push_back(static_cast<std::uint8_t>(word.size()));
  append(out, word);
}
void put_number(Bytes& out, std::uint64_t n) {
  Bytes word;
  put(word, n);
  put_word(out, word);
}
// 32 bits each, the first lowest.
void put_numbers(Bytes& out, std::initializer_list<std::uint32_t> numbers) {
  Bytes word;
  for (std::size_t i = numbers.size(); i-- > 0;) put(word, numbers.begin()[i]);
  put_word(out, word);
}

Bytes biases_of(const Subject& s) {
  Bytes out;
  for (const protocol::LogitBias& b : s.request.logit_bias) {
    put(out, b.token);
    put(out, b.bias_bits);
  }
  return out;
}

void put_bytes(Bytes& out, ByteView bytes) {
  put(out, static_cast<std::uint16_t>(bytes.size()));
  append(out, bytes);
}

// `finish` of a statement that has none, and of one that nobody knows
// (contracts/src/referee/Terms.sol).
constexpr std::uint32_t kProgress = 0xffffffff, kUnknown = 4;
std::uint32_t finish_of(const Subject& s) {
  return s.finish ? std::min(*s.finish, kUnknown) : kProgress;
}

void put_subject(Bytes& out, const Subject& s, const Bytes& biases) {
  const protocol::Request& r = s.request;
  put_word(out, program_hash(s.program));
  for (const Hash& h : {s.weights_root, r.prompt_root, s.tape_root, s.logprobs_root})
    put_word(out, h);
  put_word(out, biases.empty() ? Hash{} : crypto::keccak256(biases));
  put_word(out, r.constraint);
  put_numbers(out, {s.prompt(), r.continuation, s.count, r.max_tokens, r.logprobs,
                    static_cast<std::uint32_t>(r.seed), static_cast<std::uint32_t>(r.seed >> 32),
                    finish_of(s)});
  put_numbers(out, {r.repetition_penalty_bits, r.presence_penalty_bits, r.frequency_penalty_bits,
                    r.temperature_bits, r.top_k, r.top_p_bits, r.min_p_bits});
}

void put_revealed(Bytes& out, const ProofCase& c, const Op& op) {
  const Revealed& r = c.revealed;
  put_word(out, r.positions_root);
  put_word(out, r.position_root);
  put_number(out, r.positions);
  put_number(out, r.position_leaves);
  for (const Hash& h : {r.x, r.k, r.v}) put_word(out, h);
  put_word(out, r.op_roots[c.place.op]);
  for (const Source& s : {op.a, op.b, op.c, op.d})
    put_word(out, s.from == Source::From::op ? r.op_roots[s.op] : Hash{});
}

}  // namespace

Bytes case_file(std::span<const ProofCase> cases) {
  std::map<Hash, Bytes> programs;
  for (const ProofCase& c : cases)
    programs.try_emplace(program_hash(c.subject.program), program_bytes(c.subject.program));
  Bytes out;
  put(out, static_cast<std::uint32_t>(programs.size()));
  for (const auto& [hash, bytes] : programs) put_bytes(out, bytes);
  put(out, static_cast<std::uint32_t>(cases.size()));
  for (const ProofCase& c : cases) {
    const OpList list = ops_of(c.subject, c.place.leaf);
    const Op& op = list.ops[c.place.op];
    const Bytes biases = biases_of(c.subject);
    out.push_back(static_cast<std::uint8_t>(op.kind));
    out.push_back(static_cast<std::uint8_t>(c.says));
    put(out, c.bits);
    put_subject(out, c.subject, biases);
    put_revealed(out, c, op);
    const StepPlace& p = c.place;
    for (const std::uint64_t n : {std::uint64_t{p.leaf.position}, std::uint64_t{p.leaf.index},
                                  std::uint64_t{p.leaf.fault ? 1u : 0u}, std::uint64_t{p.op},
                                  p.element, std::uint64_t{p.step}})
      put_number(out, n);
    const std::uint32_t begin = p.step - p.step % kChunkValues;
    put_number(out, p.step == 0 ? 0 : c.running[p.step - 1]);
    put_number(out, begin == 0 ? 0 : c.running[begin - 1]);
    put_bytes(out, biases);
    put_bytes(out, c.proof);
  }
  return out;
}

Bytes finish_file(std::span<const FinishCase> cases, std::uint32_t seed) {
  Bytes out;
  put(out, static_cast<std::uint32_t>(cases.size()));
  for (const FinishCase& c : cases) {
    using Says = ProofCase::Says;
    const auto verdict = judge_finish(c.subject, c.proof);
    // follows, differs; or the two errors.
    out.push_back(verdict ? static_cast<std::uint8_t>(*verdict)
                          : static_cast<std::uint8_t>(verdict.error().code == Errc::mismatch
                                                          ? Says::mismatch
                                                          : Says::invalid));
    put_number(out, c.subject.program.vocab);
    put_number(out, c.subject.program.context);
    const Bytes biases = biases_of(c.subject);
    put_subject(out, c.subject, biases);
    put_word(out, c.subject.request.stop_root);
    put_bytes(out, biases);
    put_bytes(out, c.proof);
  }
  Random random(seed);
  constexpr std::uint32_t kSalts = 8;
  put(out, kSalts);
  for (std::uint32_t i = 0; i < kSalts; ++i) {
    const Hash secret = random_hash(random);
    const std::uint32_t position = i == 0 ? 0 : random.below(1u << 18), leaf = random.below(200);
    append(out, secret);
    append(out, protocol::salt_commitment(secret));
    put(out, position);
    put(out, leaf);
    append(out, leaf_salt(secret, position, leaf));
  }
  return out;
}

}  // namespace assay::verify::test
