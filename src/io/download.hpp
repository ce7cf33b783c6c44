// A large file from another place on this machine or from a web server, into a folder of ours. It
// grows as `<target>.partial`; one that was cut off, by whatever, goes on where it was as long as
// the source is still the same.
#pragma once
#include <functional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::io {

struct Download {
  std::string source;  // a path, or an http or https URL; redirects are followed, not to http
  std::string target;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};  // total 0: not known
  std::function<bool()> cancelled{};
};

struct Fetched {
  std::uint64_t bytes = 0;
  std::uint64_t resumed_at = 0;  // bytes that were there from an earlier try
};

// The whole file is on disk as `<target>.partial` when it returns; finish_download gives it its
// name. unavailable, cancelled: what came so far stays, the same call goes on from there.
Result<Fetched> download(const Download& download);
std::string partial_path(const std::string& target);
Status finish_download(const std::string& target);
void discard_download(const std::string& target);

// Of a file of any size. `progress` as above.
Result<Hash> hash_file(const std::string& path,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace assay::io
