#include "services/gateway/model_catalog.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "protocol/typed.hpp"

namespace assay::services {
namespace {

namespace fs = std::filesystem;

Result<std::shared_ptr<const LocalModel>> load_model(const std::string& path, ThreadPool& pool) {
  TRY(io::MappedFile file, io::MappedFile::open(path));
  TRY(auto model, engine::Model::load(file.bytes()));
  TRY(engine::Tokenizer tokenizer, engine::Tokenizer::from(model->gguf()));
  std::optional<engine::ChatTemplate> chat;
  if (auto found = engine::ChatTemplate::from(model->gguf())) chat = std::move(*found);
  TRY(const verify::ModelIdentity identity,
      verify::identify(*model, tokenizer, chat ? &*chat : nullptr, file.bytes(), pool));
  const protocol::ExecutionId execution = verify::execution_id(identity);
  verify::Program program = verify::program_of(*model, tokenizer, chat ? &*chat : nullptr, pool);
  std::string title;
  if (auto name = model->gguf().string("general.name")) title = std::move(*name);
  std::error_code error;
  const auto modified = fs::last_write_time(path, error);
  const auto modified_s = error ? 0
                                : std::chrono::duration_cast<std::chrono::seconds>(
                                      std::chrono::file_clock::to_sys(modified).time_since_epoch())
                                      .count();
  return std::make_shared<const LocalModel>(LocalModel{
      .name = fs::path(path).stem().string(),
      .path = path,
      .title = std::move(title),
      .modified_s = modified_s,
      .file = std::move(file),
      .model = std::move(model),
      .tokenizer = std::move(tokenizer),
      .chat = std::move(chat),
      .identity = identity,
      .execution = execution,
      .execution_hash = protocol::struct_hash(execution),
      .program = std::move(program),
  });
}

}  // namespace

Result<ModelCatalog> ModelCatalog::load(const std::string& directory, ThreadPool& pool) {
  std::error_code error;
  std::vector<std::string> paths;
  for (auto it = fs::directory_iterator(directory, error); !error && it != fs::directory_iterator();
       it.increment(error))
    if (it->path().extension() == ".gguf") paths.push_back(it->path().string());
  if (error)
    return fail(Errc::not_found, "cannot read the model directory {}: {}", directory,
                error.message());
  std::sort(paths.begin(), paths.end());

  ModelCatalog out;
  for (const std::string& path : paths) {
    if (auto model = load_model(path, pool)) {
      out.models_.push_back(std::move(*model));
    } else {
      out.skipped_.push_back({path, model.error().message});
    }
  }
  if (out.models_.empty())
    return fail(Errc::not_found, "no usable GGUF model in {}{}", directory,
                out.skipped_.empty()
                    ? ": put the files you want to use there"
                    : fmt::format(" ({}: {})", fs::path(out.skipped_[0].path).filename().string(),
                                  out.skipped_[0].reason));
  return out;
}

std::shared_ptr<const LocalModel> ModelCatalog::find(std::string_view name) const {
  std::shared_ptr<const LocalModel> titled;
  std::size_t matches = 0;
  for (const auto& model : models_) {
    if (model->name == name) return model;
    if (!name.empty() && model->title == name) {
      titled = model;
      ++matches;
    }
  }
  return matches == 1 ? titled : nullptr;
}

std::shared_ptr<const LocalModel> ModelCatalog::find(const Hash& execution_hash) const {
  for (const auto& model : models_)
    if (model->execution_hash == execution_hash) return model;
  return nullptr;
}

std::string ModelCatalog::names() const {
  std::string out;
  for (const auto& model : models_) out += (out.empty() ? "" : ", ") + model->name;
  return out;
}

}  // namespace assay::services
