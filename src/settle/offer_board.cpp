#include "settle/offer_board.hpp"

#include "base/json.hpp"
#include "io/schema.hpp"
#include "market/money.hpp"

namespace assay::settle {

using market::Offer;
using market::Signed;

Result<std::unique_ptr<OfferBoard>> OfferBoard::open(const std::string& path,
                                                     market::Settlement& settlement,
                                                     const Clock& clock) {
  TRY(const market::LedgerInfo info, settlement.info());
  static const io::Schema schema{
      .owner = "board",
      .steps = {"CREATE TABLE IF NOT EXISTS offers (provider BLOB PRIMARY KEY, body TEXT NOT NULL) "
                "STRICT"}};
  TRY(auto database, io::open_versioned(path, io::OpenMode::create, schema));
  std::unique_ptr<OfferBoard> out(new OfferBoard(std::move(database), settlement, info, clock));
  CHECK_OK(out->load());
  return out;
}

// One that no longer reads, or has ended, is dropped: its provider publishes again within minutes.
Status OfferBoard::load() {
  TRY(auto select, database_->prepare("SELECT body FROM offers"));
  for (;;) {
    TRY(const bool more, select.step());
    if (!more) return {};
    const auto v = json::parse(select.column_text(0));
    const auto* o = v ? v->if_object() : nullptr;
    if (o == nullptr) continue;
    if (const auto offer = protocol::signed_from_json<Offer>(*o)) (void)book_.put(*offer, now());
  }
}

Result<std::vector<Signed<Offer>>> OfferBoard::offers() {
  const std::scoped_lock lock(mutex_);
  return book_.list(now());
}

Status OfferBoard::prune() {
  for (const auto& provider : book_.prune(now())) {
    TRY(auto erase, database_->prepare("DELETE FROM offers WHERE provider = ?"));
    CHECK_OK(erase.bind(1, ByteView(provider.bytes)).run());
  }
  return {};
}

Status OfferBoard::publish(const Signed<Offer>& offer) {
  // Offers cost every gateway a look, so they cost their provider a stake.
  TRY(const auto account, settlement_.account(offer.message.provider));
  if (account.stake < info_.parameters.stake_min)
    return fail(Errc::refused, "stake at least {} first: only staked providers are listed",
                market::format_money(info_.parameters.stake_min));
  const std::scoped_lock lock(mutex_);
  CHECK_OK(prune());
  TRY(const bool stored, book_.put(offer, now()));
  if (!stored) return {};
  TRY(auto insert, database_->prepare("INSERT OR REPLACE INTO offers VALUES (?, ?)"));
  return insert
      .bind_all(ByteView(offer.message.provider.bytes),
                std::string_view(json::dump(protocol::to_json(offer))))
      .run();
}

}  // namespace assay::settle
