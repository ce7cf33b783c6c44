#include "protocol/files.hpp"

#include "protocol/json_fields.hpp"

namespace assay::protocol {
namespace {

constexpr std::string_view kReceiptTag = "receipt/0", kOpeningTag = "opening/0";

template <class T>
json::object file_json(std::string_view kind, const T& file) {
  json::object out{{"assay", kind}};
  T::fields(file, FieldWriter{out});
  return out;
}

template <class T>
Result<T> file_from_json(std::string_view kind, std::string_view what, const json::object& o) {
  const json::value* tag = o.if_contains("assay");
  if (tag == nullptr || !tag->is_string() || tag->get_string() != kind)
    return fail(Errc::invalid, "not a {}: expected a JSON object with \"assay\": \"{}\"", what,
                kind);
  T out{};
  std::string ignored;
  FieldReader read(o, what);
  read("assay", ignored);
  T::fields(out, read);
  CHECK_OK(read.finish());
  return out;
}

template <class T>
Result<T> file_from_text(std::string_view kind, std::string_view what, std::string_view text) {
  TRY(const json::value parsed, json::parse(text, kFileBytesMax));
  TRY(const json::object* o, json::as_object(parsed, what));
  return file_from_json<T>(kind, what, *o);
}

}  // namespace

const OfferModel* offered_model(const ReceiptFile& file) {
  const OfferModel* found = nullptr;
  for (const auto& m : file.offer.message.models) {
    if (m.weights_root != file.execution.weights_root ||
        m.program_hash != file.execution.program_hash || m.canon != file.execution.canon)
      continue;
    if (found == nullptr ||
        (m.price_in == file.lease.message.price_in && m.price_out == file.lease.message.price_out))
      found = &m;
  }
  return found;
}

json::object to_json(const ReceiptFile& file) { return file_json(kReceiptTag, file); }
json::object to_json(const Opening& opening) { return file_json(kOpeningTag, opening); }
std::string to_text(const ReceiptFile& file) { return json::dump_pretty(to_json(file)) + "\n"; }
std::string to_text(const Opening& opening) { return json::dump_pretty(to_json(opening)) + "\n"; }

Result<ReceiptFile> receipt_file_from_json(const json::object& o) {
  return file_from_json<ReceiptFile>(kReceiptTag, "receipt file", o);
}

Result<ReceiptFile> receipt_file_from_text(std::string_view text) {
  return file_from_text<ReceiptFile>(kReceiptTag, "receipt file", text);
}

Result<Opening> opening_from_json(const json::object& o) {
  return file_from_json<Opening>(kOpeningTag, "opening", o);
}

Result<Opening> opening_from_text(std::string_view text) {
  return file_from_text<Opening>(kOpeningTag, "opening", text);
}

}  // namespace assay::protocol
