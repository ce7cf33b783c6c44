// See sha.h.
#pragma once
#include <cstddef>

inline void OPENSSL_cleanse(void* bytes, std::size_t size) {
  auto* at = static_cast<volatile unsigned char*>(bytes);
  while (size-- > 0) *at++ = 0;
}
