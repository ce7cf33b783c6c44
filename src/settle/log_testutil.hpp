// The append side of a log in memory, over real HTTP, with the log's rules: what services/log does,
// without a disk, for the services that may not see it.
#pragma once
#include <map>
#include <mutex>

#include "base/hex.hpp"
#include "io/http_router.hpp"
#include "settle/log_client.hpp"

namespace assay::settle {

class LogInMemory {
 public:
  LogInMemory() {
    io::Router router;
    router.post("/append", [this](io::HttpRequest& request, io::HttpResponse& response) {
      const auto indexes = append(request.body);
      if (!indexes) return void(response.send_error(indexes.error()));
      json::array list;
      for (const auto index : *indexes) list.emplace_back(std::to_string(index));
      response.send_json(200, json::object{{"indexes", std::move(list)}});
    });
    router.post("/auctions", [this](io::HttpRequest& request, io::HttpResponse& response) {
      const auto index = append_auction(request.body);
      if (!index) return void(response.send_error(index.error()));
      response.send_json(200, json::object{{"index", std::to_string(*index)}});
    });
    router.get("/issuers/{series}/{address}", [this](io::HttpRequest& request,
                                                     io::HttpResponse& response) {
      const std::lock_guard lock(mutex_);
      const std::pair issuer{*array_from_hex<32>(request.param("series")),
                             *crypto::Address::parse(request.param("address"))};
      response.send_json(200, json::object{{"next", std::to_string(numbers_[issuer] + 1)}});
    });
    server_ = *io::HttpServer::start({}, router.handler());
  }
  std::string url() const { return server_->url(); }
  std::vector<tlog::LogEntry> entries() const {
    const std::lock_guard lock(mutex_);
    return entries_;
  }
  // Of one issuer.
  std::vector<tlog::LogEntry> entries(const crypto::Address& issuer) const {
    auto out = entries();
    std::erase_if(out, [&](const tlog::LogEntry& e) { return e.issuer != issuer; });
    return out;
  }
  // Records of auctions, by the digest of their calls.
  std::map<Hash, AuctionEntry> auctions() const {
    const std::lock_guard lock(mutex_);
    return auctions_;
  }
  std::size_t calls = 0;

 private:
  Status take(const tlog::LogEntry& entry) {
    CHECK_OK(entry.check_signature());
    std::uint64_t& last = numbers_[{entry.series(), entry.issuer}];
    if (entry.number != last + 1) return fail(Errc::refused, "the next number is {}", last + 1);
    last = entry.number;
    entries_.push_back(entry);
    return {};
  }
  Result<std::uint64_t> append_auction(std::string_view body) {
    TRY(const auto sent, auction_entry_from_text(body));
    TRY(const auto checked, check(sent));
    const std::lock_guard lock(mutex_);
    CHECK_OK(take(sent.entry));
    auctions_[checked.call] = sent;
    return entries_.size() - 1;
  }
  Result<std::vector<std::uint64_t>> append(std::string_view body) {
    TRY(const auto added, entries_from_body(body));
    const std::lock_guard lock(mutex_);
    ++calls;
    std::vector<std::uint64_t> out;
    for (const auto& entry : added) {
      CHECK_OK(take(entry));
      out.push_back(entries_.size() - 1);
    }
    return out;
  }

  mutable std::mutex mutex_;
  std::map<std::pair<Hash, crypto::Address>, std::uint64_t> numbers_;
  std::map<Hash, AuctionEntry> auctions_;
  std::vector<tlog::LogEntry> entries_;
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace assay::settle
