// The parts of `assay log`, and what they share.
#pragma once
#include <functional>
#include <memory>

#include "tlog/checkpoint.hpp"
#include "tlog/tile.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

class Context;
void add_log_serving(CLI::App& log, Context& context);  // keygen, serve, append
void add_log_witness(CLI::App& log, Context& context);  // witness
void add_log_monitor(CLI::App& log, Context& context);  // monitor
void add_log_reading(CLI::App& log, Context& context);  // prove, verify, check

// A private key of a log or witness in a file (the text of SignerKey, for its owner alone). Made
// when missing and `name` is given; a file of another name or type is refused.
Result<tlog::SignerKey> load_signer(const std::string& file, const std::string& name,
                                    tlog::KeyType type);

struct PolicyOptions {
  std::string vkey, origin;
  std::vector<std::string> witnesses;
  std::size_t quorum = 0;
};
// --vkey, --origin, --witness-key, --quorum.
void add_policy_options(CLI::App* verb, PolicyOptions& options, bool required = true);
Result<tlog::LogPolicy> policy_of(const PolicyOptions& options);

// A log by URL or by folder.
struct LogSource {
  std::unique_ptr<tlog::TileSource> tiles;
  std::function<Result<std::string>()> checkpoint;
};
LogSource open_source(const std::string& url_or_folder);

}  // namespace assay::cli
