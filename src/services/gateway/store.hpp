// The gateway's durable state, in SQLite (<data>/gateway.db). Every method is one transaction that
// is on disk when it returns; methods may be called from any thread. No prompt, answer or salt is
// in it: those are in the opening files (vault.hpp).
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "io/sqlite.hpp"
#include "services/gateway/api_keys.hpp"
#include "services/gateway/records.hpp"
#include "services/gateway/spending.hpp"

namespace assay::services {

class Store {
 public:
  // The ledger and the buyer the records belong to; a data directory of others is refused: leases
  // that another key signed for can be neither used nor settled. Errors: conflict.
  static Result<std::unique_ptr<Store>> open(const std::string& path,
                                             const protocol::Domain& domain, const Address& buyer);
  // For verbs beside a gateway, which may be running (then the file is not migrated: unsupported
  // where it would have to be). not_found where no gateway ever ran, unless `make`: then it is made
  // for the first that does.
  static Result<std::unique_ptr<Store>> open_beside(const std::string& data_directory,
                                                    bool make = false);

  Status add_lease(const LeaseRecord& lease);
  Status set_lease_stage(const Hash& lease, LeaseStage stage);
  Status set_returned(const Hash& lease);
  Result<LeaseRecord> lease(const Hash& id);
  Result<std::vector<LeaseRecord>> leases();
  Result<std::vector<LeaseRecord>> unreturned_leases();  // whose rest has not come back yet
  // Open or opening, of this provider and execution, not expiring before `after`, with sequences
  // left; the newest first.
  Result<std::vector<LeaseRecord>> usable_leases(const Address& provider, const Hash& execution,
                                                 std::uint64_t after);
  // Escrow of the lease that no settlement, statement or open cap needs.
  Result<Micros> free_escrow(const Hash& lease);
  // What every statement the lease's requests led to comes to, settled or not; the same less the
  // rebates accepted; and whether each request led to one that is here.
  struct Known {
    Micros receipted = 0, owed = 0;
    bool complete = true;
  };
  Result<Known> known(const Hash& lease);
  // The statements behind `receipted`: each request's sequence, and what it comes to.
  Result<std::vector<std::pair<std::uint64_t, Micros>>> statements_of(const Hash& lease);

  // A top-up is written before it is submitted and counted once the ledger has it.
  struct PendingTopUp {
    Hash id{};
    Signed<protocol::TopUp> operation;
  };
  Status add_top_up(const PendingTopUp& top_up);
  Result<std::vector<PendingTopUp>> pending_top_ups();
  Status top_up_done(const Hash& id, bool accepted);

  // Takes the lease's next sequence and room for the cap in one transaction; `make` signs the
  // request under that sequence and keeps its secrets. refused when the cap does not fit, in the
  // lease or in the spender's budget.
  Result<RequestRecord> add_request(
      const Hash& lease, Micros cap, const Spender& spender,
      const std::function<Result<RequestRecord>(std::uint64_t sequence)>& make);
  // Everything that changes after signing. The stage may only move forward from `from`:
  // conflict when the record is no longer there.
  Status update_request(const RequestRecord& request, RequestStage from);
  Result<RequestRecord> request(const Hash& id);
  Result<std::optional<RequestRecord>> by_statement(const Hash& statement_id);
  Result<std::vector<RequestRecord>> requests_in(RequestStage stage);
  Result<std::vector<RequestRecord>> recent_requests(std::uint32_t limit);  // newest first

  Result<std::vector<RequestRecord>> requests_of_job(const std::string& job);  // oldest first
  // What all its choices cost; a try whose end is not known with its cap.
  Result<Micros> spent_on_job(const std::string& id);

  // store_keys.cpp. conflict: a name that is in use.
  Status add_api_key(const ApiKey& key, const Hash& hash);
  Result<std::vector<ApiKey>> api_keys();  // revoked ones, too
  Result<bool> uses_api_keys();            // one was made, ever
  Result<std::optional<ApiKey>> api_key(const Hash& hash);
  Status revoke_api_key(const std::string& id_or_name, std::int64_t now_s);
  // Within the period: settled, owed, what open requests may come to, and what is kept for others.
  Result<Micros> spent(const Spender& spender);
  // Keeps parts of a budget for requests to come: all of them, or refused. Each is kept as long as
  // somebody holds it, and used up by what is signed for it; a restart forgets them.
  Result<std::vector<std::shared_ptr<Reservation>>> reserve(const Spender& spender,
                                                            std::span<const Micros> amounts);

  // store_jobs.cpp. The job of this id, made from `fresh` when there is none.
  Result<JobRecord> take_job(const JobRecord& fresh);
  Status forget_unused_job(const std::string& id);  // unless something was signed under it
  Result<std::vector<std::string>> forget_jobs_before(std::int64_t created_s);  // their ids

  // store_rebates.cpp. One for a request: the first stays.
  Status add_rebate(const RebateRecord& rebate);
  // conflict when it is no longer `from`.
  Status update_rebate(const RebateRecord& rebate, RebateState from);
  Result<std::optional<RebateRecord>> rebate(const Hash& request);
  Result<std::vector<RebateRecord>> rebates();  // newest first
  struct RebateTotal {
    std::string state;
    std::uint64_t rebates = 0;
    Micros amount = 0;
  };
  Result<std::vector<RebateTotal>> rebate_totals();

  // spending.cpp. The most expensive first.
  Result<std::vector<Spending>> spending(SpendingBy by, std::int64_t since_s);
  struct StageTotal {
    std::string stage;
    std::uint64_t requests = 0;
    Micros amount = 0;
  };
  Result<std::vector<StageTotal>> stage_totals();

  // store_files.cpp. A file of the same id is replaced; lists are newest first.
  Status put_file(const FileRecord& file);
  Result<std::optional<FileRecord>> file(const std::string& id);
  Result<std::vector<FileRecord>> files_of(const std::string& api_key);
  Status remove_file(const std::string& id);
  Status add_batch(const BatchRecord& batch);
  // Status and document; conflict when the status is no longer `from`.
  Status update_batch(const BatchRecord& batch, std::string_view from);
  Result<std::optional<BatchRecord>> batch(const std::string& id);
  Result<std::vector<BatchRecord>> batches_of(const std::string& api_key);
  Result<std::vector<BatchRecord>> open_batches();  // oldest first

  // The newest first.
  Result<std::vector<HireRecord>> hires_of(const Hash& request);
  Result<std::vector<HireRecord>> hires_in(HireStage stage);
  Status put_hire(const HireRecord& hire);  // added or replaced
  // Both in one transaction, with update_request's condition.
  Status conclude_hire(const HireRecord& hire, const RequestRecord& request, RequestStage from);

  // Signs one cumulative settlement over everything owed in the lease, less the rebates accepted,
  // and marks it settled, in one transaction; requests whose rebate is due wait. nullopt: nothing
  // is owed.
  Result<std::optional<Signed<protocol::Settlement>>> take_settlement(
      const Hash& lease,
      const std::function<Signed<protocol::Settlement>(const protocol::Settlement&)>& sign);
  struct PendingSettlement {
    Hash lease{};
    Signed<protocol::Settlement> operation;
  };
  Result<std::vector<PendingSettlement>> pending_settlements();
  Status settlement_done(const Hash& lease, Micros cumulative);

 private:
  explicit Store(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  Result<std::vector<LeaseRecord>> read_leases(io::Statement& statement);
  Result<std::vector<RequestRecord>> read_requests(io::Statement& statement);
  Result<Micros> free_escrow_locked(const Hash& lease);
  // Of the requests `r` for which `which` holds: one number.
  Result<io::Statement> select_spent(std::string_view which);
  Result<Micros> spent_locked(const Spender& spender);
  Status update_request_locked(const RequestRecord& request, RequestStage from);
  Status put_hire_locked(const HireRecord& hire);
  Result<std::vector<HireRecord>> read_hires(io::Statement& statement);

  std::unique_ptr<io::Database> db_;
  std::mutex mutex_;
  std::map<std::string, std::vector<std::weak_ptr<Reservation>>> reserved_;  // by key id
};

}  // namespace assay::services
