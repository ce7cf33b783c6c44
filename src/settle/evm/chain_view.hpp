// A market's contracts, read: their records by calls, everything else from events and from the
// calls that made them. Nothing here signs or sends.
//
// Trust: the endpoint, for every answer (io/chain_rpc.hpp); contracts that are what a manifest or
// `assay chain status` says.
#pragma once
#include <functional>
#include <map>

#include "market/settlement.hpp"
#include "settle/evm/encoding.hpp"
#include "settle/evm/events.hpp"

namespace assay::settle::evm {

struct Contracts {
  crypto::Address market, disputes, deliveries, games, programs, referee, token;
};
// All of a market's, asked of the market and of those it names. Errors: not_found when there is no
// contract at the address.
Result<Contracts> contracts_of(io::ChainRpc& rpc, const crypto::Address& market);
Result<market::Parameters> parameters_of(io::ChainRpc& rpc, const crypto::Address& market);

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
};
// IDeliveries.sol.
struct DemandSlot {
  crypto::Address buyer;
  std::uint64_t bond = 0;  // zero: no such demand
  bool decided = false;
  std::uint64_t outcome = 0, turn = 0, filed = 0, due = 0, amount = 0;
  Hash lease{}, subject{}, delivery{}, about{};
};
// Of a Convicted event.
struct ConvictionFigures {
  std::uint64_t slashed = 0, burned = 0, made_whole = 0, reward = 0, refunded = 0;
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
  Result<std::uint64_t> allowance(const crypto::Address& owner);
  Result<bool> has_program(const Hash& program_hash);

  // From events; nullopt: there is none.
  Result<std::optional<protocol::Lease>> terms(const Hash& lease);
  Result<std::optional<protocol::Claim>> claim(const Hash& id);
  Result<std::optional<Case>> case_of(const Hash& dispute);
  Result<std::optional<Wanted>> wanted(const Hash& demand);
  // Of the transaction that decided it.
  Result<std::optional<ConvictionFigures>> conviction(const Hash& transaction, const Hash& lease);
  // Disputes and demands that are not decided, where the lease is this one or its provider that.
  Result<std::vector<Hash>> open_disputes_of_lease(const Hash& lease);
  Result<std::vector<Hash>> open_disputes_of_provider(const crypto::Address& provider);

  // From the calls that made them. unsupported: made through a contract that does not pass the call
  // on as it is. not_found.
  Result<market::FileDispute> filing(const Hash& dispute);  // as it was filed
  Result<market::FileDispute> game(const Hash& dispute);    // with all moves since
  Result<market::DemandDelivery> demand_operation(const Hash& id);
  Result<market::Deliver> delivery_operation(const Hash& id);
  // The leaves of one block, as take_leaf: requests are without their biases.
  Result<market::OpenClaim> opening_operation(const Hash& id);

 private:
  ChainView(io::ChainRpc& rpc, Contracts contracts, protocol::Domain domain,
            market::Parameters parameters, EventIndex events)
      : rpc_(&rpc),
        contracts_(contracts),
        domain_(domain),
        parameters_(parameters),
        events_(std::move(events)) {}
  Result<Bytes> view(const crypto::Address& to, const AbiWriter& arguments,
                     std::string_view signature);
  Result<Bytes> program(const Hash& hash);
  Result<std::vector<Hash>> open_where(std::string_view condition, ByteView value);
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
  EventIndex events_;
  std::uint64_t block_ = 0;
  std::map<Hash, market::FileDispute> filings_;
};

// Signatures of the calls, for their selectors.
std::string file_dispute_signature();
std::string move_signature();
std::string demand_signature();
std::string deliver_signature();
std::string open_claim_signature();

}  // namespace assay::settle::evm
