#include "market/ledger_delivery_testutil.hpp"

#include "crypto/sha256.hpp"
#include "protocol/delivery.hpp"

namespace assay::market::test {

Sold sold(const World& world, const Hash& lease, std::uint64_t sequence, std::uint32_t count,
          const Party& buyer, const Party& provider, std::optional<std::uint32_t> alternatives) {
  Sold out;
  out.lease = lease;
  Bytes seed(lease.begin(), lease.end());
  append_le(seed, sequence);
  out.secret = crypto::sha256(seed);
  auto request = world.request(lease, sequence, buyer).message;
  request.max_tokens = 4'096;
  request.cap = *protocol::price(kPriceIn, kPriceOut, request.prompt_count, request.max_tokens);
  request.salt_commitment = protocol::salt_commitment(out.secret);
  request.logprobs = alternatives ? *alternatives + 1 : 0;
  for (std::uint32_t i = 0; i < count; ++i) out.answer.push_back(i * 2654435761u % 32'000);
  for (std::uint32_t i = 0; i < count * protocol::logprob_width(request); ++i)
    out.logprobs.push_back(0xbf000000u + i);
  out.leaf.request = world.sign(request, buyer);
  auto receipt = world.receipt(out.leaf.request, count, provider).message;
  receipt.tape_root = protocol::tape_root(out.secret, out.answer);
  receipt.logprobs_root = *protocol::logprobs_root(out.secret, request, count, out.logprobs);
  out.leaf.receipt = world.sign(receipt, provider);
  return out;
}

DemandDelivery demand(World& world, const Sold& sold, const Party& buyer, Micros bond) {
  return {world.sign(protocol::Demand{buyer.address, sold.lease,
                                      protocol::digest(world.domain(), sold.leaf.receipt.message),
                                      bond, world.nonce()},
                     buyer),
          {sold.leaf.request, sold.leaf.receipt}};
}

Deliver deliver(const World& world, const Hash& demand, Bytes answer, const Party& provider) {
  const Hash hash = crypto::sha256(answer);
  return {world.sign(protocol::Delivery{provider.address, demand, hash}, provider),
          std::move(answer)};
}

Bytes sealed(const Sold& sold, const Hash& demand) {
  return protocol::seal_answer(sold.secret, demand, sold.answer, sold.logprobs);
}

ReportDelivery report(const World& world, const Hash& demand, const Deliver& delivered,
                      const Hash& secret, const Party& buyer) {
  return {world.sign(protocol::DeliveryReport{buyer.address, demand, secret}, buyer), delivered};
}

}  // namespace assay::market::test
