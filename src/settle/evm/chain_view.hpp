// A market's contracts, read: their records by calls, everything else from events and from the
// calls that made them. Nothing here signs or sends.
//
// Trust: the endpoint, for every answer (io/chain_rpc.hpp); contracts that are what a manifest or
// `assay chain status` says.
#pragma once
#include <functional>
#include <map>
#include <set>

#include "base/hex.hpp"
#include "market/settlement.hpp"
#include "settle/evm/encoding.hpp"
#include "settle/evm/events.hpp"
#include "settle/evm/manifest.hpp"

namespace assay::settle::evm {

struct Contracts {
  crypto::Address market, disputes, deliveries, games, programs, referee, token;
  crypto::Address auditors, audits, checks, passes, keyed, blocks;
};
// Those whose events are a market's history.
std::vector<crypto::Address> event_sources(const Contracts& contracts);
// All of a market's, asked of the market and of those it names. Errors: not_found when there is no
// contract at the address.
Result<Contracts> contracts_of(io::ChainRpc& rpc, const crypto::Address& market);
Result<market::Parameters> parameters_of(io::ChainRpc& rpc, const crypto::Address& market);
Result<AuditParameters> audit_parameters_of(io::ChainRpc& rpc, const crypto::Address& audits);

// One call of a view at a block, its result's bytes.
Result<Bytes> call_view(io::ChainRpc& rpc, const crypto::Address& to, const Bytes& call,
                        const io::BlockTag& tag);

// IMarket.sol.
struct AccountSlot {
  std::uint64_t available = 0, stake = 0, unbonding = 0, exposure = 0, convictions = 0, slashed = 0;
};
enum class Claiming : std::uint64_t { free, pending, barred };
struct LeaseSlot {
  std::uint64_t escrow = 0, paid = 0, opened = 0, until = 0, window = 0, state = 0;
  Claiming claiming = Claiming::free;
  Hash claim{};
  std::uint64_t made_whole = 0, disputes = 0, demands = 0, contests = 0;
  bool contested = false;
  std::uint64_t block = 0;  // of leaves that the last contest asked for
  Hash contest{};
};
struct ContestSlot {
  std::uint64_t bond = 0, outcome = 0;
  bool decided = false;
};
// IDisputes.sol.
struct DisputeSlot {
  crypto::Address challenger;
  std::uint64_t bond = 0;
  bool decided = false;
  std::uint64_t outcome = 0, turn = 0;
  crypto::Address defender;  // zero: no such dispute
  std::uint64_t filed = 0, due = 0, moves = 0;
  Hash lease{}, subject{}, game{}, about{};
  crypto::Address court;  // Disputes, or Passes
};
// IDeliveries.sol.
struct DemandSlot {
  crypto::Address buyer;
  std::uint64_t bond = 0;  // zero: no such demand
  bool decided = false;
  std::uint64_t outcome = 0, turn = 0, filed = 0, due = 0, amount = 0;
  Hash lease{}, subject{}, delivery{}, about{};
};
// Of a Convicted event, or an AuditorConvicted.
struct ConvictionFigures {
  std::uint64_t slashed = 0, burned = 0, made_whole = 0, reward = 0, refunded = 0;
};
// IAuditors.sol.
struct AuditorSlot {
  std::uint64_t fee = 0, weight = 0, since = 0;
  bool active = false;
  std::uint64_t drawn = 0, revealed = 0, missed = 0;
};
// IAudits.sol.
struct DrawnSlot {
  crypto::Address account;
  std::uint64_t fee = 0;
  bool fee_held = false;
  std::uint64_t verdict = 0;
  bool convicted = false;
  std::uint64_t open_checks = 0;
  Hash nonce_hash{}, root_hash{}, pass{};
};
struct AuditSlot {
  crypto::Address buyer;  // zero: no such audit
  std::uint64_t asked = 0, state = 0, requested = 0, drawn_at = 0, fee_max = 0, held = 0, round = 0;
  Hash lease{}, subject{}, execution{};
  std::uint64_t open_disputes = 0;
  std::vector<DrawnSlot> drawn;
};
struct PassSlot {
  Hash audit{};  // zero: no pass has this digest
  crypto::Address auditor;
};
struct BeaconSlot {
  std::uint64_t round = 0;
  Hash value{};
};
struct WaitingAudit {
  std::uint64_t round = 0;  // that draws it
  Hash lease{};
};

class ChainView {
 public:
  // `rpc` outlives it. `path`: of the event index.
  static Result<ChainView> open(io::ChainRpc& rpc, const crypto::Address& market,
                                const std::string& path, std::uint64_t first_block,
                                std::uint64_t confirmations);

  const Contracts& contracts() const { return contracts_; }
  const protocol::Domain& domain() const { return domain_; }
  const market::Parameters& parameters() const { return parameters_; }
  const AuditParameters& audit_parameters() const { return audits_; }
  EventIndex& events() { return events_; }
  io::ChainRpc& rpc() { return *rpc_; }

  // Reads events on; records are read at that block from here on, so that both say the same.
  Status sync();
  std::uint64_t block_num() const { return block_; }
  Result<io::BlockHeader> header(std::uint64_t block_num);

  Result<AccountSlot> account(const crypto::Address& who);
  Result<std::vector<market::Unbonding>> unbondings(const crypto::Address& who);
  Result<LeaseSlot> lease(const Hash& id);
  Result<ContestSlot> contest(const Hash& id);
  Result<DisputeSlot> dispute(const Hash& id);
  Result<DemandSlot> demand(const Hash& id);
  Result<bool> convicted(const Hash& subject);
  Result<AuditSlot> audit(const Hash& id);
  Result<AuditorSlot> auditor(const Hash& execution, const crypto::Address& account);
  Result<std::uint64_t> registrations(const Hash& execution);  // that ended among them
  Result<PassSlot> pass(const Hash& id);
  Result<bool> canary(const Hash& subject);
  Result<BeaconSlot> last_beacon();
  Result<Hash> beacon_at(std::uint64_t round);
  // That an account still answers for, oldest first.
  Result<std::vector<Hash>> audits_of(const crypto::Address& account);
  Result<std::uint64_t> allowance(const crypto::Address& owner);
  Result<bool> has_program(const Hash& program_hash);

  // From events; nullopt: there is none.
  Result<std::optional<protocol::Lease>> terms(const Hash& lease);
  Result<std::optional<protocol::Claim>> claim(const Hash& id);
  Result<std::optional<Case>> case_of(const Hash& dispute);
  Result<std::optional<Wanted>> wanted(const Hash& demand);
  // Of the transaction that decided it.
  Result<std::optional<ConvictionFigures>> conviction(const Hash& transaction, const Hash& lease);
  // What is not decided: disputes and demands about a lease; disputes about passes of an audit; all
  // that somebody has to defend.
  Result<std::vector<Hash>> open_disputes_of_lease(const Hash& lease);
  Result<std::vector<Hash>> open_disputes_of_audit(const Hash& audit);
  Result<std::vector<Hash>> open_disputes_of(const crypto::Address& defender);

  // Of the transaction that decided the dispute of a pass.
  Result<std::optional<ConvictionFigures>> auditor_conviction(const Hash& transaction,
                                                              const Hash& audit,
                                                              const crypto::Address& auditor);
  // Accounts that ever registered for it.
  Result<std::set<crypto::Address>> registered(const Hash& execution);
  Result<std::string> endpoint_of(const Hash& execution, const crypto::Address& account);
  Result<bool> was_drawn(const Hash& audit);  // and be it that nobody was
  Result<std::vector<market::OpenCheck>> open_checks(const Hash& audit);  // as they were asked
  Result<std::optional<Bytes>> check_proof(const Hash& check);
  // Not drawn yet, by id, whether or not their round is there.
  Result<std::map<Hash, WaitingAudit>> waiting_audits();

  // From the calls that made them. unsupported: made through a contract that does not pass the call
  // on as it is. not_found.
  Result<market::FileDispute> filing(const Hash& dispute);  // as it was filed
  Result<market::FileDispute> game(const Hash& dispute);    // with all moves since
  Result<market::DemandDelivery> demand_operation(const Hash& id);
  Result<market::Deliver> delivery_operation(const Hash& id);
  Result<market::RequestAudit> audit_request(const Hash& audit);
  // One that was made through another contract comes without signature, nonce and execution.
  Result<market::CheckAudit> check_operation(const Hash& id);
  // The leaves of one block, as take_leaf: requests are without their biases.
  Result<market::OpenClaim> opening_operation(const Hash& id);

 private:
  ChainView(io::ChainRpc& rpc, Contracts contracts, protocol::Domain domain,
            market::Parameters parameters, AuditParameters audits, EventIndex events)
      : rpc_(&rpc),
        contracts_(contracts),
        domain_(domain),
        parameters_(parameters),
        audits_(audits),
        events_(std::move(events)) {}
  Result<Bytes> view(const crypto::Address& to, const AbiWriter& arguments,
                     std::string_view signature);
  Result<Bytes> program(const Hash& hash);
  Result<std::vector<Hash>> open_where(std::string_view condition, ByteView value);
  std::string of_passes() const;  // of a row d: an SQL condition
  Result<Bytes> input_of(const Hash& transaction);
  // The arguments of the call with this signature in that transaction which `take` takes: its own
  // call, or one that a contract was given to pass on.
  template <class T>
  Result<T> from_call(const Hash& transaction, std::string_view signature,
                      const std::function<Result<T>(AbiReader)>& take);

  io::ChainRpc* rpc_;
  Contracts contracts_;
  protocol::Domain domain_;
  market::Parameters parameters_;
  AuditParameters audits_;
  EventIndex events_;
  std::uint64_t block_ = 0;
  // Of views at block_: an answer is the same for as long.
  std::map<std::pair<crypto::Address, Bytes>, Bytes> answers_;
  std::map<Hash, market::FileDispute> filings_;
  std::map<Hash, market::RequestAudit> audit_requests_;
  // For which an account answers no more: never again, and the contract may list them for long.
  std::set<std::pair<crypto::Address, Hash>> over_;
  std::map<Hash, WaitingAudit> waiting_;
  std::uint64_t waiting_from_ = 0;  // block: before it nothing else waits
};

template <class T>
Result<T> ChainView::from_call(const Hash& transaction, std::string_view signature,
                               const std::function<Result<T>(AbiReader)>& take) {
  TRY(const Bytes input, input_of(transaction));
  const Hash name = crypto::keccak256(assay::view(signature));
  const ByteView selector = ByteView(name).first(4);
  Error last{Errc::unsupported,
             fmt::format("transaction {} went through a contract that does not show the call",
                         to_hex(transaction))};
  for (auto at = input.begin();;) {
    at = std::search(at, input.end(), selector.begin(), selector.end());
    if (at == input.end()) return std::unexpected(last);
    auto found = take(AbiReader(
        ByteView(input).subspan(static_cast<std::size_t>(at - input.begin()) + selector.size())));
    if (found) return found;
    last = found.error();
    ++at;
  }
}

// Signatures of the calls, for their selectors.
std::string file_dispute_signature();
std::string move_signature();
std::string demand_signature();
std::string deliver_signature();
std::string open_claim_signature();
std::string request_audit_signature();
std::string check_audit_signature();

}  // namespace assay::settle::evm
