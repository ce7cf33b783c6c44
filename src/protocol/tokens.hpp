// Salted commitments to token ids, the salt secret, and what tokens cost (spec/messages.md).
#pragma once
#include "crypto/merkle.hpp"
#include "protocol/messages.hpp"

namespace assay::protocol {

// Per-request secret of the buyer, known to the provider, revealed only in an opening.
using SaltSecret = Hash;
Hash salt_commitment(const SaltSecret& secret);  // sha256("assay/salt/v0" ‖ secret)

// RFC 6962 root over chunks of 256 token ids; each leaf is
// HMAC-SHA256(secret, label ‖ le64 chunk) ‖ le32 ids…: a public root lets nobody test a guess.
Hash prompt_root(const SaltSecret& secret, std::span<const std::uint32_t> tokens);
Hash tape_root(const SaltSecret& secret, std::span<const std::uint32_t> tokens);
// Opens one chunk of either root: salt ‖ le32 ids, and the path to the root, nearest sibling first.
// chunk · 256 < tokens.size() is the caller's to guarantee (asserted).
struct TokenChunk {
  Bytes leaf;
  std::vector<Hash> path;
};
enum class TokenList : std::uint8_t { prompt, tape };
TokenChunk open_tokens(const SaltSecret& secret, TokenList list,
                       std::span<const std::uint32_t> tokens, std::uint32_t chunk);
// Unsalted; ids strictly ascending.
Hash stop_root(std::span<const std::uint32_t> stop_ids);

// The log-probabilities of an answer, flat: for each token its own, then for each of the n
// likeliest (likeliest first) id and log-probability; all as binary32 bits but the ids. How many
// numbers that is for one token: 0 where the request asks for none.
inline constexpr std::uint32_t logprob_width(const Request& request) {
  return request.logprobs == 0 ? 0 : 2 * request.logprobs - 1;
}
// RFC 6962 root with one leaf for each token i, HMAC-SHA256(secret, "assay/logprobs/v0" ‖ le64 i) ‖
// le32 of its numbers: grown token by token, or of all at once. Zero where the request asks for
// none; mismatch when `logprobs` are not those of `count` tokens.
class LogprobsRoot {
 public:
  LogprobsRoot(const SaltSecret& secret, const Request& request)
      : secret_(secret), width_(logprob_width(request)) {}
  void append(std::span<const std::uint32_t> token);  // logprob_width numbers
  std::uint64_t size() const { return tree_.size(); }
  Hash root() const { return width_ == 0 ? Hash{} : tree_.root(); }

 private:
  SaltSecret secret_;
  std::uint32_t width_;
  crypto::MerkleBuilder tree_;
};
// Opens the leaf of answer token `token`: salt ‖ its le32 numbers, and the path to the root over
// `logprobs`, which hold it (asserted).
TokenChunk open_logprobs(const SaltSecret& secret, const Request& request,
                         std::span<const std::uint32_t> logprobs, std::uint32_t token);
Result<Hash> logprobs_root(const SaltSecret& secret, const Request& request, std::uint32_t count,
                           std::span<const std::uint32_t> logprobs);

// ceil(prompt × price_in / 1e6) + ceil(answer × price_out / 1e6), the only rounding there is;
// refused on overflow or negative prices. Prices are per million tokens.
Result<Micros> price(Micros price_in, Micros price_out, std::uint64_t prompt, std::uint64_t answer);
// Prompt tokens that are billed: continuation tokens are billed as prompt.
Result<Micros> amount_of(const Lease& lease, const Request& request, std::uint32_t answer_count);
// The smallest cap that lets max_tokens be produced.
Result<Micros> cap_for(const Lease& lease, std::uint64_t prompt, std::uint32_t max_tokens);

}  // namespace assay::protocol
