#include "protocol/samples_testutil.hpp"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <numeric>
#include <sstream>

#include "crypto/keccak.hpp"
#include "protocol/audit_draw.hpp"
#include "protocol/tokens.hpp"

namespace assay::protocol {

crypto::SecretKey key_named(std::string_view name) {
  return *crypto::secret_key(crypto::keccak256(view(name)));
}

Address address_named(std::string_view name) { return crypto::address_of(key_named(name)); }

Domain embedded_domain() { return {.ledger = crypto::keccak256(view("ledger"))}; }

Domain evm_domain() { return {.chain_id = 31337, .contract = address_named("contract")}; }

void FillSample::operator()(std::string_view name, Hash& h) {
  if (extreme)
    h.fill(0xff);
  else
    h = crypto::keccak256(view(fmt::format("{} {}", name, ++counter)));
}

void FillSample::operator()(std::string_view name, Address& a) {
  if (extreme)
    a.bytes.fill(0xff);
  else
    a = address_named(fmt::format("{} {}", name, ++counter));
}

void FillSample::operator()(std::string_view name, std::string& s) {
  s = extreme ? "\"\\/\n\t\x7f\u00e9\u20ac\U0001F512" : fmt::format("{} {}", name, ++counter);
}

Exchange::Exchange() {
  const ExecutionId execution{crypto::keccak256(view("weights")),
                              crypto::keccak256(view("program")), kCanon};
  const Address payout = address_named("payout");

  Offer offer{.provider = crypto::address_of(provider),
              .payout = payout,
              .sequence = 1,
              .endpoint = "http://127.0.0.1:4010",
              .region = "eu-north",
              .hardware = "cpu",
              .expires = 1'700'086'400,
              .models = {{.name = "assay-small",
                          .weights_root = execution.weights_root,
                          .program_hash = execution.program_hash,
                          .file_alias = crypto::keccak256(view("file")),
                          .quantization = "Q8_0",
                          .price_in = 100'000,
                          .price_out = 400'000,
                          .context = 1024}}};

  opening.salt_secret = crypto::keccak256(view("salt secret"));
  opening.prompt.resize(300);
  std::iota(opening.prompt.begin(), opening.prompt.end(), 7u);
  opening.answer = {11, 12, 0, 4'294'967'295, 2};
  opening.stop_ids = {2, 5};
  for (std::uint32_t i = 0; i < 5; ++i)  // its own, then two alternatives
    for (const std::uint32_t n : {0xbf000000 + i, 11 + i, 0xbf000000 + i, 90 + i, 0xc0000000u})
      opening.logprobs.push_back(n);

  const Lease lease{.buyer = crypto::address_of(buyer),
                    .provider = offer.provider,
                    .payout = payout,
                    .offer = digest(domain, offer),
                    .execution = struct_hash(execution),
                    .price_in = 100'000,
                    .price_out = 400'000,
                    .escrow = 1'000'000,
                    .audit_chain = audit_link(crypto::keccak256(view("audit seed")), 100, 0),
                    .disclosure = static_cast<std::uint32_t>(Disclosure::referee),
                    .window = 3600,
                    .expires = 1'700'086'400,
                    .nonce = 1};
  const Request request{.lease = digest(domain, lease),
                        .sequence = 1,
                        .execution = lease.execution,
                        .prompt_root = prompt_root(opening.salt_secret, opening.prompt),
                        .prompt_count = 300,
                        .logit_bias = {{0, 0x40a00000}, {7, 0xc2c80000}},
                        .repetition_penalty_bits = 0x3f8ccccd,
                        .presence_penalty_bits = 0x3f000000,
                        .frequency_penalty_bits = 0xbe800000,
                        .temperature_bits = 0x3f4ccccd,
                        .top_k = 40,
                        .top_p_bits = 0x3f666666,
                        .min_p_bits = 0x3d4ccccd,
                        .seed = 42,
                        .max_tokens = 16,
                        .logprobs = 3,
                        .stop_root = stop_root(opening.stop_ids),
                        .salt_commitment = salt_commitment(opening.salt_secret),
                        .cap = *cap_for(lease, 300, 16),
                        .expires = 1'700'000'600};
  opening.request = digest(domain, request);

  for (std::uint32_t count = 2; count <= 4; count += 2)
    progress.push_back(
        sign(domain,
             Progress{.request = opening.request,
                      .count = count,
                      .tape_root =
                          tape_root(opening.salt_secret, std::span(opening.answer).first(count)),
                      .trace_root = crypto::keccak256(view(fmt::format("trace {}", count))),
                      .logprobs_root = logprobs(request, count),
                      .amount = *amount_of(lease, request, count)},
             provider));
  const Receipt receipt{.request = opening.request,
                        .count = 5,
                        .finish = static_cast<std::uint32_t>(Finish::stop),
                        .tape_root = tape_root(opening.salt_secret, opening.answer),
                        .trace_root = crypto::keccak256(view("trace 5")),
                        .logprobs_root = logprobs(request, 5),
                        .amount = *amount_of(lease, request, 5),
                        .key_sequence = 1};
  file = {domain,
          execution,
          sign(domain, offer, provider),
          sign(domain, lease, buyer),
          sign(domain, request, buyer),
          sign(domain, receipt, provider)};
}

Hash Exchange::logprobs(const Request& request, std::uint32_t count) const {
  return *logprobs_root(opening.salt_secret, request, count,
                        std::span(opening.logprobs).first(count * logprob_width(request)));
}

InferenceCall Exchange::call() const {
  return {file.lease, file.request, opening.salt_secret, opening.prompt, opening.stop_ids};
}

void expect_vectors(const std::string& name, const std::string& text) {
  const std::string path = std::string(ASSAY_SOURCE_DIR) + "/spec/vectors/" + name;
  const char* write = std::getenv("ASSAY_WRITE_VECTORS");
  if (write != nullptr && std::string_view(write) == "1") {
    std::ofstream out(path, std::ios::binary);
    out << text;
    ASSERT_TRUE(out.flush()) << path;
    return;
  }
  std::ifstream in(path, std::ios::binary);
  ASSERT_TRUE(in) << path << " is missing";
  std::stringstream committed;
  committed << in.rdbuf();
  EXPECT_TRUE(committed.str() == text) << path << " differs from what this code computes";
}

}  // namespace assay::protocol
