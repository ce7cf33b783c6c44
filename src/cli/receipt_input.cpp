#include "cli/receipt_input.hpp"

#include "io/files.hpp"

namespace assay::cli {

Result<protocol::ReceiptFile> read_receipt(const std::string& path) {
  TRY(const std::string text, io::read_file(path));
  auto file = protocol::receipt_file_from_text(text);
  if (!file) return fail_in(path + " is not a receipt file", file.error());
  return file;
}

Result<protocol::Opening> read_opening(const std::string& path) {
  TRY(const std::string text, io::read_file(path, 256u << 20));
  auto opening = protocol::opening_from_text(text);
  if (!opening) return fail_in(path + " is not an opening", opening.error());
  return opening;
}

Result<verify::Exhibit> read_evidence(const std::string& path) {
  TRY(const std::string bytes, io::read_file(path, protocol::kFileBytesMax));
  auto evidence = verify::evidence_from(view(bytes));
  if (!evidence) return fail_in(path, evidence.error());
  return evidence;
}

}  // namespace assay::cli
