#include "tlog/monitor.hpp"

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/merkle.hpp"
#include "tlog/tree.hpp"

namespace assay::tlog {

std::string_view to_string(AlarmKind kind) {
  switch (kind) {
    case AlarmKind::fork:
      return "fork";
    case AlarmKind::rollback:
      return "rollback";
    case AlarmKind::broken:
      return "broken";
    case AlarmKind::gap:
      return "gap";
    case AlarmKind::twice:
      return "twice";
    case AlarmKind::malformed:
      return "malformed";
  }
  return "broken";
}

json::object Monitor::to_json() const {
  json::array issuers;
  for (const auto& [issuer, next] : next_)
    issuers.push_back(json::object{{"ledger", to_hex(issuer.first)},
                                   {"issuer", issuer.second.to_string()},
                                   {"next", std::to_string(next)}});
  return {{"markets", markets_},
          {"note", note_},
          {"edge", to_base64(edge_.to_bytes())},
          {"issuers", std::move(issuers)}};
}

Result<Monitor> Monitor::from_json(const json::object& o) {
  TRY(const bool markets, json::get_bool(o, "markets"));
  Monitor out(markets);
  TRY(out.note_, json::get_string(o, "note"));
  TRY(const std::string edge, json::get_string(o, "edge"));
  TRY(const Bytes bytes, from_base64(edge));
  TRY(out.edge_, Edge::from_bytes(bytes));
  TRY(const json::array* issuers, json::get_array(o, "issuers"));
  for (const auto& item : *issuers) {
    TRY(const json::object* issuer, json::as_object(item, "an issuer"));
    TRY(const Hash ledger, json::get_hash(*issuer, "ledger"));
    TRY(const std::string text, json::get_string(*issuer, "issuer"));
    TRY(const auto address, crypto::Address::parse(text));
    TRY(out.next_[Issuer(ledger, address)], json::get_u64(*issuer, "next"));
  }
  if (!out.note_.empty()) {
    TRY(const Note note, parse_note(out.note_));
    TRY(const Checkpoint checkpoint, parse_checkpoint(note.text));
    if (checkpoint.size != out.edge_.size() || checkpoint.root != out.edge_.root())
      return fail(Errc::mismatch, "the monitor's state is not of its checkpoint: was it changed?");
  }
  return out;
}

void Monitor::count(std::uint64_t index, ByteView bytes, Numbers& next,
                    std::vector<Alarm>& alarms) const {
  const auto alarm = [&](AlarmKind kind, std::string text) {
    alarms.push_back({kind, fmt::format("entry {}: {}", index, text)});
  };
  const auto entry = LogEntry::parse(bytes);
  if (!entry) return alarm(AlarmKind::malformed, entry.error().message);
  if (const auto status = entry->check_signature(); !status)
    return alarm(AlarmKind::malformed, status.error().message);
  auto& expected = next.try_emplace(Issuer(entry->series(), entry->issuer), 1).first->second;
  const std::string issuer = entry->issuer.to_string();
  if (entry->number < expected)
    return alarm(AlarmKind::twice,
                 fmt::format("number {} of {} is used again", entry->number, issuer));
  if (entry->number > expected)
    alarm(AlarmKind::gap,
          fmt::format("number {} of {} comes after {}", entry->number, issuer, expected - 1));
  expected = entry->number + 1;
}

Result<std::vector<Alarm>> Monitor::follow(std::string_view note, const LogPolicy& policy,
                                           TileSource& source) {
  TRY(const auto opened, open_checkpoint(note, policy));
  const Checkpoint& checkpoint = opened.checkpoint;
  const auto stop = [&](AlarmKind kind, std::string text) {
    return std::vector<Alarm>{{kind, std::move(text), note_, std::string(note)}};
  };
  if (checkpoint.size < edge_.size())
    return stop(AlarmKind::rollback, fmt::format("the log had {} entries and now signs for {}",
                                                 edge_.size(), checkpoint.size));
  if (checkpoint.size == edge_.size()) {
    if (checkpoint.root != edge_.root())
      return stop(AlarmKind::fork, fmt::format("two roots for {} entries", checkpoint.size));
    note_ = note;
    return std::vector<Alarm>{};
  }
  Edge edge = edge_;
  Numbers next = next_;
  std::vector<Alarm> alarms;
  while (edge.size() < checkpoint.size) {
    const std::uint64_t index = edge.size() / kTileWidth;
    const TileId id{true, 0, index, tile_width(checkpoint.size, 0, index)};
    TRY(const Bytes bundle, source.read(id));
    const auto entries = parse_bundle(bundle, id.width);
    if (!entries)
      return stop(AlarmKind::broken, fmt::format("{}: {}", tile_path(id), entries.error().message));
    for (std::size_t i = edge.size() % kTileWidth; i < entries->size(); ++i) {
      if (markets_) count(edge.size(), (*entries)[i], next, alarms);
      edge.append(crypto::leaf_hash((*entries)[i]));
    }
  }
  if (edge.root() != checkpoint.root) {
    // Whose fault? If the log's own tiles lead from what was seen to what is signed, its bundles
    // are wrong; if they do not, it signed two histories.
    Tree tree(source);
    const auto proof = tree.consistency_proof(edge_.size(), checkpoint.size);
    const bool continues =
        proof && crypto::verify_consistency(edge_.root(), edge_.size(), checkpoint.root,
                                            checkpoint.size, *proof);
    if (continues)
      return stop(AlarmKind::broken,
                  fmt::format("the entries up to {} do not make the signed root", checkpoint.size));
    return stop(AlarmKind::fork, fmt::format("{} entries do not continue the {} seen before",
                                             checkpoint.size, edge_.size()));
  }
  edge_ = std::move(edge);
  next_ = std::move(next);
  note_ = note;
  return alarms;
}

Result<std::vector<Alarm>> Monitor::compare(std::string_view other, const LogPolicy& policy,
                                            TileSource& source) const {
  TRY(const auto opened, open_checkpoint(other, policy));
  const Checkpoint& theirs = opened.checkpoint;
  if (theirs.size > edge_.size()) return std::vector<Alarm>{};
  Tree tree(source);
  TRY(const auto proof, tree.consistency_proof(theirs.size, edge_.size()));
  if (crypto::verify_consistency(theirs.root, theirs.size, edge_.root(), edge_.size(), proof))
    return std::vector<Alarm>{};
  return std::vector<Alarm>{{AlarmKind::fork,
                             fmt::format("somebody else was shown other {} entries", theirs.size),
                             note_, std::string(other)}};
}

}  // namespace assay::tlog
