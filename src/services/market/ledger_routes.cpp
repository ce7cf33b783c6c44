#include "services/market/ledger_routes.hpp"

#include "base/hex.hpp"
#include "io/log.hpp"

namespace assay::services {

using io::HttpRequest;
using io::HttpResponse;
using market::Operation;

namespace {

template <class T>
void answer(HttpResponse& response, const Result<T>& result) {
  if (result)
    response.send_json(200, market::to_json(*result));
  else
    response.send_error(result.error());
}

Result<json::object> body_of(const HttpRequest& request) {
  TRY(json::value v, json::parse(request.body, kLedgerBodyBytesMax));
  if (auto* o = v.if_object()) return std::move(*o);
  return fail(Errc::invalid, "the body must be a JSON object");
}

Result<Hash> id_of(const HttpRequest& request) {
  auto id = array_from_hex<32>(request.param("id"));
  if (!id) return fail(Errc::invalid, "an id is 32 bytes of hex: {}", id.error().message);
  return id;
}

Result<market::Applied> post_operation(market::Settlement& ledger, const HttpRequest& request) {
  TRY(const auto body, body_of(request));
  TRY(const auto operation, market::operation_from_json(body));
  TRY(const auto applied, ledger.submit(operation));
  io::log_fields(
      io::LogLevel::info, "operation",
      {{"id", to_hex(applied.id)}, {"sequence", applied.sequence}, {"again", applied.already}});
  return applied;
}

}  // namespace

void add_ledger_routes(io::Router& router, market::Settlement& ledger) {
  router.get("/ledger",
             [&ledger](HttpRequest&, HttpResponse& response) { answer(response, ledger.info()); });
  router.get("/ledger/totals", [&ledger](HttpRequest&, HttpResponse& response) {
    answer(response, ledger.totals());
  });
  router.get("/ledger/accounts/{address}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto address = market::Address::parse(request.param("address"));
    answer(response, address ? ledger.account(*address)
                             : Result<market::AccountView>(std::unexpected(address.error())));
  });
  router.get("/ledger/leases/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response,
           id ? ledger.lease(*id) : Result<market::LeaseView>(std::unexpected(id.error())));
  });
  router.get("/ledger/disputes/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response,
           id ? ledger.dispute(*id) : Result<market::DisputeView>(std::unexpected(id.error())));
  });
  router.get("/ledger/disputes/{id}/game", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    const auto filed =
        id ? ledger.game(*id) : Result<market::FileDispute>(std::unexpected(id.error()));
    answer(response,
           filed ? Result<Operation>(*filed) : Result<Operation>(std::unexpected(filed.error())));
  });
  router.get("/ledger/audits/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response,
           id ? ledger.audit(*id) : Result<market::AuditView>(std::unexpected(id.error())));
  });
  router.get("/ledger/auditors/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response, id ? ledger.auditors(*id)
                        : Result<std::vector<market::AuditorView>>(std::unexpected(id.error())));
  });
  router.get("/ledger/operations/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response, id ? ledger.operation(*id) : Result<Operation>(std::unexpected(id.error())));
  });
  router.post("/ledger/operations", [&ledger](HttpRequest& request, HttpResponse& response) {
    answer(response, post_operation(ledger, request));
  });
}

void add_board_routes(io::Router& router, market::Board& board,
                      const std::function<void()>& before) {
  router.get("/board/offers", [&board, before](HttpRequest&, HttpResponse& response) {
    if (before) before();
    const auto offers = board.offers();
    if (!offers) {
      response.send_error(offers.error());
      return;
    }
    json::array list;
    for (const auto& offer : *offers) list.push_back(protocol::to_json(offer));
    response.send_json(200, json::object{{"offers", std::move(list)}});
  });
  router.post("/board/offers", [&board, before](HttpRequest& request, HttpResponse& response) {
    if (before) before();
    const auto publish = [&]() -> Status {
      TRY(const auto body, body_of(request));
      TRY(const auto offer, protocol::signed_from_json<market::Offer>(body));
      return board.publish(offer);
    };
    if (auto status = publish(); !status)
      response.send_error(status.error());
    else
      response.send_json(200, json::object{{"published", true}});
  });
}

}  // namespace assay::services
