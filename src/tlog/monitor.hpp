// Following a log (anybody's): every entry is read once, the tree is rebuilt from the entries, and
// the numbers of each issuer are counted. What a monitor has seen is in its state; what the log
// shows later must continue it.
#pragma once
#include <map>

#include "base/json.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/edge.hpp"
#include "tlog/entry.hpp"

namespace assay::tlog {

enum class AlarmKind {
  fork,       // two signed checkpoints that no tree contains both of
  rollback,   // a signed checkpoint shorter than one seen before
  broken,     // tiles or entries that do not make the signed root
  gap,        // a number of an issuer is missing
  twice,      // a number of an issuer is used again
  malformed,  // an entry that is none of a market's, or not signed by its issuer
};
std::string_view to_string(AlarmKind kind);

struct Alarm {
  AlarmKind kind = AlarmKind::broken;
  std::string text;     // one line, names the entry or the sizes
  std::string first{};  // fork, rollback: the two signed notes, which are the proof
  std::string second{};
};

class Monitor {
 public:
  // `markets`: entries must be a market's (entry.hpp); false for logs of anything else.
  explicit Monitor(bool markets = true) : markets_(markets) {}
  json::object to_json() const;
  static Result<Monitor> from_json(const json::object& o);

  // Reads what is new up to the checkpoint and moves on to it. Alarms about the tree (fork,
  // rollback, broken) leave the monitor where it was; those about entries do not. Errors: the
  // source's (try again), or open_checkpoint's: a note that is not the log's proves nothing.
  Result<std::vector<Alarm>> follow(std::string_view note, const LogPolicy& policy,
                                    TileSource& source);

  // What somebody else was shown (a witness's copy): the same log? Longer ones than followed so far
  // are not judged yet.
  Result<std::vector<Alarm>> compare(std::string_view other, const LogPolicy& policy,
                                     TileSource& source) const;

  std::uint64_t size() const { return edge_.size(); }
  const std::string& note() const { return note_; }
  std::size_t issuers() const { return next_.size(); }

 private:
  using Issuer = std::pair<Hash, crypto::Address>;  // LogEntry::series, key
  using Numbers = std::map<Issuer, std::uint64_t>;
  void count(std::uint64_t index, ByteView bytes, Numbers& next, std::vector<Alarm>& alarms) const;

  bool markets_;
  Edge edge_;
  std::string note_;  // the checkpoint of edge_; empty before the first
  Numbers next_;
};

}  // namespace assay::tlog
