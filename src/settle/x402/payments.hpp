// Payments that came in by x402, in SQLite. A row is written before the work it pays for begins,
// and names that work: an authorization pays for one request, ever. Every method is one transaction
// that is on disk when it returns; any thread may call.
#pragma once
#include <memory>
#include <mutex>
#include <optional>

#include "io/sqlite.hpp"
#include "protocol/x402.hpp"

namespace assay::settle::x402 {

using protocol::Address;
using protocol::Micros;
using protocol::x402::Payment;

// taken → answered → settled | failed; taken ⇄ released.
enum class PaymentState {
  taken,     // good when it came; the work is being done
  released,  // the work failed: nothing is owed, the same authorization may try again
  answered,  // the answer is kept: now it is to be settled
  settled,   // on the chain
  failed,    // it can no longer settle, and the answer was not given
};
std::string_view to_string(PaymentState state);

struct PaymentRow {
  Hash id{};       // of payer, nonce and token
  Hash request{};  // what it pays for
  Payment payment{};
  PaymentState state = PaymentState::taken;
  std::uint64_t first_block = 0;  // the newest when it was taken: it was unused then
  std::int64_t taken_s = 0, ended_s = 0;
  std::optional<Hash> transaction{};  // settled by
  std::string reason{};               // failed
};
Hash payment_id(const Payment& payment);

class Payments {
 public:
  static Result<std::unique_ptr<Payments>> open(const std::string& path);

  Result<std::optional<PaymentRow>> find(const Hash& id);
  // By the payer's payment-identifier.
  Result<std::optional<PaymentRow>> find(const Address& payer, const std::string& identifier);
  // What the payer has promised for work that is not settled yet, by authorizations that still
  // hold.
  Result<Micros> promised(const Address& payer, std::int64_t now_s);
  // conflict: the id, or the payer's identifier, is there already; refused: the payer's promises
  // with this one are more than `balance`.
  Status add(const PaymentRow& row, Micros balance);
  // conflict: the row is no longer in the state `from`.
  Status move(const Hash& id, PaymentState from, PaymentState to);
  // From answered or failed, for good. A settled row stays as it is: the first word counts.
  Status settle(const Hash& id, const Hash& transaction, std::int64_t now_s);
  Status give_up(const Hash& id, const std::string& reason, std::int64_t now_s);
  Result<std::vector<PaymentRow>> in(PaymentState state);  // oldest first
  Result<std::vector<PaymentRow>> newest(std::uint32_t limit);

 private:
  explicit Payments(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  Result<std::vector<PaymentRow>> read(io::Statement& select);
  Result<Micros> promised_locked(const Address& payer, std::int64_t now_s);

  std::unique_ptr<io::Database> db_;
  std::mutex mutex_;
};

}  // namespace assay::settle::x402
