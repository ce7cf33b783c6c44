#include "settle/evm/events.hpp"

#include "base/hex.hpp"
#include "crypto/abi.hpp"
#include "io/schema.hpp"
#include "settle/evm/encoding.hpp"

namespace assay::settle::evm {
namespace {

constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS events (
  block INTEGER NOT NULL, log_index INTEGER NOT NULL, tx BLOB NOT NULL, address BLOB NOT NULL,
  topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL,
  PRIMARY KEY (block, log_index)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_topic1 ON events (topic1, topic0);
CREATE INDEX IF NOT EXISTS events_topic2 ON events (topic2, topic0);
CREATE INDEX IF NOT EXISTS events_topic3 ON events (topic3, topic0);
CREATE INDEX IF NOT EXISTS events_tx ON events (tx);
)";

struct Named {
  std::string_view name;
  Hash topic;
};

const std::vector<Named>& named() {
  static const std::vector<Named> all = [] {
    const Topics& t = topics();
    return std::vector<Named>{{"Deposited", t.deposited},
                              {"Withdrawn", t.withdrawn},
                              {"Transferred", t.transferred},
                              {"Staked", t.staked},
                              {"Unbonded", t.unbonded},
                              {"Released", t.released},
                              {"LeaseOpened", t.lease_opened},
                              {"ToppedUp", t.topped_up},
                              {"Settled", t.settled},
                              {"Claimed", t.claimed},
                              {"ClaimContested", t.claim_contested},
                              {"ClaimOpened", t.claim_opened},
                              {"ClaimEnded", t.claim_ended},
                              {"LeaseEnded", t.lease_ended},
                              {"Convicted", t.convicted},
                              {"DisputeCommitted", t.dispute_committed},
                              {"DisputeFiled", t.dispute_filed},
                              {"Moved", t.moved},
                              {"Decided", t.decided},
                              {"Demanded", t.demanded},
                              {"Delivered", t.delivered},
                              {"AuditorRegistered", t.auditor_registered},
                              {"BeaconPublished", t.beacon_published},
                              {"AuditRequested", t.audit_requested},
                              {"AuditorDrawn", t.auditor_drawn},
                              {"AuditDrawn", t.audit_drawn},
                              {"AuditCommitted", t.audit_committed},
                              {"AuditRevealed", t.audit_revealed},
                              {"AuditSettled", t.audit_settled},
                              {"CanaryKnown", t.canary_known},
                              {"AuditorConvicted", t.auditor_convicted},
                              {"CheckAsked", t.check_asked},
                              {"CheckEnded", t.check_ended},
                              {"Anchored", t.anchored},
                              {"Attested", t.attested},
                              {"Stored", t.stored}};
  }();
  return all;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

Status insert(io::Database& database, const io::LogEntry& log) {
  TRY(auto statement,
      database.prepare("INSERT INTO events VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"));
  statement.bind(1, static_cast<std::int64_t>(log.block_num))
      .bind(2, static_cast<std::int64_t>(log.log_index))
      .bind(3, ByteView(log.transaction_hash))
      .bind(4, ByteView(log.address.bytes))
      .bind(9, ByteView(log.data));
  for (int i = 0; i < 4; ++i) {
    if (static_cast<std::size_t>(i) < log.topics.size())
      statement.bind(5 + i, ByteView(log.topics[static_cast<std::size_t>(i)]));
    else
      statement.bind_null(5 + i);
  }
  return statement.run();
}

Result<Event> read(const io::Statement& row) {
  Event out;
  out.block_num = static_cast<std::uint64_t>(row.column_int64(0));
  out.log_index = static_cast<std::uint64_t>(row.column_int64(1));
  TRY(out.transaction, row.column_hash(2));
  std::ranges::copy(row.column_blob(3), out.address.bytes.begin());
  for (int i = 4; i < 8 && !row.column_is_null(i); ++i) {
    TRY(const Hash topic, row.column_hash(i));
    out.topics.push_back(topic);
  }
  const ByteView data = row.column_blob(8);
  out.data.assign(data.begin(), data.end());
  return out;
}

}  // namespace

const Topics& topics() {
  using crypto::event_topic;
  static const Topics all{
      .deposited = event_topic("Deposited(address,address,uint256)"),
      .withdrawn = event_topic("Withdrawn(bytes32,address,uint256)"),
      .transferred = event_topic("Transferred(bytes32,address,address,uint256)"),
      .staked = event_topic("Staked(bytes32,address,uint256)"),
      .unbonded = event_topic("Unbonded(bytes32,address,uint256,uint256)"),
      .released = event_topic("Released(bytes32,address,uint256)"),
      .lease_opened = event_topic(
          fmt::format("LeaseOpened(bytes32,address,address,{})", abi_type<protocol::Lease>())),
      .topped_up = event_topic("ToppedUp(bytes32,bytes32,uint256)"),
      .settled = event_topic("Settled(bytes32,bytes32,uint256)"),
      .claimed = event_topic("Claimed(bytes32,bytes32,uint256,uint256,bytes32,uint256)"),
      .claim_contested = event_topic("ClaimContested(bytes32,bytes32,uint256,uint256,uint256)"),
      .claim_opened = event_topic("ClaimOpened(bytes32,bytes32,bytes32,uint256)"),
      .claim_ended = event_topic("ClaimEnded(bytes32,bytes32,uint256,bool)"),
      .lease_ended = event_topic("LeaseEnded(bytes32,uint8,uint256)"),
      .convicted = event_topic(
          "Convicted(bytes32,bytes32,address,address,(uint64,uint64,uint64,uint64,uint64))"),
      .dispute_committed = event_topic("DisputeCommitted(bytes32,address,bytes32)"),
      .dispute_filed = event_topic(fmt::format(
          "DisputeFiled(bytes32,bytes32,bytes32,address,address,uint256,{})", kCaseType)),
      .moved = event_topic("Moved(bytes32,uint256,bytes,uint256)"),
      .decided = event_topic("Decided(bytes32,bytes32,uint8)"),
      .demanded = event_topic(
          fmt::format("Demanded(bytes32,bytes32,bytes32,address,uint256,{})", kWantedType)),
      .delivered = event_topic("Delivered(bytes32,bytes32,uint256)"),
      .auditor_registered =
          event_topic("AuditorRegistered(bytes32,address,bytes32,bool,string,uint256)"),
      .beacon_published = event_topic("BeaconPublished(bytes32,uint256,bytes32)"),
      .audit_requested =
          event_topic("AuditRequested(bytes32,bytes32,bytes32,address,uint256,uint256,uint256)"),
      .auditor_drawn = event_topic("AuditorDrawn(bytes32,address,uint256)"),
      .audit_drawn = event_topic("AuditDrawn(bytes32,uint256,uint256)"),
      .audit_committed = event_topic("AuditCommitted(bytes32,bytes32,address,bytes32,bytes32)"),
      .audit_revealed = event_topic("AuditRevealed(bytes32,bytes32,address,uint256)"),
      .audit_settled = event_topic("AuditSettled(bytes32,bytes32)"),
      .canary_known = event_topic("CanaryKnown(bytes32,bytes32,bytes32)"),
      .auditor_convicted = event_topic(
          "AuditorConvicted(bytes32,address,address,(uint64,uint64,uint64,uint64,uint64))"),
      .check_asked =
          event_topic("CheckAsked(bytes32,bytes32,address,address,uint256,uint256,bytes)"),
      .check_ended = event_topic("CheckEnded(bytes32,bytes32,bool)"),
      .anchored = event_topic("Anchored(address,bytes32,uint64,bytes32)"),
      .attested = event_topic("Attested(address,bytes32,bytes32,uint64)"),
      .stored = event_topic("Stored(bytes32,address)")};
  return all;
}

std::string event_name(const Hash& topic) {
  for (const Named& n : named())
    if (n.topic == topic) return std::string(n.name);
  return to_hex(topic);
}

Result<Hash> event_named(std::string_view name) {
  std::string known;
  for (const Named& n : named()) {
    if (lower(n.name) == lower(name)) return n.topic;
    known += (known.empty() ? "" : ", ") + std::string(n.name);
  }
  return fail(Errc::not_found, "there is no event {}: {}", name, known);
}

Result<EventIndex> EventIndex::open(const std::string& path, io::ChainRpc& rpc,
                                    std::vector<crypto::Address> contracts,
                                    std::uint64_t first_block, std::uint64_t confirmations) {
  static const io::Schema schema{
      .owner = "chain events",
      .steps = {std::string(kTables) +
                "CREATE TABLE IF NOT EXISTS contracts (name TEXT NOT NULL) STRICT;"}};
  TRY(auto database, io::open_versioned(path, io::OpenMode::create, schema));
  // One market's events a file: another's would be read as its own.
  std::string name = "events";
  for (const auto& contract : contracts) name += ' ' + to_hex(contract.bytes);
  {
    TRY(auto known, database->prepare("SELECT name FROM contracts"));
    TRY(const bool any, known.step());
    if (any && known.column_text(0) != name)
      return fail(Errc::conflict,
                  "{} holds the events of other contracts: give each market a folder of its own "
                  "(an index can be deleted: it is read again)",
                  path);
    if (!any) {
      TRY(auto insert_name, database->prepare("INSERT INTO contracts VALUES(?1)"));
      CHECK_OK(insert_name.bind(1, std::string_view(name)).run());
    }
  }
  TRY(auto reader, io::LogReader::open(*database, rpc,
                                       {.name = name,
                                        .filter = {.addresses = std::move(contracts), .topics = {}},
                                        .first_block = first_block,
                                        .confirmations = confirmations}));
  return EventIndex(std::move(database), std::move(reader));
}

Result<std::uint64_t> EventIndex::sync() {
  for (;;) {
    TRY(const io::LogPage page, reader_.next());
    if (page.last + 1 != page.first) {
      // A crash before the commit: the page comes again. After it: never again.
      TRY(auto transaction, io::Transaction::begin(*database_));
      for (const io::LogEntry& log : page.logs) CHECK_OK(insert(*database_, log));
      CHECK_OK(reader_.keep(page));
      CHECK_OK(transaction.commit());
    }
    if (page.caught_up) {
      if (reader_.next_block() == 0)
        return fail(Errc::unavailable, "the chain has no block that is deep enough yet");
      return reader_.next_block() - 1;
    }
  }
}

Result<std::vector<Event>> EventIndex::find(const EventQuery& query) {
  std::string sql =
      "SELECT block, log_index, tx, address, topic0, topic1, topic2, topic3, data FROM events "
      "WHERE "
      "block BETWEEN ?1 AND ?2";
  std::vector<Hash> blobs;
  const auto is = [&](const char* column, const Hash& value) {
    blobs.push_back(value);
    return fmt::format("{} = ?{}", column, blobs.size() + 3);
  };
  constexpr const char* kColumns[] = {"topic1", "topic2", "topic3"};
  for (std::size_t i = 0; i < query.indexed.size(); ++i)
    if (query.indexed[i]) sql += " AND " + is(kColumns[i], *query.indexed[i]);
  if (query.about) {
    const std::string one = is("topic1", *query.about);
    const std::string number = one.substr(one.find('?'));
    sql += fmt::format(" AND ({} OR topic2 = {} OR topic3 = {})", one, number, number);
  }
  if (query.transaction) sql += " AND " + is("tx", *query.transaction);
  if (!query.kinds.empty()) {
    std::string any;
    for (const Hash& kind : query.kinds) any += (any.empty() ? "" : " OR ") + is("topic0", kind);
    sql += " AND (" + any + ")";
  }
  sql += query.newest ? " ORDER BY block DESC, log_index DESC LIMIT ?3"
                      : " ORDER BY block, log_index LIMIT ?3";
  TRY(auto select, database_->prepare(sql));
  const auto clamped = [](std::uint64_t n) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(n, INT64_MAX));
  };
  select.bind_all(clamped(query.from_block), clamped(query.to_block), clamped(query.limit));
  for (std::size_t i = 0; i < blobs.size(); ++i)
    select.bind(static_cast<int>(i + 4), ByteView(blobs[i]));
  std::vector<Event> out;
  for (;;) {
    TRY(const bool more, select.step());
    if (!more) {
      if (query.newest) std::ranges::reverse(out);
      return out;
    }
    TRY(Event event, read(select));
    out.push_back(std::move(event));
  }
}

Result<std::optional<Event>> EventIndex::first(const EventQuery& query) {
  EventQuery one = query;
  one.limit = 1;
  TRY(auto found, find(one));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

}  // namespace assay::settle::evm
