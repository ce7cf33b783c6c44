// Messages for tests: every field filled, keys that everybody may know, and one whole exchange
// whose pieces fit each other.
#pragma once
#include "protocol/inference.hpp"
#include "protocol/typed.hpp"

namespace assay::protocol {

crypto::SecretKey key_named(std::string_view name);  // keccak256(name)
Address address_named(std::string_view name);
Domain embedded_domain();
Domain evm_domain();

// Fills fields with values that all differ from each other, or with the extremes of their types.
struct FillSample {
  bool extreme = false;
  std::uint64_t counter = 0;

  void operator()(std::string_view, std::int64_t& n) {
    n = extreme ? INT64_MAX : 1'000'000 + static_cast<std::int64_t>(++counter);
  }
  void operator()(std::string_view, std::uint64_t& n) {
    n = extreme ? UINT64_MAX : 1'700'000'000 + ++counter;
  }
  void operator()(std::string_view, std::uint32_t& n) {
    n = extreme ? UINT32_MAX : static_cast<std::uint32_t>(++counter);
  }
  void operator()(std::string_view, bool& b) { b = extreme; }
  void operator()(std::string_view name, Hash& h);
  void operator()(std::string_view name, Address& a);
  void operator()(std::string_view name, std::string& s);
  template <class S>
  void operator()(std::string_view, std::vector<S>& list) {
    if (extreme) return;  // the empty list
    list.resize(2);
    for (S& element : list) S::fields(element, *this);
  }
};

template <class M>
M sample(bool extreme) {
  M message{};
  FillSample fill{extreme};
  M::fields(message, fill);
  return message;
}

// One request from offer to receipt, 300 prompt tokens (two chunks) and 5 answer tokens.
struct Exchange {
  Domain domain = embedded_domain();
  crypto::SecretKey buyer = key_named("buyer"), provider = key_named("provider");
  ReceiptFile file;
  Opening opening;
  std::vector<Signed<Progress>> progress;

  Exchange();
  InferenceCall call() const;
  Hash logprobs(const Request& request, std::uint32_t count) const;  // of the first `count` tokens
};

// Compares `text` with the committed spec/vectors/<name> byte for byte; with ASSAY_WRITE_VECTORS=1
// writes it instead.
void expect_vectors(const std::string& name, const std::string& text);

}  // namespace assay::protocol
