#include "services/market/replay_referee.hpp"

#include <algorithm>
#include <filesystem>

#include "io/files.hpp"
#include "io/log.hpp"
#include "verify/audit.hpp"
#include "verify/identity.hpp"

namespace assay::services {

using market::Judgement;
using protocol::Outcome;

namespace {

struct LoadedModel {
  io::MappedFile file;
  std::shared_ptr<const engine::Model> model;
};

Result<LoadedModel> load(const std::string& path) {
  TRY(auto file, io::MappedFile::open(path));
  TRY(auto model, engine::Model::load(file.bytes()));
  return LoadedModel{std::move(file), std::move(model)};
}

// Changes when the file does.
std::string stamp(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  const auto time = std::filesystem::last_write_time(path, error);
  return fmt::format("{} {}", size, time.time_since_epoch().count());
}

Judgement not_judged(std::string reason) { return {Outcome::not_judged, std::move(reason)}; }

}  // namespace

ReplayReferee::ReplayReferee(std::string models_dir, unsigned threads, const Clock& clock)
    : models_dir_(std::move(models_dir)), clock_(clock), pool_(threads) {}

Result<std::string> ReplayReferee::find_model(const Hash& execution) {
  std::vector<std::string> paths;
  if (!models_dir_.empty()) {
    std::error_code error;
    for (std::filesystem::directory_iterator it(models_dir_, error), end; !error && it != end;
         it.increment(error))
      if (it->path().extension() == ".gguf") paths.push_back(it->path().string());
    if (error) return fail(Errc::io, "cannot list {}: {}", models_dir_, error.message());
  }
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    const auto now = stamp(path);
    auto it = known_.find(path);
    if (it == known_.end() || it->second.first != now) {
      auto loaded = load(path);
      auto id = loaded ? verify::execution_id(*loaded->model, pool_)
                       : Result<protocol::ExecutionId>(std::unexpected(loaded.error()));
      if (!id) {
        io::log_warn("referee cannot use {}: {}", path, id.error().message);
        continue;
      }
      it = known_.insert_or_assign(path, std::pair(now, protocol::struct_hash(*id))).first;
    }
    if (it->second.second == execution) return path;
  }
  return fail(Errc::not_found, "the host has no model of this execution id");
}

Result<Judgement> ReplayReferee::judge(const market::DisputeEvidence& evidence) {
  const std::lock_guard lock(mutex_);
  auto path = find_model(protocol::struct_hash(evidence.execution));
  if (!path && path.error().code == Errc::not_found) return not_judged(path.error().message);
  if (!path) return std::unexpected(path.error());
  TRY(const auto loaded, load(*path));
  verify::AuditOptions options;
  options.identity = evidence.execution;
  auto report = std::visit(
      [&](const auto& statement) {
        return verify::replay_audit(evidence.request, statement, evidence.opening, loaded.model,
                                    pool_, options, clock_);
      },
      evidence.statement);
  // An opening that does not fit is the challenger's fault or a wrong file, never the provider's.
  if (!report) return not_judged(report.error().message);
  const auto outcome = report->match ? Outcome::provider_right : Outcome::provider_wrong;
  if (!report->divergence) return Judgement{outcome, report->reason};
  // The verdict is public: places may be named in it, tokens may not.
  const auto& d = *report->divergence;
  return Judgement{outcome, fmt::format("the replay differs at position {}{}", d.position,
                                        d.layer ? fmt::format(", layer {}", *d.layer) : "")};
}

}  // namespace assay::services
