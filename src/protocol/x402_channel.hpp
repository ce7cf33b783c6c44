// x402's scheme `batch-settlement` on an EVM chain (github.com/x402-foundation/x402,
// specs/schemes/batch-settlement/scheme_batch_settlement_evm.md): a payer's deposit in a contract,
// and vouchers that each let the receiver claim more of it than the one before. Errors: invalid,
// unless another is named.
#pragma once
#include <variant>

#include "protocol/x402.hpp"

namespace assay::protocol::x402 {

inline constexpr std::string_view kChannels = "batch-settlement";
inline constexpr std::uint64_t kWithdrawDelayMinS = 900, kWithdrawDelayMaxS = 2'592'000;

// Where the published contracts are, on every chain that has them.
Address published_channels();
Address published_collector();

// What may be paid: a member of `accepts`. `token` as for `exact`, its amount the most that is
// charged.
struct ChannelTerms {
  Requirements token{};
  Address receiver_authorizer{};
  std::uint64_t withdraw_delay_s = 0;
  Micros min_deposit = 0;  // a hint; 0: none

  // A corrective answer's: what the seller knows of the channel. Absent otherwise.
  json::object channel_state{}, voucher_state{};
};
json::object to_json(const ChannelTerms& terms);
// unsupported: as requirements_from_json.
Result<ChannelTerms> channel_terms_from_json(const json::object& o);

// The contract's ChannelConfig.
struct Channel {
  Address payer{}, payer_authorizer{}, receiver{}, receiver_authorizer{}, token{};
  std::uint64_t withdraw_delay_s = 0;  // 40 bits
  Hash salt{};
  bool operator==(const Channel&) const = default;
};
json::object to_json(const Channel& channel);
Result<Channel> channel_from_json(const json::object& o);

// The contract's EIP-712 domain.
struct ChannelDomain {
  std::uint64_t chain_id = 0;
  Address contract{};
};
Hash channel_id(const ChannelDomain& domain, const Channel& channel);

struct Voucher {
  Hash channel{};
  Micros most = 0;  // maxClaimableAmount: of all that was ever claimed, this included
  crypto::Signature signature{};
  bool operator==(const Voucher&) const = default;
};
// What the channel's payer_authorizer signs.
Hash digest(const ChannelDomain& domain, const Hash& channel, Micros most);

// By EIP-3009's receiveWithAuthorization, under the token's domain, to the contract's collector.
struct Deposit {
  Micros amount = 0;
  std::uint64_t valid_after = 0, valid_before = 0;
  Hash salt{};
  crypto::Signature signature{};
  bool operator==(const Deposit&) const = default;
};
Hash deposit_nonce(const Hash& channel, const Hash& salt);
// What the payer signs.
Hash digest(const Requirements& token, const Address& collector, const Address& payer,
            const Hash& channel, const Deposit& deposit);

struct ChannelPayment {
  ChannelTerms accepted{};
  Channel channel{};
  Voucher voucher{};
  std::optional<Deposit> deposit{};       // to be made before the voucher is good
  bool refund = false;                    // asks for money back; the voucher is of what was charged
  std::optional<Micros> refund_amount{};  // none: all that is left
  std::optional<std::string> id{};        // of payment-identifier
};
std::string to_header(const ChannelPayment& payment);
// unsupported: a deposit by Permit2, a signature that is not of 65 bytes.
Result<ChannelPayment> channel_payment_from_header(std::string_view header);

// Of either scheme.
using AnyPayment = std::variant<Payment, ChannelPayment>;
Result<AnyPayment> any_payment_from_header(std::string_view header);

// What is known of a channel, as answers say it in `extra`.
struct ChannelState {
  Hash id{};
  Micros balance = 0, claimed = 0, charged = 0;
  std::uint64_t withdraw_requested_at = 0, refund_nonce = 0;
};
json::object to_json(const ChannelState& state);

}  // namespace assay::protocol::x402
