// The operations log: every operation ever applied, signed by whoever asked for it and chained by
// hash, so that anybody can replay the ledger and see that its host changed nothing.
//
//   row hash = sha256("assay/log/v0" ‖ previous row hash ‖ operation id ‖ le64 sequence ‖ le64 time
//              ‖ state hash after it ‖ sha256(operation JSON))
//   the first row's previous hash is the genesis state hash
//
// What the chain does not show: operations the host refused to take, and another history shown to
// somebody else. The transparency log answers the second.
#pragma once
#include "io/schema.hpp"
#include "market/ledger.hpp"
#include "settle/dispute_referee.hpp"

namespace assay::settle {

// Longest operation that is read back: well above anything the host accepts
// (32 MiB of HTTP body), so that what was accepted can always be replayed.
inline constexpr std::size_t kRowBytesMax = 128u << 20;

struct LogRow {
  std::uint64_t sequence = 0;  // from 1, gap-free
  std::uint64_t time = 0;
  Hash id{}, previous{}, hash{}, state{};
  std::string body;  // the operation as JSON, one line
};

Hash row_hash(const LogRow& row);
// One line of NDJSON: {"sequence","time","id","previous","hash","state","operation":{…}}
std::string to_line(const LogRow& row);
Result<LogRow> log_row_from_line(std::string_view line);

// Replays rows from genesis, disputes included; add() says what is wrong with the first bad one.
class LogReplay {
 public:
  // `referee` outlives it.
  static Result<LogReplay> start(const market::LedgerInfo& info,
                                 const market::Referee& referee = dispute_referee());
  // Chain, id, canonical body, signatures and rules, state hash, conservation.
  Status add(const LogRow& row);
  // Rows as text, one a line (to_line), until one is bad.
  Status add_lines(std::string_view lines);
  // Counts every record again; mismatch when the running totals are wrong.
  Status finish() const;

  const market::State& state() const { return state_; }
  market::State take_state() { return std::move(state_); }
  const Hash& head() const { return head_; }

 private:
  explicit LogReplay(market::State state) : state_(std::move(state)), head_(state_.totals.state) {}
  market::State state_;
  Hash head_;
};

// "operation 17: …" on a bad row. Ok means that every row is what its signers signed and its rules
// allow.
struct LogReport {
  bool ok = false;
  std::string problem;        // empty when ok
  std::uint64_t bad_row = 0;  // sequence; 0: none, or the file itself
  market::LedgerInfo info;
  market::Totals totals;  // after the last good row
  Hash head{};
};
// Errors: no such file, not a ledger. A bad log is a report.
Result<LogReport> verify_log(const std::string& path);

// Tables, and the rows in them.
extern const io::Schema kLedgerSchema;
Status write_info(io::Database& database, const market::LedgerInfo& info);  // of a new ledger
// not_found when the database holds no ledger.
Result<market::LedgerInfo> read_info(io::Database& database);
Status insert_row(io::Database& database, const LogRow& row);
// One operation. not_found when the log has none of this id.
Result<market::Operation> read_operation(io::Database& database, const Hash& id);
// Rows with sequence ≥ from, in order, until `take` returns an error, which is returned.
Status each_row(io::Database& database, std::uint64_t from,
                const std::function<Status(const LogRow&)>& take);

}  // namespace assay::settle
