#include "services/gateway/store.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {

using rows::kHireColumns;

Result<std::vector<HireRecord>> Store::read_hires(io::Statement& statement) {
  std::vector<HireRecord> out;
  while (true) {
    TRY(const bool row, statement.step());
    if (!row) return out;
    TRY(HireRecord hire, rows::read_hire(statement));
    out.push_back(std::move(hire));
  }
}

Result<std::vector<HireRecord>> Store::hires_of(const Hash& request) {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("SELECT {} FROM hires WHERE request = ?1 ORDER BY rowid DESC",
                               kHireColumns)));
  select.bind_all(ByteView(request));
  return read_hires(select);
}

Result<std::vector<HireRecord>> Store::hires_in(HireStage stage) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM hires WHERE stage = ?1 ORDER BY rowid",
                                            kHireColumns)));
  select.bind_all(to_string(stage));
  return read_hires(select);
}

Status Store::put_hire(const HireRecord& hire) {
  const std::lock_guard lock(mutex_);
  return put_hire_locked(hire);
}

Status Store::put_hire_locked(const HireRecord& hire) {
  TRY(auto insert,
      db_->prepare(fmt::format("INSERT INTO hires({}) VALUES(?,?,?,?,?,?) ON CONFLICT(audit) DO "
                               "UPDATE SET stage = ?3, checks = ?5, drawn = ?6",
                               kHireColumns)));
  rows::bind_hire(insert, hire);
  return insert.run();
}

Status Store::conclude_hire(const HireRecord& hire, const RequestRecord& request,
                            RequestStage from) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  CHECK_OK(put_hire_locked(hire));
  CHECK_OK(update_request_locked(request, from));
  return transaction.commit();
}

}  // namespace assay::services
