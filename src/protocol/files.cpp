#include "protocol/files.hpp"

#include "protocol/json_fields.hpp"

namespace assay::protocol {
namespace {

template <class S, class V>
void fields(S& s, V&& v)
  requires std::same_as<std::remove_const_t<S>, ReceiptFile>
{
  v("domain", s.domain);
  v("execution", s.execution);
  v("offer", s.offer);
  v("lease", s.lease);
  v("request", s.request);
  v("receipt", s.receipt);
}

template <class S, class V>
void fields(S& s, V&& v)
  requires std::same_as<std::remove_const_t<S>, Opening>
{
  v("request", s.request);
  v("salt_secret", s.salt_secret);
  v("prompt", s.prompt);
  v("answer", s.answer);
  v("stop_ids", s.stop_ids);
  v("logprobs", s.logprobs);
  v("audit_link", s.audit_link);
  v("position_roots", s.position_roots);
  v("positions", s.positions);
}

template <class T>
std::string file_text(std::string_view kind, const T& file) {
  json::object out{{"assay", kind}};
  fields(file, FieldWriter{out});
  return json::dump_pretty(out) + "\n";
}

template <class T>
Result<T> file_from_text(std::string_view kind, std::string_view what, std::string_view text) {
  TRY(const json::value parsed, json::parse(text, kFileBytesMax));
  TRY(const json::object* o, json::as_object(parsed, what));
  const json::value* tag = o->if_contains("assay");
  if (tag == nullptr || !tag->is_string() || tag->get_string() != kind)
    return fail(Errc::invalid, "not a {}: expected a JSON object with \"assay\": \"{}\"", what,
                kind);
  T out{};
  std::string ignored;
  FieldReader read(*o, what);
  read("assay", ignored);
  fields(out, read);
  CHECK_OK(read.finish());
  return out;
}

}  // namespace

std::string to_text(const ReceiptFile& file) { return file_text("receipt/0", file); }

Result<ReceiptFile> receipt_file_from_text(std::string_view text) {
  return file_from_text<ReceiptFile>("receipt/0", "receipt file", text);
}

std::string to_text(const Opening& opening) { return file_text("opening/0", opening); }

Result<Opening> opening_from_text(std::string_view text) {
  return file_from_text<Opening>("opening/0", "opening", text);
}

}  // namespace assay::protocol
