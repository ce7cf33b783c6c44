// The ledger's referee: the game and the steps of spec/dispute.md, from verify. Needs no model, no
// disk and no time; everybody's copy says the same.
#pragma once
#include "market/referee.hpp"

namespace assay::settle {

class DisputeReferee : public market::Referee {
 public:
  Result<market::GameStatus> replay(const market::DisputeCase& about,
                                    std::span<const market::SignedMove> moves) const override;
  Result<market::GameStatus> judge_finish(const market::DisputeCase& about,
                                          ByteView proof) const override;
  Status open_check(const market::DisputeCase& about, ByteView proof) const override;
  Status judge_check(ByteView proof, const market::KeyedCommit& commit,
                     ByteView answer) const override;
};

// The one every ledger is hosted and verified with.
const market::Referee& dispute_referee();

}  // namespace assay::settle
