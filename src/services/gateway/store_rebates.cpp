#include "services/gateway/store.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {

using rows::kRebateColumns;

Status Store::add_rebate(const RebateRecord& rebate) {
  const std::lock_guard lock(mutex_);
  TRY(auto insert, db_->prepare(fmt::format("INSERT OR IGNORE INTO rebates({}) "
                                            "VALUES(?,?,?,?,?,?,?,?,?)",
                                            kRebateColumns)));
  rows::bind_rebate(insert, rebate);
  return insert.run();
}

Status Store::update_rebate(const RebateRecord& rebate, RebateState from) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare(fmt::format("UPDATE rebates SET ({}) = (?,?,?,?,?,?,?,?,?) "
                                            "WHERE request = ?1 AND state = ?10",
                                            kRebateColumns)));
  rows::bind_rebate(update, rebate);
  update.bind(10, to_string(from));
  CHECK_OK(update.run());
  if (db_->changes() != 1)
    return fail(Errc::conflict, "the rebate is no longer '{}'", to_string(from));
  return {};
}

Result<std::optional<RebateRecord>> Store::rebate(const Hash& request) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM rebates WHERE request = ?1", kRebateColumns)));
  select.bind_all(ByteView(request));
  TRY(const bool row, select.step());
  if (!row) return std::nullopt;
  TRY(auto rebate, rows::read_rebate(select));
  return rebate;
}

Result<std::vector<RebateRecord>> Store::rebates() {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM rebates ORDER BY rowid DESC", kRebateColumns)));
  std::vector<RebateRecord> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    TRY(auto rebate, rows::read_rebate(select));
    out.push_back(std::move(rebate));
  }
}

Result<std::vector<Store::RebateTotal>> Store::rebate_totals() {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare("SELECT state, COUNT(*), SUM(amount) FROM rebates GROUP BY state"));
  std::vector<RebateTotal> out;
  while (true) {
    TRY(const bool row, select.step());
    if (!row) return out;
    out.push_back({std::string(select.column_text(0)),
                   static_cast<std::uint64_t>(select.column_int64(1)), select.column_int64(2)});
  }
}

Result<Store::Known> Store::known(const Hash& lease) {
  const std::lock_guard lock(mutex_);
  // What a settlement was signed without stays missing in it, also where the promise was broken.
  TRY(auto select,
      db_->prepare(
          "SELECT l.cumulative, "
          "COALESCE(SUM(CASE WHEN r.stage = 'settled' THEN CASE WHEN b.state IN ('accepted', "
          "'broken') THEN b.amount END WHEN r.stage NOT IN ('signed', 'expired') THEN r.amount "
          "END), 0), "
          "COALESCE(SUM(CASE WHEN b.state = 'accepted' THEN b.amount END), 0), "
          "COALESCE(SUM(r.stage IN ('signed', 'expired', 'demanded')), 0) "
          "FROM leases l LEFT JOIN requests r ON r.lease = l.id "
          "LEFT JOIN rebates b ON b.request = r.id WHERE l.id = ?1 GROUP BY l.id"));
  select.bind_all(ByteView(lease));
  TRY(const bool row, select.step());
  if (!row) return Known{};
  Known out;
  out.receipted = select.column_int64(0) + select.column_int64(1);
  out.owed = out.receipted - select.column_int64(2);
  out.complete = select.column_int64(3) == 0;
  return out;
}

Result<std::vector<std::pair<std::uint64_t, Micros>>> Store::statements_of(const Hash& lease) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM requests WHERE lease = ?1 AND stage NOT IN "
                               "('signed', 'expired')",
                               rows::kRequestFields)));
  select.bind_all(ByteView(lease));
  std::vector<std::pair<std::uint64_t, Micros>> out;
  for (;;) {
    TRY(const bool row, select.step());
    if (!row) return out;
    TRY(const RequestRecord record, rows::read_request(select));
    out.emplace_back(record.request.message.sequence, record.amount);
  }
}

}  // namespace assay::services
