// The contract that holds channels' money (spec/x402.md), read and called.
//
// Trust: the contract, which is nobody's to change; the endpoints, for what they answer.
#pragma once
#include <algorithm>
#include <span>

#include "io/chain_rpc.hpp"
#include "protocol/x402_channel.hpp"

namespace assay::settle::x402 {

using protocol::Address;
using protocol::Micros;
using protocol::x402::Channel;
using protocol::x402::Voucher;

// The money of one channel, on the chain.
struct ChannelFunds {
  Micros balance = 0, claimed = 0;  // at most 2^63-1
  Micros withdrawing = 0;           // by the payer, not before `withdraw_requested_at` + delay
  std::uint64_t withdraw_requested_at = 0, refund_nonce = 0;

  // Of the balance, what no withdrawal that was asked for can take.
  Micros certain() const { return balance - std::min(withdrawing, balance); }
};

// One row of a claim: `total` of what the voucher lets, ever.
struct Claim {
  Channel channel{};
  Voucher voucher{};
  Micros total = 0;
};

class ChannelContract {
 public:
  // unsupported when there is no such contract at the address.
  static Result<ChannelContract> open(io::ChainRpc& rpc, const Address& at,
                                      const Address& collector, std::uint64_t confirmations);

  const protocol::x402::ChannelDomain& domain() const { return domain_; }
  const Address& collector() const { return collector_; }

  // As of a block so deep that it stays. A withdrawal asked for since cannot end before its delay.
  Result<ChannelFunds> funds(const Hash& channel) const;
  // Claimed for the receiver in this token, and not paid out yet.
  struct Earned {
    Micros claimed = 0, settled = 0;
  };
  Result<Earned> earned(const Address& receiver, const Address& token) const;

  static Bytes deposit_call(const Channel& channel, const protocol::x402::Deposit& deposit,
                            const Address& collector);
  static Bytes claim_call(std::span<const Claim> claims);
  static Bytes settle_call(const Address& receiver, const Address& token);
  static Bytes refund_call(const Channel& channel, Micros amount);

 private:
  ChannelContract(io::ChainRpc& rpc, const protocol::x402::ChannelDomain& domain,
                  const Address& collector, std::uint64_t confirmations)
      : rpc_(&rpc), domain_(domain), collector_(collector), confirmations_(confirmations) {}
  Result<Bytes> ask(const Bytes& call, const io::BlockTag& at) const;

  io::ChainRpc* rpc_;
  protocol::x402::ChannelDomain domain_;
  Address collector_;
  std::uint64_t confirmations_;
};

}  // namespace assay::settle::x402
