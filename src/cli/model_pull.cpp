// assay model pull | list
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "cli/model_verbs.hpp"
#include "cli/progress.hpp"
#include "io/download.hpp"
#include "io/signals.hpp"
#include "protocol/all_messages.hpp"

namespace assay::cli {
namespace {

namespace fs = std::filesystem;

struct ModelPullOptions {
  std::string source, models = "models", name, sha256;
  std::vector<std::string> accepted;
  bool hash = false;
};

// Licences that ask for no more than to be passed on with the file: SPDX ids, lower case.
constexpr std::string_view kFree[] = {"apache-2.0", "mit",     "bsd-2-clause", "bsd-3-clause",
                                      "isc",        "cc0-1.0", "cc-by-4.0",    "unlicense",
                                      "0bsd",       "zlib",    "bsl-1.0"};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return text;
}

std::string license_of(const engine::Gguf& gguf) {
  return lower(engine::printable(gguf.string("general.license").value_or("none")));
}

Status check_license(const engine::Gguf& gguf, const std::vector<std::string>& accepted) {
  const std::string license = license_of(gguf);
  if (std::ranges::find(kFree, license) != std::end(kFree)) return {};
  if (std::ranges::find(accepted, license, lower) != accepted.end()) return {};
  const auto link = gguf.string("general.license.link");
  return fail(Errc::refused, "its licence is {}{}: {} pass --accept-license '{}'",
              license == "none" ? "not stated" : license,
              link ? fmt::format(" ({})", engine::printable(*link, 200)) : std::string(),
              license == "none" ? "find out what it is, and" : "read it, and if you agree",
              license);
}

Result<std::string> name_of(const ModelPullOptions& options) {
  std::string name = options.name;
  if (name.empty()) {
    const std::string path = options.source.substr(0, options.source.find_first_of("?#"));
    name = fs::path(path).filename().string();
  }
  if (!name.ends_with(".gguf")) name += ".gguf";
  if (name.find('/') != std::string::npos || name.starts_with('.'))
    return fail(Errc::invalid, "'{}' cannot be a file's name: choose one with --name", name);
  return name;
}

// Whether it is there, whole.
Result<bool> is_file_of(const std::string& path, const std::optional<Hash>& wanted) {
  if (!wanted || !io::path_exists(path)) return false;
  TRY(const Hash hash, io::hash_file(path));
  return hash == *wanted;
}

Result<io::Fetched> kept_at(const std::string& path) {
  const std::uint64_t bytes = fs::file_size(path);
  return io::Fetched{.bytes = bytes, .resumed_at = bytes};
}

Result<int> pull(const Context& context, const ModelPullOptions& options) {
  const io::StopSignal stop;
  TRY(const std::string name, name_of(options));
  std::optional<Hash> wanted;
  if (!options.sha256.empty()) {
    const auto hash = array_from_hex<32>(options.sha256);
    if (!hash) return fail_in("--sha256", hash.error());
    wanted = *hash;
  }
  CHECK_OK(io::make_directories(options.models));
  const std::string target = options.models + "/" + name;
  if (io::path_exists(target)) {
    if (!wanted)
      return fail(Errc::conflict, "{} is there already: give --sha256 to check it, or --name",
                  target);
    TRY(const Hash have, io::hash_file(target));
    if (have != *wanted)
      return fail(Errc::conflict, "{} is another file, of SHA-256 {}: choose a --name", target,
                  to_hex(have));
  }
  io::Fetched fetched;
  Hash hash{};
  if (!io::path_exists(target)) {
    Progress progress("fetching " + name);
    // A file of this machine shows its licence before it is copied.
    if (auto here = ModelFile::open(options.source))
      CHECK_OK(check_license(here->model->gguf(), options.accepted));
    io::Download d{.source = options.source, .target = target};
    d.progress = [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); };
    d.cancelled = [&] { return stop.requested(); };
    // What was refused for its licence is there, whatever the server says about versions.
    TRY(const bool is_kept, is_file_of(io::partial_path(target), wanted));
    auto done = is_kept ? kept_at(io::partial_path(target)) : io::download(d);
    if (!done && done.error().code == Errc::cancelled)
      return fail(Errc::cancelled, "stopped; the same command goes on where it was");
    if (!done && done.error().code == Errc::unavailable &&
        io::path_exists(io::partial_path(target)))
      return fail(Errc::unavailable, "{}; run it again to go on from there", done.error().message);
    if (!done) return std::unexpected(done.error());
    fetched = *done;
    TRY(hash, io::hash_file(io::partial_path(target)));
    if (wanted && hash != *wanted) {
      io::discard_download(target);
      return fail(Errc::mismatch, "{} has SHA-256 {}, not the one asked for: thrown away",
                  options.source, to_hex(hash));
    }
    {
      auto opened = ModelFile::open(io::partial_path(target));
      if (!opened) {
        io::discard_download(target);
        return std::unexpected(opened.error());
      }
      // The bytes stay: agreeing must not cost another download.
      if (const Status free = check_license(opened->model->gguf(), options.accepted); !free)
        return fail(free.error().code,
                    "{}; the download is kept: with --sha256 {} it is not fetched again",
                    free.error().message, to_hex(hash));
    }
    CHECK_OK(io::finish_download(target));
  } else {
    hash = *wanted;
    fetched.bytes = fs::file_size(target);
    fetched.resumed_at = fetched.bytes;
  }
  TRY(const ModelFile model, ModelFile::open(target));
  if (context.json()) {
    context.print(json::object{{"file", target},
                               {"bytes", fetched.bytes},
                               {"resumed_at", fetched.resumed_at},
                               {"sha256", to_hex(hash)},
                               {"checked", wanted.has_value()},
                               {"license", license_of(model.model->gguf())}});
    return kOk;
  }
  fmt::print("{}\nSHA-256 {}{}\nlicence {}\n", target, to_hex(hash),
             wanted ? ", as asked for"
                    : ": compare it with what its publisher says, or give --sha256 next time",
             license_of(model.model->gguf()));
  return kOk;
}

Result<int> list_models(const Context& context, const ModelPullOptions& options) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (auto it = fs::directory_iterator(options.models, error);
       !error && it != fs::directory_iterator(); it.increment(error))
    if (it->path().extension() == ".gguf") paths.push_back(it->path());
  if (error)
    return fail(Errc::not_found, "cannot read the folder {}: {}", options.models, error.message());
  std::ranges::sort(paths);
  json::array rows;
  ThreadPool pool(thread_count(0));
  for (const fs::path& path : paths) {
    json::object row{{"name", path.stem().string()}, {"file", path.string()}};
    row["bytes"] = fs::file_size(path, error);
    const auto model = ModelFile::open(path.string());
    if (model) {
      const engine::Hyper& h = model->model->hyper();
      row["architecture"] = h.architecture;
      row["layers"] = h.layers;
      row["context"] = h.context;
      row["chat"] = model->chat && model->chat->usable();
      row["license"] = license_of(model->model->gguf());
      if (options.hash) {
        TRY(const auto id, model->identity(pool));
        row["sha256"] = to_hex(id.file_sha256);
        row["execution"] = to_hex(protocol::struct_hash(verify::execution_id(id)));
      }
    } else {
      row["problem"] = model.error().message;
    }
    if (!context.json()) {
      if (model)
        fmt::print("{:<32} {:>12} bytes  {:<8} context {:<6} {:<8} {}{}\n", path.stem().string(),
                   row["bytes"].to_number<std::uint64_t>(), model->model->hyper().architecture,
                   model->model->hyper().context, row["chat"].get_bool() ? "chat" : "no chat",
                   std::string_view(row["license"].get_string()),
                   options.hash ? fmt::format("\n    SHA-256   {}\n    execution {}",
                                              std::string_view(row["sha256"].get_string()),
                                              std::string_view(row["execution"].get_string()))
                                : std::string());
      else
        fmt::print("{:<32} not usable: {}\n", path.stem().string(), model.error().message);
    }
    rows.push_back(std::move(row));
  }
  if (context.json()) {
    context.print(json::object{{"models", std::move(rows)}});
  } else if (paths.empty()) {
    fmt::print("no GGUF files in {} (`assay model pull` brings one)\n", options.models);
  }
  return kOk;
}

}  // namespace

void add_model_pull(CLI::App& model, Context& context) {
  CLI::App* pulling = context.verb(
      model, "pull", "bring a model file from this machine or a mirror, checked and resumable",
      "assay model pull https://mirror.example/qwen3-0.6b-q8_0.gguf --models ./models --sha256 "
      "9465…");
  const auto o = std::make_shared<ModelPullOptions>();
  pulling->add_option("SOURCE", o->source, "a path, or an http(s) URL of a GGUF file")->required();
  pulling->add_option("--models", o->models, "the folder it goes to (default models)");
  pulling->add_option("--name", o->name, "what to call it there (default: as at the source)");
  pulling->add_option("--sha256", o->sha256, "what it must hash to, as its publisher says");
  pulling->add_option("--accept-license", o->accepted,
                      "a licence you have read and agree to; the permissive ones need no word");
  context.json_flag(pulling);
  context.on_run(pulling, [&context, o] { return pull(context, *o); });

  CLI::App* listing = context.verb(model, "list", "the models in a folder",
                                   "assay model list --models ./models --hash");
  const auto l = std::make_shared<ModelPullOptions>();
  listing->add_option("--models", l->models, "the folder (default models)");
  listing->add_flag("--hash", l->hash, "their SHA-256 and execution ids, too: reads every byte");
  context.json_flag(listing);
  context.on_run(listing, [&context, l] { return list_models(context, *l); });
}

}  // namespace assay::cli
