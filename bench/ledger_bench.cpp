// Durable operations a second of the embedded ledger: many callers, each waiting until its signed
// operation is on disk before it sends the next, as an HTTP thread does for a client.
//   assay_ledger_bench NEW_FOLDER [--operations N]
// Deposits, each signed by the host. NEW_FOLDER is removed at the end.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <thread>

#include "crypto/keccak.hpp"
#include "io/system_clock.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay {
namespace {

using namespace protocol;

crypto::SecretKey key(std::string_view name) {
  return *crypto::secret_key(crypto::keccak256(view(name)));
}

int measure(const std::string& folder, std::uint64_t operations, std::uint64_t callers) {
  std::filesystem::create_directories(folder);
  const crypto::SecretKey host = key("host");
  market::LedgerInfo info;
  info.domain.ledger = crypto::keccak256(view("ledger"));
  info.host = crypto::address_of(host);
  const io::SystemClock clock;
  auto ledger = settle::EmbeddedLedger::open(folder + "/ledger.db", info, clock);
  if (!ledger) {
    fmt::print(stderr, "ledger_bench: {}\n", ledger.error().message);
    return 1;
  }
  std::vector<market::Operation> signed_operations;
  for (std::uint64_t i = 0; i < operations; ++i) {
    const auto owner = crypto::address_of(key(fmt::format("buyer {}", i % 100)));
    signed_operations.push_back(sign(info.domain, Deposit{owner, 1'000, i}, host));
  }

  std::atomic<std::uint64_t> next = 0, refused = 0;
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::jthread> threads;
  for (std::uint64_t c = 0; c < callers; ++c)
    threads.emplace_back([&] {
      for (std::uint64_t i; (i = next++) < operations;)
        refused += !(*ledger)->submit(signed_operations[i]);
    });
  threads.clear();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const auto totals = (*ledger)->totals();
  fmt::print("{} callers: {} operations in {:.2f} s, {:.0f} durable operations/s, {} refused\n",
             callers, totals->operations, took.count(),
             static_cast<double>(totals->operations) / took.count(), refused.load());
  ledger->reset();
  std::filesystem::remove_all(folder);
  return refused == 0 && totals->operations == operations ? 0 : 1;
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  std::uint64_t operations = 50'000;
  std::string folder;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--operations" && i + 1 < argc)
      operations = std::strtoull(argv[++i], nullptr, 10);
    else
      folder = word;
  }
  if (folder.empty() || std::filesystem::exists(folder)) {
    fmt::print(stderr, "assay_ledger_bench NEW_FOLDER [--operations N]\n");
    return 2;
  }
  for (const std::uint64_t callers : {1, 16, 64, 256})
    if (const int code = assay::measure(folder, callers == 1 ? operations / 50 : operations, callers))
      return code;
}
