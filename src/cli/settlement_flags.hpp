// Which ledger a verb settles on: an embedded one over HTTP, or contracts on a chain.
//
//   --market http://127.0.0.1:8790
//   --settlement evm --rpc URL … --market 0x… (or a deployment's manifest) --board URL
#pragma once
#include "settle/evm/evm_ledger.hpp"
#include "settle/evm/manifest.hpp"
#include "settle/remote.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

struct SettlementFlags {
  std::string settlement = "embedded", market, board, ca_file;
  std::vector<std::string> rpc;
  std::uint64_t from_block = 0, confirmations = 0;  // 0: as the chain suggests
  std::uint64_t max_fee_gwei = 0;                   // 0: as io/chain_sender.hpp
  bool allow_other_code = false;

  bool on_chain() const { return settlement == "evm"; }
};

// --settlement, --market, --board and the chain's. `required`: --market is.
void add_settlement_flags(CLI::App* verb, SettlementFlags& flags, bool required);
// The same for who reads no offers: without --board.
void add_boardless_flags(CLI::App* verb, SettlementFlags& flags);
// The chain's flags alone: --rpc, --ca-file, --confirmations, --max-fee-gwei.
void add_chain_flags(CLI::App* verb, SettlementFlags& flags);
// --allow-other-code, of whatever puts money into contracts or signs for them.
void add_code_flag(CLI::App* verb, SettlementFlags& flags);

// Whatever was asked for, open.
class OpenSettlement {
 public:
  // A chain's files are DATA/chain/…; `key` pays for gas. Once `stopping` says true nobody waits
  // for the chain any more. Errors: invalid, naming the flag; open_chain()'s.
  static Result<OpenSettlement> open(const SettlementFlags& flags, const crypto::SecretKey& key,
                                     const std::string& data_dir, const Clock& clock,
                                     std::function<bool()> stopping = {});
  // The same for who reads no offers: there is no board().
  static Result<OpenSettlement> open_boardless(const SettlementFlags& flags,
                                               const crypto::SecretKey& key,
                                               const std::string& data_dir, const Clock& clock,
                                               std::function<bool()> stopping = {});

  market::Settlement& settlement() {
    return chain_ ? *chain_ : static_cast<market::Settlement&>(*remote_);
  }
  market::Board& board() { return *remote_; }
  settle::evm::EvmLedger* chain() { return chain_.get(); }
  // Waits until what an earlier process sent is final: what is not on the ledger yet would be
  // decided, and paid for, once more. False: it is not after patience_ms. Errors: cancelled, once
  // `stopping` says true.
  Result<bool> catch_up(const std::function<bool()>& stopping, std::int64_t patience_ms = INT64_MAX);

 private:
  std::unique_ptr<settle::RemoteLedger> remote_;  // of a chain: the board alone
  std::unique_ptr<settle::evm::EvmLedger> chain_;
};

// A market's contract on a chain, without a board. `market` is an address, or a manifest's file.
struct ChainPlace {
  io::ChainRpcOptions rpc;
  crypto::Address market{};
  std::uint64_t first_block = 0, confirmations = 0;
  io::ChainSenderOptions sending{};  // how this key's transactions are sent there
  std::optional<settle::evm::Manifest> manifest{};
  bool allow_other_code = false;
};
// Asks the first endpoint for its chain, and checks it against the manifest's.
Result<ChainPlace> chain_place(const SettlementFlags& flags);
// How to send to a chain: blocks to wait for, the fee ceiling, how often to look.
io::ChainSenderOptions sending_options(const SettlementFlags& flags, std::uint64_t chain_id);
// Errors: mismatch, naming the contract, when its code is not what this program would deploy, or
// the manifest says something else of it; not with --allow-other-code.
Result<std::unique_ptr<settle::evm::EvmLedger>> open_chain(const ChainPlace& place,
                                                           const crypto::SecretKey& key,
                                                           const std::string& data_dir,
                                                           const Clock& clock,
                                                           std::function<bool()> stopping = {});
Result<settle::evm::Manifest> read_manifest(const std::string& file);

}  // namespace assay::cli
