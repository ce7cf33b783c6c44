// What `assay chain status` and whoever puts money into a market find out about it.
#include "market/money.hpp"
#include "settle/evm/evm_testutil.hpp"
#include "settle/evm/refusal.hpp"

namespace assay::settle::evm {
namespace {

using crypto::Address;

class CodeCheckTest : public EvmTest {
 protected:
  void SetUp() override {
    EvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    DeployPlan plan;
    plan.mint_to = crypto::address_of(deployer);
    manifest = deployed(plan);
  }
  std::vector<std::string> differences(const Manifest& of) {
    const auto checks = check_code(chain->rpc(), artifacts, *of.address("Market"), &of);
    EXPECT_TRUE(checks) << checks.error().message;
    const auto found = check_manifest(chain->rpc(), of, *checks, true);
    EXPECT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->transactions_unknown, 0u);
    std::vector<std::string> out;
    for (const auto& d : found->differences) out.push_back(d.of + "." + d.field);
    return out;
  }
  DeployedContract& contract(Manifest& of, const char* name) {
    return *std::ranges::find(of.contracts, name, &DeployedContract::name);
  }
  using Names = std::vector<std::string>;

  Manifest manifest;
};

TEST_F(CodeCheckTest, EveryWordOfAManifestIsCompared) {
  EXPECT_EQ(differences(manifest), Names{});
  const Address other{{1, 2, 3}};
  const auto changed = [&](const std::function<void(Manifest&)>& change) {
    Manifest copy = manifest;
    change(copy);
    return differences(copy);
  };
  EXPECT_EQ(changed([&](Manifest& m) { m.token = other; }), Names{"the manifest.token"});
  EXPECT_EQ(changed([&](Manifest& m) { m.parameters.burned_bps = 9'000; }),
            Names{"the manifest's parameters.burned_bps"});
  EXPECT_EQ(changed([&](Manifest& m) { m.parameters.window_min_s = 7'200; }),
            Names{"the manifest's parameters.window_min_s"});
  EXPECT_EQ(changed([&](Manifest& m) { m.audits.burned_bps = 1'000; }),
            Names{"the manifest.audit_burned_bps"});
  EXPECT_EQ(changed([&](Manifest& m) { m.audits.host = other; }),
            Names{"the manifest.beacon_host"});
  EXPECT_EQ(changed([&](Manifest& m) { m.audits.beacon = Hash{1}; }),
            Names{"the manifest.beacon"});
  EXPECT_EQ(changed([&](Manifest& m) { m.deployer = other; }), Names{"the manifest.deployer"});
  EXPECT_EQ(changed([&](Manifest& m) { ++m.first_block; }), Names{"the manifest.first_block"});
  EXPECT_EQ(changed([&](Manifest& m) { contract(m, "Referee").gas_used = 1; }),
            Names{"Referee.gas"});
  EXPECT_EQ(changed([&](Manifest& m) { contract(m, "Games").code_hash = Hash{1}; }),
            Names{"Games.code_hash"});
  EXPECT_EQ(changed([&](Manifest& m) { contract(m, "Anchor").code_hash = Hash{1}; }),
            Names{"Anchor.code_hash"});
  EXPECT_EQ(changed([&](Manifest& m) { contract(m, "Disputes").address = other; }),
            (Names{"Disputes.address", "Disputes.transaction"}));
  EXPECT_EQ(changed([&](Manifest& m) { contract(m, "Registry").address = other; }),
            (Names{"Registry.code_hash", "Registry.transaction"}));
  EXPECT_EQ(changed([&](Manifest& m) { contract(m, "TestDollar").address = other; }),
            (Names{"TestDollar.address", "TestDollar.code_hash", "TestDollar.transaction"}));
  EXPECT_EQ(changed([&](Manifest& m) {
              std::erase_if(m.contracts, [](const auto& c) { return c.name == "Registry"; });
            }),
            Names{"Registry.address"});
}

// Its two ways to say where the market is must say the same.
TEST_F(CodeCheckTest, AManifestThatContradictsItselfIsRefused) {
  json::object document = to_json(manifest);
  document["market"] = crypto::address_of(deployer).to_string();
  const auto read = manifest_from_json(document);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("contracts.Market"), std::string::npos);
}

TEST_F(CodeCheckTest, OtherCodeIsSeenAlsoOfWhatAMarketDoesNotName) {
  const auto registry = *manifest.address("Registry");
  EXPECT_TRUE(check_code_at(chain->rpc(), artifacts, "Registry", registry)->same);
  EXPECT_FALSE(check_code_at(chain->rpc(), artifacts, "Anchor", registry)->same);
  EXPECT_EQ(check_code_at(chain->rpc(), artifacts, "Anchor", Address{{9}}).error().code,
            Errc::not_found);
  ASSERT_TRUE(chain->rpc().call("anvil_setCode", {registry.to_string(), "0x00"}));
  const auto checks = check_code(chain->rpc(), artifacts, *manifest.address("Market"), &manifest);
  ASSERT_TRUE(checks);
  EXPECT_EQ(checks->size(), manifest.contracts.size());
  for (const auto& check : *checks)
    EXPECT_EQ(check.same, check.name != "Registry") << check.name;
}

TEST_F(CodeCheckTest, AKeyWithoutGasIsToldAtOnce) {
  auto by = sender("poor.db", key(77));
  DeployPlan plan;
  plan.mint_to = crypto::address_of(deployer);
  plan.patience_ms = 60'000;
  const auto begun = std::chrono::steady_clock::now();
  std::vector<std::string> told;
  const auto refused = deploy(
      chain->rpc(), *by, artifacts, plan,
      [&](const std::string& name, std::size_t number, std::size_t of) {
        told.push_back(fmt::format("{} {} {}", name, number, of));
      });
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(15));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(by->address().to_string()), std::string::npos)
      << refused.error().message;
  EXPECT_NE(refused.error().message.find("cannot pay for gas"), std::string::npos);
  EXPECT_EQ(told, (std::vector<std::string>{
                      fmt::format("TestDollar 1 {}", manifest.contracts.size())}));
  // With gas the next start goes on, under the same id.
  enrich(key(77));
  by.reset();
  by = sender("poor.db", key(77));
  const auto done = deploy(chain->rpc(), *by, artifacts, plan);
  ASSERT_TRUE(done) << done.error().message;
}

TEST(DeadlineWarning, IsForChainsThatCanBeDown) {
  market::Parameters p;
  EXPECT_EQ(deadline_warning(p, 31'337), "");
  EXPECT_EQ(deadline_warning(p, 1'337), "");
  EXPECT_NE(deadline_warning(p, 8'453), "");
  p.window_min_s = 93'600;
  EXPECT_NE(deadline_warning(p, 8'453), "");
  p.move_s = 93'599;
  EXPECT_NE(deadline_warning(p, 8'453), "");
  p.move_s = 93'600;
  EXPECT_EQ(deadline_warning(p, 8'453), "");
}

TEST(TokenRefusal, SaysWhatIsMissing) {
  const Address who{{7}};
  AbiWriter words;
  words.address(who).uint(1'000'000u).uint(25'000'000u);
  io::ChainError error{io::ChainErrc::reverted, "execution reverted",
                       words.call("ERC20InsufficientBalance(address,uint256,uint256)"), 0};
  EXPECT_EQ(to_hex(ByteView(error.data).first(4)), "0xe450d38c");
  const Error told = refusal_of(error);
  EXPECT_EQ(told.code, Errc::refused);
  EXPECT_NE(told.message.find(who.to_string()), std::string::npos) << told.message;
  EXPECT_NE(told.message.find(market::format_money(25'000'000)), std::string::npos);
}

}  // namespace
}  // namespace assay::settle::evm
