#include "io/download.hpp"

#include <atomic>
#include <gtest/gtest.h>

#include "crypto/sha256.hpp"
#include "io/files.hpp"
#include "io/http_server.hpp"

namespace assay::io {
namespace {

// Serves one file, with ranges; may cut the connection after some bytes.
struct Mirror {
  std::string content, etag = "\"v1\"", seen_range;
  std::atomic<std::size_t> cut_after = SIZE_MAX;
  std::atomic<int> asked{0};
  std::unique_ptr<HttpServer> server = *HttpServer::start(
      {}, [this](HttpRequest& request, HttpResponse& response) { answer(request, response); });

  void answer(const HttpRequest& request, HttpResponse& response) {
    ++asked;
    if (request.path == "/moved") {
      response.set_header("Location", "/file");
      return void(response.send(302, "", ""));
    }
    if (request.path == "/down") {
      response.set_header("Location", "ftp://elsewhere/file");
      return void(response.send(302, "", ""));
    }
    if (request.path != "/file") return void(response.send_error(404, "no such file", "not_found"));
    seen_range = request.header("range");
    std::size_t from = 0;
    if (!seen_range.empty() && request.header("if-range") == etag)
      from = std::stoul(seen_range.substr(6));
    response.set_header("ETag", etag);
    if (from >= content.size()) {
      response.set_header("Content-Range", fmt::format("bytes */{}", content.size()));
      return void(response.send(416, "text/plain", "no"));
    }
    if (from > 0)
      response.set_header("Content-Range",
                          fmt::format("bytes {}-{}/{}", from, content.size() - 1, content.size()));
    response.begin_stream(from > 0 ? 206 : 200, "application/octet-stream");
    const std::string rest = content.substr(from);
    response.write(rest.substr(0, cut_after));
    if (rest.size() > cut_after) return response.abort();
    response.end();
  }
};

struct DownloadTest : testing::Test {
  TempDirectory folder = *TempDirectory::create("assay-download");
  Mirror mirror;
  std::string target = folder.file("model.gguf");

  void SetUp() override {
    for (int i = 0; i < 300'000; ++i) mirror.content.push_back(static_cast<char>(i * 7 + i / 251));
  }
  std::string url(const std::string& path = "/file") { return mirror.server->url() + path; }
  void expect_whole(const Fetched& fetched, std::uint64_t resumed_at) {
    EXPECT_EQ(fetched.bytes, mirror.content.size());
    EXPECT_EQ(fetched.resumed_at, resumed_at);
    ASSERT_TRUE(finish_download(target));
    EXPECT_EQ(*read_file(target), mirror.content);
    EXPECT_EQ(*hash_file(target), crypto::sha256(view(mirror.content)));
    EXPECT_FALSE(path_exists(partial_path(target)));
    EXPECT_FALSE(path_exists(partial_path(target) + ".json"));
  }
};

TEST_F(DownloadTest, AFileComesWholeAlsoThroughARedirect) {
  const auto fetched = download({.source = url("/moved"), .target = target});
  ASSERT_TRUE(fetched) << fetched.error().message;
  expect_whole(*fetched, 0);
}

TEST_F(DownloadTest, OneThatWasCutOffGoesOnWhereItWas) {
  mirror.cut_after = 100'000;
  const auto cut = download({.source = url(), .target = target});
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Errc::unavailable);
  const std::size_t have = read_file(partial_path(target))->size();
  EXPECT_GT(have, 0u);
  mirror.cut_after = SIZE_MAX;
  const auto fetched = download({.source = url(), .target = target});
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(mirror.seen_range, fmt::format("bytes={}-", have));
  expect_whole(*fetched, have);
}

TEST_F(DownloadTest, AnotherVersionStartsAfresh) {
  mirror.cut_after = 100'000;
  ASSERT_FALSE(download({.source = url(), .target = target}));
  mirror.cut_after = SIZE_MAX;
  mirror.etag = "\"v2\"";
  std::ranges::reverse(mirror.content);
  const auto fetched = download({.source = url(), .target = target});
  ASSERT_TRUE(fetched) << fetched.error().message;
  expect_whole(*fetched, 0);
}

TEST_F(DownloadTest, AFileThatOnlyLacksItsNameIsNotFetchedAgain) {
  ASSERT_TRUE(download({.source = url(), .target = target}));
  const auto again = download({.source = url(), .target = target});
  ASSERT_TRUE(again) << again.error().message;
  expect_whole(*again, mirror.content.size());
}

TEST_F(DownloadTest, RefusalsSayWhat) {
  const auto missing = download({.source = url("/nope"), .target = target});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  const auto elsewhere = download({.source = url("/down"), .target = target});
  EXPECT_EQ(elsewhere.error().code, Errc::refused);
  EXPECT_EQ(download({.source = folder.file("nope"), .target = target}).error().code,
            Errc::not_found);
  EXPECT_FALSE(path_exists(partial_path(target)));
}

TEST_F(DownloadTest, ALocalFileIsCopiedAndContinued) {
  const std::string source = folder.file("source.gguf");
  std::string large;
  for (int i = 0; i < 12; ++i) large += mirror.content;
  ASSERT_TRUE(write_file_atomic(source, view(large)));
  bool stop = false;
  Download d{.source = source, .target = target};
  d.progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, large.size());
    stop = stop || done > large.size() / 3;
  };
  d.cancelled = [&] { return stop; };
  const auto cut = download(d);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Errc::cancelled);
  mirror.content = large;
  const std::size_t have = read_file(partial_path(target))->size();
  EXPECT_GT(have, 0u);
  const auto fetched = download({.source = source, .target = target});
  ASSERT_TRUE(fetched) << fetched.error().message;
  expect_whole(*fetched, have);
}

}  // namespace
}  // namespace assay::io
