#include "engine/kv_cache.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/assert.hpp"

namespace assay::engine {

PageLayout PageLayout::of(const Hyper& hyper, const Kernels& kernels) {
  const std::uint32_t stride =
      (hyper.head_dim + kValueAlignment - 1) / kValueAlignment * kValueAlignment;
  return {hyper.layers, hyper.kv_heads, hyper.head_dim, stride, kernels.key_lanes};
}

std::size_t PageLayout::keys_offset(std::uint32_t layer, std::uint32_t head) const {
  const std::size_t per_head = std::size_t{kPagePositions} * (head_dim + value_stride);
  return (std::size_t{layer} * kv_heads + head) * per_head;
}

std::size_t PageLayout::values_offset(std::uint32_t layer, std::uint32_t head) const {
  return keys_offset(layer, head) + std::size_t{kPagePositions} * head_dim;
}

std::size_t PageLayout::page_values() const { return keys_offset(layers, 0); }

Page::Page(const PageLayout& layout) {
  // Rounded up for aligned_alloc; kernels may load whole vectors at the end of a row.
  const std::size_t bytes = (layout.page_bytes() + 127) / 64 * 64;
  values = static_cast<std::uint16_t*>(std::aligned_alloc(64, bytes));
  ASSAY_ASSERT(values != nullptr);
  std::fill_n(values, bytes / sizeof *values, std::uint16_t{0});
}

Page::~Page() { std::free(values); }

void store_rows(const PageLayout& layout, Page& page, std::size_t position, std::uint32_t layer,
                std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  const std::size_t lanes = layout.key_lanes, head_dim = layout.head_dim;
  for (std::uint32_t h = 0; h < layout.kv_heads; ++h) {
    std::uint16_t* keys = page.values + layout.keys_offset(layer, h) +
                          position / lanes * lanes * head_dim + position % lanes;
    for (std::size_t d = 0; d < head_dim; ++d) keys[d * lanes] = k[h * head_dim + d];
    std::ranges::copy(
        v.subspan(h * head_dim, head_dim),
        page.values + layout.values_offset(layer, h) + position * layout.value_stride);
  }
}

std::size_t PagePool::in_use() const {
  std::lock_guard lock(mutex_);
  return in_use_;
}

PageRef PagePool::acquire() {
  std::unique_ptr<Page> page;
  {
    std::lock_guard lock(mutex_);
    if (in_use_ == pages_max_) return nullptr;
    ++in_use_;
    if (!free_.empty()) {
      page = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!page) page = std::make_unique<Page>(layout_);
  return {page.release(), [this](Page* returned) {
            returned->memo.clear();
            std::lock_guard lock(mutex_);
            free_.emplace_back(returned);
            --in_use_;
          }};
}

std::uint32_t Sequence::capacity() const {
  return static_cast<std::uint32_t>(pages_.size()) * kPagePositions;
}

bool Sequence::reserve(std::uint32_t positions) {
  const std::size_t before = pages_.size();
  while (capacity() < positions) {
    PageRef page = pool_.acquire();
    if (!page) {
      pages_.resize(before);
      values_.resize(before);
      return false;
    }
    add(std::move(page));
  }
  return true;
}

void Sequence::adopt(std::span<const PageRef> pages, std::span<const Token> tokens) {
  ASSAY_ASSERT(tape_.empty() && pages_.empty() && tokens.size() == pages.size() * kPagePositions);
  for (const PageRef& page : pages) add(page);
  append(tokens);
}

void Sequence::add(PageRef page) {
  values_.push_back(page->values);
  pages_.push_back(std::move(page));
}

}  // namespace assay::engine
