// What a provider serves and under which terms.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/batcher.hpp"
#include "io/server_tls.hpp"
#include "protocol/typed.hpp"

namespace assay::services {

class Computer;

// `advertised` is what the offer says and what receipts will be about; `model` is what computes,
// and `computer` how. The mapped file behind the model outlives the service.
struct ServedModel {
  std::shared_ptr<const engine::Model> model;
  protocol::OfferModel advertised;
  std::shared_ptr<Computer> computer = nullptr;  // null: the canonical engine in this process
};

struct ProviderOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;       // 0: any free one
  std::string public_endpoint;  // what the offer says; empty: the address it listens on
  io::TlsOptions tls;           // of what it listens on
  std::string data_dir;         // made when missing; one process at a time
  protocol::Address payout{};   // zero: the operating key's own address

  std::string region, hardware;  // claimed in the offer
  std::uint32_t vram_mib = 0;
  // Of each model: requests computed at a time, in common passes; those that wait beyond that, more
  // are answered 429; the most their KV cache takes.
  std::uint32_t slots = 4;
  std::uint32_t queue = 8;
  std::uint32_t trace_queue = 4;  // openings that wait while one is recomputed; of all models
  std::size_t kv_bytes = std::size_t{256} << 20;
  bool prefix_cache = true;  // of each buyer
  unsigned threads = 1;
  std::uint32_t progress_tokens = 16;  // between two progress messages
  engine::Isa isa = engine::best_isa();

  std::uint64_t offer_lifetime_s = 600;  // renewed at half of it
  // Off the list price in a sealed-bid auction, where nothing is being computed; at most 10,000.
  std::uint32_t bid_discount_bps = 0;
  // Promised in the offer: what an answer slower than it says costs less, in millionths, at most
  // protocol::kRebateMax. And what it says; 0: as measured at the start, twice that with a rebate.
  std::uint32_t rebate_ppm = 0;
  std::uint32_t first_token_ms = 0, per_token_ms = 0;
  // By so much the network may have made an answer slower than this provider's own clock saw it:
  // a rebate it would not owe without is given all the same.
  std::uint32_t rebate_allowance_ms = 100;
  // A lease with unpaid receipts is claimed once it has expired or rested for so long; one with
  // nothing unpaid is closed then.
  std::uint64_t rest_s = 3600;
  std::int64_t tick_ms = 1000;  // of the background loop

  // Where receipts are published (settle/log_client.hpp); empty: nowhere. At the multiples of
  // log_delay_ms, a multiple of log_pad numbers at a time.
  std::string log_url;
  std::int64_t log_delay_ms = 10'000;
  std::size_t log_pad = 4;
};

}  // namespace assay::services
