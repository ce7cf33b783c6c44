#include "protocol/tokens.hpp"

#include "base/assert.hpp"
#include "base/int128.hpp"
#include "crypto/sha256.hpp"

namespace assay::protocol {
namespace {

constexpr std::size_t kTokenChunk = 256;
constexpr std::string_view kPrompt = "assay/prompt/v0", kTape = "assay/tape/v0";

Bytes chunk_leaf(Bytes salt, std::span<const std::uint32_t> tokens, std::uint64_t chunk) {
  const auto rest = tokens.subspan(chunk * kTokenChunk);
  for (const std::uint32_t id : rest.first(std::min(kTokenChunk, rest.size()))) append_le(salt, id);
  return salt;
}

// The leaf of each chunk starts with `salt(chunk)`.
template <class Salt>
Hash token_root(std::span<const std::uint32_t> tokens, const Salt& salt) {
  crypto::MerkleBuilder builder;
  for (std::uint64_t chunk = 0; chunk * kTokenChunk < tokens.size(); ++chunk)
    builder.append(crypto::leaf_hash(chunk_leaf(salt(chunk), tokens, chunk)));
  return builder.root();
}

Bytes salt_of(const SaltSecret& secret, std::string_view label, std::uint64_t index) {
  Bytes message(label.begin(), label.end());
  append_le(message, index);
  const Hash salt = crypto::hmac_sha256(secret, message);
  return Bytes(salt.begin(), salt.end());
}

Bytes logprobs_leaf(const SaltSecret& secret, std::uint64_t index,
                    std::span<const std::uint32_t> numbers) {
  Bytes leaf = salt_of(secret, "assay/logprobs/v0", index);
  for (const std::uint32_t number : numbers) append_le(leaf, number);
  return leaf;
}

Hash salted_root(const SaltSecret& secret, std::string_view label,
                 std::span<const std::uint32_t> tokens) {
  return token_root(tokens, [&](std::uint64_t chunk) { return salt_of(secret, label, chunk); });
}

// ceil(tokens × price / 1e6); the product of two 64-bit numbers always fits.
Uint128 cost(Micros price_per_million, std::uint64_t tokens) {
  constexpr std::uint64_t million = 1'000'000;
  return (static_cast<Uint128>(tokens) * static_cast<std::uint64_t>(price_per_million) + million -
          1) /
         million;
}

}  // namespace

Hash salt_commitment(const SaltSecret& secret) {
  crypto::Sha256 h;
  h.update(view("assay/salt/v0"));
  h.update(secret);
  return h.finish();
}

Hash prompt_root(const SaltSecret& secret, std::span<const std::uint32_t> tokens) {
  return salted_root(secret, kPrompt, tokens);
}

Hash tape_root(const SaltSecret& secret, std::span<const std::uint32_t> tokens) {
  return salted_root(secret, kTape, tokens);
}

TokenChunk open_tokens(const SaltSecret& secret, TokenList list,
                       std::span<const std::uint32_t> tokens, std::uint32_t chunk) {
  ASSAY_ASSERT(std::size_t{chunk} * kTokenChunk < tokens.size());
  TokenChunk out;
  std::vector<Hash> leaves;
  for (std::uint64_t i = 0; i * kTokenChunk < tokens.size(); ++i) {
    Bytes leaf =
        chunk_leaf(salt_of(secret, list == TokenList::prompt ? kPrompt : kTape, i), tokens, i);
    leaves.push_back(crypto::leaf_hash(leaf));
    if (i == chunk) out.leaf = std::move(leaf);
  }
  out.path = crypto::inclusion_proof(leaves, chunk);
  return out;
}

Hash stop_root(std::span<const std::uint32_t> stop_ids) {
  return token_root(stop_ids, [](std::uint64_t) { return Bytes(); });
}

void LogprobsRoot::append(std::span<const std::uint32_t> token) {
  ASSAY_ASSERT(token.size() == width_ && width_ > 0);
  tree_.append(crypto::leaf_hash(logprobs_leaf(secret_, tree_.size(), token)));
}

TokenChunk open_logprobs(const SaltSecret& secret, const Request& request,
                         std::span<const std::uint32_t> logprobs, std::uint32_t token) {
  const std::size_t width = logprob_width(request);
  ASSAY_ASSERT(width > 0 && (token + std::size_t{1}) * width <= logprobs.size());
  TokenChunk out;
  std::vector<Hash> leaves;
  for (std::size_t i = 0; i < logprobs.size() / width; ++i) {
    Bytes leaf = logprobs_leaf(secret, i, logprobs.subspan(i * width, width));
    leaves.push_back(crypto::leaf_hash(leaf));
    if (i == token) out.leaf = std::move(leaf);
  }
  out.path = crypto::inclusion_proof(leaves, token);
  return out;
}

Result<Hash> logprobs_root(const SaltSecret& secret, const Request& request, std::uint32_t count,
                           std::span<const std::uint32_t> logprobs) {
  const std::size_t width = logprob_width(request);
  if (logprobs.size() != count * width)
    return fail(Errc::mismatch, "{} numbers of log-probabilities, {} tokens with {} each have {}",
                logprobs.size(), count, width, count * width);
  LogprobsRoot out(secret, request);
  for (std::size_t i = 0; i < logprobs.size(); i += width) out.append(logprobs.subspan(i, width));
  return out.root();
}

Result<Micros> price(Micros price_in, Micros price_out, std::uint64_t prompt,
                     std::uint64_t answer) {
  if (price_in < 0 || price_out < 0) return fail(Errc::refused, "a price cannot be negative");
  const Uint128 total = cost(price_in, prompt) + cost(price_out, answer);
  if (total > static_cast<Uint128>(INT64_MAX))
    return fail(Errc::refused, "the amount for {} + {} tokens exceeds 2^63-1 micro-units", prompt,
                answer);
  return static_cast<Micros>(total);
}

Result<Micros> amount_of(const Lease& lease, const Request& request, std::uint32_t answer_count) {
  return price(lease.price_in, lease.price_out, request.prompt_count, answer_count);
}

Result<Micros> cap_for(const Lease& lease, std::uint64_t prompt, std::uint32_t max_tokens) {
  return price(lease.price_in, lease.price_out, prompt, max_tokens);
}

}  // namespace assay::protocol
