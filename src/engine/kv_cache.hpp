// The KV cache: pages of kPagePositions positions of every layer and KV head, taken from a bounded
// pool. A sequence is a list of pages and the tokens they stand for; full pages may be shared.
// Paper: Kwon et al. 2023 (arXiv:2309.06180).
#pragma once
#include <memory>
#include <mutex>
#include <vector>

#include "engine/kernels/kernels.hpp"
#include "engine/model.hpp"
#include "engine/types.hpp"

namespace assay::engine {

// Where a page holds what (AttentionCache), in fp16 values.
struct PageLayout {
  std::uint32_t layers, kv_heads, head_dim, value_stride, key_lanes;

  static PageLayout of(const Hyper& hyper, const Kernels& kernels);
  std::size_t keys_offset(std::uint32_t layer, std::uint32_t head) const;
  std::size_t values_offset(std::uint32_t layer, std::uint32_t head) const;
  std::size_t page_values() const;
  std::size_t page_bytes() const { return page_values() * sizeof(std::uint16_t); }
};

// Always finite values: zero at first, later whatever a former owner computed.
struct Page {
  explicit Page(const PageLayout& layout);
  ~Page();
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  std::uint16_t* values;
  // What sinks keep of the page's positions: [position][layer][StateSink::memo_bytes]; empty: none.
  std::vector<std::uint8_t> memo;
};
using PageRef = std::shared_ptr<Page>;

// Puts the keys and values of all heads of one layer at one position (in the page) where kernels
// look for them. k, v: kv_dim each.
void store_rows(const PageLayout& layout, Page& page, std::size_t position, std::uint32_t layer,
                std::span<const std::uint16_t> k, std::span<const std::uint16_t> v);

// Thread-safe. Outlives its pages.
class PagePool {
 public:
  PagePool(const PageLayout& layout, std::size_t pages_max)
      : layout_(layout), pages_max_(pages_max) {}

  const PageLayout& layout() const { return layout_; }
  std::size_t pages_max() const { return pages_max_; }
  std::size_t in_use() const;
  PageRef acquire();  // null at the bound

 private:
  PageLayout layout_;
  std::size_t pages_max_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Page>> free_;
  std::size_t in_use_ = 0;
};

// One sequence's place in the cache. Not thread-safe.
class Sequence {
 public:
  explicit Sequence(PagePool& pool) : pool_(pool) {}

  std::uint32_t position() const { return static_cast<std::uint32_t>(tape_.size()); }
  // Tokens at positions 0 … position() - 1.
  std::span<const Token> tape() const { return tape_; }
  std::uint32_t capacity() const;  // positions its pages hold
  // Takes pages until `positions` fit; false, and nothing taken, when the pool is at its bound.
  bool reserve(std::uint32_t positions);

  // Starts an empty sequence with shared full pages and the tokens they hold.
  void adopt(std::span<const PageRef> pages, std::span<const Token> tokens);
  std::span<const PageRef> pages() const { return pages_; }

  // For Forward: page pointers as kernels take them; the tokens just evaluated.
  const std::uint16_t* const* page_values() const { return values_.data(); }
  void append(std::span<const Token> tokens) {
    tape_.insert(tape_.end(), tokens.begin(), tokens.end());
  }
  void truncate(std::uint32_t position) { tape_.resize(position); }

 private:
  void add(PageRef page);

  PagePool& pool_;
  std::vector<PageRef> pages_;
  std::vector<const std::uint16_t*> values_;
  std::vector<Token> tape_;
};

}  // namespace assay::engine
