// The same random operations on the state machine and on the contracts: the same balances, records
// and typed errors after every one. Disputes and checks are played with words on both (ToyGames,
// ToyKeyed); the real ones on the chain are evm_ledger_test.cpp's, evm_audits_test.cpp's and
// contracts/test's.
//
// ASSAY_SEED=N replays one history; ASSAY_DIFFERENTIAL=N runs that many, from
// ASSAY_DIFFERENTIAL_FROM (1) on, of ASSAY_DIFFERENTIAL_STEPS each (more of 1000 and more). Where
// many histories run in pieces, each says what it reached (tools/check/differential.sh).
#pragma once
#include <cstdlib>
#include <span>

#include "crypto/sha256.hpp"
#include "market/mirror_testutil.hpp"
#include "settle/evm/evm_testutil.hpp"

namespace assay::settle::evm {

inline std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class DifferentialTest : public EvmTest, public market::test::Mirror {
 protected:
  void begin(std::uint64_t seed) {
    seed_ = seed;
    ledger_.reset();
    compared_.clear();
    // Nobody else sends anything: what is read is as new as the last operation.
    view_ms = 600'000;
    // A node's memory grows with its history.
    if (++played_ % 200 == 0) {
      start_chain();
      token_ = {};
    }
    comparisons_ = 0;
  }

  void start(market::test::World& world) override {
    enrich(market::test::party(1).key);
    DeployPlan plan;
    plan.parameters = world.state.info.parameters;
    plan.mint_to = market::test::party(1).address;  // enough for all that are played on one chain
    plan.toys = {{"Games", *toys_.bytecode("ToyGames")}, {"Keyed", *toys_.bytecode("ToyKeyed")}};
    if (token_.is_zero()) token_ = deployed(plan).token;
    // Addresses and times are in what is signed, and who is drawn depends on that: they follow from
    // the seed alone.
    const auto own = *crypto::secret_key(crypto::sha256(view(fmt::format("deploys {}", seed_))));
    enrich(own);
    const auto by = sender(fmt::format("deployer-{}.db", seed_), own);
    const auto& info = world.state.info;
    plan.audits = {info.host, info.beacon, info.audit_burned_bps};
    plan.token = token_;
    const auto manifest = deploy(chain->rpc(), *by, artifacts, plan);
    ASSERT_TRUE(manifest) << manifest.error().message;
    manifest_ = *manifest;
    restart();
    ASSERT_NE(ledger_, nullptr);
    // One allowance for all deposits: an approval before each would be a block of another time.
    const auto allow = sender(fmt::format("allow-{}.db", seed_), market::test::party(1).key);
    const auto contracts = contracts_of(chain->rpc(), *manifest->address("Market"));
    ASSERT_TRUE(contracts) << contracts.error().message;
    const Call call = approve_call(*contracts, 1'000'000'000'000);
    ASSERT_TRUE(allow->submit({.id = Hash{1}, .to = call.to, .data = call.data}));
    ASSERT_TRUE(allow->wait(Hash{1}, 10'000));
    world.state.info.domain = ledger_->info()->domain;
    world.time = 2'000'000'000 + seed_ * 1'000'000;
    ASSERT_LT(chain->rpc().head()->timestamp, world.time);
    EXPECT_EQ(json::dump(market::to_json(*ledger_->info())),
              json::dump(market::to_json(world.state.info)));
  }

  // The same process, or the next one: everything is read from its files and the chain.
  void restart() {
    ledger_.reset();
    ledger_ = open(manifest_, fmt::format("ledger-{}", seed_), market::test::party(1).key);
  }

  void applied(const market::test::World& world, const market::Operation& operation,
               const Result<market::Applied>& result) override {
    if (ledger_ == nullptr || HasFatalFailure()) return;
    const auto name = fmt::format("{} at {}", market::kind_of(operation), world.time);
    if (++operations_ % 29 == 0) restart();
    ASSERT_TRUE(chain->set_next_time(world.time));
    const auto other = ledger_->submit(operation);
    const std::string said =
        other ? (other->already ? "already" : "applied") : std::string(other.error().message);
    if (!result) {
      ASSERT_FALSE(other) << name << ": applied on the chain, but " << result.error().message;
      EXPECT_EQ(other.error().code, result.error().code)
          << name << ": " << result.error().message << "; the chain: " << said;
      ++refused_;
    } else if (result->already) {
      // Whoever sent it knows; another is told by the state it left (decision 16).
      EXPECT_TRUE(!other || other->already) << name << " a second time";
    } else {
      ASSERT_TRUE(other && !other->already) << name << ": " << said;
      ++accepted_;
    }
    // What was refused mined no block. In the short run what did not change here is read at times.
    if (result || everything_) compare(world, name, everything_ || operations_ % 8 == 0);
  }

  template <class V>
  static std::string text(const V& view) {
    return json::dump(market::to_json(view));
  }

  // True when this record must be read: it changed here, or everything is.
  bool due(const Hash& id, const std::string& mine, bool everything) {
    std::string& last = compared_[id];
    const bool changed = last != mine;
    last = mine;
    comparisons_ += changed || everything;
    return changed || everything;
  }

  void compare(const market::test::World& world, std::string_view after, bool everything) {
    for (const auto& [address, account] : world.state.accounts) {
      auto mine = market::account_view(world.state, address);
      std::ranges::sort(mine.open_disputes);
      Hash id{};
      std::ranges::copy(address.bytes, id.begin());
      if (!due(id, text(mine), everything)) continue;
      auto theirs = ledger_->account(address);
      ASSERT_TRUE(theirs) << theirs.error().message;
      std::ranges::sort(theirs->open_disputes);
      ASSERT_EQ(text(mine), text(*theirs)) << after;
    }
    for (const auto& [lease, record] : world.state.leases) {
      const auto mine = market::lease_view(world.state, lease);
      if (!due(lease, text(*mine), everything)) continue;
      const auto theirs = ledger_->lease(lease);
      ASSERT_TRUE(theirs) << theirs.error().message;
      ASSERT_EQ(text(*mine), text(*theirs)) << after;
    }
    for (const auto& [dispute, record] : world.state.disputes) {
      auto mine = record;
      mine.reason = "";
      if (!due(dispute, text(mine), everything)) continue;
      auto theirs = ledger_->dispute(dispute);
      ASSERT_TRUE(theirs) << theirs.error().message;
      theirs->reason = "";
      // Neither a bond nor an amount is kept of two stories.
      if (mine.bond == 0) theirs->amount = mine.amount;
      ASSERT_EQ(text(mine), text(*theirs)) << after;
    }
    compare_audits(world.state, after, everything);
  }

  void compare_audits(const market::State& state, std::string_view after, bool everything) {
    std::set<Hash> executions;
    for (const auto& [key, auditor] : state.auditors) executions.insert(key.first);
    for (const Hash& execution : executions) {
      const auto mine = market::auditors_view(state, execution);
      if (!due(execution, text(mine), everything)) continue;
      const auto theirs = ledger_->auditors(execution);
      ASSERT_TRUE(theirs) << theirs.error().message;
      ASSERT_EQ(text(mine), text(*theirs)) << after;
    }
    for (const auto& [audit, record] : state.audits) {
      const auto mine = market::audit_view(state, audit);
      if (!due(audit, text(*mine), everything)) continue;
      const auto theirs = ledger_->audit(audit);
      ASSERT_TRUE(theirs) << theirs.error().message;
      ASSERT_EQ(text(*mine), text(*theirs)) << after;
    }
  }

  void compare_totals(const market::State& state) {
    const auto totals = ledger_->totals();
    ASSERT_TRUE(totals) << totals.error().message;
    EXPECT_TRUE(totals->conserved());
    auto mine = state.totals;
    mine.operations = totals->operations;
    mine.time = totals->time;
    mine.state = totals->state;
    EXPECT_EQ(text(mine), text(*totals));
  }

  // Of the environment.
  struct Asked {
    std::uint64_t first, last, steps;
    std::uint64_t count() const { return last - first + 1; }
  };
  Asked asked(std::uint64_t normally, std::uint64_t steps, std::uint64_t long_steps) {
    const std::uint64_t one = number_from("ASSAY_SEED", 0);
    const std::uint64_t count = one != 0 ? 1 : number_from("ASSAY_DIFFERENTIAL", normally);
    Asked out{};
    out.first = one != 0 ? one : number_from("ASSAY_DIFFERENTIAL_FROM", 1);
    out.last = out.first + count - 1;
    // Long enough to reach everything, where time allows.
    out.steps = number_from("ASSAY_DIFFERENTIAL_STEPS", count < 1'000 ? steps : long_steps);
    everything_ = out.steps >= long_steps;
    return out;
  }
  template <class H, class C>
  void play(const Asked& what, C& counts) {
    for (std::uint64_t seed = what.first; seed <= what.last; ++seed) {
      begin(seed);
      H history(seed, counts, this);
      ASSERT_FALSE(HasFailure()) << "replay with ASSAY_SEED=" << seed;
      for (std::uint64_t i = 0; i < what.steps; ++i) {
        history.step();
        ASSERT_FALSE(HasFailure()) << "replay with ASSAY_SEED=" << seed;
      }
      compare(history.world(), "all of it", true);
      EXPECT_GT(comparisons_, 0u);
      ASSERT_FALSE(HasFailure()) << "replay with ASSAY_SEED=" << seed;
      compare_totals(history.world().state);
    }
    fmt::print("operations on both: {} accepted, {} refused\n", accepted_, refused_);
  }
  // What must have happened in a long run.
  template <class C>
  void expect_reached(const Asked& what, std::span<const std::string> transitions, C& counts) {
    if (what.count() >= 200 || std::getenv("ASSAY_DIFFERENTIAL_FROM") != nullptr)
      for (const auto& name : transitions)
        fmt::print("reached: {} {}\n", name, counts.reached[name]);
    if (what.count() < 1'000) return;
    for (const auto& name : transitions) EXPECT_GT(counts.reached[name], 0) << name;
  }

  std::uint64_t seed_ = 0, operations_ = 0, played_ = 0;
  Manifest manifest_;
  crypto::Address token_;
  Artifacts toys_ = artifacts_in("test/toy_artifacts.json");
  std::unique_ptr<EvmLedger> ledger_;
  std::map<Hash, std::string> compared_;  // by id: as it was here when it was compared last
  bool everything_ = false;               // after every operation
  std::size_t comparisons_ = 0, accepted_ = 0, refused_ = 0;
};

}  // namespace assay::settle::evm
