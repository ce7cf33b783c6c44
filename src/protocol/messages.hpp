// The signed messages of the market (spec/messages.md).
//
// Each struct lists its fields once, in signing order; EIP-712 type string, struct hash and JSON
// are derived from that list. C++ type → EIP-712 type → JSON:
//   std::int64_t   uint128  money in micro-units, never negative; decimal string
//   std::uint64_t  uint64   times (Unix seconds), sequences, seeds; decimal string
//   std::uint32_t  uint32   counts, enumerations, float bits; decimal string
//   Hash           bytes32  hex string
//   Address        address  hex string (EIP-55)
//   std::string    string   JSON string, valid UTF-8
//   bool           bool     true/false
//   std::vector<S> S[]      array of objects
// A signature is over keccak256(0x19 0x01 ‖ domain separator ‖ struct hash); the domain names the
// ledger instance, so nothing can be replayed on another ledger.
#pragma once
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/secp256k1.hpp"

namespace assay::protocol {

using crypto::Address;
using crypto::Signature;
using Micros = std::int64_t;

inline constexpr std::uint32_t kCanon = 0;
// Requests one lease carries: small enough that every claim can be opened in one operation.
inline constexpr std::uint64_t kLeaseRequestsMax = 4096;
// The most an offer may promise to take off a slow answer's amount, in millionths.
inline constexpr std::uint32_t kRebateMax = 500'000;

// What a receipt proves: these weights, this program, this arithmetic.
struct ExecutionId {
  static constexpr std::string_view kName = "ExecutionId";
  Hash weights_root{}, program_hash{};
  std::uint32_t canon = kCanon;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("weights_root", s.weights_root);
    v("program_hash", s.program_hash);
    v("canon", s.canon);
  }
};

struct OfferModel {
  static constexpr std::string_view kName = "OfferModel";
  std::string name;  // what buyers ask for; the execution id is what they get
  Hash weights_root{}, program_hash{};
  std::uint32_t canon = kCanon;
  Hash file_alias{};                   // GGUF file SHA-256 as claimed by the provider
  std::string quantization;            // "Q8_0", claimed
  Micros price_in = 0, price_out = 0;  // per million tokens
  std::uint32_t context = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("name", s.name);
    v("weights_root", s.weights_root);
    v("program_hash", s.program_hash);
    v("canon", s.canon);
    v("file_alias", s.file_alias);
    v("quantization", s.quantization);
    v("price_in", s.price_in);
    v("price_out", s.price_out);
    v("context", s.context);
  }
};

// Provider-signed and expiring; a higher sequence replaces a lower one. The standing consent a
// lease refers to.
struct Offer {
  static constexpr std::string_view kName = "Offer";
  Address provider{};  // operating key: signs offers, progress, receipts, claims
  Address payout{};    // cold key: where money goes
  std::uint64_t sequence = 0;
  std::string endpoint;                                // http(s)://host:port
  std::string region;                                  // claimed
  std::string hardware;                                // claimed
  std::uint32_t vram_mib = 0;                          // claimed; 0: no GPU
  std::uint32_t slots = 1;                             // requests at a time
  std::uint32_t first_token_ms = 0, per_token_ms = 0;  // claimed
  // What an answer slower than both lines above say costs less, in millionths of its amount, at
  // most kRebateMax (rebates.hpp); 0: nothing. Fixed in a lease, which names the offer.
  std::uint32_t rebate_ppm = 0;
  Hash tls_key{};   // SHA-256 of the endpoint's public key; zero: plain HTTP
  Hash evidence{};  // hash of hardware evidence; zero: none
  std::uint64_t expires = 0;
  std::vector<OfferModel> models;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("provider", s.provider);
    v("payout", s.payout);
    v("sequence", s.sequence);
    v("endpoint", s.endpoint);
    v("region", s.region);
    v("hardware", s.hardware);
    v("vram_mib", s.vram_mib);
    v("slots", s.slots);
    v("first_token_ms", s.first_token_ms);
    v("per_token_ms", s.per_token_ms);
    v("rebate_ppm", s.rebate_ppm);
    v("tls_key", s.tls_key);
    v("evidence", s.evidence);
    v("expires", s.expires);
    v("models", s.models);
  }
};

// Who may see prompt and answer when a dispute is judged.
enum class Disclosure : std::uint32_t { self = 0, referee = 1, everyone = 2 };

// Buyer-signed; opens escrow between one buyer and one provider under fixed terms.
struct Lease {
  static constexpr std::string_view kName = "Lease";
  Address buyer{}, provider{}, payout{};
  Hash offer{};                        // digest of the offer agreed to
  Hash execution{};                    // struct hash of the ExecutionId
  Micros price_in = 0, price_out = 0;  // per million tokens
  Micros escrow = 0;                   // moved from the buyer's account at opening
  Hash audit_chain{};                  // tip of the buyer's audit hash chain (audit_draw.hpp)
  std::uint32_t disclosure = 0;
  std::uint64_t window = 0;   // challenge window, seconds
  std::uint64_t expires = 0;  // no request may expire later
  std::uint64_t nonce = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("provider", s.provider);
    v("payout", s.payout);
    v("offer", s.offer);
    v("execution", s.execution);
    v("price_in", s.price_in);
    v("price_out", s.price_out);
    v("escrow", s.escrow);
    v("audit_chain", s.audit_chain);
    v("disclosure", s.disclosure);
    v("window", s.window);
    v("expires", s.expires);
    v("nonce", s.nonce);
  }
};

// What is added to one token's logit before anything else.
struct LogitBias {
  static constexpr std::string_view kName = "LogitBias";
  std::uint32_t token = 0, bias_bits = 0;  // IEEE binary32
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("token", s.token);
    v("bias_bits", s.bias_bits);
  }
  bool operator==(const LogitBias&) const = default;
};

inline constexpr std::size_t kLogitBiasMax = 256;
// Alternatives whose log-probabilities one request may ask for, at each token.
inline constexpr std::uint32_t kTopLogprobsMax = 20;

// Buyer-signed. Token roots are salted with the secret the salt commitment binds (tokens.hpp).
// `…_bits` are IEEE binary32; sampling is applied in the order of its fields (spec/canon.md). The
// defaults change nothing; rules.hpp has the ranges.
struct Request {
  static constexpr std::string_view kName = "Request";
  Hash lease{};                // digest of the lease
  std::uint64_t sequence = 0;  // gap-free from 1 within a lease
  Hash execution{};
  Hash prompt_root{};
  std::uint32_t prompt_count = 0;
  std::uint32_t continuation = 0;     // how many prompt tokens at the end are an earlier answer
  std::vector<LogitBias> logit_bias;  // ascending tokens
  std::uint32_t repetition_penalty_bits = 0x3f800000, presence_penalty_bits = 0,
                frequency_penalty_bits = 0;
  std::uint32_t temperature_bits = 0;
  Hash constraint{};  // constraint.hpp; zero: any answer
  std::uint32_t top_k = 0, top_p_bits = 0x3f800000, min_p_bits = 0;
  std::uint64_t seed = 0;
  std::uint32_t max_tokens = 0;
  std::uint32_t logprobs = 0;  // 0: none; 1 + n: of each token and of the n likeliest there
  Hash stop_root{};            // over the ascending stop ids, unsalted
  Hash salt_commitment{};
  Micros cap = 0;  // the most this request may cost
  std::uint64_t expires = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("lease", s.lease);
    v("sequence", s.sequence);
    v("execution", s.execution);
    v("prompt_root", s.prompt_root);
    v("prompt_count", s.prompt_count);
    v("continuation", s.continuation);
    v("logit_bias", s.logit_bias);
    v("repetition_penalty_bits", s.repetition_penalty_bits);
    v("presence_penalty_bits", s.presence_penalty_bits);
    v("frequency_penalty_bits", s.frequency_penalty_bits);
    v("temperature_bits", s.temperature_bits);
    v("constraint", s.constraint);
    v("top_k", s.top_k);
    v("top_p_bits", s.top_p_bits);
    v("min_p_bits", s.min_p_bits);
    v("seed", s.seed);
    v("max_tokens", s.max_tokens);
    v("logprobs", s.logprobs);
    v("stop_root", s.stop_root);
    v("salt_commitment", s.salt_commitment);
    v("cap", s.cap);
    v("expires", s.expires);
  }
};

enum class Finish : std::uint32_t { stop = 0, length = 1, fault = 2, cancelled = 3 };

// Provider-signed, every few tokens: what would be owed if the provider died now.
struct Progress {
  static constexpr std::string_view kName = "Progress";
  Hash request{};           // digest of the request
  std::uint32_t count = 0;  // answer tokens so far
  Hash tape_root{}, trace_root{};
  Hash logprobs_root{};  // tokens.hpp; zero where the request asks for none
  Micros amount = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("request", s.request);
    v("count", s.count);
    v("tape_root", s.tape_root);
    v("trace_root", s.trace_root);
    v("logprobs_root", s.logprobs_root);
    v("amount", s.amount);
  }
};

// Provider-signed; ends a request, also one that was cancelled or met a numeric fault.
struct Receipt {
  static constexpr std::string_view kName = "Receipt";
  Hash request{};
  std::uint32_t count = 0;
  std::uint32_t finish = 0;  // Finish
  Hash tape_root{}, trace_root{};
  Hash logprobs_root{};  // as in Progress
  Micros amount = 0;
  std::uint64_t key_sequence = 0;  // gap-free from 1 per provider key
  Hash evidence{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("request", s.request);
    v("count", s.count);
    v("finish", s.finish);
    v("tape_root", s.tape_root);
    v("trace_root", s.trace_root);
    v("logprobs_root", s.logprobs_root);
    v("amount", s.amount);
    v("key_sequence", s.key_sequence);
    v("evidence", s.evidence);
  }
};

// Buyer-signed cumulative total: pays the difference at once. The highest wins.
struct Settlement {
  static constexpr std::string_view kName = "Settlement";
  Hash lease{};
  Micros cumulative = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("lease", s.lease);
    v("cumulative", s.cumulative);
  }
};

// Provider-signed: asks without the buyer; opens the challenge window. root: Merkle-sum root over
// (receipt digest, amount) in sequence order.
struct Claim {
  static constexpr std::string_view kName = "Claim";
  Hash lease{};
  Hash root{};
  Micros total = 0;  // cumulative over the lease, like a settlement
  std::uint32_t count = 0;
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("lease", s.lease);
    v("root", s.root);
    v("total", s.total);
    v("count", s.count);
  }
};

template <class M>
struct Signed {
  M message;
  Signature signature{};
};

}  // namespace assay::protocol
