// Channels that pay here, in SQLite: what was charged to each, and the voucher that lets it be
// claimed. Every method is one transaction that is on disk when it returns; any thread may call.
#pragma once
#include <memory>
#include <mutex>
#include <optional>

#include "io/sqlite.hpp"
#include "settle/x402/channel_contract.hpp"

namespace assay::settle::x402 {

// The last thing that was charged to a channel: whoever asks for it again gets it, and pays
// nothing.
struct Charge {
  Hash request{};
  Voucher voucher{};
  Micros amount = 0;
  std::optional<std::string> identifier{};
  std::optional<Hash> deposited{};  // the transaction of the deposit that came with it
  Micros deposit = 0;
  std::int64_t charged_s = 0;
};

struct ChannelRow {
  Hash id{};
  Channel channel{};
  Micros charged = 0;            // of all that was ever sold; at most what `last`'s voucher lets
  std::optional<Charge> last{};  // none: nothing was sold yet
  ChannelFunds funds{};          // as of `seen_s`
  std::int64_t seen_s = 0;
  std::int64_t refunded_s = 0;  // 0: never
  Micros published = 0;         // vouchers up to this are in claims, for all to see
};

class ChannelBook {
 public:
  static Result<std::unique_ptr<ChannelBook>> open(const std::string& path);

  Result<std::optional<ChannelRow>> find(const Hash& id);
  // What the chain says of a channel; its row is made when there is none, with what was claimed as
  // what was charged.
  Result<ChannelRow> saw(const Hash& id, const Channel& channel, const ChannelFunds& funds,
                         std::int64_t now_s);
  // conflict: something else was charged since `before`.
  Status charge(const Hash& id, Micros before, const Charge& charge);
  Status refunded(const Hash& id, std::int64_t now_s);
  // A claim with a voucher over `most` is about to be sent.
  Status publish(const Hash& id, Micros most);
  // Those of which more was charged than the chain has as claimed; oldest first.
  Result<std::vector<ChannelRow>> unclaimed();
  Result<std::vector<ChannelRow>> newest(std::uint32_t limit);

 private:
  explicit ChannelBook(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  Result<std::vector<ChannelRow>> read(io::Statement& select);
  Result<std::optional<ChannelRow>> find_locked(const Hash& id);

  std::unique_ptr<io::Database> db_;
  std::mutex mutex_;
};

}  // namespace assay::settle::x402
