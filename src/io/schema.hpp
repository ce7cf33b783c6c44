// Versions of our databases. SQLite's user_version counts the steps of its schema that a file has
// been through; one from before there were versions says 0 and is taken for that.
#pragma once
#include <string>
#include <vector>

#include "io/sqlite.hpp"

namespace assay::io {

struct Schema {
  std::string owner;  // "gateway": who writes such a file, for messages
  // steps[n] is SQL that takes version n to n + 1. The first makes the tables of a new file and
  // must be harmless to one of version 0 that has them.
  std::vector<std::string> steps;
  // The oldest version whose tables a reader of the newest understands.
  std::uint32_t readable_from = 0;

  std::uint32_t version() const { return static_cast<std::uint32_t>(steps.size()); }
};

// As Database::open, and the file is of the newest version when it returns. create: a file of an
// older version that holds tables is first copied to `<path>.v<version>.backup`, on disk before
// anything changes, and then taken through all steps in one transaction. unsupported: the file is
// of a later version than this program knows, or of one that a reader cannot use; nothing has been
// changed.
Result<std::unique_ptr<Database>> open_versioned(const std::string& path, OpenMode mode,
                                                 const Schema& schema);

Result<std::uint32_t> user_version(Database& db);

}  // namespace assay::io
