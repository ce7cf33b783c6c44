// Writes spec/vectors/x402/calls.json: calls of the contract that holds channels' money, which
// tests/peers/x402.mjs makes again from its published signatures.
#include "settle/x402/channel_contract.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/hex.hpp"

namespace assay::settle::x402 {
namespace {

TEST(X402ChannelContract, CallsAreWhatTheVectorsSay) {
  const auto key = *crypto::secret_key(Bytes(32, 7));
  const auto filled = [](std::uint8_t fill) {
    Address out;
    out.bytes.fill(fill);
    return out;
  };
  json::array claims, all;
  std::vector<Claim> rows;
  Channel channel;
  for (std::uint8_t n = 1; n <= 3; ++n) {
    channel = {.payer = crypto::address_of(key),
               .payer_authorizer = filled(n),
               .receiver = filled(0x5e),
               .receiver_authorizer = filled(0x11),
               .token = filled(0x70),
               .withdraw_delay_s = 86'400,
               .salt = Hash{n}};
    const Hash id = channel_id({.chain_id = 31337, .contract = filled(0x40)}, channel);
    const Voucher voucher{id, 1'000 * n, crypto::sign(id, key)};
    rows.push_back({channel, voucher, 900 * n});
    claims.push_back(
        {{"voucher",
          {{"channel", to_json(channel)}, {"maxClaimableAmount", std::to_string(voucher.most)}}},
         {"signature", to_hex(voucher.signature.bytes)},
         {"totalClaimed", std::to_string(rows.back().total)}});
    all.push_back({{"call", "claim"},
                   {"arguments", json::array(1, claims)},
                   {"data", to_hex(ChannelContract::claim_call(rows))}});
  }
  const protocol::x402::Deposit deposit{.amount = 123'456,
                                        .valid_after = 7,
                                        .valid_before = 1'790'000'600,
                                        .salt = Hash{9},
                                        .signature = crypto::sign(Hash{8}, key)};
  all.push_back({{"call", "deposit"},
                 {"arguments", json::array{to_json(channel), std::to_string(deposit.amount),
                                           filled(0x40).to_string()}},
                 {"collector",
                  {{"validAfter", std::to_string(deposit.valid_after)},
                   {"validBefore", std::to_string(deposit.valid_before)},
                   {"salt", to_hex(deposit.salt)},
                   {"signature", to_hex(deposit.signature.bytes)}}},
                 {"data", to_hex(ChannelContract::deposit_call(channel, deposit, filled(0x40)))}});
  all.push_back({{"call", "settle"},
                 {"arguments", json::array{filled(0x5e).to_string(), filled(0x70).to_string()}},
                 {"data", to_hex(ChannelContract::settle_call(filled(0x5e), filled(0x70)))}});
  all.push_back({{"call", "refund"},
                 {"arguments", json::array{to_json(channel), "55"}},
                 {"data", to_hex(ChannelContract::refund_call(channel, 55))}});

  const std::string text = json::dump_pretty(all) + "\n";
  const std::string path = std::string(ASSAY_SOURCE_DIR) + "/spec/vectors/x402/calls.json";
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) std::ofstream(path, std::ios::binary) << text;
  std::stringstream written;
  written << std::ifstream(path, std::ios::binary).rdbuf();
  EXPECT_TRUE(written.str() == text) << path << " differs (ASSAY_WRITE_VECTORS=1 writes it)";
}

}  // namespace
}  // namespace assay::settle::x402
