// Full pages of sequences that were evaluated, by the tokens they stand for: a prompt that begins
// with the same tokens takes them instead of computing them again. The bits are the same either
// way. Paper: Zheng et al. 2024 (SGLang's RadixAttention, arXiv:2312.07104).
#pragma once
#include <array>
#include <list>
#include <map>

#include "base/bytes.hpp"
#include "engine/kv_cache.hpp"

namespace assay::engine {

// Whose pages these are: nobody may learn another's prompts from how fast an answer comes.
using CacheScope = Hash;

// Not thread-safe.
class PrefixCache {
 public:
  // A place in the tree of prefixes: the run of full pages from the first token to here. 0: empty.
  using Node = std::uint64_t;
  struct Hit {
    std::vector<PageRef> pages;
    Node node = 0;  // the last one's
  };

  // The longest run of pages that stand for the beginning of `tokens`, each with at least
  // `memo_bytes` of memo. Tokens are compared in full. Makes the run the most recently used.
  Hit find(const CacheScope& scope, std::span<const Token> tokens, std::size_t memo_bytes);
  // `tokens`: the kPagePositions of a full page that follows `parent`. Returns its node; of two
  // pages for one node the one with the larger memo stays. Nothing is kept behind a parent that is
  // gone: the parent's own node is returned.
  Node insert(const CacheScope& scope, Node parent, std::span<const Token> tokens, PageRef page);

  // Drops the least recently used pages that nobody else holds, a run's last page before its
  // others, in one sweep. Returns how many: fewer than `count` when there are no more.
  std::size_t evict(std::size_t count);
  std::size_t pages() const { return entries_.size(); }
  std::size_t evictable() const;  // pages that nobody else holds

 private:
  struct Key {
    CacheScope scope;
    Node parent;
    std::array<Token, kPagePositions> tokens;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry;
  // Ordered rather than hashed: buyers choose the tokens.
  using Entries = std::map<Key, Entry>;
  struct Entry {
    Node node;
    PageRef page;
    std::list<Entries::iterator>::iterator use;
  };
  static Key key_of(const CacheScope& scope, Node parent, std::span<const Token> tokens);

  Entries entries_;
  std::map<Node, Entries::iterator> by_node_;
  std::list<Entries::iterator> by_use_;  // most recent first; in a run, the beginning first
  Node next_node_ = 1;
};

}  // namespace assay::engine
