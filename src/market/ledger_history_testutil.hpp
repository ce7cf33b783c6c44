// Random histories of a small ledger, and another ledger that may mirror them.
#pragma once
#include <array>
#include <gtest/gtest.h>
#include <random>

#include "market/ledger_delivery_testutil.hpp"
#include "market/mirror_testutil.hpp"

namespace assay::market::test {

using namespace protocol;

// What must have happened somewhere in the thousand.
inline const std::vector<std::string> kTransitions = {"deposit",
                                               "withdraw",
                                               "transfer",
                                               "stake",
                                               "unbond",
                                               "release",
                                               "open_lease",
                                               "top_up",
                                               "settle",
                                               "settle/moots-claim",
                                               "claim",
                                               "contest_claim",
                                               "open_claim",
                                               "finalize/paid",
                                               "finalize/voided",
                                               "close/provider",
                                               "close/buyer",
                                               "commit_dispute",
                                               "file_dispute/empty",
                                               "file_dispute/transcript",
                                               "file_dispute/decided",
                                               "file_dispute/finish",
                                               "file_dispute/arithmetic",
                                               "file_dispute/uncommitted",
                                               "dispute_move/provider",
                                               "dispute_move/challenger",
                                               "decided/provider_right",
                                               "decided/provider_wrong",
                                               "decided/invalid_model",
                                               "timeout/provider",
                                               "timeout/challenger",
                                               "timeout/convicted",
                                               "parallel-disputes",
                                               "report_equivocation",
                                               "dispute-after-close",
                                               "demand_delivery",
                                               "demand-after-close",
                                               "demand-with-claim",
                                               "deliver/right",
                                               "deliver/garbage",
                                               "report_delivery",
                                               "demand/silent",
                                               "demand/content",
                                               "demand/unreported",
                                               "demand/convicted"};

struct Counts {
  std::map<std::string, int> reached;
  int accepted = 0, refused = 0;
};

class History {
 public:
  // The mirror, where there is one, outlives the history.
  History(std::uint64_t seed, Counts& counts, Mirror* mirror = nullptr)
      : random_(seed), counts_(counts), world_(rules()), mirror_(mirror) {
    if (mirror_ != nullptr) mirror_->start(world_);
    for (std::uint8_t i = 0; i < 3; ++i) {
      buyers_.push_back(party(static_cast<std::uint8_t>(20 + i)));
      providers_.push_back(party(static_cast<std::uint8_t>(30 + i)));
    }
    for (const auto& b : buyers_)
      run(world_.sign(Deposit{b.address, 50'000'000, world_.nonce()}, world_.host), "deposit");
    for (const auto& p : providers_) {
      run(world_.sign(Deposit{p.address, 20'000'000, world_.nonce()}, world_.host), "deposit");
      run(world_.sign(protocol::Stake{p.address, 10'000'000, world_.nonce()}, p), "stake");
    }
  }

  void step() {
    if (mirror_ != nullptr) ++world_.time;
    if (below(3) == 0) world_.time += below(8) == 0 ? 150 + below(450) : below(20);
    switch (below(28)) {
      case 0:
        return account_operation();
      case 1:
        return stake_operation();
      case 2:
      case 3:
      case 4:
        return open();
      case 5:
        return top_up();
      case 6:
      case 7:
        return settle();
      case 8:
      case 9:
        return claim();
      case 10:
        return contest();
      case 11:
        return answer();
      case 12:
      case 13:
        return finalize();
      case 14:
        return close();
      case 15:
      case 16:
        return dispute();
      case 17:
      case 18:
      case 19:
      case 20:
        return play();
      case 21:
      case 22:
        return end();
      case 23:
      case 24:
        return demand_answer();
      case 25:
      case 26:
        return answer_demand();
      default:
        return equivocate();
    }
  }

  World& world() { return world_; }

 private:
  struct Deal {
    Hash id;
    Party buyer, provider;
    std::vector<ClaimLeaf> leaves, claimed;
    std::vector<Sold> answers = {};  // of some of the leaves
  };

  Parameters rules() {
    auto p = small_parameters();
    p.burned_bps = 5000 + below(5001);
    p.exposure_factor = 1 + below(4);
    p.reward_max = below(2'000'000);
    return p;
  }
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>(random_() % n);  // the same on every machine
  }
  const Party& any(const std::vector<Party>& list) {
    return list[below(static_cast<std::uint32_t>(list.size()))];
  }
  Deal* any_deal() {
    return deals_.empty() ? nullptr : &deals_[below(static_cast<std::uint32_t>(deals_.size()))];
  }
  const LeaseRecord& record(const Deal& deal) { return world_.state.leases.at(deal.id); }

  bool run(const Operation& operation, std::string_view name) {
    // A chain's blocks have each a time of their own.
    if (mirror_ != nullptr) world_.time = std::max(world_.time, last_ + 1);
    last_ = world_.time;
    const auto result = world_.run(operation);
    if (mirror_ != nullptr) mirror_->applied(world_, operation, result);
    // A late or repeated copy of anything that ever worked.
    if (result) sent_.push_back(operation);
    ++(result ? counts_.accepted : counts_.refused);
    if (result) ++counts_.reached[std::string(name)];
    if (!sent_.empty() && below(10) == 0) {
      const auto& old = sent_[below(static_cast<std::uint32_t>(sent_.size()))];
      const auto again = apply(world_.state, old, world_.time);
      EXPECT_TRUE(again.has_value() && again->already);
      if (mirror_ != nullptr) mirror_->applied(world_, old, again);
    }
    return result.has_value();
  }

  void account_operation() {
    const auto& who = any(below(2) ? buyers_ : providers_);
    const Micros amount = 1 + below(8'000'000);
    switch (below(3)) {
      case 0:
        run(world_.sign(Deposit{who.address, amount, world_.nonce()}, world_.host), "deposit");
        return;
      case 1:
        run(world_.sign(Withdraw{who.address, amount, world_.nonce()}, who), "withdraw");
        return;
      default:
        run(world_.sign(Transfer{who.address, any(buyers_).address, amount, world_.nonce()}, who),
            "transfer");
    }
  }
  void stake_operation() {
    const auto& who = any(providers_);
    const Micros amount = 1 + below(5'000'000);
    switch (below(3)) {
      case 0:
        run(world_.sign(protocol::Stake{who.address, amount, world_.nonce()}, who), "stake");
        return;
      case 1:
        run(world_.sign(Unbond{who.address, amount, world_.nonce()}, who), "unbond");
        return;
      default:
        run(world_.sign(Release{who.address, world_.nonce()}, who), "release");
    }
  }
  void open() {
    Deal deal{
        .id = {}, .buyer = any(buyers_), .provider = any(providers_), .leaves = {}, .claimed = {}};
    const auto op =
        world_.open_lease(1 + below(6'000'000), deal.buyer, deal.provider, world_.payout);
    if (!run(op, "open_lease")) return;
    deal.id = operation_id(world_.domain(), op);
    std::uint64_t sequence = 0;
    for (auto n = 1 + below(3); n > 0; --n) {
      sequence += 1 + below(2);
      if (below(2) == 0) {
        deal.answers.push_back(
            sold(world_, deal.id, sequence, 1 + below(40), deal.buyer, deal.provider, below(3)));
        deal.leaves.push_back(deal.answers.back().leaf);
        continue;
      }
      const auto request = world_.request(deal.id, sequence, deal.buyer);
      deal.leaves.push_back({request, world_.receipt(request, 1 + below(500'000), deal.provider)});
    }
    deals_.push_back(std::move(deal));
  }
  void top_up() {
    if (auto* d = any_deal())
      run(world_.sign(TopUp{d->buyer.address, d->id, 1 + below(2'000'000), world_.nonce()},
                      d->buyer),
          "top_up");
  }
  void settle() {
    auto* d = any_deal();
    if (d == nullptr) return;
    const auto& v = record(*d).view;
    const bool had_claim = v.claim.has_value();
    const Micros room = v.escrow + (below(10) == 0 ? 2 : 0);
    const Micros more = 1 + static_cast<Micros>(random_() % static_cast<std::uint64_t>(room + 1));
    const bool done =
        run(world_.sign(protocol::Settlement{d->id, v.paid + more}, d->buyer), "settle");
    if (done && had_claim && !v.claim) ++counts_.reached["settle/moots-claim"];
  }
  void claim() {
    auto* d = any_deal();
    if (d == nullptr) return;
    std::vector<ClaimLeaf> leaves = d->leaves;
    if (leaves.size() > 1 && below(2) == 0) leaves.pop_back();
    const auto op = below(6) == 0  // a phantom
                        ? world_.sign(Claim{d->id, {}, record(*d).view.paid + 1, 3}, d->provider)
                        : world_.claim(d->id, leaves, d->provider);
    if (run(op, "claim")) d->claimed = leaves;
  }
  void contest() {
    for (auto& d : deals_) {
      const auto& v = record(d).view;
      if (!v.claim || v.claim->contest != Hash{}) continue;
      run(ContestClaim{world_.sign(
              Dispute{d.buyer.address, d.id, v.claim->id, 100'000, world_.nonce()}, d.buyer)},
          "contest_claim");
      return;
    }
  }
  void answer() {
    for (auto& d : deals_) {
      const auto& v = record(d).view;
      if (!v.claim || v.claim->contest == Hash{} || v.claim->opened) continue;
      run(OpenClaim{world_.sign(Answer{d.provider.address, v.claim->contest}, d.provider),
                    d.claimed},
          "open_claim");
      return;
    }
  }
  void finalize() {
    for (auto& d : deals_) {
      const auto& v = record(d).view;
      if (!v.claim || (world_.time < v.claim->due && below(4) != 0)) continue;
      const bool unanswered = v.claim->contest != Hash{} && !v.claim->opened;
      const auto& who = any(buyers_);
      run(world_.sign(Finalize{who.address, v.claim->id}, who),
          unanswered ? "finalize/voided" : "finalize/paid");
      return;
    }
  }
  void close() {
    auto* d = any_deal();
    if (d == nullptr) return;
    const auto& terms = record(*d).view.terms;
    const bool expired = world_.time > terms.expires + terms.window;
    if (expired || below(10) == 0)
      run(world_.sign(Close{d->buyer.address, d->id}, d->buyer), "close/buyer");
    else
      run(world_.sign(Close{d->provider.address, d->id}, d->provider), "close/provider");
  }
  // Commits, mostly, and files: with nothing, a proof, or the moves so far.
  void dispute() {
    auto* d = any_deal();
    if (d == nullptr) return;
    auto leaf = d->leaves[below(static_cast<std::uint32_t>(d->leaves.size()))];
    const bool closed = record(*d).view.state != LeaseState::open;
    const bool arithmetic = below(6) == 0;
    if (arithmetic) {
      leaf.receipt.message.amount += 1 + below(100);
      leaf.receipt = world_.sign(leaf.receipt.message, d->provider);
    }
    const auto& by = below(2) ? d->buyer : any(buyers_);
    auto op = world_.dispute(d->id, leaf, by, 100'000 + below(3));
    std::string name = arithmetic ? "file_dispute/arithmetic" : "file_dispute/empty";
    if (!arithmetic && below(8) == 0) {
      name = "file_dispute/finish";
      const auto proof = view(any_end());
      op.finish.emplace(proof.begin(), proof.end());
    } else if (!arithmetic && below(3) == 0) {
      std::vector<std::string_view> words(1 + below(4), "continue");
      const bool decided = below(4) == 0;
      if (decided) words.back() = any_end();
      op.transcript = world_.transcript(op, words, d->provider, by);
      name = decided ? "file_dispute/decided" : "file_dispute/transcript";
    }
    const bool committed = below(16) != 0;
    if (committed) {
      if (!run(world_.commitment(op, by), "commit_dispute")) return;
    }
    if (!run(op, name)) {
      if (!committed) ++counts_.reached["file_dispute/uncommitted"];
      return;
    }
    EXPECT_TRUE(committed);
    if (closed) ++counts_.reached["dispute-after-close"];
    const auto id = operation_id(world_.domain(), op);
    filed_.push_back({id, by, d->provider});
    count_end(id);
    if (record(*d).view.open_disputes.size() > 1) ++counts_.reached["parallel-disputes"];
  }
  std::string_view any_end() {
    constexpr std::array<std::string_view, 3> kEnds = {"right", "wrong", "invalid"};
    return kEnds[below(3)];
  }
  void count_end(const Hash& id) {
    const auto& v = world_.state.disputes.at(id);
    if (v.state == DisputeState::decided)
      ++counts_.reached["decided/" + std::string(to_string(v.outcome))];
  }
  struct Filed {
    Hash id;
    Party challenger, provider;
  };
  const Filed* any_open() {
    std::erase_if(filed_, [&](const Filed& f) {
      return world_.state.disputes.at(f.id).state == DisputeState::decided;
    });
    return filed_.empty() ? nullptr : &filed_[below(static_cast<std::uint32_t>(filed_.size()))];
  }
  void play() {
    const auto* f = any_open();
    if (f == nullptr) return;
    const bool provider = world_.state.disputes.at(f->id).turn == Turn::provider;
    const bool wrong_side = below(16) == 0;
    const auto word = below(16) == 0 ? "nonsense" : below(3) == 0 ? any_end() : "continue";
    const auto& by = provider != wrong_side ? f->provider : f->challenger;
    const bool done = run(world_.move(f->id, word, by),
                          provider ? "dispute_move/provider" : "dispute_move/challenger");
    EXPECT_FALSE(done && (wrong_side || word == "nonsense"));
    if (done) count_end(f->id);
  }
  // A deadline, or another dispute's conviction.
  void end() {
    const auto* f = any_open();
    if (f == nullptr) return;
    const auto before = world_.state.disputes.at(f->id);
    const bool due = world_.time >= before.due;
    if (!due && below(4) == 0) world_.time = before.due;
    const auto& who = any(buyers_);
    if (!run(world_.timeout(f->id, who), "timeout")) return;
    const auto& after = world_.state.disputes.at(f->id);
    const bool convicted = after.outcome == Outcome::not_judged;
    ++counts_.reached[convicted ? "timeout/convicted"
                                : "timeout/" + std::string(to_string(before.turn))];
    EXPECT_TRUE(convicted || world_.time >= before.due);
    count_end(f->id);
  }
  void demand_answer() {
    auto* d = any_deal();
    if (d == nullptr || d->answers.empty()) return;
    const auto& v = record(*d).view;
    const auto& what = d->answers[below(static_cast<std::uint32_t>(d->answers.size()))];
    const bool closed = v.state != LeaseState::open, claimed = v.claim.has_value();
    const auto& by = below(16) == 0 ? any(buyers_) : d->buyer;
    const auto op = demand(world_, what, by, 100'000 + below(3));
    if (!run(op, "demand_delivery")) return;
    EXPECT_EQ(by.address, d->buyer.address);
    if (closed) ++counts_.reached["demand-after-close"];
    if (claimed) ++counts_.reached["demand-with-claim"];
    demands_.push_back({operation_id(world_.domain(), op), d->buyer, d->provider, what, {}});
  }
  // Delivers, mostly right; reports, mostly what is wrong; or lets the clock decide.
  void answer_demand() {
    std::erase_if(demands_, [&](const Demanded& d) {
      return world_.state.disputes.at(d.id).state == DisputeState::decided;
    });
    if (demands_.empty()) return;
    auto& d = demands_[below(static_cast<std::uint32_t>(demands_.size()))];
    const auto before = world_.state.disputes.at(d.id);
    if (below(3) == 0) return end_demand(d, before);
    if (before.turn == Turn::provider) {
      auto bytes = sealed(d.sold, d.id);
      const bool garbage = below(3) == 0;
      if (garbage) bytes[below(static_cast<std::uint32_t>(bytes.size()))] ^= 1;
      auto op = deliver(world_, d.id, std::move(bytes), d.provider);
      if (run(op, garbage ? "deliver/garbage" : "deliver/right")) d.delivered = std::move(op);
      return;
    }
    const bool right = d.delivered->answer == sealed(d.sold, d.id);
    const bool done =
        run(report(world_, d.id, *d.delivered, d.sold.secret, d.buyer), "report_delivery");
    EXPECT_FALSE(done && right);
    if (done) {
      EXPECT_EQ(world_.state.disputes.at(d.id).outcome, Outcome::provider_wrong);
    }
  }
  struct Demanded {
    Hash id;
    Party buyer, provider;
    Sold sold;
    std::optional<Deliver> delivered;
  };
  void end_demand(const Demanded& d, const DisputeView& before) {
    if (world_.time < before.due && below(4) == 0) world_.time = before.due;
    const auto& who = below(2) == 0 ? d.buyer : d.provider;
    const bool early = world_.time < before.due;
    if (!run(world_.timeout(d.id, who), "timeout")) return;
    const auto& after = world_.state.disputes.at(d.id);
    const bool convicted = after.outcome == Outcome::not_judged;
    const bool silent = before.turn == Turn::provider;
    ++counts_.reached[convicted ? "demand/convicted"
                      : silent  ? "demand/silent"
                      : early   ? "demand/content"
                                : "demand/unreported"];
    EXPECT_TRUE(convicted || !early || (!silent && who.address == d.buyer.address));
    if (!convicted) {
      EXPECT_EQ(after.outcome, silent ? Outcome::provider_wrong : Outcome::provider_right);
    }
  }
  void equivocate() {
    auto* d = any_deal();
    if (d == nullptr || below(3) != 0) return;
    const auto& leaf = d->leaves[0];
    auto second = leaf.receipt.message;
    second.trace_root[0] ^= static_cast<std::uint8_t>(below(3));  // zero: no contradiction
    const auto& by = any(buyers_);
    const auto report = world_.equivocation(d->id, leaf.request, leaf.receipt,
                                            world_.sign(second, d->provider), by);
    run(world_.commitment(report, by), "commit_dispute");
    run(report, "report_equivocation");
  }

  std::mt19937_64 random_;
  Counts& counts_;
  World world_;
  Mirror* mirror_;
  std::uint64_t last_ = 0;  // time of the last operation
  std::vector<Party> buyers_, providers_;
  std::vector<Deal> deals_;
  std::vector<Filed> filed_;
  std::vector<Demanded> demands_;
  std::vector<Operation> sent_;
};

}  // namespace assay::market::test
