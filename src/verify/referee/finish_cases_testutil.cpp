#include "protocol/tokens.hpp"
#include "verify/referee/finish.hpp"
#include "verify/referee/proof_cases_testutil.hpp"

namespace assay::verify::test {
namespace {

// One thing of a request or a statement that makes, or might make, it wrong.
void spoil(Subject& s, Random& random) {
  protocol::Request& r = s.request;
  const auto special = [&] {
    constexpr std::uint32_t kBits[] = {0,          0x80000000, 0x3f800000, 0x3f800001, 0x7f800000,
                                       0xff800000, 0x7fc00000, 0x00000001, 0xbf800000, 0x7f7fffff};
    return kBits[random_index(random, std::size(kBits))];
  };
  std::uint32_t* const floats[] = {&r.repetition_penalty_bits,
                                   &r.presence_penalty_bits,
                                   &r.frequency_penalty_bits,
                                   &r.temperature_bits,
                                   &r.top_p_bits,
                                   &r.min_p_bits};
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
      *floats[random_index(random, std::size(floats))] = special();
      return;
    case 4:
      r.continuation = random.below(2) == 0 ? r.prompt_count : r.prompt_count - 1;
      return;
    case 5:
      r.max_tokens = random.below(3) == 0 ? 0 : s.count - 1 + random.below(2);
      return;
    case 6:
      r.logprobs = random.below(25);
      r.max_tokens = std::max(s.count, random.below(60000));
      return;
    case 7:
      r.logprobs = s.program.vocab + random.below(3);
      return;
    case 8:
      s.finish = random.below(7) == 0 ? 0xffffffff : random.below(6);
      return;
    case 9:
      s.program.context = r.prompt_count + s.count - 2 + random.below(3);
      return;
    case 10:
      r.logit_bias = {{random.below(4), special()}, {1 + random.below(3), 0x3f000000}};
      return;
    case 11:
      r.logit_bias = {{s.program.vocab - random.below(2), 0x3f000000}};
      return;
    case 12:
      r.logit_bias.assign(255 + random.below(3), {});
      for (std::uint32_t i = 0; i < r.logit_bias.size(); ++i) r.logit_bias[i] = {i, 0x40000000};
      return;
    default:
      s.count = 0;
      if (random.below(2) == 0) s.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
      return;
  }
}

FinishCase finish_case(Random& random) {
  FinishCase c;
  Subject& s = c.subject;
  protocol::Request& r = s.request;
  const Hash secret = random_hash(random);
  const std::size_t most = random.below(8) == 0 ? 600 : 20;
  s.program.vocab = 280 + random.below(100);
  s.program.context = 4096;
  std::vector<std::uint32_t> stops, prompt(1 + random_index(random, most)),
      answer(1 + random_index(random, most));
  for (std::uint32_t id = 0; id < s.program.vocab && random.below(6) != 0;
       id += 1 + random.below(9))
    stops.push_back(id);
  if (random.below(20) == 0)
    for (std::uint32_t id = s.program.vocab; id < 1000; ++id) stops.push_back(id);
  for (std::uint32_t& id : prompt) id = random.below(s.program.vocab + 3);
  for (std::uint32_t& id : answer) id = 100 + random.below(200);
  if (!stops.empty() && random.below(2) == 0) answer.back() = stops.back();
  r.prompt_count = static_cast<std::uint32_t>(prompt.size());
  s.count = static_cast<std::uint32_t>(answer.size());
  r.max_tokens = s.count + random.below(2);
  if (random.below(4) != 0) s.finish = random.below(4);
  r.prompt_root = protocol::prompt_root(secret, prompt);
  s.tape_root = protocol::tape_root(secret, answer);
  r.stop_root = protocol::stop_root(stops);
  if (random.below(3) == 0) spoil(s, random);

  const bool about_answer = random.below(3) != 0;
  const auto& tokens = about_answer ? answer : prompt;
  const auto token = static_cast<std::uint32_t>(
      random.below(2) == 0 ? tokens.size() - 1 : random_index(random, tokens.size()));
  const auto list = about_answer ? protocol::TokenList::tape : protocol::TokenList::prompt;
  const auto chunk = protocol::open_tokens(secret, list, tokens, token / kChunkValues);
  c.proof = about_answer ? finish_proof(stops, token, chunk.leaf, chunk.path)
                         : prompt_proof(token, chunk.leaf, chunk.path);
  switch (random.below(24)) {
    case 0:
      c.proof.resize(random_index(random, c.proof.size()));
      break;
    case 1:
      c.proof.resize(c.proof.size() + 1 + random.below(40));
      break;
    case 2:
      c.proof[random_index(random, c.proof.size())] ^= 1;
      break;
    case 3:
      c.proof[0] = static_cast<std::uint8_t>(random.below(4));
      break;
    case 4:
      r.stop_root[random.below(32)] ^= 1;
      break;
    default:
      break;
  }
  return c;
}

}  // namespace

std::vector<FinishCase> finish_cases(std::uint32_t seed, std::size_t count) {
  Random random(seed);
  std::vector<FinishCase> out;
  while (out.size() < count) out.push_back(finish_case(random));
  return out;
}

}  // namespace assay::verify::test
