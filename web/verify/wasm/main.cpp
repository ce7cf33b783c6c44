// The module's surface: the page fills the inputs it has, asks, and reads one text back. One call
// at a time; memory that was handed out is valid until it is asked for again.
#include <boost/throw_exception.hpp>
#include <cstdlib>

#include "check.hpp"

#define PAGE_EXPORT(name) extern "C" __attribute__((export_name(#name)))

// Of the model file's bytes that are hashed.
extern "C" __attribute__((import_module("page"), import_name("progress"))) void page_progress(
    double done, double total);

// Without exceptions, Boost ends here: only where memory is exhausted.
namespace boost {
void throw_exception(const std::exception&) { std::abort(); }
void throw_exception(const std::exception&, const source_location&) { std::abort(); }
}  // namespace boost

namespace assay::page {
namespace {

enum class Input { evidence, opening, trusted, attestation, checkpoint, quote, model };
constexpr std::size_t kInputs = 7;

struct Module {
  Bytes inputs[kInputs];
  std::optional<ModelFile> model;
  std::string result;

  ByteView bytes(Input input) const { return inputs[static_cast<std::size_t>(input)]; }
};

Module& module() {
  static Module m;
  return m;
}

}  // namespace
}  // namespace assay::page

using assay::page::Input;

// Room for an input; 0 bytes: it is not there.
PAGE_EXPORT(input) std::uint8_t* page_input(int which, std::size_t size) {
  auto& bytes = assay::page::module().inputs[which];
  bytes = assay::Bytes();
  bytes.resize(size);
  return bytes.data();
}

// Hashes the model in the input of that name. The result is empty, or why it is refused.
PAGE_EXPORT(open_model) void page_open_model() {
  auto& m = assay::page::module();
  m.model.reset();
  m.result.clear();
  if (m.bytes(Input::model).empty()) return;
  auto opened =
      assay::page::open_model(m.bytes(Input::model), [](std::uint64_t done, std::uint64_t total) {
        page_progress(static_cast<double>(done), static_cast<double>(total));
      });
  if (opened)
    m.model = std::move(*opened);
  else
    m.result = opened.error().message;
  page_input(static_cast<int>(Input::model), 0);  // what is kept is the identity and the vocabulary
}

PAGE_EXPORT(check) void page_check() {
  auto& m = assay::page::module();
  m.result = assay::page::check({.evidence = m.bytes(Input::evidence),
                                 .opening = assay::text(m.bytes(Input::opening)),
                                 .trusted = assay::text(m.bytes(Input::trusted)),
                                 .attestation = assay::text(m.bytes(Input::attestation)),
                                 .checkpoint = assay::text(m.bytes(Input::checkpoint)),
                                 .quote = assay::text(m.bytes(Input::quote)),
                                 .model = m.model ? &*m.model : nullptr});
}

PAGE_EXPORT(result) const char* page_result() { return assay::page::module().result.data(); }
PAGE_EXPORT(result_size) std::size_t page_result_size() {
  return assay::page::module().result.size();
}
