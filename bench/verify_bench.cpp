// What `assay verify --batch` does for one file, on one thread: bytes to verdict, without reading
// the disk. Receipts share their offer and lease as they do in a market (50 to a lease), or
// nothing. `--write FOLDER` writes 20,000 such receipt files for `assay verify --batch FOLDER` instead.
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

#include "crypto/keccak.hpp"
#include "protocol/tokens.hpp"
#include "verify/evidence.hpp"

namespace assay {
namespace {

using namespace protocol;

crypto::SecretKey key(std::string_view name) {
  return *crypto::secret_key(crypto::keccak256(view(name)));
}

struct Market {
  Domain domain{.ledger = crypto::keccak256(view("ledger"))};
  ExecutionId execution{crypto::keccak256(view("weights")), crypto::keccak256(view("program")), 0};
  crypto::SecretKey buyer = key("buyer"), provider = key("provider");

  ReceiptFile file(std::uint64_t lease_nonce, std::uint64_t sequence) const {
    const auto us = crypto::address_of(provider);
    const Offer offer{.provider = us,
                      .payout = us,
                      .sequence = lease_nonce,
                      .endpoint = "http://127.0.0.1:4010",
                      .region = "eu-north",
                      .hardware = "cpu",
                      .expires = 1'800'000'000,
                      .models = {{.name = "model",
                                  .weights_root = execution.weights_root,
                                  .program_hash = execution.program_hash,
                                  .quantization = "Q8_0",
                                  .price_in = 100'000,
                                  .price_out = 400'000,
                                  .context = 1024}}};
    const Lease lease{.buyer = crypto::address_of(buyer),
                      .provider = us,
                      .payout = us,
                      .offer = digest(domain, offer),
                      .execution = struct_hash(execution),
                      .price_in = 100'000,
                      .price_out = 400'000,
                      .escrow = 1'000'000,
                      .window = 3600,
                      .expires = 1'800'000'000,
                      .nonce = lease_nonce};
    const Request request{.lease = digest(domain, lease),
                          .sequence = sequence,
                          .execution = lease.execution,
                          .prompt_count = 100,
                          .logit_bias = {},
                          .max_tokens = 100,
                          .cap = *cap_for(lease, 100, 100),
                          .expires = 1'700'000'000};
    const Receipt receipt{.request = digest(domain, request),
                          .count = 100,
                          .finish = 1,
                          .amount = *amount_of(lease, request, 100),
                          .key_sequence = sequence};
    return {domain,
            execution,
            sign(domain, offer, provider),
            sign(domain, lease, buyer),
            sign(domain, request, buyer),
            sign(domain, receipt, provider)};
  }
};

enum class Form { receipt, cose, dsse };

std::string written(const Market& market, const ReceiptFile& file, Form form) {
  switch (form) {
    case Form::receipt:
      return to_text(file);
    case Form::cose:
      return std::string(text(*export_cose(file, 1'700'000'000, market.provider)));
    case Form::dsse:
      return *export_dsse(file, 1'700'000'000, market.provider);
  }
  return {};
}

void measure(std::string_view what, Form form, std::uint64_t per_lease) {
  const Market market;
  std::vector<std::string> files;
  for (std::uint64_t i = 0; i < 3000; ++i)
    files.push_back(written(market, market.file(i / per_lease, 1 + i % per_lease), form));
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    verify::SignatureMemo memo;
    std::size_t good = 0;
    const auto start = std::chrono::steady_clock::now();
    for (const auto& file : files) {
      const auto evidence = verify::evidence_from(view(file));
      good += evidence && verify::verify_evidence(*evidence, {}, &memo).ok();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (good != files.size()) {
      fmt::print("{} of {} hold: the benchmark is wrong\n", good, files.size());
      std::exit(1);
    }
    best = std::max(best, static_cast<double>(files.size()) / took.count());
  }
  fmt::print("{:<44} {:>8.0f} a second on one core\n", what, best);
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  using assay::Form;
  if (argc == 3 && argv[1] == std::string_view("--write")) {
    std::filesystem::create_directories(argv[2]);
    const assay::Market market;
    for (std::uint64_t i = 0; i < 20'000; ++i)
      std::ofstream(fmt::format("{}/{:05}.json", argv[2], i)) << to_text(market.file(i / 50, 1 + i));
    return 0;
  }
  assay::measure("receipt files, 50 to a lease", Form::receipt, 50);
  assay::measure("receipt files, each of its own offer and lease", Form::receipt, 1);
  assay::measure("COSE exports, 50 to a lease", Form::cose, 50);
  assay::measure("DSSE exports, 50 to a lease", Form::dsse, 50);
}
