#include "io/files.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "base/hex.hpp"
#include "io/random.hpp"
#include "io/unique_fd.hpp"

namespace assay::io {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::unexpected<Error> os_fail(int error, std::string_view doing, const std::string& path) {
  return std::unexpected(errno_error(error, doing, path));
}

struct OpenFile {
  UniqueFd fd;
  std::size_t size;
};

// O_NONBLOCK keeps a FIFO under the name from blocking the open; it has no effect on files.
Result<OpenFile> open_regular(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return os_fail(errno, "open", path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return os_fail(errno, "open", path);
  if (S_ISDIR(info.st_mode)) return os_fail(EISDIR, "open", path);
  if (!S_ISREG(info.st_mode)) return fail(Errc::invalid, "not a regular file: {}", path);
  return OpenFile{std::move(fd), static_cast<std::size_t>(info.st_size)};
}

Status write_all(int fd, ByteView content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail(errno, "write", path);
    content = content.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status sync_directory(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return os_fail(errno, "open", directory);
  if (::fsync(fd.get()) != 0) return os_fail(errno, "sync", directory);
  return {};
}

Status write_temporary(const std::string& temporary, const std::string& path, ByteView content,
                       unsigned mode) {
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.valid()) return os_fail(errno, "write", path);
  // The umask may have taken bits the caller asked for (or left none it did not).
  if (::fchmod(fd.get(), mode) != 0) return os_fail(errno, "write", path);
  CHECK_OK(write_all(fd.get(), content, path));
  if (::fsync(fd.get()) != 0) return os_fail(errno, "sync", path);
  // A crash up to here leaves the old content and a stray temporary.
  if (::rename(temporary.c_str(), path.c_str()) != 0) return os_fail(errno, "replace", path);
  return {};
}

}  // namespace

Error errno_error(int error, std::string_view doing, const std::string& path) {
  switch (error) {
    case ENOENT:
      return {Errc::not_found, doing == "open" ? fmt::format("no such file: {}", path)
                                               : fmt::format("no such folder for: {}", path)};
    case EISDIR:
      return {Errc::invalid, fmt::format("is a directory: {}", path)};
    case ENOTDIR:
      return {Errc::invalid, fmt::format("part of the path is not a folder: {}", path)};
    case EACCES:
    case EPERM:
      return {Errc::io, fmt::format("permission denied: {}", path)};
    case EROFS:
      return {Errc::io, fmt::format("file system is read-only: {}", path)};
    case ENOSPC:
    case EDQUOT:
      return {Errc::unavailable,
              fmt::format("no space left on the disk of {}: free some and try again", path)};
    case EMFILE:
    case ENFILE:
      return {Errc::unavailable, fmt::format("too many open files: cannot {} {}", doing, path)};
    default:
      return {Errc::io,
              fmt::format("cannot {} {}: {}", doing, path, std::generic_category().message(error))};
  }
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  TRY(const OpenFile file, open_regular(path));
  if (file.size == 0) return fail(Errc::invalid, "file is empty: {}", path);
  void* data = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.fd.get(), 0);
  if (data == MAP_FAILED) return os_fail(errno, "map", path);
  return MappedFile(static_cast<const std::uint8_t*>(data), file.size);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  TRY(const OpenFile file, open_regular(path));
  std::string out;
  // /proc files say 0 bytes, and a file may grow while it is read: trust only what is read.
  char chunk[1 << 16];
  for (;;) {
    const ssize_t n = ::read(file.fd.get(), chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os_fail(errno, "read", path);
    if (n == 0) return out;
    out.append(chunk, static_cast<std::size_t>(n));
    if (out.size() > max_bytes)
      return fail(Errc::invalid, "file is larger than {} bytes: {}", max_bytes, path);
  }
}

Status write_file_atomic(const std::string& path, ByteView content, unsigned mode) {
  if (std::error_code ignored; std::filesystem::is_directory(path, ignored))
    return os_fail(EISDIR, "write", path);
  const Hash unique = random_hash();
  const std::string temporary = path + ".tmp-" + to_hex_bare(ByteView(unique).subspan(0, 8));
  if (auto written = write_temporary(temporary, path, content, mode); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  // A crash before this line may bring the old content back; after it the new one stays.
  return sync_directory(parent_of(path));
}

Status append_file(const std::string& path, ByteView content, unsigned mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, mode));
  if (fd.get() < 0) return os_fail(errno, "open", path);
  CHECK_OK(write_all(fd.get(), content, path));
  if (::fdatasync(fd.get()) != 0) return os_fail(errno, "write", path);
  return {};
}

Status make_directories(const std::string& path, unsigned mode) {
  if (path.empty()) return fail(Errc::invalid, "empty folder name");
  for (std::size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      const int error = errno;
      // A parent that exists on a read-only or foreign file system may answer other than EEXIST.
      if (std::error_code ignored; std::filesystem::is_directory(part, ignored)) continue;
      return os_fail(error, "create folder", part);
    }
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored))
    return fail(Errc::invalid, "exists but is not a folder: {}", path);
  return {};
}

namespace {

// Makes the folder of a file and those above it, and notes each folder that got a new name.
Status make_folder(const std::string& root, const std::string& folder, unsigned mode,
                   std::set<std::string>& changed) {
  std::vector<std::string> made;
  for (std::string at = folder; at.size() > root.size() && !path_exists(at); at = parent_of(at)) {
    made.push_back(at);
    changed.insert(parent_of(at));
  }
  CHECK_OK(make_directories(folder, mode));
  for (const std::string& path : made)
    if (::chmod(path.c_str(), mode) != 0) return os_fail(errno, "create folder", path);
  changed.insert(folder);
  return {};
}

}  // namespace

Status write_files(const std::string& root, std::span<const NewFile> files, unsigned mode) {
  constexpr std::size_t kOpenMax = 128;
  const unsigned folder_mode = mode | (mode & 0444) >> 2;  // whoever may read may enter
  std::set<std::string> changed;
  while (!files.empty()) {
    const auto some = files.first(std::min(files.size(), kOpenMax));
    files = files.subspan(some.size());
    std::vector<UniqueFd> open;
    for (const NewFile& file : some) {
      const std::string path = root + "/" + file.path;
      const std::string folder = parent_of(path);
      if (!changed.contains(folder)) CHECK_OK(make_folder(root, folder, folder_mode, changed));
      UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
      // The umask may have taken bits: these files are for others to read.
      if (!fd.valid() || ::fchmod(fd.get(), mode) != 0) return os_fail(errno, "write", path);
      CHECK_OK(write_all(fd.get(), file.content, path));
      open.push_back(std::move(fd));
    }
    for (std::size_t i = 0; i < some.size(); ++i)
      if (::fdatasync(open[i].get()) != 0) return os_fail(errno, "sync", root + "/" + some[i].path);
  }
  for (const std::string& folder : changed) CHECK_OK(sync_directory(folder));
  return {};
}

bool path_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<TempDirectory> TempDirectory::create(std::string_view prefix) {
  const char* base = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  std::string path =
      fmt::format("{}/{}-XXXXXX", base != nullptr && *base != 0 ? base : "/tmp", prefix);
  if (::mkdtemp(path.data()) == nullptr) return os_fail(errno, "create folder", path);
  return TempDirectory(std::move(path));
}

TempDirectory::~TempDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<FileLock> FileLock::acquire(const std::string& directory) {
  const std::string path = directory + "/lock";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.valid()) return os_fail(errno, "lock", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return os_fail(errno, "lock", path);
    char text[32] = {};
    const ssize_t n = ::pread(fd.get(), text, sizeof text - 1, 0);
    const long pid = n > 0 ? std::strtol(text, nullptr, 10) : 0;
    return fail(Errc::conflict, "data directory {} is in use by another assay process (pid {})",
                directory, pid > 0 ? std::to_string(pid) : "unknown");
  }
  // The number is for people only; the kernel's lock is what counts.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0) return os_fail(errno, "lock", path);
  CHECK_OK(write_all(fd.get(), view(pid), path));
  return FileLock(fd.release());
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace assay::io
