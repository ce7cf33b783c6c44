// The log over HTTP with witnesses and a monitor, in one process.
#include "services/log/log_service.hpp"

#include <filesystem>
#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "crypto/merkle.hpp"
#include "services/log/log_testutil.hpp"
#include "services/log/witness_service.hpp"
#include "settle/auction_testutil.hpp"
#include "settle/log_client.hpp"
#include "tlog/monitor.hpp"
#include "tlog/proof_file.hpp"
#include "tlog/prove.hpp"

namespace assay::services {
namespace {

struct LogServiceTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-log");
  ManualClock clock;
  std::unique_ptr<WitnessService> witness;
  std::unique_ptr<LogService> log;
  tlog::SignerKey witness_key{"witness.example/w1", tlog::KeyType::cosignature, {}};
  std::uint16_t witness_port = 0;

  void start_witness() {
    WitnessOptions options;
    options.data_dir = folder.file("witness");
    options.port = witness_port;
    options.logs = {log_policy()};
    auto started = WitnessService::start(options, witness_key, clock);
    ASSERT_TRUE(started) << started.error().message;
    witness = std::move(*started);
    witness_port =
        static_cast<std::uint16_t>(std::stoi(witness->url().substr(witness->url().rfind(':') + 1)));
  }
  void start_log(std::size_t quorum) {
    LogOptions options;
    options.data_dir = folder.file("log");
    options.store.batch_ms = 0;
    options.publisher.quorum = quorum;
    if (witness_port != 0)
      options.publisher.witnesses = {*WitnessPeer::parse(fmt::format(
          "{}@http://127.0.0.1:{}/", witness_key.verifier().to_string(), witness_port))};
    auto started = LogService::start(options, log_key());
    ASSERT_TRUE(started) << started.error().message;
    log = std::move(*started);
  }
  // The published checkpoint of `size` entries, once it is there.
  std::string published(std::uint64_t size, const tlog::LogPolicy& policy) {
    settle::LogReader reader(log->url());
    for (int i = 0; i < 600; ++i) {
      if (const auto note = reader.checkpoint())
        if (const auto opened = tlog::open_checkpoint(*note, policy))
          if (opened->checkpoint.size == size) return *note;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return {};
  }
  tlog::LogPolicy cosigned() {
    auto policy = log_policy();
    policy.witnesses = {witness_key.verifier()};
    policy.quorum = 1;
    return policy;
  }
};

TEST_F(LogServiceTest, AppendReadProveMonitor) {
  start_log(0);
  settle::LogWriter writer(log->append_url() + "/");
  settle::LogReader reader(log->url());
  EXPECT_NE(published(0, log_policy()), "") << "an empty log has a checkpoint";
  tlog::Monitor monitor;
  std::uint64_t next = 1;
  for (const std::uint64_t count : {3u, 300u, 210u}) {
    const auto indexes = writer.append(entries_of(1, next, count));
    ASSERT_TRUE(indexes) << indexes.error().message;
    EXPECT_EQ(indexes->front(), next - 1);
    next += count;
    EXPECT_EQ(*writer.next_number(Hash{9}, crypto::address_of(issuer_key(1))), next);
    const std::string note = published(next - 1, log_policy());
    const auto alarms = monitor.follow(note, log_policy(), reader);
    ASSERT_TRUE(alarms) << alarms.error().message;
    EXPECT_TRUE(alarms->empty());
    tlog::Tree tree(reader);
    const tlog::ProofFile proof{std::nullopt, 2, *tree.inclusion_proof(2, next - 1), note};
    EXPECT_TRUE(
        tlog::verify_proof_file(proof, crypto::leaf_hash(entry_of(1, 3).to_bytes()), log_policy()));
  }
  EXPECT_EQ(writer.append(entries_of(1, next + 1, 1)).error().code, Errc::refused);
  auto forged = entry_of(1, next);
  forged.commitment[0] ^= 1;
  EXPECT_EQ(writer.append(std::span(&forged, 1)).error().code, Errc::mismatch);
  // Full tiles replaced their partial ones, which are still answered.
  EXPECT_TRUE(reader.read({true, 0, 0, 3}));
  EXPECT_FALSE(io::path_exists(folder.file("log/tile/0/000.p")));
  EXPECT_FALSE(reader.get("tile/0/003"));
  EXPECT_FALSE(reader.get("tile/0/..%2f..%2flog.db"));
  EXPECT_FALSE(reader.get("log.db"));
  io::HttpClient client;
  EXPECT_EQ(client.post_json(log->url() + "/append", "{}")->status, 404) << "readers cannot append";
  EXPECT_EQ(client.post_json(log->append_url() + "/append", "{}")->status, 400);
  EXPECT_EQ(client.post_json(log->append_url() + "/append", R"({"entries":""})")->status, 400);
  EXPECT_EQ(client.post_json(log->append_url() + "/append", R"({"entries":"AAE="})")->status, 400);
}

// What a hostile buyer sends does not come in, what an honest one does is served with its place.
TEST_F(LogServiceTest, AuctionsAreKeptWithTheirRecords) {
  start_log(0);
  settle::LogWriter writer(log->append_url());
  settle::LogReader reader(log->url());
  const settle::AuctionParties parties{{.ledger = Hash{9}}, issuer_key(1), issuer_key(2)};
  const auto append = [&](const settle::AuctionEntry& entry) {
    const auto index = writer.append_auction(entry);
    return index ? std::to_string(*index) : std::string(to_string(index.error().code));
  };
  const auto first = settle::auction_entry(parties, 1, 1);
  const auto checked = *settle::check(first);
  EXPECT_EQ(reader.auction(checked.call).error().code, Errc::not_found);
  EXPECT_EQ(append(first), "0");
  EXPECT_EQ(append(first), "0");
  EXPECT_EQ(append(settle::auction_entry(parties, 1, 2)), "0") << "the same record, as number 2";
  EXPECT_EQ(append(settle::auction_entry(parties, 2, 2)), "conflict") << "another of this award";
  EXPECT_EQ(append(settle::auction_entry(parties, 2, 3, 1'101)), "refused") << "number 2 is next";
  EXPECT_EQ(append(settle::auction_entry(parties, 2, 2, 1'101)), "1");
  // Receipts are numbered apart, and have their own way in.
  EXPECT_EQ(writer.append(entries_of(1, 1, 1))->front(), 2u);
  EXPECT_EQ(writer.append(std::array{settle::auction_entry(parties, 3, 3).entry}).error().code,
            Errc::invalid);
  EXPECT_EQ(*writer.next_number(tlog::auction_series(parties.domain.separator()),
                                crypto::address_of(parties.buyer)),
            3u);

  const auto third = settle::auction_entry(parties, 3, 3, 1'102);
  const auto altered = [&](auto change) {
    auto o = json::parse(third.record)->as_object();
    change(o);
    return append(settle::sign_record(parties, json::dump(o), 3));
  };
  EXPECT_EQ(altered([](json::object& o) { o["bids"] = json::array{}; }), "not_found");
  EXPECT_EQ(altered([](json::object& o) { o["awarded"] = nullptr; }), "mismatch");
  EXPECT_EQ(altered([](json::object& o) { o["key"] = to_hex(Hash{16}); }), "mismatch");
  EXPECT_EQ(altered([](json::object& o) {
              auto& bids = o["bids"].as_array();
              bids.push_back(json::value(bids[0]));
            }),
            "mismatch");
  EXPECT_EQ(altered([](json::object& o) {
              o["awarded"].as_object()["message"].as_object()["sequence"] = "7";
            }),
            "mismatch");
  auto forged = third;
  forged.record += " ";
  EXPECT_EQ(append(forged), "mismatch") << "the entry commits to other bytes";
  forged = third;
  forged.entry.signature.bytes[3] ^= 1;
  EXPECT_EQ(append(forged), "mismatch");
  forged = third;
  forged.domain.ledger = Hash{8};
  EXPECT_EQ(append(forged), "mismatch");
  auto thief = parties;
  thief.buyer = issuer_key(3);
  EXPECT_EQ(append(settle::sign_record(thief, third.record, 1)), "mismatch") << "another's auction";
  forged = settle::sign_record(parties, std::string(settle::kAuctionBytesMax + 1, ' '), 3);
  EXPECT_EQ(append(forged), "invalid");
  EXPECT_EQ(append(third), "3") << "none of these took its number";

  // What anybody reads: the record, and the proof that the log has it.
  const std::string note = published(4, log_policy());
  const auto kept = reader.auction(checked.call);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(kept->record, first.record);
  EXPECT_EQ(kept->domain, parties.domain);
  const auto proof = tlog::prove_entry(kept->index, note, log_policy(), reader);
  ASSERT_TRUE(proof) << proof.error().message;
  EXPECT_EQ(*proof->extra, first.entry.to_bytes());
  tlog::Monitor monitor;
  EXPECT_TRUE(monitor.follow(note, log_policy(), reader)->empty());
  log.reset();
  start_log(0);
  EXPECT_EQ(settle::LogReader(log->url()).auction(checked.call)->record, first.record);
}

TEST_F(LogServiceTest, WitnessesCosignAndSurviveRestarts) {
  start_witness();
  start_log(1);
  settle::LogWriter writer(log->append_url());
  ASSERT_TRUE(writer.append(entries_of(1, 1, 5)));
  EXPECT_NE(published(5, cosigned()), "");
  // The witness is away: nothing is published without its word, nothing is lost.
  witness.reset();
  ASSERT_TRUE(writer.append(entries_of(1, 6, 5)));
  settle::LogReader reader(log->url());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(tlog::open_checkpoint(*reader.checkpoint(), cosigned())->checkpoint.size, 5u);
  start_witness();
  EXPECT_NE(published(10, cosigned()), "");
  // Both restart; the log's client has to be told the size again.
  log.reset();
  witness.reset();
  start_witness();
  start_log(1);
  settle::LogWriter again(log->append_url());
  ASSERT_TRUE(again.append(entries_of(1, 11, 300)));
  const std::string note = published(310, cosigned());
  EXPECT_NE(note, "");
  io::HttpClient client;
  const auto seen =
      client.get(witness->url() + "/" + tlog::origin_hash(log_key().name) + "/checkpoint");
  ASSERT_TRUE(seen);
  EXPECT_TRUE(tlog::open_checkpoint(seen->body, cosigned()));
  tlog::Monitor monitor;
  settle::LogReader fresh(log->url());
  ASSERT_TRUE(monitor.follow(note, cosigned(), fresh)->empty());
  EXPECT_TRUE(monitor.compare(seen->body, cosigned(), fresh)->empty());
}

// An old copy of the whole folder, published checkpoint included: the log cannot know, its witness
// does.
TEST_F(LogServiceTest, AWitnessStopsALogThatWentBack) {
  start_witness();
  start_log(1);
  settle::LogWriter writer(log->append_url());
  ASSERT_TRUE(writer.append(entries_of(1, 1, 5)));
  EXPECT_NE(published(5, cosigned()), "");
  log.reset();
  std::filesystem::copy(folder.file("log"), folder.file("old"),
                        std::filesystem::copy_options::recursive);
  start_log(1);
  ASSERT_TRUE(settle::LogWriter(log->append_url()).append(entries_of(1, 6, 5)));
  EXPECT_NE(published(10, cosigned()), "");
  log.reset();
  std::filesystem::remove_all(folder.file("log"));
  std::filesystem::rename(folder.file("old"), folder.file("log"));
  start_log(1);
  ASSERT_TRUE(settle::LogWriter(log->append_url()).append(std::array{entry_of(1, 6, 9)}));
  settle::LogReader reader(log->url());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(tlog::open_checkpoint(*reader.checkpoint(), cosigned())->checkpoint.size, 5u);
}

TEST(WitnessPeer, Parses) {
  tlog::SignerKey key{"w+", tlog::KeyType::cosignature, {}};
  key.name = "witness.example/w1";
  const std::string vkey = key.verifier().to_string();
  const auto peer = WitnessPeer::parse(vkey + "@http://127.0.0.1:1/");
  ASSERT_TRUE(peer) << peer.error().message;
  EXPECT_EQ(peer->url, "http://127.0.0.1:1");
  EXPECT_EQ(peer->key, key.verifier());
  EXPECT_FALSE(WitnessPeer::parse(vkey));
  EXPECT_FALSE(WitnessPeer::parse("x@http://127.0.0.1:1"));
  EXPECT_FALSE(WitnessPeer::parse(log_key().verifier().to_string() + "@http://127.0.0.1:1"));
}

}  // namespace
}  // namespace assay::services
