// The file in which an audit remembers what it has done.
#pragma once
#include <string>

#include "verify/journal.hpp"

namespace assay::cli {

class FileJournal : public verify::AuditJournal {
 public:
  explicit FileJournal(std::string path) : path_(std::move(path)) {}
  Result<Bytes> read() override;  // of a file that is not there: nothing
  Status append(ByteView record) override;
  Status replace(ByteView content) override;
  void remove();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace assay::cli
