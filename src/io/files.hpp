// Files as the rest of the program needs them: mapped for reading, replaced atomically, locked.
// Errors are one line: "no such file: X", "permission denied: X", "is a directory: X", …
#pragma once
#include <cstddef>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::io {

// Errc and one line for an errno on a path; `doing` names the action ("write", "open").
Error errno_error(int error, std::string_view doing, const std::string& path);

// A whole regular file, mapped read-only and private. Move-only. An empty file is an error.
// Whoever truncates the file while it is mapped makes reads fault (SIGBUS): models are opened
// from folders that only the operator writes.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile();

  ByteView bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

// The whole file, or Errc::invalid when it is longer than max_bytes. An empty file is "".
Result<std::string> read_file(const std::string& path, std::size_t max_bytes = 16u << 20);

// After success the new content is on disk under `path`; after a crash at any moment `path` holds
// the old content or the new one, whole. Temporary in the same folder, fsync, rename, fsync folder.
Status write_file_atomic(const std::string& path, ByteView content, unsigned mode = 0644);

// Adds to the end of the file, which is made when missing, and waits until it is on disk. A crash
// may leave a part of it.
Status append_file(const std::string& path, ByteView content, unsigned mode = 0644);

// As mkdir -p; an existing folder is fine. Each new folder gets `mode`.
Status make_directories(const std::string& path, unsigned mode = 0755);

bool path_exists(const std::string& path);

// Writes many files under `root` and makes them durable together, at the price of one wait for the
// disk a file instead of three. Missing folders are made. After a crash, or an error, each file may
// be missing, empty, partial or whole: for files that nothing refers to until this has returned.
struct NewFile {
  std::string path;  // relative to `root`
  Bytes content;
};
Status write_files(const std::string& root, std::span<const NewFile> files, unsigned mode = 0644);

// A fresh folder under $TMPDIR or /tmp, mode 0700, removed with its content on destruction.
class TempDirectory {
 public:
  static Result<TempDirectory> create(std::string_view prefix = "assay");
  TempDirectory(TempDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDirectory& operator=(TempDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TempDirectory();

  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Leaves the folder on disk for the user to look at.
  void keep() { path_.clear(); }

 private:
  explicit TempDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Exclusive use of a data directory by one process: flock on `<directory>/lock`, which the kernel
// releases however the process ends. Errc::conflict: "data directory X is in use by another assay
// process (pid N)".
class FileLock {
 public:
  static Result<FileLock> acquire(const std::string& directory);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace assay::io
