#include "engine/prefix_cache.hpp"

#include <algorithm>
#include <ranges>

#include "base/assert.hpp"

namespace assay::engine {

PrefixCache::Key PrefixCache::key_of(const CacheScope& scope, Node parent,
                                     std::span<const Token> tokens) {
  ASSAY_ASSERT(tokens.size() == kPagePositions);
  Key key{scope, parent, {}};
  std::ranges::copy(tokens, key.tokens.begin());
  return key;
}

PrefixCache::Hit PrefixCache::find(const CacheScope& scope, std::span<const Token> tokens,
                                   std::size_t memo_bytes) {
  Hit hit;
  std::vector<Entries::iterator> path;
  for (; tokens.size() >= kPagePositions; tokens = tokens.subspan(kPagePositions)) {
    const auto it = entries_.find(key_of(scope, hit.node, tokens.first(kPagePositions)));
    if (it == entries_.end() || it->second.page->memo.size() < memo_bytes) break;
    hit.pages.push_back(it->second.page);
    hit.node = it->second.node;
    path.push_back(it);
  }
  // The beginning of a run ends up the most recently used: it is of use to more prompts.
  for (const auto it : std::views::reverse(path))
    by_use_.splice(by_use_.begin(), by_use_, it->second.use);
  return hit;
}

PrefixCache::Node PrefixCache::insert(const CacheScope& scope, Node parent,
                                      std::span<const Token> tokens, PageRef page) {
  const auto before = by_node_.find(parent);
  if (parent != 0 && before == by_node_.end()) return parent;
  const auto [it, fresh] = entries_.try_emplace(key_of(scope, parent, tokens));
  Entry& entry = it->second;
  if (fresh) {
    entry.node = next_node_++;
    entry.page = std::move(page);
    entry.use =
        by_use_.insert(parent == 0 ? by_use_.begin() : std::next(before->second->second.use), it);
    by_node_.emplace(entry.node, it);
  } else if (entry.page->memo.size() < page->memo.size()) {
    entry.page = std::move(page);
  }
  return entry.node;
}

std::size_t PrefixCache::evict(std::size_t count) {
  std::size_t dropped = 0;
  for (auto use = by_use_.end(); use != by_use_.begin() && dropped < count;) {
    const auto it = *--use;
    if (it->second.page.use_count() > 1) continue;
    use = by_use_.erase(use);
    by_node_.erase(it->second.node);
    entries_.erase(it);
    ++dropped;
  }
  return dropped;
}

std::size_t PrefixCache::evictable() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      entries_, [](const auto& e) { return e.second.page.use_count() == 1; }));
}

}  // namespace assay::engine
