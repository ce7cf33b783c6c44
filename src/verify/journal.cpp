#include "verify/journal.hpp"

#include <algorithm>

#include "crypto/sha256.hpp"

namespace assay::verify {
namespace {

Hash chained(const Hash& before, ByteView payload) {
  crypto::Sha256 h;
  h.update(before);
  h.update(payload);
  return h.finish();
}

}  // namespace

RecordLog::RecordLog(AuditJournal* store, Bytes header)
    : store_(store), header_(std::move(header)), chain_(crypto::sha256(header_)) {}

Result<std::vector<Bytes>> RecordLog::open() {
  std::vector<Bytes> out;
  if (store_ == nullptr) return out;
  TRY(const Bytes content, store_->read());
  if (content.size() < header_.size() && begins_with(header_, content)) {
    CHECK_OK(store_->replace(header_));
    return out;
  }
  if (!begins_with(content, header_))
    return fail(Errc::conflict,
                "the state is of another audit: remove it, or name another file for this one");
  ByteView rest = ByteView(content).subspan(header_.size());
  while (rest.size() >= 4) {
    const std::size_t size = load_le<std::uint32_t>(rest.data());
    if (rest.size() - 4 < size || rest.size() - 4 - size < sizeof(Hash)) break;
    const ByteView payload = rest.subspan(4, size);
    const Hash chain = chained(chain_, payload);
    if (!std::ranges::equal(chain, rest.subspan(4 + size, sizeof(Hash)))) break;
    out.emplace_back(payload.begin(), payload.end());
    chain_ = chain;
    rest = rest.subspan(4 + size + sizeof(Hash));
  }
  if (!rest.empty())
    CHECK_OK(store_->replace(ByteView(content).first(content.size() - rest.size())));
  return out;
}

Status RecordLog::append(ByteView payload) {
  if (store_ == nullptr) return {};
  const Hash chain = chained(chain_, payload);
  Bytes record;
  append_le(record, static_cast<std::uint32_t>(payload.size()));
  assay::append(record, payload);
  assay::append(record, chain);
  CHECK_OK(store_->append(record));
  chain_ = chain;
  return {};
}

}  // namespace assay::verify
