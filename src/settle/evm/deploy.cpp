#include "settle/evm/deploy.hpp"

#include "base/hex.hpp"
#include "crypto/keccak.hpp"
#include "crypto/sha256.hpp"
#include "settle/evm/code_check.hpp"
#include "settle/evm/refusal.hpp"

namespace assay::settle::evm {

using crypto::Address;

namespace {

// Of the referee, in the order of its constructor's struct (Referee.sol).
constexpr const char* kParts[] = {"Programs",        "LayerSteps",    "ProductSteps",
                                  "AttentionSteps",  "SamplingSteps", "LogprobSteps",
                                  "ConstraintSteps", "Finish"};
constexpr market::Micros kMinted = 1'000'000'000'000;  // a million

AbiWriter parameters_words(const market::Parameters& p) {
  AbiWriter out;
  out.uint(p.exposure_factor).uint(p.unbonding_s).uint(p.window_min_s).uint(p.window_max_s);
  out.uint(p.lease_max_s).uint(p.move_s).int64(p.stake_min).int64(p.dispute_bond);
  return out.int64(p.reward_max).uint(p.burned_bps);
}

Bytes with_arguments(Bytes code, const AbiWriter& arguments) {
  append(code, arguments.encode());
  return code;
}

class Deployment {
 public:
  Deployment(io::ChainRpc& rpc, io::ChainSender& sender, const Artifacts& artifacts,
             const DeployPlan& plan, const DeployProgress& progress)
      : rpc_(rpc), sender_(sender), artifacts_(artifacts), plan_(plan), progress_(progress) {}

  Result<Manifest> run() {
    CHECK_OK(market::check(plan_.parameters));
    TRY(const std::uint64_t chain_id, rpc_.chain_id());
    manifest_.chain_id = chain_id;
    manifest_.deployer = sender_.address();
    manifest_.parameters = plan_.parameters;
    total_ = (plan_.token ? 0 : 1) + (plan_.games ? 4 : std::size(kParts) + 7);
    if (plan_.token) {
      at_["Token"] = *plan_.token;
    } else {
      CHECK_OK(put("TestDollar"));
      at_["Token"] = at_.at("TestDollar");
      if (!plan_.mint_to.is_zero()) CHECK_OK(mint());
    }
    manifest_.token = at_.at("Token");
    if (!plan_.games) {
      for (const char* part : kParts) CHECK_OK(put(part));
      CHECK_OK(put("Referee"));
    }
    CHECK_OK(put("Games"));
    CHECK_OK(put_market());
    if (plan_.games) return std::move(manifest_);
    CHECK_OK(put("Anchor"));
    CHECK_OK(put("Registry"));
    return std::move(manifest_);
  }

 private:
  Hash intent_of(std::string_view name) const {
    Bytes bytes;
    append(bytes, view("assay/deploy/v0"));
    append(bytes, plan_.id);
    append(bytes, view(name));
    return crypto::sha256(bytes);
  }

  Result<io::TxStatus> send(const std::string& name, std::optional<Address> to, const Bytes& data) {
    const Hash id = intent_of(name);
    auto known = sender_.status(id);
    if (!known) return std::unexpected(Error(known.error()));
    if (!*known) {
      const auto sent = sender_.submit({.id = id, .to = to, .value = {}, .data = data});
      if (!sent) return fail_in(name, refusal_of(sent.error()));
    }
    const auto done = outcome(id);
    if (!done) return fail_in(name, done.error());
    if (done->state != io::TxState::confirmed)
      return fail(Errc::refused, "{} was not deployed: {}", name, done->reason);
    return *done;
  }

  // Waiting does not help a key that cannot pay: that is known at once.
  Result<io::TxStatus> outcome(const Hash& id) {
    constexpr std::int64_t kLookMs = 2'000;
    for (std::int64_t left = plan_.patience_ms;; left -= kLookMs) {
      auto done = sender_.wait(id, std::clamp<std::int64_t>(left, 0, kLookMs));
      if (done) return *done;
      const auto now = sender_.status(id);
      if (now && *now)
        if (auto poor = poverty_of(**now, sender_.address(), manifest_.chain_id))
          return std::unexpected(std::move(*poor));
      if (left <= kLookMs || !io::worth_retrying(done.error().kind))
        return std::unexpected(Error(done.error()));
    }
  }

  Status put(const std::string& name) {
    if (name == "Games" && plan_.games) return put(name, *plan_.games);
    TRY(const Bytes data, creation_code(artifacts_, name, at_, plan_.parameters));
    return put(name, data);
  }
  Status put(const std::string& name, const Bytes& data) {
    if (progress_) progress_(name, manifest_.contracts.size() + 1, total_);
    TRY(const io::TxStatus done, send(name, std::nullopt, data));
    DeployedContract contract{.name = name,
                              .address = crypto::created_address(sender_.address(), done.nonce),
                              .code_hash = {},
                              .transaction = done.hash,
                              .gas_used = done.gas_used};
    TRY(const auto code_hash, code_hash_at(rpc_, contract.address));
    if (!code_hash)
      return fail(Errc::unavailable, "the endpoint does not show the code of {}", name);
    contract.code_hash = *code_hash;
    if (manifest_.first_block == 0) manifest_.first_block = done.block_num;
    at_[name] = contract.address;
    manifest_.contracts.push_back(contract);
    return {};
  }

  // The courts name the market before it is there: its address follows from the nonce it will have.
  Status put_market() {
    auto filed = sender_.status(intent_of("Disputes"));
    if (!filed) return std::unexpected(Error(filed.error()));
    std::uint64_t nonce = 0;
    if (*filed) {
      nonce = (*filed)->nonce;
    } else {
      const auto next = rpc_.nonce(sender_.address(), "latest");
      if (!next) return std::unexpected(Error(next.error()));
      nonce = *next;
    }
    const Address foreseen = crypto::created_address(sender_.address(), nonce + 2);
    at_["Market"] = foreseen;
    CHECK_OK(put("Disputes"));
    CHECK_OK(put("Deliveries"));
    CHECK_OK(put("Market"));
    if (at_.at("Market") != foreseen)
      return fail(Errc::conflict,
                  "key {} sent something else while the market was deployed: deploy anew, in "
                  "another folder",
                  sender_.address().to_string());
    return {};
  }

  Status mint() {
    AbiWriter arguments;
    arguments.address(plan_.mint_to).int64(kMinted);
    CHECK_OK(send("mint", at_.at("TestDollar"), arguments.call("mint(address,uint256)")));
    return {};
  }

  io::ChainRpc& rpc_;
  io::ChainSender& sender_;
  const Artifacts& artifacts_;
  const DeployPlan& plan_;
  const DeployProgress& progress_;
  Manifest manifest_;
  std::size_t total_ = 0;  // contracts there will be
  std::map<std::string, Address> at_;
};

}  // namespace

Result<Manifest> deploy(io::ChainRpc& rpc, io::ChainSender& sender, const Artifacts& artifacts,
                        const DeployPlan& plan, const DeployProgress& progress) {
  return Deployment(rpc, sender, artifacts, plan, progress).run();
}

Result<Bytes> creation_code(const Artifacts& artifacts, const std::string& name,
                            const std::map<std::string, Address>& at,
                            const market::Parameters& parameters) {
  TRY(Bytes code, artifacts.bytecode(name));
  AbiWriter arguments;
  if (name == "Referee") {
    for (const char* part : kParts) arguments.address(at.at(part));
  } else if (name == "Games") {
    arguments.address(at.at("Referee")).address(at.at("Programs"));
  } else if (name == "Disputes") {
    arguments.address(at.at("Market")).address(at.at("Games"));
  } else if (name == "Deliveries") {
    arguments.address(at.at("Market"));
  } else if (name == "Market") {
    arguments.address(at.at("Token"));
    Bytes words = arguments.encode();
    append(words, parameters_words(parameters).encode());
    append(words, AbiWriter().address(at.at("Disputes")).address(at.at("Deliveries")).encode());
    append(code, words);
    return code;
  } else if (name == "TestDollar") {
    arguments.uint(6);
  }
  return with_arguments(std::move(code), arguments);
}

}  // namespace assay::settle::evm
