// Random histories of audits (spec/audits.md), and another ledger that may mirror them.
#pragma once
#include <gtest/gtest.h>
#include <random>

#include "market/audits_testutil.hpp"
#include "market/mirror_testutil.hpp"

namespace assay::market::test {

using namespace protocol;

inline const std::vector<std::string> kAuditTransitions = {"register",
                                                           "change",
                                                           "deregister",
                                                           "request",
                                                           "beacon/draws",
                                                           "beacon/nobody",
                                                           "commit",
                                                           "reveal/pass",
                                                           "reveal/fail",
                                                           "reveal/unauditable",
                                                           "check",
                                                           "answer",
                                                           "check/expired",
                                                           "check/moot",
                                                           "report",
                                                           "canary",
                                                           "pass-dispute",
                                                           "pass/right",
                                                           "pass/wrong",
                                                           "pass/invalid",
                                                           "pass/timeout",
                                                           "pass/moot",
                                                           "settle/waiting",
                                                           "settle/paid",
                                                           "canary/convicted",
                                                           "receipt/convicted",
                                                           "release",
                                                           "unbond",
                                                           "speed/first",
                                                           "speed/again",
                                                           "speed/closed"};

// Where the refusals of each operation come from: a part of the message.
inline const std::vector<std::pair<std::string, std::string>> kAuditRefusals = {
    {"register_auditor", "has stake"},
    {"register_auditor", "not registered"},
    {"unbond", "registered here with stake"},
    {"release", "can still be disputed"},
    {"request_audit", "convicted already"},
    {"request_audit", "could be disputed until"},
    {"request_audit", "audits about this lease"},
    {"request_audit", "available"},
    {"beacon", "is next"},
    {"commit_audit", "committed already"},
    {"commit_audit", "were due before"},
    {"commit_audit", "settled already"},
    {"commit_audit", "is not drawn"},
    {"reveal_audit", "committed to nothing"},
    {"reveal_audit", "spoken already"},
    {"reveal_audit", "verdicts are taken"},
    {"reveal_audit", "convicted for this audit"},
    {"check_audit", "only a pass"},
    {"check_audit", "checks are taken"},
    {"check_audit", "does not open"},
    {"answer_check", "does not show"},
    {"answer_check", "was due before"},
    {"answer_check", "convicted for this audit"},
    {"timeout", "the auditor has until"},
    {"report_key", "another nonce"},
    {"report_key", "commit first"},
    {"report_key", "had to be before"},
    {"report_key", "no more"},
    {"report_key", "convicted for this audit"},
    {"show_canary", "nobody was asked"},
    {"show_canary", "had to be before"},
    {"show_canary", "commit first"},
    {"show_canary", "convicted already"},
    {"show_canary", "shown already"},
    {"file_dispute", "nobody has shown"},
    {"file_dispute", "the pass could be disputed until"},
    {"file_dispute", "convicted for this audit"},
    {"settle_audit", "settled from"},
    {"settle_audit", "settled already"},
    {"settle_audit", "a check is open"},
    {"settle_audit", "waits for it"},
    {"report_latency", "ended by a conviction"},
    {"report_latency", "could be reported on until"},
    {"report_latency", "was paid on this lease"},
    {"report_latency", "nothing was paid since"},
    {"report_latency", "the last report is until"}};

struct AuditCounts {
  std::map<std::string, int> reached;
  std::map<std::string, std::map<std::string, int>> refused;  // kind → message
  int accepted = 0, refusals = 0;
};

// Every operation goes to the mirror, too; a chain's blocks have each a time of their own.
class MirroredWorld : public AuditWorld {
 public:
  explicit MirroredWorld(Mirror* mirror) : mirror_(mirror) {
    if (mirror_ != nullptr) mirror_->start(*this);
  }
  bool mirrored() const { return mirror_ != nullptr; }

  Result<Applied> run(const Operation& operation) override {
    if (mirror_ == nullptr) return AuditWorld::run(operation);
    time = std::max(time, last_ + 1);
    last_ = time;
    const auto result = AuditWorld::run(operation);
    mirror_->applied(*this, operation, result);
    return result;
  }
  // A late or repeated copy of what was applied before.
  void repeat(const Operation& operation) {
    const auto again = apply(state, operation, time);
    EXPECT_TRUE(again.has_value() && again->already);
    if (mirror_ != nullptr) mirror_->applied(*this, operation, again);
  }

 private:
  Mirror* mirror_;
  std::uint64_t last_ = 0;
};

class AuditHistory {
 public:
  // The mirror, where there is one, outlives the history.
  AuditHistory(std::uint64_t seed, AuditCounts& counts, Mirror* mirror = nullptr)
      : random_(seed), counts_(counts), w_(mirror) {
    w_.hire(3);
    leases_.push_back({w_.lease_id, {w_.leaf_one, w_.leaf(w_.lease_id, 2, 7)}, 0});
  }

  void step() {
    if (below(4) == 0) w_.time += below(25) == 0 ? 20 + below(120) : below(5);
    switch (below(19)) {
      case 0:
        return registration();
      case 1:
        return stake_operation();
      case 2:
        return lease();
      case 3:
      case 4:
        return request();
      case 5:
        return beacon();
      case 6:
      case 7:
        return commit();
      case 8:
      case 9:
        return reveal();
      case 10:
        return check();
      case 11:
        return answer();
      case 12:
        return report();
      case 13:
        return convict_or_canary();
      case 14:
      case 15:
        return pass_dispute();
      case 16:
        return answer();
      case 17:
        return below(2) == 0 ? speed() : settle();
      default:
        return settle();
    }
  }
  const World& world() const { return w_; }

 private:
  struct Deal {
    Hash id{};
    std::vector<ClaimLeaf> leaves;
    std::uint64_t canary_nonce = 0;
  };

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  template <class T>
  T& any(std::vector<T>& list) {
    return list[below(static_cast<std::uint32_t>(list.size()))];
  }
  Party any_auditor() { return w_.auditor(static_cast<std::uint8_t>(below(4))); }
  // Mostly one of the last two.
  Hash any_audit() {
    if (audits_.empty()) return {};
    if (audits_.size() < 2 || below(4) == 0) return any(audits_);
    return audits_[audits_.size() - 1 - below(2)];
  }
  std::optional<Party> drawn_of(const Hash& audit) {
    const auto v = w_.audit_of(audit);
    if (v.drawn.empty()) return std::nullopt;
    return w_.drawn(audit, below(static_cast<std::uint32_t>(v.drawn.size())));
  }
  // Somebody who has committed and not spoken, mostly and where there is one.
  std::optional<Party> committed(const Hash& audit) {
    const auto v = w_.audit_of(audit);
    for (const auto& d : v.drawn)
      if (d.nonce_hash != Hash{} && d.verdict == 0 && below(8) != 0)
        return w_.drawn_party(d.account);
    return drawn_of(audit);
  }
  // Somebody who passed it, mostly and where there is one.
  std::optional<Party> passed(const Hash& audit) {
    const auto v = w_.audit_of(audit);
    for (const auto& d : v.drawn)
      if (d.pass != Hash{} && below(8) != 0) return w_.drawn_party(d.account);
    return drawn_of(audit);
  }

  bool run(const Operation& operation, const std::string& name) {
    const auto done = w_.run(operation);
    if (done) {
      ++counts_.accepted;
      ++counts_.reached[name];
      sent_.push_back(operation);
    } else {
      ++counts_.refusals;
      ++counts_.refused[std::string(kind_of(operation))][done.error().message];
    }
    if (!sent_.empty() && below(16) == 0) w_.repeat(any(sent_));
    return done.has_value();
  }

  void registration() {
    const auto who = any_auditor();
    const auto& auditing = w_.state.accounts.contains(who.address)
                               ? w_.state.accounts.at(who.address).auditing
                               : std::vector<Hash>{};
    const bool active = below(3) != 0;
    run(w_.registration(who, kFee - below(3), active), !active            ? "deregister"
                                                       : auditing.empty() ? "register"
                                                                          : "change");
  }
  void stake_operation() {
    const auto who = any_auditor();
    switch (below(6)) {
      case 0:
        run(w_.sign(Deposit{who.address, 3'000'000, w_.nonce()}, w_.host), "deposit");
        return;
      case 1:
        run(w_.sign(protocol::Stake{who.address, 1'500'000, w_.nonce()}, who), "stake");
        return;
      case 2:
      case 3:
        run(w_.sign(Unbond{who.address, 1 + below(1'500'000), w_.nonce()}, who), "unbond");
        return;
      default:
        if (!w_.account(who).unbonding.empty() && below(2) == 0)
          w_.time = std::max(w_.time, w_.account(who).unbonding.front().due);
        run(w_.sign(Release{who.address, w_.nonce()}, who), "release");
    }
  }
  void lease() {
    if (below(3) == 0) {
      run(w_.sign(Deposit{w_.provider.address, 5'000'000, w_.nonce()}, w_.host), "deposit");
      run(w_.sign(protocol::Stake{w_.provider.address, 5'000'000, w_.nonce()}, w_.provider),
          "stake");
    }
    if (below(3) == 0)
      run(w_.sign(Close{w_.provider.address, any(leases_).id}, w_.provider), "close");
    const auto op = w_.open_lease(400'000);
    if (!run(op, "open_lease")) return;
    const Hash id = operation_id(w_.domain(), op);
    leases_.push_back({id, {w_.leaf(id, 1, 100), w_.leaf(id, 2, 7)}, 0});
  }
  void request() {
    auto& deal = leases_.size() > 2 && below(4) != 0 ? leases_.back() : any(leases_);
    auto& leaf = any(deal.leaves);
    if (below(3) == 0) {
      const auto shown = w_.canary(deal.id, leaf, w_.buyer, w_.provider);
      run(w_.commitment(shown, w_.buyer), "commit_dispute");
      if (below(8) == 0) run(shown, "canary");
      if (below(6) != 0) ++w_.time;
    }
    const auto fee = below(40) == 0 ? 90'000'000 : kFee - below(2);
    const auto op = w_.request_audit(deal.id, leaf, 1 + below(3), fee, w_.buyer);
    if (!run(op, "request")) return;
    audits_.push_back(operation_id(w_.domain(), op));
    deals_[audits_.back()] = {&deal - leases_.data(), leaf};
    if (below(2) == 0) beacon();
  }
  void beacon() {
    if (w_.state.beacon.round + 2 >= beacon_values().size()) return;
    const auto waiting = w_.state.waiting_audits;
    if (below(16) == 0) {
      run(w_.sign(Beacon{w_.state.beacon.round + 2, Hash{}}, w_.host), "beacon");
      return;
    }
    run(w_.beacon(), "beacon");
    for (const auto& id : waiting)
      ++counts_.reached[w_.audit_of(id).drawn.empty() ? "beacon/nobody" : "beacon/draws"];
    for (const auto& id : waiting)
      if (below(2) == 0)
        for (const auto& d : w_.audit_of(id).drawn) commit(id, w_.drawn_party(d.account));
  }
  void commit() {
    const auto id = any_audit();
    if (id == Hash{}) return;
    const auto v = w_.audit_of(id);
    const auto who = drawn_of(id);
    if (!who || below(20) == 0)
      run(w_.audit_commitment(id, any_auditor()), "commit");
    else
      commit(id, *who);
  }
  void commit(const Hash& id, const Party& who) {
    if (below(5) == 0) {  // gives its key away
      const auto op = w_.report(id, who, w_.other);
      if (below(4) != 0) run(w_.commitment(op, w_.other), "commit_dispute");
    }
    run(w_.audit_commitment(id, who), "commit");
    if (below(8) == 0) {
      auto again = w_.audit_commitment(id, who).message;
      again.root_hash[0] ^= 1;
      run(w_.sign(again, who), "commit");
    }
  }
  // One in which somebody can speak, or can soon; where there is one.
  Hash speakable() {
    for (auto id = audits_.rbegin(); id != audits_.rend() && below(8) != 0; ++id) {
      const auto v = w_.audit_of(*id);
      const auto silent = [](const DrawnAuditor& d) {
        return d.nonce_hash != Hash{} && d.verdict == 0 && !d.convicted;
      };
      if (v.state == AuditState::drawn && w_.time < v.reveal_due &&
          std::ranges::any_of(v.drawn, silent))
        return *id;
    }
    return any_audit();
  }
  void reveal() {
    const auto id = speakable();
    if (id == Hash{}) return;
    const auto who = committed(id);
    if (!who) return;
    const auto v = w_.audit_of(id);
    if (w_.time < v.commit_due && below(4) != 0) w_.time = v.commit_due;
    const auto what = below(4) == 0   ? AuditVerdict::fail
                      : below(5) == 0 ? AuditVerdict::unauditable
                                      : AuditVerdict::pass;
    run(w_.verdict(id, *who, what), "reveal/" + std::string(to_string(what)));
  }
  // One whose passes can be checked, or can be soon; where there is one.
  Hash checkable() {
    for (auto id = audits_.rbegin(); id != audits_.rend() && below(8) != 0; ++id) {
      const auto v = w_.audit_of(*id);
      const auto open = [](const DrawnAuditor& d) { return d.pass != Hash{} && !d.convicted; };
      if (v.state == AuditState::drawn && w_.time < v.check_due &&
          std::ranges::any_of(v.drawn, open))
        return *id;
    }
    return any_audit();
  }
  void check() {
    const auto id = checkable();
    if (id == Hash{}) return;
    const auto who = passed(id);
    if (!who) return;
    const auto v = w_.audit_of(id);
    const bool any_pass =
        std::ranges::any_of(v.drawn, [](const DrawnAuditor& d) { return d.pass != Hash{}; });
    if (any_pass && w_.time < v.reveal_due && below(4) != 0) w_.time = v.reveal_due;
    for (auto n = below(8) == 0 ? 3 : 1; n > 0; --n) {
      const auto op = w_.check(id, *who, below(2) ? w_.buyer : w_.other, 100'000,
                               below(8) == 0 ? "nonsense" : "opens");
      if (run(op, "check")) checks_.push_back({operation_id(w_.domain(), op), id, *who});
    }
  }
  void answer() {
    if (checks_.empty()) return;
    const auto c = below(4) == 0 ? any(checks_) : checks_.back();
    const auto v = w_.audit_of(c.audit);
    const bool open = w_.state.checks.contains(c.id);
    const bool moot =
        open && std::ranges::find(v.drawn, c.auditor.address, &DrawnAuditor::account)->convicted;
    if (below(2) == 0) {
      run(w_.reply(c.id, c.auditor, below(8) == 0 ? "garbage" : "shows"), "answer");
      return;
    }
    if (open && below(2) == 0)
      w_.time = std::max(w_.time, std::ranges::find(v.checks, c.id, &OpenCheck::id)->due);
    run(w_.timeout(c.id, w_.buyer), moot ? "check/moot" : "check/expired");
  }
  void report() {
    const auto id = any_audit();
    if (id == Hash{}) return;
    const auto who = drawn_of(id);
    if (!who) return;
    const auto op = w_.report(id, *who, w_.other);
    if (below(3) == 0) run(w_.commitment(op, w_.other), "commit_dispute");
    run(op, "report");
  }
  void convict_or_canary() {
    const auto id = any_audit();
    if (id == Hash{}) return;
    const auto& [index, leaf] = deals_.at(id);
    const auto& deal = leases_[static_cast<std::size_t>(index)];
    if (below(2) == 0) {
      auto op = w_.canary(deal.id, leaf, w_.buyer, w_.provider);
      if (!run(op, "canary") || below(2) != 0) return;
      op.canary.message.nonce += 1;  // another one of the same subject
      op.canary = w_.sign(op.canary.message, w_.provider);
      op.shown =
          w_.sign(CanaryShown{w_.buyer.address, digest(w_.domain(), op.canary.message)}, w_.buyer);
      run(op, "canary");
      return;
    }
    auto op = w_.dispute(deal.id, leaf, w_.other, 100'000);
    if (below(3) != 0) {
      const auto proof = view("wrong");
      op.finish.emplace(proof.begin(), proof.end());
    }
    run(w_.commitment(op, w_.other), "commit_dispute");
    const bool canary = w_.audit_of(id).subject_canary;
    const auto stake = w_.account(w_.provider).stake;
    if (!run(op, "receipt/disputed") || !op.finish) return;
    ++counts_.reached[canary ? "canary/convicted" : "receipt/convicted"];
    if (canary) {
      EXPECT_EQ(w_.account(w_.provider).stake, stake);
    }
  }
  void pass_dispute() {
    if (!disputes_.empty() && below(2) == 0) return play();
    auto id = any_audit();
    if (id == Hash{}) return;
    for (const auto& one : audits_)  // where something can be had
      if (below(2) == 0 && w_.audit_of(one).subject_convicted) id = one;
    const auto& [index, leaf] = deals_.at(id);
    for (const auto& d : w_.audit_of(id).drawn) {
      if (d.pass == Hash{}) continue;
      const auto op = w_.pass_dispute(leases_[static_cast<std::size_t>(index)].id, leaf, d.pass,
                                      below(2) ? w_.buyer : w_.other, 100'000);
      const auto& by = op.dispute.message.challenger == w_.buyer.address ? w_.buyer : w_.other;
      run(w_.commitment(op, by), "commit_dispute");
      if (run(op, "pass-dispute"))
        disputes_.push_back({operation_id(w_.domain(), op), id, w_.drawn_party(d.account)});
      return;
    }
  }
  void play() {
    std::erase_if(disputes_, [&](const Check& c) {
      return w_.state.disputes.at(c.id).state == DisputeState::decided;
    });
    if (disputes_.empty()) return;
    const auto [id, audit, auditor] = below(4) == 0 ? any(disputes_) : disputes_.back();
    const auto d = *dispute_view(w_.state, id);
    const auto& all = w_.state.audits.at(audit).view.drawn;
    const bool moot = std::ranges::find(all, auditor.address, &DrawnAuditor::account)->convicted;
    if (moot || below(3) == 0) {
      if (!moot && below(2) == 0) w_.time = std::max(w_.time, d.due);
      run(w_.timeout(id, w_.buyer), moot ? "pass/moot" : "pass/timeout");
      return;
    }
    const auto by = d.turn == Turn::provider           ? auditor
                    : d.challenger == w_.buyer.address ? w_.buyer
                                                       : w_.other;
    const auto word =
        std::vector<std::string_view>{"continue", "right", "wrong", "invalid"}[below(4)];
    run(w_.move(id, word, by), word == "continue" ? "move" : "pass/" + std::string(word));
  }
  void speed() {
    const auto& deal = any(leases_);
    const auto v = w_.lease_of(deal.id);
    if (below(3) != 0)
      run(w_.sign(protocol::Settlement{deal.id, v.paid + 1 + below(20)}, w_.buyer), "settlement");
    if (w_.mirrored()) return;  // a chain keeps no reports of latency
    if (below(6) == 0) ++w_.time;
    const bool again = w_.state.latencies.contains(deal.id);
    run(w_.speed(deal.id, 1 + below(12), 100 + below(50), 10 + below(5), w_.buyer,
                 w_.time - below(2)),
        v.state == LeaseState::closed ? "speed/closed"
        : again                       ? "speed/again"
                                      : "speed/first");
  }
  void settle() {
    auto id = any_audit();
    if (id == Hash{}) return;
    if (below(8) == 0)  // where a fail may wait for a dispute
      for (const auto& one : audits_) {
        const auto v = w_.audit_of(one);
        const auto fail = static_cast<std::uint32_t>(AuditVerdict::fail);
        if (v.state != AuditState::drawn || below(2) != 0 ||
            std::ranges::find(v.drawn, fail, &DrawnAuditor::verdict) == v.drawn.end())
          continue;
        id = one;
        w_.time = std::max(w_.time, v.check_due);
      }
    if (!checks_.empty() && w_.state.checks.contains(checks_.back().id) && below(8) == 0) {
      id = checks_.back().audit;
      w_.time = std::max(w_.time, w_.audit_of(id).check_due);
    }
    const auto v = w_.audit_of(id);
    if (w_.time < v.check_due && below(6) == 0) w_.time = v.check_due;
    run(w_.settlement(id, w_.other),
        v.state == AuditState::waiting ? "settle/waiting" : "settle/paid");
  }

  struct Check {
    Hash id{}, audit{};
    Party auditor;
  };
  std::mt19937_64 random_;
  AuditCounts& counts_;
  MirroredWorld w_;
  std::vector<Deal> leases_;
  std::vector<Hash> audits_;
  std::map<Hash, std::pair<std::ptrdiff_t, ClaimLeaf>> deals_;
  std::vector<Check> checks_, disputes_;
  std::vector<Operation> sent_;
};

}  // namespace assay::market::test
