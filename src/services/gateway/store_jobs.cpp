#include "services/gateway/store.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {

Result<JobRecord> Store::take_job(const JobRecord& fresh) {
  const std::lock_guard lock(mutex_);
  TRY(auto transaction, io::Transaction::begin(*db_));
  {
    TRY(auto insert, db_->prepare("INSERT OR IGNORE INTO jobs(id, api_key, body, created_s, "
                                  "answer_id, seed) VALUES(?,?,?,?,?,?)"));
    CHECK_OK(insert
                 .bind_all(fresh.id, fresh.api_key, ByteView(fresh.body), fresh.created_s,
                           fresh.answer_id, static_cast<std::int64_t>(fresh.seed))
                 .run());
  }
  JobRecord out;
  {
    TRY(auto select, db_->prepare("SELECT id, api_key, body, created_s, answer_id, seed FROM jobs "
                                  "WHERE id = ?1"));
    select.bind_all(fresh.id);
    TRY(const bool row, select.step());
    if (!row) return fail(Errc::internal, "a job is gone that was just written");
    out.id = select.column_text(0);
    out.api_key = select.column_text(1);
    TRY(out.body, select.column_hash(2));
    out.created_s = select.column_int64(3);
    out.answer_id = select.column_text(4);
    out.seed = static_cast<std::uint64_t>(select.column_int64(5));
  }
  CHECK_OK(transaction.commit());
  return out;
}

Status Store::forget_unused_job(const std::string& id) {
  const std::lock_guard lock(mutex_);
  // A job's requests are its id with their choice's number.
  TRY(auto remove, db_->prepare("DELETE FROM jobs WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM "
                                "requests WHERE job >= ?1 || '/' AND job < ?1 || '0')"));
  return remove.bind_all(id).run();
}

Result<Micros> Store::spent_on_job(const std::string& id) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, select_spent("r.job >= ?1 || '/' AND r.job < ?1 || '0'"));
  TRY(const bool row, select.bind_all(id).step());
  return row ? select.column_int64(0) : 0;
}

Result<std::vector<std::string>> Store::forget_jobs_before(std::int64_t created_s) {
  const std::lock_guard lock(mutex_);
  TRY(auto remove, db_->prepare("DELETE FROM jobs WHERE created_s < ?1 RETURNING id"));
  remove.bind_all(created_s);
  std::vector<std::string> out;
  while (true) {
    TRY(const bool row, remove.step());
    if (!row) return out;
    out.emplace_back(remove.column_text(0));
  }
}

Result<std::vector<RequestRecord>> Store::requests_of_job(const std::string& job) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("SELECT {} FROM requests WHERE job = ?1 ORDER BY rowid",
                                            rows::kRequestFields)));
  select.bind_all(job);
  return read_requests(select);
}

}  // namespace assay::services
