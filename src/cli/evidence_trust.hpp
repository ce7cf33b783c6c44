// Whom `assay verify` and `assay receipt` believe: keys of logs, witnesses and signers of models.
#pragma once
#include <string>
#include <vector>

#include "tlog/evidence.hpp"
#include "verify/evidence.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

struct TrustOptions {
  std::vector<std::string> log_keys, witness_keys, model_signatures;
  std::size_t witnesses = 1;
  std::string model_signer, model_certificates;
};
// --log-key, --witness-key, --witnesses.
void add_log_trust_options(CLI::App* verb, TrustOptions& options);
// --model-signature, --model-signer, --model-certificates.
void add_model_trust_options(CLI::App* verb, TrustOptions& options);

struct Trust {
  tlog::LogTrust log;
  std::size_t witnesses = 1;
  verify::ModelTrust model;
  std::vector<json::object> attestations;

  static Result<Trust> load(const TrustOptions& options);
  // Refers to this.
  verify::Given given() const;
};

// Either path may be empty.
Result<verify::ModelTrust> read_model_trust(const std::string& public_key,
                                            const std::string& certificates);
// An OpenSSF Model Signing bundle, not yet looked at.
Result<json::object> read_model_signature(const std::string& path);

}  // namespace assay::cli
