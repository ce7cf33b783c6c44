// A GGUF as the verbs use it: mapped, loaded and tokenizable, with errors that name the file.
#pragma once
#include <memory>
#include <optional>

#include "base/thread_pool.hpp"
#include "engine/chat_template.hpp"
#include "engine/model.hpp"
#include "engine/tokenizer.hpp"
#include "io/files.hpp"
#include "verify/identity.hpp"

namespace assay::cli {

struct ModelFile {
  std::string path;
  io::MappedFile file;  // what the model's views point into
  std::shared_ptr<const engine::Model> model;
  engine::Tokenizer tokenizer;
  std::optional<engine::ChatTemplate> chat;
  std::string chat_problem;  // why chat is absent

  static Result<ModelFile> open(const std::string& path);
  // Hashes every byte; shows a progress bar where it takes long.
  Result<verify::ModelIdentity> identity(ThreadPool& pool) const;
};

// What --threads means: 0 is all the machine has.
unsigned thread_count(unsigned asked);

}  // namespace assay::cli
