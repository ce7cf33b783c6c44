#include "base/base64.hpp"

#include <gtest/gtest.h>

namespace assay {
namespace {

// RFC 4648 section 10.
TEST(Base64, IsTheRfcs) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(to_base64(view(plain)), coded);
    EXPECT_EQ(text(*from_base64(coded)), plain);
  }
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::uint8_t>(i));
  EXPECT_EQ(*from_base64(to_base64(all)), all);
}

TEST(Base64, RefusesEveryOtherForm) {
  for (const std::string_view bad : {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=",
                                     "Zm9v\n", "Zm 9", "Zm-_", "Zg==Zg==",
                                     "Zm\xff"
                                     "v"})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

}  // namespace
}  // namespace assay
