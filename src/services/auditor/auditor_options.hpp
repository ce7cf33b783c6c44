// What an auditor audits and under which terms.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/isa.hpp"
#include "engine/model.hpp"
#include "io/server_tls.hpp"
#include "protocol/typed.hpp"
#include "verify/replay.hpp"

namespace assay::services {

// The mapped file behind the model outlives the service.
struct AuditedModel {
  std::string name;
  std::shared_ptr<const engine::Model> model;
  protocol::ExecutionId execution;
  Bytes program;  // hashes to execution.program_hash
};

struct AuditorOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;       // 0: any free one
  std::string public_endpoint;  // what buyers are told; empty: the address it listens on
  io::TlsOptions tls;           // of what it listens on
  std::string data_dir;         // made when missing; one process at a time

  protocol::Micros fee = 0;  // of one audit
  unsigned threads = 1;
  std::size_t kv_bytes = verify::kReplayKvBytes;  // what takes more is not taken
  engine::Isa isa = engine::best_isa();
  std::int64_t tick_ms = 250;  // of the background loops
};

}  // namespace assay::services
