// Transactions on their way, in SQLite: what was asked for (intents) and every form it was signed
// in (attempts). A row is written before its transaction is sent, so that the file always knows at
// least as much as the chain.
#pragma once
#include <memory>
#include <optional>

#include "crypto/transaction.hpp"
#include "io/sqlite.hpp"

namespace assay::io {

// What somebody wants done on the chain, once. The id is the caller's, derived from what it is for:
// the same id asked for again is the same transaction.
struct Intent {
  Hash id{};
  std::optional<crypto::Address> to{};  // nullopt: a contract is created
  crypto::Uint256 value{};              // wei
  Bytes data{};
  std::uint64_t gas_limit = 0;  // 0: estimated
};

enum class TxState {
  pending,    // signed and stored; perhaps known to nodes
  mined,      // in a block that may still be reorganized away
  confirmed,  // final: executed
  reverted,   // final: in a block without effect but its fee, or given up and its nonce filled
};
std::string_view to_string(TxState state);

struct Attempt {
  Hash hash{};
  Bytes raw{};
  std::uint64_t max_fee = 0, priority_fee = 0;  // wei per gas
  std::int64_t signed_ms = 0;                   // Unix time
  bool filler = false;                          // does nothing but use the nonce up
};

struct TxRow {
  Intent intent{};  // with the gas limit used
  std::uint64_t nonce = 0;
  TxState state = TxState::pending;
  Hash mined_hash{}, block_hash{};  // from mined on
  std::uint64_t block_num = 0, gas_used = 0;
  std::string reason{};             // why reverted, or given up
  std::vector<Attempt> attempts{};  // oldest first, never empty
};

// One key's rows. Used by one thread at a time.
class ChainStore {
 public:
  // Errors: conflict when the file's rows of this sender belong to another chain (a devnet that was
  // started anew has another genesis).
  static Result<ChainStore> open(const std::string& path, const crypto::Address& sender,
                                 std::uint64_t chain_id, const Hash& genesis);

  Result<std::optional<TxRow>> find(const Hash& id);
  Result<std::vector<TxRow>> open_rows();  // pending and mined, by nonce

  // Gives the row the next nonce, at least `at_least`, and stores it with the attempt that
  // `sign(nonce)` makes, in one transaction. When it returns, a crash loses nothing.
  template <class Sign>
  Result<TxRow> insert(TxRow row, std::uint64_t at_least, Sign sign) {
    TRY(Transaction change, Transaction::begin(*db_));
    TRY(row.nonce, take_nonce(at_least));
    row.attempts = {sign(row.nonce)};
    CHECK_OK(put(row, true));
    CHECK_OK(change.commit());
    return row;
  }
  // The same for a row whose nonce somebody else's transaction used up.
  template <class Sign>
  Status move_to_next_nonce(TxRow& row, std::uint64_t at_least, Sign sign) {
    TxRow moved = row;
    TRY(Transaction change, Transaction::begin(*db_));
    TRY(moved.nonce, take_nonce(at_least));
    moved.attempts.push_back(sign(moved.nonce));
    CHECK_OK(put(moved, false));
    CHECK_OK(change.commit());
    row = std::move(moved);
    return {};
  }
  Status update(const TxRow& row);  // with any attempt that is new

 private:
  ChainStore(std::unique_ptr<Database> db, crypto::Address sender)
      : db_(std::move(db)), sender_(sender) {}
  Result<std::uint64_t> take_nonce(std::uint64_t at_least);
  Status put(const TxRow& row, bool fresh);
  Result<TxRow> read(Statement& row);

  std::unique_ptr<Database> db_;
  crypto::Address sender_;
};

}  // namespace assay::io
