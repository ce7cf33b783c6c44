// The files of a log in a folder, as a static server would serve them.
#pragma once
#include "tlog/tile.hpp"

namespace assay::services {

class TileFolder : public tlog::TileSource {
 public:
  explicit TileFolder(std::string folder) : folder_(std::move(folder)) {}
  // A partial tile that is gone is cut from the full one.
  Result<Bytes> read(const tlog::TileId& id) override;
  Result<std::string> checkpoint() const;  // not_found before the first

 private:
  const std::string folder_;
};

}  // namespace assay::services
