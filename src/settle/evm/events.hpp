// Every event of a market's contracts, in SQLite: what the views of a contract do not say (terms,
// claims, cases, who moved) and what a newcomer can query. Read once, in order, from blocks deep
// enough to stay; a process that was down reads on where it was.
//
// Trust: io/chain_logs.hpp.
#pragma once
#include "io/chain_logs.hpp"

namespace assay::settle::evm {

struct Event {
  std::uint64_t block_num = 0, log_index = 0;
  Hash transaction{};
  crypto::Address address{};
  std::vector<Hash> topics;  // the first tells its kind
  Bytes data;
};

// Topic 0 of each event.
struct Topics {
  Hash deposited, withdrawn, transferred, staked, unbonded, released, lease_opened, topped_up,
      settled, claimed, claim_contested, claim_opened, claim_ended, lease_ended, convicted;
  Hash dispute_committed, dispute_filed, moved, decided;
  Hash demanded, delivered;
  Hash auditor_registered, beacon_published, audit_requested, auditor_drawn, audit_drawn,
      audit_committed, audit_revealed, audit_settled, canary_known, auditor_convicted;
  Hash check_asked, check_ended;
  Hash anchored, attested, stored;
};
const Topics& topics();
// "LeaseOpened"; hex of what is unknown.
std::string event_name(const Hash& topic);
// The topic of that name, in any case. not_found.
Result<Hash> event_named(std::string_view name);

struct EventQuery {
  std::vector<Hash> kinds{};                     // any of these; empty: all
  std::array<std::optional<Hash>, 3> indexed{};  // topics 1 to 3
  std::optional<Hash> about{};                   // any of topics 1 to 3
  std::optional<Hash> transaction{};
  std::uint64_t from_block = 0, to_block = INT64_MAX;
  std::size_t limit = SIZE_MAX;
  bool newest = false;  // of more than `limit`, the last ones
};

// One thread at a time.
class EventIndex {
 public:
  // `rpc` outlives it. A new file begins at `first_block`. Errors: conflict when the file is of
  // other contracts.
  static Result<EventIndex> open(const std::string& path, io::ChainRpc& rpc,
                                 std::vector<crypto::Address> contracts, std::uint64_t first_block,
                                 std::uint64_t confirmations);

  // Reads on, to the newest block that is deep enough, and returns its number.
  Result<std::uint64_t> sync();
  // In the chain's order.
  Result<std::vector<Event>> find(const EventQuery& query);
  Result<std::optional<Event>> first(const EventQuery& query);
  // Statements, for queries that join.
  io::Database& database() { return *database_; }

 private:
  EventIndex(std::unique_ptr<io::Database> database, io::LogReader reader)
      : database_(std::move(database)), reader_(std::move(reader)) {}
  std::unique_ptr<io::Database> database_;
  io::LogReader reader_;
};

}  // namespace assay::settle::evm
