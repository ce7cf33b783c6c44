#include "settle/x402/token.hpp"

#include <algorithm>
#include <limits>

#include "crypto/abi.hpp"
#include "crypto/eip712.hpp"
#include "crypto/keccak.hpp"
#include "settle/evm/chain_view.hpp"

namespace assay::settle::x402 {
namespace {

using crypto::AbiReader;
using crypto::AbiWriter;

constexpr std::uint64_t kDecimals = 6, kBlocksAtOnce = 2'000;

Result<Bytes> ask(io::ChainRpc& rpc, const Address& token, const Bytes& call) {
  return evm::call_view(rpc, token, call, "latest");
}

// The one value that a getter without arguments returns.
template <class T>
Result<T> get(io::ChainRpc& rpc, const Address& token, std::string_view signature,
              Result<T> (AbiReader::*take)()) {
  TRY(const Bytes answer, ask(rpc, token, AbiWriter().call(signature)));
  AbiReader in(answer);
  return (in.*take)();
}

Hash topic(std::string_view event) { return crypto::keccak256(view(event)); }

Hash topic(const Address& a) {
  Hash out{};
  std::ranges::copy(a.bytes, out.begin() + 12);
  return out;
}

Micros saturated(const crypto::Uint256& n) {
  constexpr auto kMost = std::numeric_limits<Micros>::max();
  const auto small = n.to_u64();
  return small && *small <= std::uint64_t{kMost} ? static_cast<Micros>(*small) : kMost;
}

}  // namespace

Result<Token> Token::open(io::ChainRpc& rpc, const Address& asset) {
  const std::string at = asset.to_string();
  protocol::x402::Requirements domain{.asset = asset};
  const auto chain_id = rpc.chain_id();
  if (!chain_id) return std::unexpected(Error(chain_id.error()));
  domain.chain_id = *chain_id;
  // What is unreachable is said as that, not as a token of another kind.
  const auto no_token = [&](const Error& why) {
    if (why.code == Errc::unavailable) return std::unexpected(why);
    return fail(Errc::unsupported, "{} is no token with EIP-3009 on chain {} ({})", at,
                domain.chain_id, why.message);
  };
  auto name = get(rpc, asset, "name()", &AbiReader::string);
  if (!name) return no_token(name.error());
  auto version = get(rpc, asset, "version()", &AbiReader::string);
  if (!version) return no_token(version.error());
  domain.name = std::move(*name);
  domain.version = std::move(*version);
  const auto decimals = get(rpc, asset, "decimals()", &AbiReader::u64);
  if (!decimals) return no_token(decimals.error());
  if (*decimals != kDecimals)
    return fail(Errc::unsupported, "{} has {} decimals: money here has {}", at, *decimals,
                kDecimals);
  const auto separator = get(rpc, asset, "DOMAIN_SEPARATOR()", &AbiReader::bytes32);
  if (!separator) return no_token(separator.error());
  if (*separator !=
      crypto::domain_separator_evm(domain.name, domain.version, domain.chain_id, asset))
    return fail(Errc::unsupported,
                "{} does not sign under the domain of its name '{}' and version '{}'", at,
                domain.name, domain.version);
  Token out(rpc, std::move(domain));
  if (const auto known = out.used({}); !known) return no_token(known.error());
  return out;
}

Result<bool> Token::used(const Authorization& a) const {
  TRY(const Bytes answer, ask(*rpc_, domain_.asset,
                              AbiWriter().address(a.from).bytes32(a.nonce).call(
                                  "authorizationState(address,bytes32)")));
  return AbiReader(answer).boolean();
}

Result<Micros> Token::balance(const Address& of) const {
  TRY(const Bytes answer,
      ask(*rpc_, domain_.asset, AbiWriter().address(of).call("balanceOf(address)")));
  TRY(const crypto::Uint256 n, AbiReader(answer).uint());
  return saturated(n);
}

Result<std::uint64_t> Token::block() const {
  const auto head = rpc_->head();
  if (!head) return std::unexpected(Error(head.error()));
  return head->number;
}

Result<bool> Token::lapsed(const Authorization& a, std::uint64_t confirmations) const {
  const std::uint64_t before = rpc_->switches();
  const auto head = rpc_->head();
  if (!head) return std::unexpected(Error(head.error()));
  if (head->number + 1 < confirmations) return false;
  const auto deep = rpc_->block(crypto::to_quantity(head->number + 1 - confirmations));
  if (!deep) return std::unexpected(Error(deep.error()));
  if (!*deep || (*deep)->timestamp < a.valid_before) return false;
  TRY(const bool gone, used(a));
  // Of two endpoints, one may be behind.
  return !gone && rpc_->switches() == before;
}

Bytes Token::transfer_call(const Authorization& a, const crypto::Signature& signature) {
  Hash r{}, s{};
  std::copy_n(signature.bytes.begin(), 32, r.begin());
  std::copy_n(signature.bytes.begin() + 32, 32, s.begin());
  return AbiWriter()
      .address(a.from)
      .address(a.to)
      .uint(static_cast<std::uint64_t>(a.value))
      .uint(a.valid_after)
      .uint(a.valid_before)
      .bytes32(a.nonce)
      .uint(std::uint64_t{signature.bytes[64]})
      .bytes32(r)
      .bytes32(s)
      .call(
          "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,"
          "bytes32,bytes32)");
}

Status Token::rehearse(const Authorization& authorization, const crypto::Signature& signature,
                       const Address& sender) const {
  const auto done = rpc_->eth_call({.from = sender,
                                    .to = domain_.asset,
                                    .value = {},
                                    .data = transfer_call(authorization, signature)},
                                   "pending");
  if (done) return {};
  if (done.error().kind == io::ChainErrc::reverted)
    return fail(Errc::refused, "{}", done.error().message);
  return std::unexpected(Error(done.error()));
}

Result<std::optional<Token::Use>> Token::find_use(const Authorization& a,
                                                  std::uint64_t first_block) const {
  TRY(const std::uint64_t last, block());
  const auto of = [](std::vector<Hash> one) { return std::optional(std::move(one)); };
  const io::LogFilter filter{.addresses = {domain_.asset},
                             .topics = {of({topic("AuthorizationUsed(address,bytes32)")}),
                                        of({topic(a.from)}), of({a.nonce})}};
  Hash value{};
  for (std::size_t i = 0; i < 8; ++i)
    value[31 - i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(a.value) >> (8 * i));
  const std::vector<Hash> transfer{topic("Transfer(address,address,uint256)"), topic(a.from),
                                   topic(a.to)};
  for (std::uint64_t from = first_block; from <= last; from += kBlocksAtOnce) {
    const auto found = rpc_->logs(filter, from, std::min(last, from + kBlocksAtOnce - 1));
    if (!found) return std::unexpected(Error(found.error()));
    for (const io::LogEntry& used : *found) {
      const auto receipt = rpc_->receipt(used.transaction_hash);
      if (!receipt) return std::unexpected(Error(receipt.error()));
      if (!*receipt || !(*receipt)->success) continue;
      // Right behind: so that one transfer never stands for two authorizations.
      for (const io::LogEntry& log : (*receipt)->logs)
        if (log.log_index == used.log_index + 1 && log.address == domain_.asset &&
            log.topics == transfer && std::ranges::equal(log.data, value))
          return Use{used.transaction_hash, used.block_num};
    }
  }
  return std::nullopt;
}

}  // namespace assay::settle::x402
