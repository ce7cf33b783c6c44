// The page's answer from this machine's own libraries: what the module must answer to the byte. A
// line of standard input is a case, "NAME=FILE<tab>NAME=FILE…" with the inputs' names of check.hpp;
// a line of output its answer.
#include <fmt/format.h>
#include <iostream>
#include <map>

#include "check.hpp"
#include "io/files.hpp"

namespace assay {
namespace {

using Files = std::map<std::string, std::string, std::less<>>;  // input's name → path

Result<Files> files_of(std::string_view line) {
  Files out;
  while (!line.empty()) {
    const std::string_view field = line.substr(0, line.find('\t'));
    line.remove_prefix(std::min(line.size(), field.size() + 1));
    const auto at = field.find('=');
    if (at == std::string_view::npos) return fail(Errc::invalid, "expected NAME=FILE: {}", field);
    out.emplace(field.substr(0, at), field.substr(at + 1));
  }
  return out;
}

Result<std::string> run(std::string_view line) {
  static std::map<std::string, page::ModelFile> models;  // by path
  TRY(Files files, files_of(line));
  const std::string model = std::exchange(files["model"], "");
  for (auto& [name, path] : files) {
    if (path.empty()) continue;
    TRY(path, io::read_file(path));  // from here on its content
  }
  page::Inputs inputs{.evidence = view(files["evidence"]),
                      .opening = files["opening"],
                      .trusted = files["trusted"],
                      .attestation = files["attestation"],
                      .checkpoint = files["checkpoint"],
                      .quote = files["quote"]};
  if (!model.empty()) {
    if (!models.contains(model)) {
      TRY(const std::string bytes, io::read_file(model));
      TRY(page::ModelFile opened, page::open_model(view(bytes)));
      models.emplace(model, std::move(opened));
    }
    inputs.model = &models.at(model);
  }
  return page::check(inputs);
}

}  // namespace
}  // namespace assay

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto out = assay::run(line);
    if (!out) fmt::print(stderr, "{}\n", out.error().message);
    if (!out) return 2;
    fmt::print("{}\n", *out);
  }
}
