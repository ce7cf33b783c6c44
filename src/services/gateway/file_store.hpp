// Files that clients upload and batches write: content in <data>/files/<id>, mode 0600, the rest in
// the database.
#pragma once
#include "services/gateway/gatekeeper.hpp"

namespace assay::services {

class FileStore {
 public:
  // Makes the folder.
  static Result<FileStore> open(const std::string& data_directory, Store& store);

  // A new file, or the one of this id again, with this content: on disk when it returns.
  Result<FileRecord> put(FileRecord record, std::string_view content) const;
  static std::string new_id();
  // Of the caller's key; somebody else's is not_found.
  Result<FileRecord> find(const Caller& caller, const std::string& id) const;
  Result<std::string> content(const FileRecord& file) const;
  Status remove(const FileRecord& file) const;
  Result<std::vector<FileRecord>> list(const Caller& caller) const;  // newest first

 private:
  FileStore(std::string folder, Store& store) : folder_(std::move(folder)), store_(&store) {}
  std::string path(const std::string& id) const { return folder_ + "/" + id; }
  std::string folder_;
  Store* store_;
};

inline constexpr std::size_t kFileBytesMax = 64u << 20;

json::object to_json(const FileRecord& file);  // OpenAI's file object

}  // namespace assay::services
