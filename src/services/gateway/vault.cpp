#include "services/gateway/vault.hpp"

#include <cstdio>
#include <filesystem>

#include "base/hex.hpp"
#include "io/files.hpp"

namespace assay::services {
namespace {

constexpr unsigned kOwnerOnly = 0600;
constexpr std::size_t kVaultBytesMax = 64u << 20;

Result<protocol::Opening> read_opening(const std::string& path) {
  TRY(const std::string text, io::read_file(path, kVaultBytesMax));
  return protocol::opening_from_text(text);
}

}  // namespace

Result<Vault> Vault::open(const std::string& data_directory) {
  for (const char* folder :
       {"receipts", "openings", "proofs", "pending", "auctions", "unlogged", "answers"})
    CHECK_OK(io::make_directories(fmt::format("{}/{}", data_directory, folder), 0700));
  return Vault(data_directory);
}

std::string Vault::path(std::string_view folder, const Hash& id) const {
  return fmt::format("{}/{}/{}.json", root_, folder, to_hex(id));
}
Status Vault::write_answer(const std::string& job, std::string_view text) const {
  return io::write_file_atomic(fmt::format("{}/answers/{}.json", root_, job), view(text),
                               kOwnerOnly);
}
Result<std::string> Vault::answer_text(const std::string& job) const {
  return io::read_file(fmt::format("{}/answers/{}.json", root_, job), kVaultBytesMax);
}
void Vault::forget_answer(const std::string& job) const {
  std::remove(fmt::format("{}/answers/{}.json", root_, job).c_str());
}

std::string Vault::receipt_path(const Hash& receipt) const { return path("receipts", receipt); }
std::string Vault::opening_path(const Hash& receipt) const { return path("openings", receipt); }
std::string Vault::proof_path(const Hash& receipt) const {
  return fmt::format("{}/proofs/{}.tlog-proof", root_, to_hex(receipt));
}

Status Vault::write_proof(const Hash& receipt, std::string_view proof) const {
  return io::write_file_atomic(proof_path(receipt), view(proof));
}
bool Vault::has_proof(const Hash& receipt) const { return io::path_exists(proof_path(receipt)); }

Status Vault::write_pending(const protocol::Opening& opening) const {
  return io::write_file_atomic(path("pending", opening.request), view(protocol::to_text(opening)),
                               kOwnerOnly);
}

Result<protocol::Opening> Vault::pending(const Hash& request) const {
  return read_opening(path("pending", request));
}

void Vault::forget_pending(const Hash& request) const {
  // What stays behind after a failure is a secret on the buyer's own disk, and harmless.
  std::remove(path("pending", request).c_str());
}

Status Vault::write_receipt(const Hash& receipt, const protocol::ReceiptFile& file,
                            const protocol::Opening& opening) const {
  CHECK_OK(write_opening(receipt, opening));
  return io::write_file_atomic(receipt_path(receipt), view(protocol::to_text(file)));
}

Status Vault::write_opening(const Hash& receipt, const protocol::Opening& opening) const {
  return io::write_file_atomic(opening_path(receipt), view(protocol::to_text(opening)), kOwnerOnly);
}

Result<protocol::Opening> Vault::opening(const Hash& receipt) const {
  return read_opening(opening_path(receipt));
}
Status Vault::write_auction(const Hash& call, std::string_view text, bool is_public) const {
  if (is_public) CHECK_OK(io::write_file_atomic(path("unlogged", call), {}));
  return io::write_file_atomic(path("auctions", call), view(text));
}
Result<std::vector<Hash>> Vault::unlogged_auctions() const {
  std::vector<Hash> out;
  std::error_code failed;
  for (std::filesystem::directory_iterator it(root_ + "/unlogged", failed), end;
       !failed && it != end; it.increment(failed))
    if (const auto call = array_from_hex<32>(it->path().stem().string())) out.push_back(*call);
  if (failed) return fail(Errc::io, "{}/unlogged: {}", root_, failed.message());
  return out;
}
void Vault::forget_unlogged(const Hash& call) const { std::remove(path("unlogged", call).c_str()); }
Result<std::string> Vault::auction_text(const Hash& call) const {
  return io::read_file(path("auctions", call), kVaultBytesMax);
}
Result<std::string> Vault::receipt_text(const Hash& receipt) const {
  return io::read_file(receipt_path(receipt), kVaultBytesMax);
}
Result<std::string> Vault::opening_text(const Hash& receipt) const {
  return io::read_file(opening_path(receipt), kVaultBytesMax);
}

}  // namespace assay::services
