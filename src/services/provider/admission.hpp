// Which calls a provider works for. The caps of requests being computed and the receipts not paid
// yet never exceed what the lease still holds.
#pragma once
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "services/provider/provider_core.hpp"

namespace assay::services {

class Admission {
 public:
  explicit Admission(ProviderCore& core) : core_(core) {}

  // Between admission and its end a request counts with its cap.
  class Ticket {
   public:
    Ticket(Admission& admission, const Hash& request, const Hash& lease)
        : admission_(&admission), request_(request), lease_(lease) {}
    Ticket(Ticket&& other) noexcept
        : admission_(std::exchange(other.admission_, nullptr)),
          request_(other.request_),
          lease_(other.lease_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
      if (admission_) admission_->leave(request_, lease_);
    }

   private:
    Admission* admission_;
    Hash request_, lease_;
  };

  // Whether model, sizes and lease would do right now; admit() asks again.
  Status check(const protocol::InferenceCall& call);
  // Checks call, model and ledger, and writes the request to disk. refused, mismatch, invalid: the
  // call is at fault; conflict: its sequence is taken, or it is being computed right now;
  // unavailable: the ledger cannot be asked.
  Result<Ticket> admit(const protocol::InferenceCall& call, const Hash& request_id);

  bool busy() const;  // something is being computed
  bool running(const Hash& request) const;
  bool lease_busy(const Hash& lease) const;
  // Until the request is not being computed any more. conflict: somebody waits for that already, as
  // one may; cancelled: `gone` came first.
  Status wait_for_end(const Hash& request, const std::function<bool()>& gone);

  // A continuation that is not the model's costs a prefill that nobody owes. While a lease has more
  // such prompt tokens than a context beyond what it has been billed for since, check() and admit()
  // refuse its requests with a continuation (spec/messages.md, "What happens then").
  void evaluated_unpaid(const Hash& lease, std::uint64_t tokens);
  void billed(const Hash& lease, std::uint64_t tokens);

 private:
  struct Open {
    std::map<Hash, protocol::Micros> caps;
    protocol::Micros total = 0;
  };
  Status check_lease(const protocol::InferenceCall& call, const Hash& lease_id,
                     market::LeaseView& view);
  Status check_unpaid(const protocol::Request& request, const ServedModel& served) const;
  void leave(const Hash& request, const Hash& lease);

  ProviderCore& core_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::map<Hash, Open> open_;             // by lease
  std::map<Hash, std::uint64_t> unpaid_;  // by lease, where not 0
  std::set<Hash> awaited_;                // requests somebody waits for the end of
};

}  // namespace assay::services
