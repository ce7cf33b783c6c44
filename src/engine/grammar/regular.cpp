#include "engine/grammar/regular.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace assay::engine {
namespace {

constexpr std::size_t kByteValues = 256;
constexpr std::uint32_t kNowhere = UINT32_MAX;
// States looked at in all the sets that stand for a state: bounds time and memory.
constexpr std::size_t kWorkMax = std::size_t{1} << 23;

std::unexpected<Error> too_many() {
  return fail(
      Errc::refused,
      "the answer's automaton would have more than {} states or {} bytes: ask for a smaller "
      "or less nested schema",
      canon::kStatesMax, canon::kAutomatonBytesMax);
}

struct SetHash {
  std::size_t operator()(const std::vector<std::uint32_t>& set) const {
    std::size_t h = set.size();
    for (const std::uint32_t n : set) h = (h ^ n) * 0x9e3779b97f4a7c15u;
    return h;
  }
};

}  // namespace

// next[state][byte], kNowhere where nothing leads on.
struct Regular::Deterministic {
  std::vector<std::array<std::uint32_t, kByteValues>> next;
  std::vector<std::uint8_t> accepting;

  void drop_hopeless();
  std::vector<std::uint32_t> classes() const;
};

Regular::State Regular::state() {
  edges_.emplace_back();
  skips_.emplace_back();
  accepts_.push_back(0);
  return static_cast<State>(edges_.size() - 1);
}

void Regular::byte(State from, std::uint8_t first, std::uint8_t last, State to) {
  edges_[from].push_back({first, last, to});
}
void Regular::skip(State from, State to) { skips_[from].push_back(to); }
void Regular::accept(State state) { accepts_[state] = 1; }

Regular::State Regular::text(State from, std::string_view bytes) {
  for (const char c : bytes) {
    const State to = state();
    byte(from, static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(c), to);
    from = to;
  }
  return from;
}
void Regular::text(State from, std::string_view bytes, State to) { skip(text(from, bytes), to); }

// All that is reached without a byte, of which only states with edges or acceptance matter.
std::vector<Regular::State> Regular::closure(std::vector<State> states) const {
  std::vector<State> seen = states, out;
  std::ranges::sort(seen);
  seen.erase(std::ranges::unique(seen).begin(), seen.end());
  std::vector<State> waiting = seen;
  std::unordered_map<State, bool> known;
  for (const State s : waiting) known[s] = true;
  while (!waiting.empty()) {
    const State s = waiting.back();
    waiting.pop_back();
    if (!edges_[s].empty() || accepts_[s] != 0) out.push_back(s);
    for (const State to : skips_[s])
      if (known.try_emplace(to, true).second) waiting.push_back(to);
  }
  std::ranges::sort(out);
  return out;
}

Regular::Deterministic Regular::determinize(Status& status) const {
  Deterministic out;
  std::unordered_map<std::vector<State>, std::uint32_t, SetHash> numbers;
  std::vector<std::vector<State>> sets;
  std::size_t work = 0;
  const auto number_of = [&](std::vector<State> set) {
    const auto [it, fresh] = numbers.try_emplace(std::move(set), sets.size());
    if (fresh) sets.push_back(it->first);
    return it->second;
  };
  number_of(closure({kStart}));
  for (std::size_t at = 0; at < sets.size(); ++at) {
    const std::vector<State> set = sets[at];
    if ((work += set.size()) > kWorkMax || sets.size() > canon::kStatesMax) {
      status = too_many();
      return out;
    }
    // Bytes between two borders lead to the same states.
    std::array<bool, kByteValues + 1> border{};
    border[0] = true;
    for (const State s : set)
      for (const Edge& e : edges_[s]) border[e.first] = border[std::size_t{e.last} + 1] = true;
    auto& row = out.next.emplace_back();
    out.accepting.push_back(
        std::ranges::any_of(set, [&](State s) { return accepts_[s] != 0; }) ? 1 : 0);
    std::uint32_t next = kNowhere;
    for (std::size_t byte = 0; byte < kByteValues; ++byte) {
      if (border[byte]) {
        std::vector<State> targets;
        for (const State s : set)
          for (const Edge& e : edges_[s])
            if (e.first <= byte && byte <= e.last) targets.push_back(e.to);
        next = targets.empty() ? kNowhere : number_of(closure(std::move(targets)));
      }
      row[byte] = next;
    }
  }
  return out;
}

// States from which no text ends lead nowhere.
void Regular::Deterministic::drop_hopeless() {
  std::vector<std::vector<std::uint32_t>> before(next.size());
  for (std::uint32_t s = 0; s < next.size(); ++s) {
    std::uint32_t last = kNowhere;
    for (const std::uint32_t to : next[s]) {
      if (to != kNowhere && to != last) before[to].push_back(s);
      last = to;
    }
  }
  std::vector<std::uint8_t> ends = accepting;
  std::vector<std::uint32_t> waiting;
  for (std::uint32_t s = 0; s < ends.size(); ++s)
    if (ends[s] != 0) waiting.push_back(s);
  while (!waiting.empty()) {
    const std::uint32_t s = waiting.back();
    waiting.pop_back();
    for (const std::uint32_t from : before[s])
      if (ends[from] == 0) {
        ends[from] = 1;
        waiting.push_back(from);
      }
  }
  for (auto& row : next)
    for (std::uint32_t& to : row)
      if (to != kNowhere && ends[to] == 0) to = kNowhere;
}

// Which states no text tells apart (Moore): refined until nothing splits.
std::vector<std::uint32_t> Regular::Deterministic::classes() const {
  // Bytes that no state tells apart count once.
  std::vector<std::size_t> letters;
  std::map<std::vector<std::uint32_t>, bool> columns;
  for (std::size_t byte = 0; byte < kByteValues; ++byte) {
    std::vector<std::uint32_t> column;
    column.reserve(next.size());
    for (const auto& row : next) column.push_back(row[byte]);
    if (columns.try_emplace(std::move(column), true).second) letters.push_back(byte);
  }
  std::vector<std::uint32_t> of(accepting.begin(), accepting.end());
  for (std::size_t count = 0;;) {
    std::unordered_map<std::vector<std::uint32_t>, std::uint32_t, SetHash> numbers;
    std::vector<std::uint32_t> refined;
    refined.reserve(next.size());
    for (std::size_t s = 0; s < next.size(); ++s) {
      std::vector<std::uint32_t> look{of[s]};
      for (const std::size_t byte : letters)
        look.push_back(next[s][byte] == kNowhere ? kNowhere : of[next[s][byte]]);
      refined.push_back(
          numbers.try_emplace(std::move(look), static_cast<std::uint32_t>(numbers.size()))
              .first->second);
    }
    of = std::move(refined);
    if (numbers.size() == count) return of;
    count = numbers.size();
  }
}

Result<canon::Automaton> Regular::minimal() const {
  if (too_large()) return too_many();
  Status status;
  Deterministic d = determinize(status);
  CHECK_OK(status);
  d.drop_hopeless();
  const std::vector<std::uint32_t> of = d.classes();
  std::vector<std::uint32_t> member(d.next.size(), kNowhere), number(d.next.size(), kNowhere);
  for (std::uint32_t s = 0; s < of.size(); ++s) member[of[s]] = s;
  canon::Automaton out;
  std::vector<std::uint32_t> order;  // class by number
  const auto number_of = [&](std::uint32_t c) {
    if (number[c] == kNowhere) {
      number[c] = out.add(d.accepting[member[c]] != 0);
      order.push_back(c);
    }
    return number[c];
  };
  number_of(of[0]);
  for (std::size_t at = 0; at < order.size(); ++at)
    for (std::size_t byte = 0; byte < kByteValues; ++byte)
      if (const std::uint32_t to = d.next[member[order[at]]][byte]; to != kNowhere)
        out.set(static_cast<std::uint32_t>(at), static_cast<std::uint8_t>(byte), number_of(of[to]));
  if (out.states() == 1 && !out.accepting(0))
    return fail(Errc::invalid, "there is no answer that fits");
  if (canon::encode(out).size() > canon::kAutomatonBytesMax) return too_many();
  return out;
}

}  // namespace assay::engine
