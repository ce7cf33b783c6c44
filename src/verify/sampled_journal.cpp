#include "verify/sampled_journal.hpp"

#include <algorithm>

#include "crypto/sha256.hpp"
#include "protocol/typed.hpp"

namespace assay::verify {
namespace {

constexpr std::string_view kMagic = "assay/audit-state/v0";

Bytes beginning(const protocol::Request& request, const protocol::Receipt& receipt) {
  Bytes of;
  append(of, protocol::struct_hash(request));
  append(of, protocol::struct_hash(receipt));
  Bytes out;
  append(out, view(kMagic));
  append(out, crypto::sha256(of));
  return out;
}

}  // namespace

SampledJournal::SampledJournal(AuditJournal* store, const protocol::Request& request,
                               const protocol::Receipt& receipt,
                               std::span<const std::uint32_t> layers, std::size_t kv_dim)
    : layers_(layers.size()), kv_dim_(kv_dim), log_(store, [&] {
        Bytes header = beginning(request, receipt);
        append_le(header, static_cast<std::uint32_t>(layers.size()));
        for (const std::uint32_t layer : layers) append_le(header, layer);
        return header;
      }()) {}

Result<std::vector<DonePositions>> SampledJournal::open() {
  TRY(const std::vector<Bytes> payloads, log_.open());
  std::vector<DonePositions> out;
  for (const Bytes& payload : payloads) {
    TRY(out.emplace_back(), parse(payload));
  }
  return out;
}

Result<DonePositions> SampledJournal::parse(ByteView payload) const {
  const auto malformed = [] {
    return fail(Errc::conflict, "the state was not written by this audit: remove it");
  };
  if (payload.size() < 4) return malformed();
  const std::size_t count = load_le<std::uint32_t>(payload.data());
  const std::size_t rows = count * kv_dim_ * sizeof(std::uint16_t);
  if (payload.size() - 4 != count * sizeof(Hash) + layers_ * 2 * rows) return malformed();
  payload = payload.subspan(4);
  DonePositions out;
  out.roots.resize(count);
  if (count > 0) std::memcpy(out.roots.data(), payload.data(), count * sizeof(Hash));
  payload = payload.subspan(count * sizeof(Hash));
  for (auto* list : {&out.k, &out.v}) list->resize(layers_);
  for (std::size_t i = 0; i < layers_; ++i)
    for (auto* list : {&out.k, &out.v}) {
      (*list)[i].resize(count * kv_dim_);
      if (rows > 0) std::memcpy((*list)[i].data(), payload.data(), rows);
      payload = payload.subspan(rows);
    }
  return out;
}

Status SampledJournal::append(const DonePositions& done) {
  if (!log_.on()) return {};
  Bytes payload;
  append_le(payload, static_cast<std::uint32_t>(done.roots.size()));
  for (const Hash& root : done.roots) assay::append(payload, root);
  for (std::size_t i = 0; i < layers_; ++i)
    for (const auto* list : {&done.k, &done.v}) {
      const auto& rows = (*list)[i];
      assay::append(payload, {reinterpret_cast<const std::uint8_t*>(rows.data()),
                              rows.size() * sizeof(std::uint16_t)});
    }
  return log_.append(payload);
}

std::optional<std::vector<std::uint32_t>> journal_layers(ByteView content,
                                                         const protocol::Request& request,
                                                         const protocol::Receipt& receipt) {
  const Bytes start = beginning(request, receipt);
  if (!begins_with(content, start) || content.size() < start.size() + 4) return std::nullopt;
  const std::size_t count = load_le<std::uint32_t>(&content[start.size()]);
  const ByteView list = content.subspan(start.size() + 4);
  if (list.size() / 4 < count) return std::nullopt;
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(load_le<std::uint32_t>(&list[4 * i]));
  return out;
}

}  // namespace assay::verify
