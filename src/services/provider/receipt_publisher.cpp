#include "services/provider/receipt_publisher.hpp"

#include "io/log.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"

namespace assay::services {

ReceiptPublisher::ReceiptPublisher(ProviderCore& core, const std::string& url)
    : core_(core), log_(url) {
  if (const auto next = reserve(); !next && next.error().code != Errc::not_found)
    io::log_warn("the log does not say which numbers it has: {}", next.error().message);
  rounds_.start([this] {
    // A market without a log is no trouble.
    if (const auto status = publish(); !status && status.error().code != Errc::not_found)
      io::log_warn("receipts are not in the log yet: {}", status.error().message);
    // To the next multiple of the delay, whenever the last batch was done.
    const std::int64_t every = core_.options.log_delay_ms;
    return every - io::SystemClock().now_ms() % every;
  });
}

// A database that was lost or put back does not use numbers again that the log has.
Result<std::uint64_t> ReceiptPublisher::reserve() {
  TRY(const std::uint64_t next, log_.next_number(core_.ledger.domain.separator(), core_.address));
  CHECK_OK(core_.store->reserve_numbers(next));
  return next;
}

Status ReceiptPublisher::publish() {
  const Hash ledger = core_.ledger.domain.separator();
  TRY(std::uint64_t next, reserve());
  TRY(auto numbers, core_.store->numbers(next, settle::kLogAppendMax));
  if (numbers.empty()) return {};
  const std::size_t pad = core_.options.log_pad;
  if (const std::size_t missing = (pad - numbers.size() % pad) % pad; missing > 0) {
    std::vector<Hash> salts(missing);
    for (Hash& salt : salts) salt = io::random_hash();
    CHECK_OK(core_.store->add_voids(salts));
    TRY(numbers, core_.store->numbers(next, settle::kLogAppendMax));
  }
  std::vector<tlog::LogEntry> entries;
  for (const NumberUsed& used : numbers) {
    // Numbers are taken in one transaction with what they are for: there are no gaps to find here.
    if (used.number != next)
      return fail(Errc::mismatch, "number {} of this key is not in provider.db", next);
    ++next;
    Hash commitment;
    if (used.receipt) {
      const Hash digest = core_.id(used.receipt->message);
      commitment = tlog::receipt_commitment(tlog::receipt_salt(used.salt, digest), digest);
    } else {
      commitment = tlog::void_commitment(used.salt, used.number);
    }
    entries.push_back(tlog::sign_entry(ledger, used.number, commitment, core_.key));
  }
  // A crash before the answer: the same numbers are sent again, and are the same entries.
  CHECK_OK(log_.append(entries));
  return {};
}

}  // namespace assay::services
