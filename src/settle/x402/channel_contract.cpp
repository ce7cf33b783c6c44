#include "settle/x402/channel_contract.hpp"

#include <limits>

#include "crypto/abi.hpp"
#include "settle/evm/chain_view.hpp"

namespace assay::settle::x402 {
namespace {

using crypto::AbiReader;
using crypto::AbiWriter;

constexpr std::string_view kConfig = "(address,address,address,address,address,uint40,bytes32)";

AbiWriter& write(AbiWriter& out, const Channel& channel) {
  return out.address(channel.payer)
      .address(channel.payer_authorizer)
      .address(channel.receiver)
      .address(channel.receiver_authorizer)
      .address(channel.token)
      .uint(channel.withdraw_delay_s)
      .bytes32(channel.salt);
}

AbiWriter& write(AbiWriter& out, Micros n) { return out.uint(static_cast<std::uint64_t>(n)); }

Result<Micros> read_money(AbiReader& in) {
  constexpr auto kMost = std::numeric_limits<Micros>::max();
  TRY(const crypto::Uint256 n, in.uint());
  const auto small = n.to_u64();
  return small && *small <= std::uint64_t{kMost} ? static_cast<Micros>(*small) : kMost;
}

}  // namespace

Result<Bytes> ChannelContract::ask(const Bytes& call, const io::BlockTag& at) const {
  return evm::call_view(*rpc_, domain_.contract, call, at);
}

Result<ChannelContract> ChannelContract::open(io::ChainRpc& rpc, const Address& at,
                                              const Address& collector,
                                              std::uint64_t confirmations) {
  const auto chain_id = rpc.chain_id();
  if (!chain_id) return std::unexpected(Error(chain_id.error()));
  ChannelContract out(rpc, {.chain_id = *chain_id, .contract = at}, collector,
                      std::max<std::uint64_t>(confirmations, 1));
  // It names channels as we do: under its own address, chain and domain.
  const Channel channel{.payer = at, .withdraw_delay_s = 900};
  AbiWriter call;
  const auto answer =
      out.ask(write(call, channel).call(fmt::format("getChannelId({})", kConfig)), "latest");
  if (!answer && answer.error().code == Errc::unavailable) return std::unexpected(answer.error());
  const auto named = answer ? AbiReader(*answer).bytes32() : fail(Errc::not_found, "no answer");
  if (named && *named == channel_id(out.domain_, channel)) return out;
  return fail(Errc::unsupported, "{} holds no channels of x402's batch-settlement on chain {}",
              at.to_string(), *chain_id);
}

Result<ChannelFunds> ChannelContract::funds(const Hash& channel) const {
  io::BlockTag at = "latest";
  if (confirmations_ > 1) {
    const auto head = rpc_->head();
    if (!head) return std::unexpected(Error(head.error()));
    at = crypto::to_quantity(head->number - std::min(head->number, confirmations_ - 1));
  }
  const auto of = [&](std::string_view getter) {
    return ask(AbiWriter().bytes32(channel).call(fmt::format("{}(bytes32)", getter)), at);
  };
  ChannelFunds out;
  TRY(const Bytes money, of("channels"));
  AbiReader in(money);
  TRY(out.balance, read_money(in));
  TRY(out.claimed, read_money(in));
  TRY(const Bytes withdrawal, of("pendingWithdrawals"));
  in = AbiReader(withdrawal);
  TRY(out.withdrawing, read_money(in));
  TRY(out.withdraw_requested_at, in.u64());
  TRY(const Bytes nonce, of("refundNonce"));
  TRY(out.refund_nonce, AbiReader(nonce).u64());
  return out;
}

Result<ChannelContract::Earned> ChannelContract::earned(const Address& receiver,
                                                        const Address& token) const {
  TRY(const Bytes answer,
      ask(AbiWriter().address(receiver).address(token).call("receivers(address,address)"),
          "latest"));
  AbiReader in(answer);
  Earned out;
  TRY(out.claimed, read_money(in));
  TRY(out.settled, read_money(in));
  return out;
}

Bytes ChannelContract::deposit_call(const Channel& channel, const protocol::x402::Deposit& deposit,
                                    const Address& collector) {
  AbiWriter out;
  write(write(out, channel), deposit.amount)
      .address(collector)
      .bytes(AbiWriter()
                 .uint(deposit.valid_after)
                 .uint(deposit.valid_before)
                 .bytes32(deposit.salt)
                 .bytes(deposit.signature.bytes)
                 .encode());
  return out.call(fmt::format("deposit({},uint128,address,bytes)", kConfig));
}

Bytes ChannelContract::claim_call(std::span<const Claim> claims) {
  std::vector<AbiWriter> rows;
  for (const Claim& claim : claims) {
    AbiWriter row;
    // Voucher {ChannelConfig, uint128} is static: its words stand in the row.
    write(write(row, claim.channel), claim.voucher.most).bytes(claim.voucher.signature.bytes);
    rows.push_back(write(row, claim.total));
  }
  return AbiWriter().tuples(rows).call(
      fmt::format("claim((({},uint128),bytes,uint128)[])", kConfig));
}

Bytes ChannelContract::settle_call(const Address& receiver, const Address& token) {
  return AbiWriter().address(receiver).address(token).call("settle(address,address)");
}

Bytes ChannelContract::refund_call(const Channel& channel, Micros amount) {
  AbiWriter out;
  return write(write(out, channel), amount).call(fmt::format("refund({},uint128)", kConfig));
}

}  // namespace assay::settle::x402
