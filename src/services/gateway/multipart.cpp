#include "services/gateway/multipart.hpp"

#include <algorithm>

namespace assay::services {
namespace {

constexpr std::size_t kPartsMax = 64;
constexpr std::size_t kBoundaryMax = 70;  // RFC 2046

bool same(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// A parameter of a header's value: name="x;y" or name=x. "" when it is not there.
std::string parameter(std::string_view value, std::string_view name) {
  for (std::size_t at = value.find(';'); at != std::string_view::npos;) {
    std::string_view rest = trim(value.substr(at + 1));
    const std::size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return {};
    const std::string_view key = trim(rest.substr(0, equals));
    std::string_view text = rest.substr(equals + 1);
    std::string out;
    std::size_t used = 0;
    if (text.starts_with('"')) {
      for (used = 1; used < text.size() && text[used] != '"'; ++used) {
        if (text[used] == '\\' && used + 1 < text.size()) ++used;
        out.push_back(text[used]);
      }
    } else {
      used = std::min(text.find(';'), text.size());
      out = trim(text.substr(0, used));
    }
    if (same(key, name)) return out;
    const auto text_at = static_cast<std::size_t>(text.data() - value.data());
    at = value.find(';', text_at + used);
  }
  return {};
}

Result<FormPart> read_part(std::string_view part) {
  const std::size_t end = part.find("\r\n\r\n");
  if (end == std::string_view::npos) return fail(Errc::invalid, "a part of the form has no head");
  FormPart out;
  out.content = part.substr(end + 4);
  std::string_view head = part.substr(0, end + 2);
  while (!head.empty()) {
    const std::size_t line_end = head.find("\r\n");
    const std::string_view line = head.substr(0, line_end);
    head.remove_prefix(line_end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !same(line.substr(0, colon), "content-disposition"))
      continue;
    out.name = parameter(line, "name");
    out.filename = parameter(line, "filename");
  }
  if (out.name.empty()) return fail(Errc::invalid, "a part of the form has no name");
  return out;
}

}  // namespace

Result<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  const std::string boundary = parameter(content_type, "boundary");
  if (!same(type, "multipart/form-data") || boundary.empty() || boundary.size() > kBoundaryMax)
    return fail(Errc::invalid, "send a multipart/form-data body with a boundary (curl -F does)");
  const std::string opening = "--" + boundary, between = "\r\n--" + boundary;
  // What comes before the first boundary is for nobody.
  std::size_t at = body.starts_with(opening) ? 0 : body.find(between);
  if (at == std::string_view::npos) return fail(Errc::invalid, "the form's boundary is not in it");
  at += at == 0 && body.starts_with(opening) ? opening.size() : between.size();
  std::vector<FormPart> out;
  while (!body.substr(at).starts_with("--")) {
    if (!body.substr(at).starts_with("\r\n") || out.size() == kPartsMax)
      return fail(Errc::invalid, "the form is malformed, or has more than {} parts", kPartsMax);
    at += 2;
    const std::size_t end = body.find(between, at);
    if (end == std::string_view::npos)
      return fail(Errc::invalid, "the form is cut off: its closing boundary is missing");
    TRY(FormPart part, read_part(body.substr(at, end - at)));
    out.push_back(std::move(part));
    at = end + between.size();
  }
  return out;
}

}  // namespace assay::services
