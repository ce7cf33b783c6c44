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
                                         "AuditDrawn",
                                         "NotAnAudit",
                                         "CloseFirst"};

// Of hired auditors: what is wrong, and what helps.
constexpr std::pair<std::string_view, std::string_view> kExplained[] = {
    {"AuditorRegistered",
     "this stake is bound while the account is registered to audit: end its registrations first"},
    {"NotRegistered", "the account is not registered to audit this execution"},
    {"Endpoint", "the endpoint is not the one that was signed, or not of 1 to 256 bytes"},
    {"TooManyExecutions", "16 executions are audited already: end one first"},
    {"NoBeacon", "this market has no beacon and draws no auditors: audit with --audit local"},
    {"BeaconRound",
     "this round was published already, or one before it was not: look up which is next"},
    {"BeaconValue",
     "the value does not lead to that of the round before: is it the beacon's own seed?"},
    {"NotAReceipt",
     "an audit is about a receipt, not about a progress: ask once the answer is there"},
    {"AuditorCount", "1 to 4 auditors can be asked for"},
    {"TooManyAudits", "this lease has too many audits: settle one first, or open a new lease"},
    {"NoAudit", "no such audit on this market"},
    {"NotDrawn", "the account was not drawn for this audit"},
    {"AuditSettled", "the audit is settled already, or not drawn yet"},
    {"AuditorConvicted",
     "the auditor was convicted for this audit already: a timeout returns an open bond at once"},
    {"AuditCommitted", "the auditor has committed already"},
    {"NothingCommitted", "nothing is committed: commit first, to hashes that are not zero"},
    {"Verdict", "a verdict is 1 (pass), 2 (fail) or 3 (unauditable)"},
    {"AuditRevealed", "the auditor has spoken already"},
    {"NotYet", "it is too early: look up the audit's times and come again"},
    {"NotAPass", "only a pass is checked, or disputed as one"},
    {"NoCheck", "no such check is open"},
    {"OtherAuditor", "another auditor is asked"},
    {"KeyNonce", "the auditor committed to another nonce"},
    {"NotLiable", "the auditor answers for this audit no more"},
    {"CanaryOf", "a canary is one of its lease's provider, and the lease's buyer shows that one"},
    {"CanaryShown", "this canary was shown already"},
    {"NotAsked", "nobody was asked to audit this: request an audit first"},
    {"CommittedTooLate",
     "it was committed to too late: a key before commitments were due, a canary before the first "
     "audit was asked for"},
    {"CheckOpen", "a check is open and the fees wait for it: answer it, or end it when it is due"},
    {"NotKnownFalse",
     "nobody has shown the receipt to be false: dispute it with its provider first"},
    {"NotAnAudit", "only the market's own audits may do this"},
    {"AuditDrawn", "the audit is drawn already"},
    {"CloseFirst",
     "the lease is over: close it first, then there is another window for disputes and demands"}};

constexpr std::size_t kSelector = 4;

bool says(ByteView data, std::string_view error) {
  return data.size() >= kSelector &&
         std::ranges::equal(data.first(kSelector),
                            ByteView(crypto::keccak256(view(error))).first(kSelector));
}

// "EscrowTooSmall" as "escrow too small", where no more is known.
std::string words(std::string_view reason) {
  for (const auto& [name, explained] : kExplained)
    if (name == reason) return std::string(explained);
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
    // A contract has no error for what it does not do at all.
    if (kReasons[*why] == "NoBeacon") return {Errc::unsupported, words("NoBeacon")};
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
