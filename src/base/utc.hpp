// Unix seconds as people read them.
#pragma once
#include <cstdint>
#include <string>

namespace assay {

// "2026-11-29 02:03:04 UTC", for any number: beyond the year 9999, "Unix time N".
std::string utc_text(std::uint64_t unix_seconds);

}  // namespace assay
