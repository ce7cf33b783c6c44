// What tests/fuzz/messages_fuzz.cpp runs and corpus_test.cpp replays: everything that reads bytes
// from strangers. Input that starts with '{' is JSON for every decoder, anything else a Merkle-sum
// proof. Violated properties are assertions, which the fuzzer sees as crashes.
#pragma once
#include "base/assert.hpp"
#include "crypto/keystore.hpp"
#include "crypto/merkle_sum.hpp"
#include "protocol/all_messages.hpp"
#include "protocol/inference.hpp"
#include "protocol/rules.hpp"
#include "protocol/states.hpp"

namespace assay::protocol {

// What was accepted means the same after a round trip.
template <class M>
void fuzz_message(const json::object& o) {
  if (const auto message = from_json<M>(o)) {
    const auto again = from_json<M>(to_json(*message));
    ASSAY_ASSERT(again && struct_hash(*again) == struct_hash(*message));
  }
  if (const auto message = signed_from_json<M>(o)) {
    const auto again = signed_from_json<M>(to_json(*message));
    ASSAY_ASSERT(again && again->signature == message->signature);
    static_cast<void>(check_signature(Domain{}, *message, Address{}));
  }
}

inline void fuzz_json(std::string_view text) {
  constexpr crypto::KdfLimits cheap{
      .scrypt_memory_bytes = 1 << 16, .scrypt_work_bytes = 1 << 17, .pbkdf2_iterations = 64};
  static_cast<void>(crypto::keystore_decrypt(text, "passphrase", cheap));
  if (const auto file = receipt_file_from_text(text)) {
    ASSAY_ASSERT(receipt_file_from_text(to_text(*file)).has_value());
    static_cast<void>(check_receipt(file->domain, file->lease.message, file->request.message, {},
                                    {}, {}, file->receipt));
    static_cast<void>(check_runnable(file->request.message));
  }
  if (const auto opening = opening_from_text(text))
    ASSAY_ASSERT(opening_from_text(to_text(*opening))->answer == opening->answer &&
                 opening_from_text(to_text(*opening))->logprobs == opening->logprobs);
  if (const auto event = event_from_line(text))
    ASSAY_ASSERT(to_line(*event_from_line(to_line(*event))) == to_line(*event));
  if (const auto event = states_event_from_line(text))
    ASSAY_ASSERT(states_line(*states_event_from_line(states_line(*event))) == states_line(*event));
  const auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object()) return;
  const json::object& o = parsed->get_object();
  for_each_message([&]<class M>() { fuzz_message<M>(o); });
  if (const auto domain = Domain::from_json(o))
    ASSAY_ASSERT(Domain::from_json(domain->to_json()) == *domain);
  if (const auto call = inference_call_from_json(o))
    static_cast<void>(check_call(Domain{}, *call, 1'700'000'000));
  static_cast<void>(recall_from_json(o));
  static_cast<void>(receipt_reply_from_json(o));
  static_cast<void>(trace_reply_from_json(o));
  static_cast<void>(states_call_from_json(o));
  static_cast<void>(tensors_reply_from_json(o));
}

// size, index, amount (8 bytes each), root and item (32 each), root sum, then proof nodes of 40.
inline void fuzz_merkle_sum(ByteView data) {
  constexpr std::size_t kHeader = 4 * 8 + 2 * 32, kNode = 40;
  if (data.size() < kHeader) return;
  const auto number = [&](std::size_t at) { return load_le<std::uint64_t>(data.data() + at); };
  const auto hash = [&](std::size_t at) {
    Hash h;
    std::ranges::copy(data.subspan(at, 32), h.begin());
    return h;
  };
  const std::uint64_t size = number(0), index = number(8);
  const auto amount = static_cast<std::int64_t>(number(16));
  const Hash item = hash(64);
  crypto::SumNode root{hash(32), static_cast<std::int64_t>(number(24))};
  std::vector<crypto::SumNode> nodes;
  for (std::size_t at = kHeader; at + kNode <= data.size(); at += kNode)
    nodes.push_back({hash(at), static_cast<std::int64_t>(number(at + 32))});
  if (crypto::verify_merkle_sum(root, item, amount, index, size, nodes))
    ASSAY_ASSERT(index < size && amount >= 0 && amount <= root.sum);

  // The same bytes as leaves: every leaf proves itself and no other amount.
  const auto total = crypto::merkle_sum_root(nodes);
  if (!total || nodes.empty()) return;
  const std::uint64_t at = index % nodes.size();
  const auto leaf = crypto::sum_leaf(item, amount);
  if (!leaf) return;
  nodes[at] = *leaf;
  const auto changed = crypto::merkle_sum_root(nodes);
  if (!changed) return;
  const auto proof = crypto::merkle_sum_proof(nodes, at);
  ASSAY_ASSERT(crypto::verify_merkle_sum(*changed, item, amount, at, nodes.size(), *proof));
  ASSAY_ASSERT(!crypto::verify_merkle_sum(*changed, item, amount ^ 1, at, nodes.size(), *proof));
}

inline void fuzz_messages(ByteView data) {
  if (!data.empty() && data[0] == '{')
    fuzz_json(text(data));
  else
    fuzz_merkle_sum(data);
}

}  // namespace assay::protocol
