// What this buyer has seen of each provider. Local and simple: nothing here is somebody's word.
#pragma once
#include <map>
#include <string>

#include "protocol/messages.hpp"

namespace assay::market {

struct Record {
  std::uint64_t served = 0;       // receipts accepted
  std::uint64_t audited = 0;      // of which replayed and equal
  std::uint64_t failures = 0;     // died, timed out, refused
  std::uint64_t convictions = 0;  // audits that did not match, equivocations
  std::string last_conviction;    // one line
  bool operator==(const Record&) const = default;
};

class Reputation {
 public:
  Record of(const protocol::Address& provider) const;
  void served(const protocol::Address& provider);
  void audited(const protocol::Address& provider);
  void failed(const protocol::Address& provider);
  void convicted(const protocol::Address& provider, std::string reason);
  const std::map<protocol::Address, Record>& all() const { return records_; }

 private:
  std::map<protocol::Address, Record> records_;
};

// Success rate in parts per million of served / (served + failures); 500,000 without history.
std::uint32_t success_ppm(const Record& record);

}  // namespace assay::market
