#include "market/board.hpp"

#include <set>

namespace assay::market {

Status check_offer(const protocol::Domain& domain, const Signed<Offer>& offer, std::uint64_t now) {
  const auto& m = offer.message;
  CHECK_OK(protocol::check_signature(domain, offer, m.provider));
  if (m.payout.is_zero()) return fail(Errc::invalid, "the offer pays to the zero address");
  if (m.expires <= now)
    return fail(Errc::refused, "the offer expired at {}, it is {}", m.expires, now);
  if (m.expires - now > kOfferLifetimeMax)
    return fail(Errc::refused, "the offer runs {} s, at most {} s are allowed", m.expires - now,
                kOfferLifetimeMax);
  if (m.slots == 0) return fail(Errc::invalid, "the offer has no slots");
  if (m.rebate_ppm > protocol::kRebateMax)
    return fail(Errc::invalid,
                "the offer promises a rebate of {} millionths, at most {} are allowed",
                m.rebate_ppm, protocol::kRebateMax);
  if (!m.endpoint.starts_with("http://") && !m.endpoint.starts_with("https://"))
    return fail(Errc::invalid, "endpoint '{}' is not an http(s) address", m.endpoint);
  if (m.tls_key != Hash{} && !m.endpoint.starts_with("https://"))
    return fail(Errc::invalid, "the offer names a TLS key, its endpoint '{}' has no TLS",
                m.endpoint);
  if (m.models.empty() || m.models.size() > kOfferModelsMax)
    return fail(Errc::invalid, "the offer has {} models, 1 to {} are allowed", m.models.size(),
                kOfferModelsMax);
  const auto short_enough = [](std::string_view text) { return text.size() <= kOfferTextMax; };
  if (!short_enough(m.endpoint) || !short_enough(m.region) || !short_enough(m.hardware))
    return fail(Errc::invalid, "endpoint, region and hardware have at most {} bytes each",
                kOfferTextMax);
  std::set<std::string_view> names;
  for (const auto& model : m.models) {
    if (model.name.empty()) return fail(Errc::invalid, "the offer has a model without a name");
    if (!short_enough(model.name) || !short_enough(model.quantization))
      return fail(Errc::invalid, "a model's name and quantization have at most {} bytes each",
                  kOfferTextMax);
    if (!names.insert(model.name).second)
      return fail(Errc::invalid, "the offer names model '{}' twice", model.name);
    if (model.price_in < 0 || model.price_out < 0)
      return fail(Errc::invalid, "model '{}' has a negative price", model.name);
    if (model.context == 0) return fail(Errc::invalid, "model '{}' has no context", model.name);
  }
  return {};
}

Result<bool> OfferBook::put(const Signed<Offer>& offer, std::uint64_t now) {
  CHECK_OK(check_offer(domain_, offer, now));
  const auto& m = offer.message;
  if (const auto it = offers_.find(m.provider); it != offers_.end()) {
    const auto& held = it->second.message;
    if (held.sequence > m.sequence)
      return fail(Errc::conflict, "offer {} is older than {}, which is on the board", m.sequence,
                  held.sequence);
    if (held.sequence == m.sequence) {
      if (protocol::struct_hash(held) == protocol::struct_hash(m)) return false;
      return fail(Errc::conflict, "another offer {} is on the board: use a higher sequence",
                  m.sequence);
    }
  }
  offers_.insert_or_assign(m.provider, offer);
  return true;
}

std::vector<Signed<Offer>> OfferBook::list(std::uint64_t now) const {
  std::vector<Signed<Offer>> out;
  for (const auto& [provider, offer] : offers_)
    if (offer.message.expires > now) out.push_back(offer);
  return out;
}

std::vector<Address> OfferBook::prune(std::uint64_t now) {
  std::vector<Address> gone;
  for (const auto& [provider, offer] : offers_)
    if (offer.message.expires <= now) gone.push_back(provider);
  for (const auto& provider : gone) offers_.erase(provider);
  return gone;
}

}  // namespace assay::market
