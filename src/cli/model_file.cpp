#include "cli/model_file.hpp"

#include <thread>

#include "cli/progress.hpp"

namespace assay::cli {

Result<ModelFile> ModelFile::open(const std::string& path) {
  TRY(io::MappedFile file, io::MappedFile::open(path));
  const auto model = engine::Model::load(file.bytes());
  if (!model) return fail_in(path, model.error());
  const auto tokenizer = engine::Tokenizer::from((*model)->gguf());
  if (!tokenizer) return fail_in(path, tokenizer.error());
  ModelFile out{path, std::move(file), *model, *tokenizer, std::nullopt, {}};
  if (auto chat = engine::ChatTemplate::from((*model)->gguf()))
    out.chat = std::move(*chat);
  else
    out.chat_problem = chat.error().message;
  return out;
}

Result<verify::ModelIdentity> ModelFile::identity(ThreadPool& pool) const {
  Progress progress("hashing " + path);
  auto id = verify::identify(
      *model, tokenizer, chat ? &*chat : nullptr, file.bytes(), pool,
      [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  if (!id) return fail_in(path, id.error());
  return id;
}

unsigned thread_count(unsigned asked) {
  return asked != 0 ? asked : std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace assay::cli
