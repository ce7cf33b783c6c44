// Flags of selling and buying by x402, and the till and the purse behind them.
#pragma once
#include "cli/settlement_flags.hpp"
#include "settle/x402/purse.hpp"
#include "settle/x402/till.hpp"

namespace assay::cli {

struct X402Flags {
  std::string token, pay_to, fee, url;
  std::string otherwise;  // what does instead of a payment, as a 402 says it
  std::vector<std::string> rpc;
  std::uint32_t timeout_s = 600, patience_s = 30;
  std::string channels, collector, min_deposit, claim_at = "1.00";  // channels empty: by exact only
  std::uint64_t withdraw_delay_s = 86'400;
  std::uint32_t claim_every_s = 3'600;
  bool wanted() const { return !token.empty(); }

  std::vector<std::string> sellers;  // NAME=URL
  std::string pay_token, pay_most = "0.01", pay_budget = "1.00";
};
// Selling; `note` ends the help of --x402.
void add_x402_flags(CLI::App* verb, X402Flags& flags, const std::string& note);
void add_pay_x402_flags(CLI::App* verb, X402Flags& flags);  // buying
Result<std::map<std::string, std::string>> x402_sellers(const X402Flags& flags);

// A chain of its own, or the one that is settled on: there one key has one queue of transactions.
class OpenTill {
 public:
  // Files are DATA/x402/…; `key` pays for gas. Without --x402 and --pay-x402 nothing is opened.
  // `settlement` and `clock` outlive it. Errors: invalid, naming the flag; what Till::open says.
  static Result<OpenTill> open(const X402Flags& flags, const SettlementFlags& ledger,
                               OpenSettlement& settlement, const crypto::SecretKey& key,
                               const std::string& data_dir, const Clock& clock);
  settle::x402::Till* till() { return till_.get(); }
  settle::x402::Purse* purse() { return purse_.get(); }

 private:
  std::optional<io::FileLock> lock_;   // one process at a time counts the key's nonces
  std::unique_ptr<io::ChainRpc> rpc_;  // null: the settlement's
  std::unique_ptr<io::ChainSender> sender_;
  std::unique_ptr<settle::x402::Till> till_;
  std::unique_ptr<settle::x402::Purse> purse_;
};

}  // namespace assay::cli
