// What a sampled audit remembers of the positions it has done: enough for another run to go on.
//
//   header  "assay/audit-state/v0" ‖ id (32) ‖ le32 number of layers ‖ le32 each
//   payload le32 positions ‖ their roots ‖ for each layer: k rows, v rows (le16 values)
#pragma once
#include "protocol/messages.hpp"
#include "verify/sampled.hpp"

namespace assay::verify {

// Some consecutive positions.
struct DonePositions {
  std::vector<Hash> roots;
  std::vector<std::vector<std::uint16_t>> k, v;  // [layer][position][kv_dim]
};

class SampledJournal {
 public:
  // Of this receipt's audit. store may be null: nothing is remembered.
  SampledJournal(AuditJournal* store, const protocol::Request& request,
                 const protocol::Receipt& receipt, std::span<const std::uint32_t> layers,
                 std::size_t kv_dim);

  // What an earlier run did. Errors: as RecordLog::open, and conflict where a record is not what
  // this audit writes.
  Result<std::vector<DonePositions>> open();
  Status append(const DonePositions& done);

 private:
  Result<DonePositions> parse(ByteView payload) const;

  std::size_t layers_, kv_dim_;
  RecordLog log_;
};

// The layers an audit of this receipt was begun with; nothing where the content is of no audit of
// it.
std::optional<std::vector<std::uint32_t>> journal_layers(ByteView content,
                                                         const protocol::Request& request,
                                                         const protocol::Receipt& receipt);

}  // namespace assay::verify
