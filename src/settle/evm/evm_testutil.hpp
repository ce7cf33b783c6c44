// A chain of anvil's with a market on it, for tests.
#pragma once
#include <filesystem>
#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "io/dev_chain.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"
#include "settle/evm/code_check.hpp"
#include "settle/evm/deploy.hpp"
#include "settle/evm/evm_ledger.hpp"

namespace assay::settle::evm {

inline Artifacts artifacts_in(const std::string& file) {
  const auto text = io::read_file(std::string(ASSAY_SOURCE_DIR) + "/contracts/" + file, 16u << 20);
  EXPECT_TRUE(text) << text.error().message;
  auto parsed = Artifacts::parse(text.value_or(""));
  EXPECT_TRUE(parsed) << parsed.error().message;
  return std::move(*parsed);
}

class EvmTest : public testing::Test {
 protected:
  static constexpr const char* kAnvil =
      ASSAY_SOURCE_DIR "/contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";

  void SetUp() override {
    if (!std::filesystem::exists(kAnvil)) GTEST_SKIP() << kAnvil << " is missing: run make setup";
    start_chain();
  }
  void start_chain() {
    chain.reset();
    folder = std::make_unique<io::TempDirectory>(*io::TempDirectory::create("assay-evm"));
    auto started = io::DevChain::start({.anvil = kAnvil,
                                        .log_file = folder->file("anvil.log"),
                                        .arguments = {"--hardfork", "cancun"}});
    ASSERT_TRUE(started) << started.error().message;
    chain = std::make_unique<io::DevChain>(std::move(*started));
    enrich(deployer);
  }

  static crypto::SecretKey key(std::uint8_t fill) { return *crypto::secret_key(Bytes(32, fill)); }
  void enrich(const crypto::SecretKey& key) {
    Hash wei{};
    wei[20] = 1;  // 2^88: 300 million ether
    ASSERT_TRUE(chain->set_balance(crypto::address_of(key), crypto::Uint256(wei)));
  }
  std::unique_ptr<io::ChainSender> sender(const std::string& file, const crypto::SecretKey& key) {
    io::ChainSenderOptions options;
    options.confirmations = 1;
    options.poll_ms = 1;
    auto opened = io::ChainSender::open(folder->file(file), chain->rpc(), key, clock, options);
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }
  Manifest deployed(const DeployPlan& plan) {
    const auto by = sender("deployer.db", deployer);
    auto manifest = deploy(chain->rpc(), *by, artifacts, plan);
    EXPECT_TRUE(manifest) << manifest.error().message;
    return std::move(*manifest);
  }
  std::unique_ptr<EvmLedger> open(const Manifest& manifest, const std::string& data,
                                  const crypto::SecretKey& by,
                                  std::function<bool()> stopping = {}) {
    EvmOptions options;
    options.rpc.endpoints = {chain->url()};
    options.rpc.chain_id = io::DevChain::kChainId;
    options.market = *manifest.address("Market");
    options.first_block = manifest.first_block;
    options.confirmations = 1;
    options.data_dir = folder->file(data);
    options.poll_ms = 1;
    options.view_ms = view_ms;
    options.stopping = std::move(stopping);
    auto opened = EvmLedger::open(options, by, clock);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }

  io::SystemClock clock;
  std::int64_t view_ms = 0;
  std::unique_ptr<io::TempDirectory> folder;
  std::unique_ptr<io::DevChain> chain;
  crypto::SecretKey deployer = key(99);
  Artifacts artifacts = artifacts_in("artifacts.json");
};

}  // namespace assay::settle::evm
