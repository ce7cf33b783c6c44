#include "settle/beacon_chain.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "io/files.hpp"
#include "io/random.hpp"
#include "protocol/audit_keys.hpp"

namespace assay::settle {
namespace {

constexpr std::uint64_t kStride = 1024;

}  // namespace

BeaconChain::BeaconChain(const Hash& seed, std::uint64_t rounds) : seed_(seed), rounds_(rounds) {}

Result<BeaconChain> BeaconChain::open(const std::string& path, std::uint64_t rounds) {
  auto text = io::read_file(path);
  if (!text && text.error().code != Errc::not_found) return std::unexpected(text.error());
  if (!text) {
    BeaconChain fresh(io::random_hash(), rounds);
    fresh.end_ = fresh.value(0);
    Bytes bytes(fresh.seed_.begin(), fresh.seed_.end());
    append(bytes, *fresh.end_);
    // Durable before the ledger is made: a ledger whose chain is lost draws no auditors.
    CHECK_OK(io::write_file_atomic(path, bytes, 0600));
    return fresh;
  }
  Hash seed{}, end{};
  if (text->size() != seed.size() + end.size())
    return fail(Errc::invalid, "{} is no beacon seed: it has {} bytes, not {}", path, text->size(),
                seed.size() + end.size());
  std::ranges::copy(view(*text).first(seed.size()), seed.begin());
  std::ranges::copy(view(*text).subspan(seed.size()), end.begin());
  BeaconChain out(seed, rounds);
  out.end_ = end;
  return out;
}

Hash BeaconChain::value(std::uint64_t round) {
  ASSAY_ASSERT(round <= rounds_);
  if (round == 0 && end_) return *end_;
  const std::uint64_t steps = rounds_ - round;
  if (marks_.empty()) {
    Hash h = seed_;
    for (std::uint64_t i = 0; i <= rounds_; ++i) {
      if (i % kStride == 0) marks_.push_back(h);
      h = protocol::beacon_before(h);
    }
  }
  Hash h = marks_[steps / kStride];
  for (std::uint64_t i = 0; i < steps % kStride; ++i) h = protocol::beacon_before(h);
  return h;
}

}  // namespace assay::settle
