// Writes spec/vectors/log/*.json (with ASSAY_WRITE_VECTORS=1), else compares what is computed now
// with them byte for byte.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "tlog/entry.hpp"
#include "tlog/proof_file.hpp"
#include "tlog/tlog_testutil.hpp"

namespace assay::tlog {
namespace {

void check_vectors(const std::string& name, const json::object& file) {
  const std::filesystem::path path =
      std::filesystem::path(ASSAY_SOURCE_DIR) / "spec/vectors/log" / (name + ".json");
  const std::string text = json::dump_pretty(file) + "\n";
  if (const char* write = std::getenv("ASSAY_WRITE_VECTORS"); write != nullptr && *write == '1') {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::ifstream in(path, std::ios::binary);
  const std::string committed{std::istreambuf_iterator<char>(in), {}};
  EXPECT_TRUE(committed == text) << path << " differs (ASSAY_WRITE_VECTORS=1 writes it)";
}

json::array hex_list(std::span<const Hash> hashes) {
  json::array out;
  for (const Hash& hash : hashes) out.emplace_back(to_hex(hash));
  return out;
}

TEST(Vectors, Entries) {
  const Hash ledger{9}, secret{1}, digest{2};
  const auto key = *crypto::secret_key(Hash{3});
  const Hash salt = receipt_salt(secret, digest);
  const Hash receipt = receipt_commitment(salt, digest), nothing = void_commitment(Hash{4}, 2);
  const Hash row = row_commitment(Hash{5});
  json::array entries;
  std::uint64_t number = 0;
  for (const Hash& commitment : {receipt, nothing, row}) {
    const LogEntry entry = sign_entry(ledger, ++number, commitment, key);
    ASSERT_TRUE(entry.check_signature());
    entries.push_back(json::object{{"number", std::to_string(number)},
                                   {"commitment", to_hex(commitment)},
                                   {"digest", to_hex(entry.digest())},
                                   {"entry", to_hex(entry.to_bytes())},
                                   {"leaf", to_hex(crypto::leaf_hash(entry.to_bytes()))}});
  }
  const LogEntry auction = sign_entry(ledger, 1, Hash{6}, key, EntryKind::auction);
  check_vectors(
      "entries",
      {{"ledger", to_hex(ledger)},
       {"issuer", crypto::address_of(key).to_string()},
       {"secret_key", to_hex(key.bytes)},
       {"receipt",
        {{"salt_secret", to_hex(secret)},
         {"digest", to_hex(digest)},
         {"salt", to_hex(salt)},
         {"commitment", to_hex(receipt)}}},
       {"void", {{"salt", to_hex(Hash{4})}, {"number", "2"}, {"commitment", to_hex(nothing)}}},
       {"row", {{"hash", to_hex(Hash{5})}, {"commitment", to_hex(row)}}},
       {"auction",
        {{"series", to_hex(auction_series(ledger))},
         {"number", "1"},
         {"record", to_hex(Hash{6})},
         {"digest", to_hex(auction.digest())},
         {"entry", to_hex(auction.to_bytes())}}},
       {"entries", std::move(entries)}});
}

// A log of 600 entries "entry 0" …: its files by hash, its checkpoint, cosigned, and proofs.
TEST(Vectors, Tree) {
  MemoryLog log;
  json::array sizes;
  for (const std::size_t size : {1u, 2u, 255u, 256u, 257u, 511u, 512u, 600u}) {
    log.tiles.files.clear();
    log.grow(size - log.leaves.size());
    json::object files;
    for (const auto& [path, bytes] : log.tiles.files) files[path] = to_hex(crypto::sha256(bytes));
    sizes.push_back(json::object{{"size", std::to_string(size)},
                                 {"root", to_hex(log.edge.root())},
                                 {"checkpoint", log.checkpoint()},
                                 {"files_sha256", std::move(files)}});
  }
  MemoryLog whole;
  whole.grow(600);
  Tree tree(whole.tiles);
  const SignerKey witness = test_key("witness.example.com/w1", KeyType::cosignature);
  Note note = *parse_note(whole.checkpoint());
  note.signatures.push_back(sign_note(note.text, witness, 1'700'000'000));
  json::array inclusion, consistency;
  for (const std::uint64_t index : {0u, 255u, 256u, 511u, 599u}) {
    const auto proof = *tree.inclusion_proof(index, 600);
    inclusion.push_back(json::object{
        {"index", std::to_string(index)},
        {"leaf", to_hex(whole.leaves[index])},
        {"proof", hex_list(proof)},
        {"tlog_proof", to_string(ProofFile{std::nullopt, index, proof, to_string(note)})}});
  }
  for (const std::uint64_t old_size : {1u, 200u, 256u, 257u, 512u, 599u, 600u})
    consistency.push_back(
        json::object{{"old_size", std::to_string(old_size)},
                     {"old_root", to_hex(whole.root(old_size))},
                     {"proof", hex_list(*tree.consistency_proof(old_size, 600))}});
  check_vectors("tree", {{"log_key", log.key.verifier().to_string()},
                         {"log_private_key", log.key.to_string()},
                         {"witness_key", witness.verifier().to_string()},
                         {"witness_private_key", witness.to_string()},
                         {"sizes", std::move(sizes)},
                         {"cosigned", to_string(note)},
                         {"inclusion", std::move(inclusion)},
                         {"consistency", std::move(consistency)}});
}

}  // namespace
}  // namespace assay::tlog
