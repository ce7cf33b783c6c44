// Replays the fuzzer's seeds (tests/fuzz/corpus/messages): none may crash or break a property.
// With ASSAY_WRITE_VECTORS=1 the generated seeds are written again.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/corpus_testutil.hpp"
#include "protocol/fuzz_testutil.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

const std::filesystem::path kCorpus = ASSAY_SOURCE_DIR "/tests/fuzz/corpus/messages";

void write(const std::string& name, std::string_view bytes) {
  std::ofstream(kCorpus / name, std::ios::binary) << bytes;
}
void write(const std::string& name, const json::object& o) { write(name, json::dump(o)); }

void write_keystores() {
  // scrypt and pbkdf2 as cheap as the fuzzer allows.
  const auto key = key_named("signer one");
  const std::string scrypt =
      *crypto::keystore_encrypt(key, "passphrase", {}, {.n = 16, .r = 1, .p = 1});
  write("keystore_scrypt", scrypt);
  write("keystore_pbkdf2",
        R"({"version":3,"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":")" +
            std::string(32, '0') + R"("},"ciphertext":")" + std::string(64, '1') +
            R"(","kdf":"pbkdf2","kdfparams":{"dklen":32,"salt":")" + std::string(64, '2') +
            R"(","c":2,"prf":"hmac-sha256"},"mac":")" + std::string(64, '3') + "\"}}");
}

// In the layout of fuzz_merkle_sum: a proof that holds, and one with a negative amount.
void write_merkle_sums() {
  const std::vector<crypto::SumNode> leaves = {
      *crypto::sum_leaf(Hash{}, 5), *crypto::sum_leaf(Hash{1}, 7), *crypto::sum_leaf(Hash{2}, 9)};
  const crypto::SumNode root = *crypto::merkle_sum_root(leaves);
  for (const std::int64_t amount : {5, -5}) {
    Bytes out;
    append_le(out, std::uint64_t{3});
    append_le(out, std::uint64_t{0});
    append_le(out, amount);
    append_le(out, root.sum);
    append(out, root.hash);
    append(out, Hash{});
    const auto proof = *crypto::merkle_sum_proof(leaves, 0);
    for (const crypto::SumNode& node : proof) {
      append(out, node.hash);
      append_le(out, node.sum);
    }
    write(amount > 0 ? "merkle_sum" : "merkle_sum_negative", text(out));
  }
}

void write_seeds() {
  for_each_message([]<class M>() {
    write(std::string(M::kName),
          to_json(sign(embedded_domain(), sample<M>(false), key_named("signer one"))));
  });
  const Exchange x;
  write("Offer_extreme", to_json(sample<Offer>(true)));
  write("Move_extreme", to_json(sample<Move>(true)));
  write("domain_embedded", embedded_domain().to_json());
  write("domain_evm", evm_domain().to_json());
  write("receipt_file", to_text(x.file));
  Opening opening = x.opening;
  opening.prompt.resize(3);
  opening.position_roots = {Hash{1}};
  opening.positions = {{.position = 1, .leaves = {Hash{2}}}};
  write("opening", to_text(opening));
  InferenceCall call = x.call();
  call.prompt.resize(3);
  write("call", to_json(call));
  write("recall", to_json(Recall{opening.request, opening.salt_secret, {1}}));
  write("receipt_reply", to_json(ReceiptReply{opening.answer, opening.logprobs, x.file.receipt}));
  write("trace_reply", to_json(TraceReply{opening.position_roots, opening.positions}));
  write("states_call",
        to_json(StatesCall{opening.request, opening.salt_secret, 3, 2, {1}, {0, 1}, {2}}));
  write("states_position",
        states_line(
            PositionStates{7, {Hash{1}}, {Bytes{1, 2, 3, 4}}, {LeafRoots{}}, {{Bytes{5}, {}}}}));
  write("states_end", states_line(StatesEnd{}));
  write("tensors", to_json(TensorsReply{{Hash{1}}}));
  write("event_token", to_line(TokenEvent{{1, 2}}));
  write("event_progress", to_line(x.progress[0]));
  write("event_receipt", to_line(x.file.receipt));
  write("event_error", to_line(InferenceEvent(ErrorEvent{"busy", "try later"})));
  write_keystores();
  write_merkle_sums();
}

TEST(Corpus, MessagesReplay) {
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) write_seeds();
  const auto files =
      replay_corpus(kCorpus, [](ByteView bytes, const std::string&) { fuzz_messages(bytes); });
  EXPECT_GE(files, 35u);
}

}  // namespace
}  // namespace assay::protocol
