// The demo's plot: what is asked of a real market, what really happened, told as it happens. Every
// figure is read back from the gateway, the ledger or a file; nothing is assumed.
#pragma once
#include <optional>

#include "cli/local_market.hpp"

namespace assay::cli {

class DemoStory {
 public:
  DemoStory(std::string folder, std::string models, bool aloud, std::function<bool()> stopping);

  // Before tell(): contracts on a chain of its own, started with this program (empty: found).
  void settle_on_chain(std::string anvil) {
    on_chain_ = true;
    anvil_ = std::move(anvil);
  }
  Status tell();
  // Facts of a told story: answer, receipts[], audits[], slashed[], balances, conserved, …
  json::object document() const;
  bool all_happened() const;

 private:
  struct Asked {
    std::string answer, receipt, provider, amount;
  };
  struct Audited {
    std::string receipt, provider, reason, dispute;
    bool match = false;
    json::object divergence;
  };
  struct Balance {
    market::AccountView view;
    protocol::Micros paid = 0;
  };
  using Balances = std::map<std::string, Balance>;
  // A transaction of the story.
  struct Gas {
    std::string what, transaction;
    std::uint64_t gas = 0;
  };

  Status open_market();
  Result<Asked> ask();
  Result<Audited> await_audit(const Asked& asked);
  Status await_payment(const std::string& provider, const Balances& before);
  Result<Balances> balances();
  // Of every transaction the contracts have seen (demo_gas.cpp).
  Status read_gas();
  void tell_gas() const;
  Status wait_until(std::string_view what, const std::function<Result<bool>()>& done);
  std::string file_of(std::string_view folder, const std::string& receipt) const;

  void say(std::string_view text) const;
  void tell_cast(const Balances& before) const;
  void tell_lie(const Asked& asked, const Audited& audit) const;
  void tell_verdict() const;
  void tell_truth(const Asked& asked, const Audited& audit) const;
  void tell_end() const;

  std::string folder_, models_;
  bool aloud_, on_chain_ = false;
  std::string anvil_;
  std::vector<Gas> gas_;
  std::function<bool()> stopping_;
  std::optional<LocalMarket> market_;
  std::optional<settle::RemoteLedger> ledger_;

  std::vector<Asked> asked_;
  std::vector<Audited> audits_;
  std::optional<market::DisputeView> conviction_;
  Balances before_, after_;
  std::vector<std::string> names_;
  std::vector<pid_t> pids_;
  std::string market_url_;
  market::Totals totals_;
};

}  // namespace assay::cli
