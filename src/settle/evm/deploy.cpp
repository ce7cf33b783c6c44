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
// The market and who names it, in an order in which everybody else is there already. The market's
// address follows from the nonce of its transaction.
constexpr const char* kOfMarket[] = {"Disputes", "Deliveries", "Auditors", "Checks",
                                     "Passes",   "Audits",     "Blocks",   "Market"};
constexpr market::Micros kMinted = 1'000'000'000'000;  // a million

void put_parameters(AbiWriter& out, const market::Parameters& p) {
  out.uint(p.exposure_factor).uint(p.unbonding_s).uint(p.window_min_s).uint(p.window_max_s);
  out.uint(p.lease_max_s).uint(p.move_s).int64(p.stake_min).int64(p.dispute_bond);
  out.int64(p.reward_max).uint(p.burned_bps);
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
    CHECK_OK(check(plan_.audits));
    TRY(const std::uint64_t chain_id, rpc_.chain_id());
    manifest_.chain_id = chain_id;
    manifest_.deployer = sender_.address();
    manifest_.parameters = plan_.parameters;
    manifest_.audits = plan_.audits;
    const bool toys = !plan_.toys.empty();
    total_ = (plan_.token ? 0 : 1) + 2 + std::size(kOfMarket) + (toys ? 0 : std::size(kParts) + 3);
    if (plan_.token) {
      at_["Token"] = *plan_.token;
    } else {
      CHECK_OK(put("TestDollar"));
      at_["Token"] = at_.at("TestDollar");
      if (!plan_.mint_to.is_zero()) CHECK_OK(mint());
    }
    manifest_.token = at_.at("Token");
    if (!toys) {
      for (const char* part : kParts) CHECK_OK(put(part));
      CHECK_OK(put("Referee"));
    }
    CHECK_OK(put("Games"));
    CHECK_OK(put("Keyed"));
    CHECK_OK(put_market());
    if (toys) return std::move(manifest_);
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
    if (const auto toy = plan_.toys.find(name); toy != plan_.toys.end())
      return put(name, toy->second);
    TRY(const Bytes data, creation_code(artifacts_, name, at_, plan_.parameters, plan_.audits));
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

  // The others name the market before it is there.
  Status put_market() {
    auto begun = sender_.status(intent_of(kOfMarket[0]));
    if (!begun) return std::unexpected(Error(begun.error()));
    std::uint64_t nonce = 0;
    if (*begun) {
      nonce = (*begun)->nonce;
    } else {
      const auto next = rpc_.nonce(sender_.address(), "latest");
      if (!next) return std::unexpected(Error(next.error()));
      nonce = *next;
    }
    const Address foreseen =
        crypto::created_address(sender_.address(), nonce + std::size(kOfMarket) - 1);
    at_["Market"] = foreseen;
    for (const char* name : kOfMarket) CHECK_OK(put(name));
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
                            const market::Parameters& parameters, const AuditParameters& audits) {
  TRY(Bytes code, artifacts.bytecode(name));
  AbiWriter arguments;
  const auto names = [&](std::initializer_list<const char*> of) {
    for (const char* other : of) arguments.address(at.at(other));
  };
  if (name == "Referee") {
    for (const char* part : kParts) names({part});
  } else if (name == "Games") {
    names({"Referee", "Programs"});
  } else if (name == "Keyed") {
    names({"Programs"});
  } else if (name == "Disputes" || name == "Passes") {
    names({"Market", "Games"});
  } else if (name == "Deliveries" || name == "Auditors") {
    names({"Market"});
  } else if (name == "Checks") {
    names({"Market", "Keyed", "Games"});
  } else if (name == "Audits") {
    names({"Market", "Disputes", "Auditors", "Checks", "Passes"});
    arguments.address(audits.host).bytes32(audits.beacon).uint(audits.burned_bps);
  } else if (name == "Market") {
    names({"Token"});
    put_parameters(arguments, parameters);
    names({"Disputes", "Deliveries", "Audits", "Auditors", "Blocks"});
  } else if (name == "TestDollar") {
    arguments.uint(6);
  }
  return with_arguments(std::move(code), arguments);
}

}  // namespace assay::settle::evm
