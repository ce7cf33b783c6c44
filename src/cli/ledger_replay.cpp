#include "cli/ledger_replay.hpp"

#include <filesystem>

#include "settle/remote.hpp"

namespace assay::cli {
namespace {

Result<settle::LogReplay> replay_url(const std::string& url) {
  settle::RemoteLedger remote(url);
  TRY(const auto info, remote.info());
  TRY(const std::string log, remote.log(1));
  TRY(auto replay, settle::LogReplay::start(info));
  CHECK_OK(replay.add_lines(log));
  return replay;
}

Result<settle::LogReplay> replay_file(const std::string& path) {
  TRY(auto database, io::Database::open(path, io::OpenMode::read_only));
  TRY(const auto info, settle::read_info(*database));
  TRY(auto replay, settle::LogReplay::start(info));
  CHECK_OK(
      settle::each_row(*database, 1, [&](const settle::LogRow& row) { return replay.add(row); }));
  return replay;
}

}  // namespace

Result<settle::LogReplay> replay_ledger(const std::string& source) {
  std::error_code none;
  const bool is_url = source.starts_with("http://") || source.starts_with("https://");
  auto out = is_url
                 ? replay_url(source)
                 : replay_file(std::filesystem::is_directory(source, none) ? source + "/ledger.db"
                                                                           : source);
  if (!out) return fail_in("the log", out.error());
  return out;
}

}  // namespace assay::cli
