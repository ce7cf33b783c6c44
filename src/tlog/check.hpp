// Reading a whole log from its beginning: every entry, every tile.
#pragma once
#include "tlog/checkpoint.hpp"
#include "tlog/edge.hpp"

namespace assay::tlog {

// The entries make the checkpoint's root, and every tile of its tree is the one they make. Memory
// does not depend on the size. `seen` is told of each entry, in order. Errors: mismatch, naming
// the file; the source's.
Status check_log(const Checkpoint& checkpoint, TileSource& source,
                 const std::function<Status(std::uint64_t index, ByteView entry)>& seen);

}  // namespace assay::tlog
