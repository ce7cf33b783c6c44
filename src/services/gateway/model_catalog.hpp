// The GGUF files of a directory, each identified: what the gateway can tokenize for and audit.
#pragma once
#include <memory>
#include <optional>

#include "base/thread_pool.hpp"
#include "engine/chat_template.hpp"
#include "engine/tokenizer.hpp"
#include "io/files.hpp"
#include "protocol/messages.hpp"
#include "verify/identity.hpp"

namespace assay::services {

// Owns the mapped file that everything else points into.
struct LocalModel {
  std::string name;  // the file's name without ".gguf"
  std::string path;
  std::string title;  // general.name, as the file says; may be empty
  std::int64_t modified_s = 0;
  io::MappedFile file;
  std::shared_ptr<const engine::Model> model;
  engine::Tokenizer tokenizer;
  std::optional<engine::ChatTemplate> chat;  // none: only text completions
  verify::ModelIdentity identity;
  protocol::ExecutionId execution;
  Hash execution_hash{};  // what leases, requests and offers name
  verify::Program program;
};

class ModelCatalog {
 public:
  struct Skipped {
    std::string path, reason;
  };
  // Every *.gguf of the directory, by name. A file that cannot be used is skipped with its reason;
  // an unreadable directory, or one without any usable model, is an error.
  static Result<ModelCatalog> load(const std::string& directory, ThreadPool& pool);

  const std::vector<std::shared_ptr<const LocalModel>>& models() const { return models_; }
  const std::vector<Skipped>& skipped() const { return skipped_; }
  // By file name, or by general.name where only one file has it. nullptr: unknown.
  std::shared_ptr<const LocalModel> find(std::string_view name) const;
  std::shared_ptr<const LocalModel> find(const Hash& execution_hash) const;
  std::string names() const;  // "tern-q8_0, tern-f16" for messages

 private:
  std::vector<std::shared_ptr<const LocalModel>> models_;
  std::vector<Skipped> skipped_;
};

}  // namespace assay::services
