// Where a long audit writes what it has done, so that another run can go on from there.
//
//   header ‖ records; a record: le32 length ‖ payload ‖ sha256(the hash before ‖ payload), the
//   first after sha256(header). A record that is cut off, or whose hash is another, ends the
//   journal.
#pragma once
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::verify {

struct AuditJournal {
  virtual ~AuditJournal() = default;
  // All of it; the end may be missing after a crash.
  virtual Result<Bytes> read() = 0;
  virtual Status append(ByteView record) = 0;
  virtual Status replace(ByteView content) = 0;
};

class RecordLog {
 public:
  // header: says which audit this is. store may be null: nothing is remembered.
  RecordLog(AuditJournal* store, Bytes header);

  // The payloads an earlier run left; begins the journal where there is none. conflict: it is of
  // another audit. Afterwards the store ends with the last whole record.
  Result<std::vector<Bytes>> open();
  Status append(ByteView payload);
  bool on() const { return store_ != nullptr; }

 private:
  AuditJournal* store_;
  Bytes header_;
  Hash chain_{};
};

}  // namespace assay::verify
