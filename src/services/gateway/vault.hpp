// The buyer's files, each replaced atomically:
//   <data>/receipts/<receipt digest>.json   may be published (protocol/files.hpp)
//   <data>/openings/<receipt digest>.json   mode 0600: prompt, answer, salt
//   <data>/proofs/<receipt digest>.tlog-proof   that the log has the receipt
//   <data>/auctions/<call digest>.json      every bid and the key to open them: may be published
//   <data>/unlogged/<call digest>.json      empty: the log is to have this auction's record
//   <data>/pending/<request digest>.json    mode 0600: the same of a request without a receipt yet
//   <data>/answers/<job>.json               mode 0600: an answer as it was sent
#pragma once
#include <string>

#include "protocol/files.hpp"

namespace assay::services {

class Vault {
 public:
  // Makes the folders, for the owner only.
  static Result<Vault> open(const std::string& data_directory);

  Status write_pending(const protocol::Opening& opening) const;
  Result<protocol::Opening> pending(const Hash& request) const;
  void forget_pending(const Hash& request) const;

  // Opening first: a receipt file never lies there without it.
  Status write_receipt(const Hash& receipt, const protocol::ReceiptFile& file,
                       const protocol::Opening& opening) const;
  Status write_opening(const Hash& receipt, const protocol::Opening& opening) const;
  Status write_proof(const Hash& receipt, std::string_view proof) const;
  bool has_proof(const Hash& receipt) const;
  Result<protocol::Opening> opening(const Hash& receipt) const;
  Result<std::string> receipt_text(const Hash& receipt) const;
  Result<std::string> opening_text(const Hash& receipt) const;

  // A public one is marked as unlogged, before that: its record never lies there without its mark.
  // One that is not never gets a mark, so no later run publishes it.
  Status write_auction(const Hash& call, std::string_view text, bool is_public) const;
  Result<std::vector<Hash>> unlogged_auctions() const;
  void forget_unlogged(const Hash& call) const;
  Result<std::string> auction_text(const Hash& call) const;
  // answers/<job>.json, mode 0600: what was sent, for whoever asks once more.
  Status write_answer(const std::string& job, std::string_view text) const;
  Result<std::string> answer_text(const std::string& job) const;
  void forget_answer(const std::string& job) const;

  std::string receipt_path(const Hash& receipt) const;
  std::string opening_path(const Hash& receipt) const;
  std::string proof_path(const Hash& receipt) const;

 private:
  explicit Vault(std::string root) : root_(std::move(root)) {}
  std::string path(std::string_view folder, const Hash& id) const;
  std::string root_;
};

}  // namespace assay::services
