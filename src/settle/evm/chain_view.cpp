#include "settle/evm/chain_view.hpp"

#include "base/hex.hpp"

namespace assay::settle::evm {

using crypto::Address;

namespace {

Result<Address> address_view(io::ChainRpc& rpc, const Address& of, std::string_view signature) {
  TRY(const Bytes data, call_view(rpc, of, AbiWriter().call(signature), "latest"));
  return AbiReader(data).address();
}

}  // namespace

Result<Bytes> call_view(io::ChainRpc& rpc, const Address& to, const Bytes& call,
                        const io::BlockTag& tag) {
  auto data = rpc.eth_call({.from = {}, .to = to, .value = {}, .data = call}, tag);
  if (!data) return std::unexpected(Error(data.error()));
  if (data->empty())
    return fail(Errc::not_found, "there is no such contract at {} on this chain", to.to_string());
  return std::move(*data);
}

Result<Contracts> contracts_of(io::ChainRpc& rpc, const Address& market) {
  Contracts out;
  out.market = market;
  TRY(const Bytes courts, call_view(rpc, market, AbiWriter().call("courts()"), "latest"));
  CHECK_OK(read_all(courts, out.disputes, out.deliveries));
  TRY(out.token, address_view(rpc, market, "token()"));
  TRY(out.games, address_view(rpc, out.disputes, "games()"));
  TRY(out.programs, address_view(rpc, out.games, "programs()"));
  TRY(out.referee, address_view(rpc, out.games, "referee()"));
  TRY(const Bytes of_audits, call_view(rpc, market, AbiWriter().call("auditCourts()"), "latest"));
  CHECK_OK(read_all(of_audits, out.audits, out.auditors));
  TRY(const Bytes judges, call_view(rpc, out.audits, AbiWriter().call("judges()"), "latest"));
  CHECK_OK(read_all(judges, out.checks, out.passes));
  TRY(out.keyed, address_view(rpc, out.checks, "keyed()"));
  TRY(out.blocks, address_view(rpc, market, "blocks()"));
  return out;
}

std::vector<Address> event_sources(const Contracts& c) {
  return {c.market, c.disputes, c.deliveries, c.auditors, c.audits, c.checks, c.passes};
}

Result<AuditParameters> audit_parameters_of(io::ChainRpc& rpc, const Address& audits) {
  TRY(const Bytes data, call_view(rpc, audits, AbiWriter().call("auditParameters()"), "latest"));
  AuditParameters out;
  std::uint64_t burned = 0;
  CHECK_OK(read_all(data, out.host, out.beacon, burned));
  out.burned_bps = static_cast<std::uint32_t>(burned);
  return out;
}

Result<market::Parameters> parameters_of(io::ChainRpc& rpc, const Address& market) {
  TRY(const Bytes data, call_view(rpc, market, AbiWriter().call("parameters()"), "latest"));
  std::uint64_t factor = 0, stake = 0, bond = 0, reward = 0, burned = 0;
  market::Parameters out;
  CHECK_OK(read_all(data, factor, out.unbonding_s, out.window_min_s, out.window_max_s,
                    out.lease_max_s, out.move_s, stake, bond, reward, burned));
  out.exposure_factor = static_cast<std::uint32_t>(factor);
  out.stake_min = static_cast<market::Micros>(stake);
  out.dispute_bond = static_cast<market::Micros>(bond);
  out.reward_max = static_cast<market::Micros>(reward);
  out.burned_bps = static_cast<std::uint32_t>(burned);
  return out;
}

Result<ChainView> ChainView::open(io::ChainRpc& rpc, const Address& market, const std::string& path,
                                  std::uint64_t first_block, std::uint64_t confirmations) {
  TRY(const Contracts contracts, contracts_of(rpc, market));
  TRY(const market::Parameters parameters, parameters_of(rpc, market));
  TRY(const AuditParameters audits, audit_parameters_of(rpc, contracts.audits));
  TRY(const std::uint64_t chain_id, rpc.chain_id());
  const protocol::Domain domain{.ledger = {}, .chain_id = chain_id, .contract = market};
  TRY(const Bytes separator,
      call_view(rpc, market, AbiWriter().call("domainSeparator()"), "latest"));
  TRY(const Hash on_chain, AbiReader(separator).bytes32());
  if (on_chain != domain.separator())
    return fail(Errc::mismatch, "the contract at {} signs for another domain than this program",
                market.to_string());
  TRY(EventIndex events,
      EventIndex::open(path, rpc, event_sources(contracts), first_block, confirmations));
  ChainView out(rpc, contracts, domain, parameters, audits, std::move(events));
  CHECK_OK(out.sync());
  return out;
}

Status ChainView::sync() {
  TRY(const std::uint64_t block, events_.sync());
  if (block != block_) answers_.clear();
  block_ = block;
  return {};
}

Result<io::BlockHeader> ChainView::header(std::uint64_t block_num) {
  TRY(const auto block, rpc_->block(crypto::to_quantity(block_num)));
  if (!block) return fail(Errc::unavailable, "the endpoint does not have block {}", block_num);
  return *block;
}

Result<Bytes> ChainView::view(const Address& to, const AbiWriter& arguments,
                              std::string_view signature) {
  const Bytes call = arguments.call(signature);
  const auto known = answers_.find({to, call});
  if (known != answers_.end()) return known->second;
  TRY(Bytes answer, call_view(*rpc_, to, call, crypto::to_quantity(block_)));
  answers_[{to, call}] = answer;
  return answer;
}

Result<AccountSlot> ChainView::account(const Address& who) {
  TRY(const Bytes data, view(contracts_.market, AbiWriter().address(who), "account(address)"));
  AccountSlot out;
  CHECK_OK(read_all(data, out.available, out.stake, out.unbonding, out.exposure, out.convictions,
                    out.slashed));
  return out;
}

Result<std::vector<market::Unbonding>> ChainView::unbondings(const Address& who) {
  TRY(const Bytes data, view(contracts_.market, AbiWriter().address(who), "unbondings(address)"));
  AbiReader in(data);
  TRY(AbiReader::Array array, in.array());
  std::vector<market::Unbonding> out;
  for (std::uint64_t i = 0; i < array.count; ++i) {
    market::Unbonding entry;
    TRY(entry.amount, array.elements.i64());
    TRY(entry.requested, array.elements.u64());
    TRY(entry.due, array.elements.u64());
    out.push_back(entry);
  }
  return out;
}

Result<LeaseSlot> ChainView::lease(const Hash& id) {
  TRY(const Bytes data, view(contracts_.market, AbiWriter().bytes32(id), "lease(bytes32)"));
  LeaseSlot out;
  std::uint64_t claiming = 0;
  Hash asked{};
  CHECK_OK(read_all(data, out.escrow, out.paid, out.opened, out.until, out.window, out.state,
                    claiming, out.claim, out.made_whole, out.disputes, out.demands, out.contests,
                    out.contested, out.block, asked, out.contest));
  out.claiming = static_cast<Claiming>(claiming);
  return out;
}

Result<ContestSlot> ChainView::contest(const Hash& id) {
  TRY(const Bytes data, view(contracts_.market, AbiWriter().bytes32(id), "contest(bytes32)"));
  ContestSlot out;
  CHECK_OK(read_all(data, out.bond, out.outcome, out.decided));
  return out;
}

Result<DisputeSlot> ChainView::dispute(const Hash& id) {
  DisputeSlot out;
  for (const Address& court : {contracts_.passes, contracts_.disputes}) {
    TRY(const Bytes data, view(court, AbiWriter().bytes32(id), "dispute(bytes32)"));
    out.court = court;
    CHECK_OK(read_all(data, out.challenger, out.bond, out.decided, out.outcome, out.turn,
                      out.defender, out.filed, out.due, out.moves, out.lease, out.subject, out.game,
                      out.about));
    if (!out.defender.is_zero()) break;
  }
  return out;
}

Result<DemandSlot> ChainView::demand(const Hash& id) {
  TRY(const Bytes data, view(contracts_.deliveries, AbiWriter().bytes32(id), "record(bytes32)"));
  DemandSlot out;
  CHECK_OK(read_all(data, out.buyer, out.bond, out.decided, out.outcome, out.turn, out.filed,
                    out.due, out.amount, out.lease, out.subject, out.delivery, out.about));
  return out;
}

Result<bool> ChainView::convicted(const Hash& subject) {
  TRY(const Bytes data,
      view(contracts_.market, AbiWriter().bytes32(subject), "convicted(bytes32)"));
  return AbiReader(data).boolean();
}

Result<std::uint64_t> ChainView::allowance(const Address& owner) {
  AbiWriter arguments;
  arguments.address(owner).address(contracts_.market);
  TRY(const Bytes data, view(contracts_.token, arguments, "allowance(address,address)"));
  TRY(const crypto::Uint256 n, AbiReader(data).uint());
  return n.to_u64().value_or(UINT64_MAX);
}

Result<bool> ChainView::has_program(const Hash& program_hash) {
  TRY(const Bytes data,
      view(contracts_.programs, AbiWriter().bytes32(program_hash), "codeOf(bytes32)"));
  TRY(const Address at, AbiReader(data).address());
  return !at.is_zero();
}

Result<std::optional<protocol::Lease>> ChainView::terms(const Hash& lease) {
  TRY(const auto event,
      events_.first({.kinds = {topics().lease_opened}, .indexed = {{lease, {}, {}}}}));
  if (!event) return std::nullopt;
  AbiReader in(event->data);
  return take<protocol::Lease>(in);
}

Result<std::optional<protocol::Claim>> ChainView::claim(const Hash& id) {
  TRY(const auto event, events_.first({.kinds = {topics().claimed}, .indexed = {{id, {}, {}}}}));
  if (!event || event->topics.size() < 3) return std::nullopt;
  protocol::Claim out;
  out.lease = event->topics[2];
  AbiReader in(event->data);
  TRY(out.total, in.i64());
  TRY(const std::uint64_t count, in.u64());
  out.count = static_cast<std::uint32_t>(count);
  TRY(out.root, in.bytes32());
  return out;
}

Result<std::optional<Case>> ChainView::case_of(const Hash& dispute) {
  TRY(const auto event,
      events_.first({.kinds = {topics().dispute_filed}, .indexed = {{dispute, {}, {}}}}));
  if (!event) return std::nullopt;
  AbiReader in(event->data);  // challenger, defender, bond
  CHECK_OK(take_words<3>(in));
  return take_words<kCaseWords>(in);
}

Result<std::optional<Wanted>> ChainView::wanted(const Hash& demand) {
  TRY(const auto event,
      events_.first({.kinds = {topics().demanded}, .indexed = {{demand, {}, {}}}}));
  if (!event) return std::nullopt;
  AbiReader in(event->data);  // buyer, bond
  CHECK_OK(take_words<2>(in));
  return take_words<kWantedWords>(in);
}

Result<std::optional<ConvictionFigures>> ChainView::conviction(const Hash& transaction,
                                                               const Hash& lease) {
  TRY(const auto event, events_.first({.kinds = {topics().convicted},
                                       .indexed = {{lease, {}, {}}},
                                       .transaction = transaction}));
  if (!event) return std::nullopt;
  Address challenger;
  ConvictionFigures out;
  CHECK_OK(read_all(event->data, challenger, out.slashed, out.burned, out.made_whole, out.reward,
                    out.refunded));
  return out;
}

Result<std::vector<Hash>> ChainView::open_where(std::string_view condition, ByteView value) {
  TRY(auto select, events_.database().prepare(fmt::format(
                       "SELECT d.topic1 FROM events d WHERE d.topic0 IN (?1, ?2) AND {} AND NOT "
                       "EXISTS (SELECT 1 FROM events e WHERE e.topic1 = d.topic1 AND e.topic0 = "
                       "?3) ORDER BY d.topic1",
                       condition)));
  select.bind_all(ByteView(topics().dispute_filed), ByteView(topics().demanded),
                  ByteView(topics().decided), value);
  std::vector<Hash> out;
  for (;;) {
    TRY(const bool more, select.step());
    if (!more) return out;
    TRY(const Hash id, select.column_hash(0));
    out.push_back(id);
  }
}

Result<std::vector<Hash>> ChainView::open_disputes_of_lease(const Hash& lease) {
  return open_where("d.topic2 = ?4 AND NOT " + of_passes(), lease);
}

Result<std::vector<Hash>> ChainView::open_disputes_of_audit(const Hash& audit) {
  const std::string condition = fmt::format(
      "d.topic3 IN (SELECT r.topic1 FROM events r WHERE r.topic2 = ?4 AND r.topic0 = X'{}') AND {}",
      to_hex_bare(topics().audit_revealed), of_passes());
  return open_where(condition, audit);
}

Result<std::vector<Hash>> ChainView::open_disputes_of(const Address& defender) {
  // What is disputed are leases' statements, which only their provider signs, and passes.
  const std::string condition = fmt::format(
      "(d.topic2 IN (SELECT l.topic1 FROM events l WHERE l.topic3 = ?4 AND l.topic0 = X'{}') AND "
      "NOT {} OR d.topic3 IN (SELECT r.topic1 FROM events r WHERE r.topic3 = ?4 AND r.topic0 = "
      "X'{}') AND {})",
      to_hex_bare(topics().lease_opened), of_passes(), to_hex_bare(topics().audit_revealed),
      of_passes());
  return open_where(condition, word_of(defender));
}

std::string ChainView::of_passes() const {
  return fmt::format("d.address = X'{}'", to_hex_bare(contracts_.passes.bytes));
}

}  // namespace assay::settle::evm
