// What was authorized to be paid by x402, in SQLite: a row is on disk before its seller can have
// the authorization. Every method is one transaction that is on disk when it returns; any thread
// may call.
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

// open → paid | void; void → open again, under a new authorization.
enum class PurchaseState {
  open,   // signed: the seller may take the money
  paid,   // it has
  void_,  // it has not, and no longer can
};
std::string_view to_string(PurchaseState state);

struct Purchase {
  Hash id{};       // of what it is for: whoever asks again asks for the same
  Hash request{};  // URL and body
  std::string url{};
  Payment payment{};
  PurchaseState state = PurchaseState::open;
  std::int64_t signed_s = 0;
};

class Purchases {
 public:
  static Result<std::unique_ptr<Purchases>> open(const std::string& path);

  Result<std::optional<Purchase>> find(const Hash& id);
  // An open purchase, in the place of a void one of its id. refused when it would bring what is
  // open or paid since `since_s` over `budget`; conflict when the id is open or paid already.
  Status add(const Purchase& purchase, Micros budget, std::int64_t since_s);
  // Of an open one.
  Status end(const Hash& id, PurchaseState state);
  Result<std::vector<Purchase>> open_ones();  // oldest first
  // Open and paid.
  Result<Micros> spent(std::int64_t since_s);

 private:
  explicit Purchases(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  Result<std::vector<Purchase>> read(io::Statement& select);
  Result<Micros> spent_locked(std::int64_t since_s);

  std::unique_ptr<io::Database> db_;
  std::mutex mutex_;
};

}  // namespace assay::settle::x402
