#include "services/provider/offer_keeper.hpp"

#include <algorithm>
#include <thread>

#include "io/log.hpp"

namespace assay::services {

void OfferKeeper::set_speed(std::uint32_t first_token_ms, std::uint32_t per_token_ms) {
  const ProviderOptions& options = core_.options;
  // Measured with nothing else to do: answers share the machine later.
  const std::uint32_t slack = options.rebate_ppm > 0 ? 2 : 1;
  const auto claim = [&](std::uint32_t said, std::uint32_t measured) {
    return said > 0 ? said : std::min(measured, UINT32_MAX / slack) * slack;
  };
  first_token_ms_ = claim(options.first_token_ms, first_token_ms);
  per_token_ms_ = claim(options.per_token_ms, per_token_ms);
}

Status OfferKeeper::introduce() {
  constexpr int kTries = 60;
  constexpr std::chrono::milliseconds kPause{500};
  for (int tries = 1;; ++tries) {
    const Status done = renew();
    if (done || done.error().code != Errc::refused || tries == kTries) return done;
    TRY(const auto account, core_.settlement.account(core_.address));
    if (account.stake < core_.ledger.parameters.stake_min) return done;
    if (tries == 1) io::log_warn("the board does not list it yet: {}", done.error().message);
    std::this_thread::sleep_for(kPause);
  }
}

Status OfferKeeper::renew() {
  if (core_.now() < renew_at_) return {};
  CHECK_OK(publish(core_.options.offer_lifetime_s));
  renew_at_ = core_.now() + core_.options.offer_lifetime_s / 2;
  return {};
}

Status OfferKeeper::withdraw() { return publish(1); }

Status OfferKeeper::publish(std::uint64_t lifetime_s) {
  TRY(auto offer, draft(core_.now() + lifetime_s));
  return core_.board.publish(core_.sign(std::move(offer)));
}

Result<protocol::Offer> OfferKeeper::draft(std::uint64_t expires) {
  protocol::Offer offer;
  offer.provider = core_.address;
  offer.payout = core_.payout;
  // Used up before it is signed: no two offers ever share a sequence.
  TRY(offer.sequence, core_.store->next_offer_sequence());
  offer.endpoint = endpoint_;
  offer.tls_key = tls_key_;
  offer.region = core_.options.region;
  offer.hardware = core_.options.hardware;
  offer.vram_mib = core_.options.vram_mib;
  offer.slots = core_.options.slots;
  offer.first_token_ms = first_token_ms_;
  offer.per_token_ms = per_token_ms_;
  offer.rebate_ppm = core_.options.rebate_ppm;
  offer.expires = expires;
  for (const ServedModel& model : core_.models) {
    offer.models.push_back(model.advertised);
    if (auto batch = core_.batch_offer(model)) offer.models.push_back(std::move(*batch));
  }
  return offer;
}

}  // namespace assay::services
