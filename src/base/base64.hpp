// RFC 4648 section 4, with padding: bytes where hexadecimal would be too long.
#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay {

std::string to_base64(ByteView bytes);
// Only what to_base64 writes: no line breaks, no missing padding, no bits beyond the last byte.
Result<Bytes> from_base64(std::string_view text);

}  // namespace assay
