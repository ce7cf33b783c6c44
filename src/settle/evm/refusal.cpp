#include "settle/evm/refusal.hpp"

#include "crypto/abi.hpp"
#include "crypto/keccak.hpp"
#include "market/money.hpp"

namespace assay::settle::evm {
namespace {

constexpr std::string_view kReasons[] = {"Parameters",
                                         "Token",
                                         "Signature",
                                         "Amount",
                                         "ZeroAddress",
                                         "Available",
                                         "DepositsTooLarge",
                                         "Stake",
                                         "Exposure",
                                         "TooManyUnbondings",
                                         "NothingUnbonding",
                                         "UnbondingNotDue",
                                         "LeaseStillDisputable",
                                         "Price",
                                         "Disclosure",
                                         "Window",
                                         "LeaseExpired",
                                         "LeaseTooLong",
                                         "OtherOffer",
                                         "OfferExpired",
                                         "OfferTooLong",
                                         "OfferSlots",
                                         "OfferModels",
                                         "OfferRebate",
                                         "OfferDiffers",
                                         "StakeTooSmall",
                                         "OtherLease",
                                         "NoLease",
                                         "LeaseEnded",
                                         "NotTheBuyer",
                                         "NotTheProvider",
                                         "StaleTotal",
                                         "EscrowTooSmall",
                                         "CloseTooEarly",
                                         "ClaimPending",
                                         "DisputeOpen",
                                         "MayNotClaim",
                                         "ClaimsEnded",
                                         "ClaimCount",
                                         "NoClaim",
                                         "Contested",
                                         "ContestsSpent",
                                         "WindowEnded",
                                         "WindowOpen",
                                         "NoContest",
                                         "Decided",
                                         "LeafCount",
                                         "LeafOrder",
                                         "LeafRoot",
                                         "LeafSum",
                                         "BondTooSmall",
                                         "NotACourt",
                                         "OtherRequest",
                                         "OtherExecution",
                                         "OtherStatement",
                                         "WrongFigures",
                                         "Convicted",
                                         "NoLongerDisputable",
                                         "NotCommitted",
                                         "Committed",
                                         "TooManyOpen",
                                         "NoContradiction",
                                         "NoGame",
                                         "NoProgram",
                                         "TwoKindsOfEvidence",
                                         "NoDispute",
                                         "MoveNumber",
                                         "MoveState",
                                         "DeadlinePassed",
                                         "DeadlineAhead",
                                         "TooLong",
                                         "Payload",
                                         "MoveLength",
                                         "NoSuchChoice",
                                         "NotCommittedTo",
                                         "RuleBroken",
                                         "Proof",
                                         "NoSuchAnswer",
                                         "Demanded",
                                         "NoDemand",
                                         "Delivered",
                                         "NotDelivered",
                                         "AnswerLength",
                                         "Answer",
                                         "Secret",
                                         "AnswerIsRight",
                                         "AuditorRegistered",
                                         "NotRegistered",
                                         "Endpoint",
                                         "TooManyExecutions",
                                         "NoBeacon",
                                         "BeaconRound",
                                         "BeaconValue",
                                         "NotAReceipt",
                                         "AuditorCount",
                                         "TooManyAudits",
                                         "NoAudit",
                                         "NotDrawn",
                                         "AuditSettled",
                                         "AuditorConvicted",
                                         "AuditCommitted",
                                         "NothingCommitted",
                                         "Verdict",
                                         "AuditRevealed",
                                         "NotYet",
                                         "NotAPass",
                                         "NoCheck",
                                         "OtherAuditor",
                                         "KeyNonce",
                                         "NotLiable",
                                         "CanaryOf",
                                         "CanaryShown",
                                         "NotAsked",
                                         "CommittedTooLate",
                                         "CheckOpen",
                                         "NotKnownFalse",
                                         "NoLongerNeeded",
                                         "NotAnAudit",
                                         "AuditDrawn"};

constexpr std::size_t kSelector = 4;

bool says(ByteView data, std::string_view error) {
  return data.size() >= kSelector &&
         std::ranges::equal(data.first(kSelector),
                            ByteView(crypto::keccak256(view(error))).first(kSelector));
}

// "EscrowTooSmall" as "escrow too small".
std::string words(std::string_view reason) {
  std::string out;
  for (const char c : reason) {
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper && !out.empty()) out += ' ';
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

// ERC-6093's errors of a token, which a deposit passes on; amounts are micro-units of it.
std::optional<std::string> token_refusal(ByteView data) {
  if (data.size() < kSelector) return std::nullopt;
  crypto::AbiReader in(data.subspan(kSelector));
  const auto numbers = [&](std::string_view form) -> std::optional<std::string> {
    const auto who = in.address();
    const auto has = in.i64(), needs = in.i64();
    if (!who || !has || !needs) return std::nullopt;
    return fmt::format(fmt::runtime(form), who->to_string(), market::format_money(*has),
                       market::format_money(*needs));
  };
  if (says(data, "ERC20InsufficientBalance(address,uint256,uint256)"))
    return numbers("{} has {} of the market's token, and {} are needed: get some, or move less");
  if (says(data, "ERC20InsufficientAllowance(address,uint256,uint256)"))
    return numbers(
        "the token lets {} take {}, and {} are needed: something else used the "
        "allowance; do it again");
  constexpr std::pair<std::string_view, std::string_view> kOthers[] = {
      {"ERC20InvalidSender(address)", "the token refuses this sender"},
      {"ERC20InvalidReceiver(address)", "the token refuses this receiver"},
      {"ERC20InvalidApprover(address)", "the token refuses this approver"},
      {"ERC20InvalidSpender(address)", "the token refuses this spender"}};
  for (const auto& [error, text] : kOthers)
    if (says(data, error)) return std::string(text);
  return std::nullopt;
}

}  // namespace

std::span<const std::string_view> reasons() { return kReasons; }

bool is_already_applied(const io::ChainError& error) {
  return error.kind == io::ChainErrc::reverted && says(error.data, "AlreadyApplied(bytes32)");
}

Error refusal_of(const io::ChainError& error) {
  if (error.kind != io::ChainErrc::reverted) return error;
  constexpr std::pair<std::string_view, Errc> kKinds[] = {{"Invalid(uint8)", Errc::invalid},
                                                          {"Mismatch(uint8)", Errc::mismatch},
                                                          {"Refused(uint8)", Errc::refused},
                                                          {"NotFound(uint8)", Errc::not_found},
                                                          {"Conflict(uint8)", Errc::conflict}};
  for (const auto& [name, code] : kKinds) {
    if (!says(error.data, name)) continue;
    const auto why = crypto::AbiReader(ByteView(error.data).subspan(kSelector)).u64();
    if (!why || *why >= std::size(kReasons)) break;
    return {code, fmt::format("the contract says no: {}", words(kReasons[*why]))};
  }
  if (is_already_applied(error)) return {Errc::conflict, "the contract has applied this already"};
  // What the ABI's own checks refuse has no reason: a number too wide for its type.
  if (error.data.empty())
    return {Errc::invalid, "the contract refused the call's form: " + error.message};
  if (auto token = token_refusal(error.data)) return {Errc::refused, std::move(*token)};
  return {Errc::refused, "the contract says no: " + crypto::revert_reason(error.data)};
}

std::optional<Error> poverty_of(const io::TxStatus& status, const crypto::Address& sender,
                                std::uint64_t chain_id) {
  if (status.trouble.empty() || io::classify(0, status.trouble) != io::ChainErrc::poor)
    return std::nullopt;
  return Error{Errc::unavailable,
               fmt::format("{} cannot pay for gas on chain {} ({}): send it the chain's own "
                           "currency (ether); the transaction is kept and goes on then",
                           sender.to_string(), chain_id, status.trouble)};
}

}  // namespace assay::settle::evm
