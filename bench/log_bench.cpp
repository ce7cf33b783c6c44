// A log on this machine's disk: durable entries per second with and without the check of each
// signature, inclusion proofs, memory by size.
//   assay_log_bench FOLDER [--entries N] [--checked N] [--batch N] [--keep]
// FOLDER must be new; it is removed at the end unless --keep.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <random>
#include <thread>

#include "crypto/merkle.hpp"
#include "services/log/log_store.hpp"

namespace {

using namespace assay;
using Clock_ = std::chrono::steady_clock;

double seconds_since(Clock_::time_point start) {
  return std::chrono::duration<double>(Clock_::now() - start).count();
}

std::size_t memory_mib() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * 4096 >> 20;
}

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "log_bench: {}\n", result.error().message);
  std::exit(1);
}

crypto::SecretKey key_of(std::uint8_t issuer) { return must(crypto::secret_key(Hash{issuer})); }

// Signed for `checked`; else only shaped like entries, which is all the store looks at.
std::vector<tlog::LogEntry> entries_of(std::uint8_t issuer, std::uint64_t first, std::size_t count,
                                       bool is_signed) {
  static const crypto::SecretKey keys[] = {key_of(1), key_of(1), key_of(2), key_of(3), key_of(4)};
  std::vector<tlog::LogEntry> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto& entry = out[i];
    if (is_signed) {
      entry = tlog::sign_entry(Hash{9}, first + i, Hash{1}, keys[issuer]);
      continue;
    }
    entry.ledger = Hash{8};
    entry.issuer = crypto::address_of(keys[issuer]);
    entry.number = first + i;
    for (std::size_t b = 0; b < 8; ++b)
      entry.commitment[b] = static_cast<std::uint8_t>((first + i) >> 8 * b);
  }
  return out;
}

constexpr unsigned kWriters = 4;

// Writers that each wait for their answer, as a market does; entries a second.
double append(services::LogStore& store, std::uint64_t total, std::size_t at_once, bool checked) {
  // Signing is the issuers' work, somewhere else: done before.
  std::vector<std::vector<std::vector<tlog::LogEntry>>> calls(kWriters);
  const std::uint64_t each = total / kWriters;
  if (checked)
    for (unsigned w = 0; w < kWriters; ++w)
      for (std::uint64_t done = 0; done < each; done += at_once)
        calls[w].push_back(entries_of(static_cast<std::uint8_t>(w + 1), done + 1,
                                      std::min<std::uint64_t>(at_once, each - done), true));
  std::atomic<std::uint64_t> written = 0, next_line = 1'000'000;
  const auto start = Clock_::now();
  std::vector<std::thread> writers;
  for (unsigned w = 0; w < kWriters; ++w)
    writers.emplace_back([&, w] {
      std::size_t call = 0;
      for (std::uint64_t done = 0; done < each; ++call) {
        auto entries = checked ? std::move(calls[w][call])
                               : entries_of(static_cast<std::uint8_t>(w + 1), done + 1,
                                            std::min<std::uint64_t>(at_once, each - done), false);
        const std::size_t count = entries.size();
        for (const auto& entry : entries)
          if (checked && !entry.check_signature()) std::abort();
        must(store.append(std::move(entries)));
        done += count;
        const std::uint64_t now = written += count;
        std::uint64_t line = next_line;
        if (now >= line && next_line.compare_exchange_strong(line, line + 1'000'000))
          fmt::print("  {:>9} entries  {:>7.1f} s  {:>4} MiB resident\n", now, seconds_since(start),
                     memory_mib());
      }
    });
  for (auto& writer : writers) writer.join();
  return static_cast<double>(each * kWriters) / seconds_since(start);
}

void proofs(services::LogStore& store, services::LogDisk& disk) {
  const auto state = store.committed();
  std::mt19937_64 random(1);
  std::vector<double> micros;
  // Cold for the program, not for the kernel: what is left to do for a log that was just opened.
  tlog::Tree tree(disk);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t index = random() % state.size;
    const auto start = Clock_::now();
    const auto proof = must(tree.inclusion_proof(index, state.size));
    micros.push_back(seconds_since(start) * 1e6);
    if (i % 1000 == 0) {
      const Hash leaf = must(tree.leaf(index, state.size));
      if (!crypto::verify_inclusion(state.root, leaf, index, state.size, proof)) std::abort();
    }
  }
  std::ranges::sort(micros);
  fmt::print(
      "inclusion proofs at {} entries, random indexes: median {:.1f} us, 90 % {:.1f} us, 99 % "
      "{:.1f} us, {} MiB resident\n",
      state.size, micros[micros.size() / 2], micros[micros.size() * 9 / 10],
      micros[micros.size() * 99 / 100], memory_mib());
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  std::uint64_t total = 1'000'000, checked = 50'000;
  std::size_t at_once = 2048;
  bool keep = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (word == "--entries")
      total = number();
    else if (word == "--checked")
      checked = number();
    else if (word == "--batch")
      at_once = number();
    else if (word == "--keep")
      keep = true;
    else
      folder = word;
  }
  if (folder.empty() || std::filesystem::exists(folder) || total == 0 || at_once == 0) {
    fmt::print(stderr,
               "assay_log_bench FOLDER [--entries N] [--checked N] [--batch N] [--keep]\n"
               "FOLDER must be new\n");
    return 2;
  }
  {
    auto disk = must(services::FileDisk::open(folder));
    const auto policy = tlog::LogPolicy::of(tlog::VerifierKey{"bench.example/log"});
    auto store = must(services::LogStore::open(*disk, policy, {}));
    if (checked > 0)
      fmt::print("{} writers, 1 entry a call, signatures checked: {:.0f} durable entries/s\n",
                 kWriters, append(*store, std::min<std::uint64_t>(checked, 400), 1, true));
    if (checked > 0) {
      // Other ledgers have other numbers: a store of its own.
      auto other_disk = must(services::FileDisk::open(folder + "/checked"));
      auto other = must(services::LogStore::open(*other_disk, policy, {}));
      fmt::print("{} writers, {} entries a call, signatures checked: {:.0f} durable entries/s\n",
                 kWriters, std::min<std::size_t>(at_once, 512),
                 append(*other, checked, std::min<std::size_t>(at_once, 512), true));
    }
    fmt::print("{} writers, {} entries a call, signatures not checked: {:.0f} durable entries/s\n",
               kWriters, at_once, append(*store, total, at_once, false));
    proofs(*store, *disk);
  }
  {
    const auto start = Clock_::now();
    auto disk = must(services::FileDisk::open(folder));
    auto store = must(services::LogStore::open(
        *disk, tlog::LogPolicy::of(tlog::VerifierKey{"bench.example/log"}), {}));
    fmt::print("opened again in {:.1f} ms\n", seconds_since(start) * 1e3);
  }
  if (!keep) std::filesystem::remove_all(folder);
  return 0;
}
