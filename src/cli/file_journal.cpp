#include "cli/file_journal.hpp"

#include <cstdio>

#include "io/files.hpp"

namespace assay::cli {
namespace {

constexpr std::size_t kBytesMax = std::size_t{64} << 30;
constexpr unsigned kOwnerOnly = 0600;  // keys and values tell the prompt

}  // namespace

Result<Bytes> FileJournal::read() {
  if (!io::path_exists(path_)) return Bytes{};
  TRY(const std::string content, io::read_file(path_, kBytesMax));
  return Bytes(content.begin(), content.end());
}
Status FileJournal::append(ByteView record) { return io::append_file(path_, record, kOwnerOnly); }
Status FileJournal::replace(ByteView content) {
  return io::write_file_atomic(path_, content, kOwnerOnly);
}
void FileJournal::remove() { std::remove(path_.c_str()); }

}  // namespace assay::cli
