// The HTTP of a ledger and of a board (settle/remote.hpp lists it), whoever hosts them.
#pragma once
#include <functional>

#include "io/http_router.hpp"
#include "market/board.hpp"
#include "market/settlement.hpp"

namespace assay::services {

inline constexpr std::size_t kLedgerBodyBytesMax = 32u << 20;

// Everything but the log of operations. `ledger` outlives the router's handler.
void add_ledger_routes(io::Router& router, market::Settlement& ledger);
// `before`: called at each request.
void add_board_routes(io::Router& router, market::Board& board,
                      const std::function<void()>& before = {});

}  // namespace assay::services
