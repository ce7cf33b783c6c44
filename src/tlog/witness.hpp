// The witness protocol (c2sp.org/tlog-witness): `add-checkpoint` bodies, and what a witness does
// with one. The same code is the log's side: it makes the body and reads the answer.
#pragma once
#include "base/clock.hpp"
#include "tlog/checkpoint.hpp"

namespace assay::tlog {

inline constexpr std::size_t kConsistencyHashesMax = 63;

//   old <size> \n [base64 hash \n]… \n <checkpoint>
struct AddCheckpoint {
  std::uint64_t old_size = 0;
  std::vector<Hash> proof;
  std::string checkpoint;  // the signed note
};
std::string to_string(const AddCheckpoint& request);
Result<AddCheckpoint> parse_add_checkpoint(std::string_view body);

// What a witness keeps of each log: the latest checkpoint it cosigned.
struct WitnessedLog {
  std::uint64_t size = 0;
  Hash root{};
  std::string note;  // with the log's signature and this witness's
};
struct WitnessStore {
  virtual ~WitnessStore() = default;
  virtual Result<std::optional<WitnessedLog>> latest(const std::string& origin) = 0;
  // Durable when it returns: a cosignature leaves the witness only after that.
  virtual Status replace(const std::string& origin, const WitnessedLog& log) = 0;
};

struct WitnessAnswer {
  int status = 200;  // of HTTP
  std::string content_type, body;
  static constexpr std::string_view kText = "text/plain; charset=utf-8";
  static constexpr std::string_view kSize = "text/x.tlog.size";
};

// One call at a time: reading the latest size and replacing it must not interleave.
class Witness {
 public:
  // `store` and `clock` outlive it. `key` is of type cosignature (asserted).
  Witness(SignerKey key, std::vector<LogPolicy> logs, WitnessStore& store, const Clock& clock);

  WitnessAnswer add_checkpoint(std::string_view body);
  // GET <origin hash>/checkpoint: the latest cosigned checkpoint. 404: no such log, or not yet.
  WitnessAnswer latest(std::string_view origin_hash_hex);

  const VerifierKey& verifier() const { return verifier_; }
  const std::vector<LogPolicy>& logs() const { return logs_; }

 private:
  Result<WitnessAnswer> judge(const AddCheckpoint& request);

  const SignerKey key_;
  const VerifierKey verifier_;
  const std::vector<LogPolicy> logs_;
  WitnessStore& store_;
  const Clock& clock_;
};

// SHA-256 of the origin, lower-case hex.
std::string origin_hash(std::string_view origin);

}  // namespace assay::tlog
