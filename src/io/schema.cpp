#include "io/schema.hpp"

#include <cstdio>
#include <fcntl.h>

#include "base/assert.hpp"
#include "io/files.hpp"
#include "io/unique_fd.hpp"

namespace assay::io {
namespace {

Status sync_path(const std::string& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0)
    return std::unexpected(errno_error(errno, "sync", path));
  return {};
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// The whole content, the write-ahead log's part too. A crash leaves no copy, a `.part` that the
// next try replaces, or the copy.
Status back_up(Database& db, std::uint32_t version) {
  const std::string copy = fmt::format("{}.v{}.backup", db.path(), version);
  const std::string part = copy + ".part";
  std::remove(part.c_str());
  {
    TRY(Statement vacuum, db.prepare("VACUUM INTO ?1"));
    if (const Status copied = vacuum.bind_all(part).run(); !copied)
      return fail_in(fmt::format("no copy of {} before its tables change", db.path()),
                     copied.error());
  }
  CHECK_OK(sync_path(part, O_RDWR));
  if (std::rename(part.c_str(), copy.c_str()) != 0)
    return std::unexpected(errno_error(errno, "name", copy));
  return sync_path(folder_of(copy), O_RDONLY | O_DIRECTORY);
}

Status migrate(Database& db, const Schema& schema, std::uint32_t from) {
  TRY(auto transaction, Transaction::begin(db));
  for (std::uint32_t version = from; version < schema.version(); ++version)
    CHECK_OK(db.exec(schema.steps[version]));
  CHECK_OK(db.exec(fmt::format("PRAGMA user_version = {}", schema.version())));
  // A crash before this line leaves the file as it was.
  return transaction.commit();
}

}  // namespace

Result<std::uint32_t> user_version(Database& db) {
  TRY(const auto version, db.query_int64("PRAGMA user_version"));
  return static_cast<std::uint32_t>(version.value_or(0));
}

Result<std::unique_ptr<Database>> open_versioned(const std::string& path, OpenMode mode,
                                                 const Schema& schema) {
  ASSAY_ASSERT(!schema.steps.empty());
  TRY(auto db, Database::open(path, mode));
  TRY(const std::uint32_t found, user_version(*db));
  if (found > schema.version())
    return fail(Errc::unsupported,
                "{} is of version {}, and this program knows {} versions up to {}: use a newer "
                "assay, or the copy {}.v{}.backup with this one",
                path, found, schema.owner, schema.version(), path, schema.version());
  if (found == schema.version()) return db;
  if (mode != OpenMode::create) {
    if (found >= schema.readable_from) return db;
    return fail(Errc::unsupported,
                "{} is of version {}, wanted is {}: start the {} once, which keeps a copy and "
                "brings it up to date",
                path, found, schema.version(), schema.owner);
  }
  TRY(const auto tables, db->query_int64("SELECT count(*) FROM sqlite_schema"));
  if (tables.value_or(0) > 0) CHECK_OK(back_up(*db, found));
  if (const Status done = migrate(*db, schema, found); !done)
    return fail_in(fmt::format("{} stays at version {}", path, found), done.error());
  return db;
}

}  // namespace assay::io
