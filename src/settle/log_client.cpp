#include "settle/log_client.hpp"

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "settle/http_json.hpp"

namespace assay::settle {
namespace {

constexpr std::size_t kReplyBytesMax = tlog::kTileWidth * (2 + tlog::kEntryBytesMax);

io::HttpClientOptions log_options() {
  io::HttpClientOptions options;
  options.peer_word = "log";
  options.max_body_bytes = kReplyBytesMax;
  return options;
}

}  // namespace

LogReader::LogReader(std::string url)
    : url_(without_slash(std::move(url))), client_(log_options()) {}

Result<std::string> LogReader::get(const std::string& path) {
  TRY(auto reply, client_.get(url_ + "/" + path));
  if (reply.status == 404) return fail(Errc::not_found, "the log at {} has no {}", url_, path);
  if (reply.status != 200) return std::unexpected(io::refusal("log", reply));
  return std::move(reply.body);
}

Result<std::string> LogReader::checkpoint() { return get("checkpoint"); }

Result<Bytes> LogReader::read(const tlog::TileId& id) {
  auto found = get(tlog::tile_path(id));
  if (found) return Bytes(found->begin(), found->end());
  if (found.error().code != Errc::not_found || id.width == tlog::kTileWidth)
    return std::unexpected(found.error());
  TRY(const std::string full, get(tlog::tile_path(id.full())));
  return tlog::cut(id, view(full));
}

LogWriter::LogWriter(std::string url)
    : url_(without_slash(std::move(url))), client_(log_options()) {}

Result<std::vector<std::uint64_t>> LogWriter::append(std::span<const tlog::LogEntry> entries) {
  TRY(const auto reply, client_.post_json(url_ + "/append", append_body(entries)));
  TRY(const json::object o, object_of("log", url_, reply, kReplyBytesMax));
  TRY(const json::array* list, json::get_array(o, "indexes"));
  std::vector<std::uint64_t> out;
  for (const auto& item : *list) {
    const auto* text = item.if_string();
    if (text == nullptr) return fail(Errc::invalid, "log: an index is a decimal string");
    TRY(out.emplace_back(), json::parse_u64(std::string_view(*text)));
  }
  if (out.size() != entries.size())
    return fail(Errc::invalid, "log: {} indexes for {} entries", out.size(), entries.size());
  return out;
}

Result<std::uint64_t> LogWriter::next_number(const Hash& series, const crypto::Address& issuer) {
  TRY(const auto reply,
      client_.get(fmt::format("{}/issuers/{}/{}", url_, to_hex(series), issuer.to_string())));
  TRY(const json::object o, object_of("log", url_, reply, kReplyBytesMax));
  return json::get_u64(o, "next");
}

Result<std::uint64_t> LogWriter::append_auction(const AuctionEntry& entry) {
  TRY(const auto reply, client_.post_json(url_ + "/auctions", to_text(entry)));
  TRY(const json::object o, object_of("log", url_, reply, kReplyBytesMax));
  return json::get_u64(o, "index");
}

Result<LogReader::Auction> LogReader::auction(const Hash& call) {
  TRY(const std::string text, get("auctions/" + to_hex(call)));
  TRY(const json::value v, json::parse(text, 4 * kAuctionBytesMax));
  TRY(const json::object* o, json::as_object(v, "an auction in the log"));
  Auction out;
  TRY(out.index, json::get_u64(*o, "index"));
  TRY(const json::object* domain, json::get_object(*o, "domain"));
  TRY(out.domain, protocol::Domain::from_json(*domain));
  TRY(out.record, json::get_string(*o, "record"));
  return out;
}

std::string append_body(std::span<const tlog::LogEntry> entries) {
  Bytes bundle;
  for (const auto& entry : entries) tlog::append_entry(bundle, entry.to_bytes());
  return json::dump(json::object{{"entries", to_base64(bundle)}});
}

Result<std::vector<tlog::LogEntry>> entries_from_body(std::string_view body) {
  TRY(const json::value v, json::parse(body));
  TRY(const json::object* o, json::as_object(v, "the body"));
  TRY(const std::string text, json::get_string(*o, "entries"));
  const auto bundle = from_base64(text);
  if (!bundle) return fail_in("'entries'", bundle.error());
  TRY(const auto views, tlog::parse_entries(*bundle, kLogAppendMax));
  std::vector<tlog::LogEntry> out;
  for (const ByteView bytes : views) {
    TRY(auto entry, tlog::LogEntry::parse(bytes));
    out.push_back(entry);
  }
  if (out.empty()) return fail(Errc::invalid, "'entries' has none");
  return out;
}

}  // namespace assay::settle
