// Programmer errors end the process, in every build. Never used on anything remote.
#pragma once

namespace assay {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}

#define ASSAY_ASSERT(condition) \
  ((condition) ? void(0) : ::assay::assertion_failed(#condition, __FILE__, __LINE__))
