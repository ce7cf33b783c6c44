// A small ledger with a few people on it. run() checks every invariant after every operation.
#pragma once
#include "market/ledger.hpp"

namespace assay::market::test {

struct Party {
  crypto::SecretKey key;
  Address address{};
};
Party party(std::uint8_t number);

// Short times, so that a history reaches every deadline.
Parameters small_parameters();

// 250 prompt tokens at 2.00 and n answer tokens at 4.00 per million.
inline constexpr Micros kPriceIn = 2'000'000, kPriceOut = 4'000'000;

// A game with the form of spec/dispute.md, section 6 included, whose content is a word a move:
// "continue"; "wrong", "right" and "invalid" end it with that outcome; anything else is no move.
// A proof about the finish is one of the last three.
class ToyReferee : public Referee {
 public:
  Result<GameStatus> replay(const DisputeCase& about,
                            std::span<const SignedMove> moves) const override;
  Result<GameStatus> judge_finish(const DisputeCase& about, ByteView proof) const override;
  // Of a check "opens", of an answer "shows", and anything else does not.
  Status open_check(const DisputeCase& about, ByteView proof) const override;
  Status judge_check(ByteView proof, const KeyedCommit& commit, ByteView answer) const override;
};

// Values of the beacon of every ledger here: 0 is what it was made with.
const std::vector<Hash>& beacon_values();

// The bytes execution() names.
Bytes program();

class World {
 public:
  explicit World(Parameters parameters = small_parameters(), std::uint8_t ledger = 1);
  virtual ~World() = default;

  State state;
  std::uint64_t time = 1'000;
  Party host = party(1), buyer = party(2), provider = party(3), payout = party(4), other = party(5);

  const Domain& domain() const { return state.info.domain; }
  template <class M>
  Signed<M> sign(M message, const Party& by) const {
    return protocol::sign(domain(), std::move(message), by.key);
  }
  std::uint64_t nonce() { return ++nonce_; }

  // Applies at `time` and checks: refused → nothing changed; applied → everything adds up, undoing
  // and repeating gives the same state, and a second submission changes nothing.
  virtual Result<Applied> run(const Operation& operation);

  // Messages.
  Signed<protocol::Offer> offer(const Party& provider, const Party& payout);
  OpenLease open_lease(Micros escrow, const Party& buyer, const Party& provider,
                       const Party& payout);
  OpenLease open_lease(Micros escrow) { return open_lease(escrow, buyer, provider, payout); }
  Signed<protocol::Request> request(const Hash& lease, std::uint64_t sequence,
                                    const Party& buyer) const;
  // Right in every respect; `tape` tells answers apart.
  Signed<protocol::Receipt> receipt(const Signed<protocol::Request>& request, std::uint32_t count,
                                    const Party& provider, std::uint8_t tape = 1) const;
  ClaimLeaf leaf(const Hash& lease, std::uint64_t sequence, std::uint32_t count) const;
  Signed<protocol::Claim> claim(const Hash& lease, std::span<const ClaimLeaf> leaves,
                                const Party& provider) const;
  FileDispute dispute(const Hash& lease, const ClaimLeaf& leaf, const Party& challenger,
                      Micros bond);
  ReportEquivocation equivocation(const Hash& lease, const Signed<protocol::Request>& request,
                                  Statement first, Statement second, const Party& challenger);
  Signed<protocol::CommitDispute> commitment(const Operation& later, const Party& by);
  // The next move of an open dispute, and moves before it was filed; players alternate from the
  // provider on.
  DisputeMove move(const Hash& dispute, std::string_view word, const Party& by) const;
  std::vector<SignedMove> transcript(const FileDispute& filed,
                                     std::span<const std::string_view> words, const Party& provider,
                                     const Party& challenger) const;
  Signed<protocol::Timeout> timeout(const Hash& dispute, const Party& by) const;

  // What a lease's buyer says about it, from its opening to `until`.
  Signed<protocol::LatencyReport> speed(const Hash& lease, std::uint32_t answers,
                                        std::uint32_t first_token_ms, std::uint32_t per_token_ms,
                                        const Party& by, std::uint64_t until) const;

  // Operations that must succeed.
  template <class Op>
  Op committed(Op later, const Party& by) {
    commit(later, by);
    return later;
  }
  void commit(const Operation& later, const Party& by);
  void deposit(const Party& to, Micros amount);
  void stake(const Party& who, Micros amount);
  Hash lease(Micros escrow);
  // Buyer 100.00, provider 10.00 of which all is stake, other 5.00.
  void fund();

  AccountView account(const Party& who) const { return account_view(state, who.address); }
  LeaseView lease_of(const Hash& id) const { return *lease_view(state, id); }

 private:
  std::uint64_t nonce_ = 0;
};

protocol::ExecutionId execution();

}  // namespace assay::market::test
