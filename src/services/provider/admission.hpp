// Which calls a provider works for. The caps of requests being computed and the receipts not paid
// yet never exceed what the lease still holds.
#pragma once
#include <condition_variable>
#include <map>
#include <mutex>

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

  bool running(const Hash& request) const;
  bool lease_busy(const Hash& lease) const;
  // Until the request is not being computed any more; false when `gone` came first.
  bool wait_for_end(const Hash& request, const std::function<bool()>& gone);

 private:
  struct Open {
    std::map<Hash, protocol::Micros> caps;
    protocol::Micros total = 0;
  };
  Status check_lease(const protocol::InferenceCall& call, const Hash& lease_id,
                     market::LeaseView& view);
  void leave(const Hash& request, const Hash& lease);

  ProviderCore& core_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::map<Hash, Open> open_;  // by lease
};

}  // namespace assay::services
