#include "services/gateway/file_store.hpp"

#include <cstdio>

#include "base/hex.hpp"
#include "io/files.hpp"
#include "io/random.hpp"

namespace assay::services {

Result<FileStore> FileStore::open(const std::string& data_directory, Store& store) {
  const std::string folder = data_directory + "/files";
  CHECK_OK(io::make_directories(folder, 0700));
  return FileStore(folder, store);
}

std::string FileStore::new_id() { return "file-" + to_hex_bare(io::random_hash()).substr(0, 24); }

Result<FileRecord> FileStore::put(FileRecord record, std::string_view content) const {
  record.bytes = static_cast<std::int64_t>(content.size());
  // A crash between the two leaves a file nobody knows: it costs its space.
  CHECK_OK(io::write_file_atomic(path(record.id), view(content), 0600));
  CHECK_OK(store_->put_file(record));
  return record;
}

Result<FileRecord> FileStore::find(const Caller& caller, const std::string& id) const {
  TRY(const auto found, store_->file(id));
  if (!found || found->api_key != caller.spender.api_key)
    return fail(Errc::not_found, "no such file: '{}'", id.substr(0, 80));
  return *found;
}

Result<std::string> FileStore::content(const FileRecord& file) const {
  return io::read_file(path(file.id), 4 * kFileBytesMax);
}

Status FileStore::remove(const FileRecord& file) const {
  CHECK_OK(store_->remove_file(file.id));
  std::remove(path(file.id).c_str());
  return {};
}

Result<std::vector<FileRecord>> FileStore::list(const Caller& caller) const {
  return store_->files_of(caller.spender.api_key);
}

json::object to_json(const FileRecord& file) {
  return {{"id", file.id},         {"object", "file"},
          {"bytes", file.bytes},   {"created_at", file.created_s},
          {"filename", file.name}, {"purpose", file.purpose},
          {"status", "processed"}};
}

}  // namespace assay::services
