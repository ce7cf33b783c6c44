#include "protocol/audit_draw.hpp"

#include <numeric>

#include "base/assert.hpp"
#include "crypto/sha256.hpp"

namespace assay::protocol {
namespace {

Hash labelled(std::string_view label, ByteView first, ByteView second) {
  crypto::Sha256 h;
  h.update(view(label));
  h.update(first);
  h.update(second);
  return h.finish();
}

Hash walk(Hash link, std::uint64_t steps) {
  for (; steps > 0; --steps) link = labelled("assay/audit/v0", link, {});
  return link;
}

}  // namespace

Hash audit_link(const Hash& seed, std::uint64_t length, std::uint64_t index) {
  ASSAY_ASSERT(index <= length && length <= kAuditChainMax);
  return walk(seed, length - index);
}

bool audit_link_matches(const Hash& tip, const Hash& link, std::uint64_t index) {
  return index <= kAuditChainMax && walk(link, index) == tip;
}

std::uint32_t audit_draw(const Hash& link, const Hash& receipt_digest) {
  return load_be<std::uint32_t>(labelled("assay/draw/v0", link, receipt_digest).data());
}

bool audit_drawn(const Hash& link, const Hash& receipt_digest, std::uint64_t rate_q32) {
  return audit_draw(link, receipt_digest) < rate_q32;
}

std::vector<std::uint32_t> audit_layers(const Hash& link, const Hash& receipt_digest,
                                        std::uint32_t layers, std::uint32_t count) {
  std::vector<std::uint32_t> places(layers);
  std::iota(places.begin(), places.end(), 0u);
  count = std::min(count, layers);
  for (std::uint32_t i = 0; i < count; ++i) {
    Bytes last(receipt_digest.begin(), receipt_digest.end());
    append_be(last, i);
    const auto random = load_be<std::uint64_t>(labelled("assay/layers/v0", link, last).data());
    std::swap(places[i], places[i + random % (layers - i)]);
  }
  places.resize(count);
  std::ranges::sort(places);
  return places;
}

}  // namespace assay::protocol
