// What tests/fuzz/dispute_fuzz.cpp runs and fuzz_test.cpp replays: a game as it comes from
// strangers, in the JSON of spec/vectors/dispute. Violated properties are assertions.
#pragma once
#include "base/assert.hpp"
#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "verify/dispute/subject.hpp"
#include "verify/dispute/transcript.hpp"
#include "verify/referee/finish.hpp"

namespace assay::verify {

// Plays what the moves carry, whoever signed it.
inline void fuzz_payloads(const std::shared_ptr<const Subject>& subject, const json::array& moves) {
  auto game = Game::start(subject, {}, {});
  if (!game) return;
  for (const json::value& value : moves) {
    const json::object* o = value.if_object();
    const json::value* payload = o == nullptr ? nullptr : o->if_contains("payload");
    const auto* text = payload == nullptr ? nullptr : payload->if_string();
    const auto bytes = text == nullptr ? Result<Bytes>(Bytes{}) : from_hex(std::string_view(*text));
    if (!bytes) continue;
    const Hash before = game->state();
    const std::uint32_t moves_before = game->moves();
    const bool open = game->outcome() == DisputeOutcome::open;
    const bool played = game->play(*bytes).has_value();
    ASSAY_ASSERT(played == (game->state() != before));
    ASSAY_ASSERT(game->moves() == moves_before + (played ? 1 : 0));
    ASSAY_ASSERT(open || !played);
    static_cast<void>(judge_finish(*subject, *bytes));
  }
  if (game->outcome() == DisputeOutcome::open) ASSAY_ASSERT(game->expire().has_value());
}

inline void fuzz_dispute(ByteView data) {
  const auto parsed = json::parse(text(data));
  if (!parsed || !parsed->is_object()) return;
  const json::object& o = parsed->get_object();
  if (const auto move = move_from_json(o)) {
    const auto again = move_from_json(to_json(*move));
    ASSAY_ASSERT(again && again->payload == move->payload);
  }
  const auto program = json::get_hex(o, "program");
  const auto weights = json::get_hash(o, "weights_root");
  const auto request = json::get_object(o, "request");
  const auto receipt = json::get_object(o, "receipt");
  const auto moves = json::get_array(o, "moves");
  if (!program || !weights || !request || !receipt || !moves) return;
  auto asked = protocol::from_json<protocol::Request>(**request);
  const auto answered = protocol::from_json<protocol::Receipt>(**receipt);
  if (!asked || !answered) return;
  // The fuzzer need not find hashes of what it changes.
  const protocol::ExecutionId execution{*weights, crypto::sha256(*program), protocol::kCanon};
  asked->execution = protocol::struct_hash(execution);
  const auto subject = subject_of(execution, *program, *asked, *answered);
  if (!subject) return;
  const auto shared = std::make_shared<const Subject>(*subject);
  fuzz_payloads(shared, **moves);
  const json::value* dispute = o.if_contains("dispute");
  if (dispute == nullptr) return;
  const auto transcript = Transcript::from_json({{"dispute", *dispute}, {"moves", **moves}},
                                                protocol::Domain{}, {}, shared);
  if (transcript) ASSAY_ASSERT(transcript->moves().size() == transcript->game().moves());
}

}  // namespace assay::verify
