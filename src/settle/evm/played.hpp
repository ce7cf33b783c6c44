// Moves of a game as the chain takes them: it keeps no payloads, so a choice brings along what it
// picks from, and the step what was revealed for it (IGames.sol, Played).
#pragma once
#include "settle/evm/encoding.hpp"

namespace assay::settle::evm {

// Every move of the transcript as a tuple Played. The game is replayed, signatures are not checked.
// A move that is none goes without what would lie beside it: the contract says what is wrong.
Result<std::vector<AbiWriter>> played_moves(const market::FileDispute& filed,
                                            const protocol::Domain& domain,
                                            std::span<const market::SignedMove> moves);
// A move that needs nothing beside it.
AbiWriter bare_move(ByteView payload);

}  // namespace assay::settle::evm
