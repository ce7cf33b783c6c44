#include "services/provider/x402_calls.hpp"

#include "io/schema.hpp"

namespace assay::services {
namespace {

const io::Schema kCallsSchema{"x402 calls", {R"(
CREATE TABLE calls(
  sale BLOB PRIMARY KEY, offer TEXT NOT NULL, call TEXT NOT NULL, made_s INTEGER NOT NULL) STRICT;
)"}};

Result<json::object> stored_object(std::string_view text) {
  TRY(const json::value parsed, json::parse(text));
  TRY(const json::object* o, json::as_object(parsed, "a stored call"));
  return *o;
}

}  // namespace

Result<std::unique_ptr<X402Calls>> X402Calls::open(const std::string& path) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, kCallsSchema));
  return std::unique_ptr<X402Calls>(new X402Calls(std::move(db)));
}

Result<std::optional<X402Call>> X402Calls::find(const Hash& sale) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare("SELECT offer, call, made_s FROM calls WHERE sale = ?1"));
  TRY(const bool there, select.bind_all(ByteView(sale)).step());
  if (!there) return std::nullopt;
  X402Call out;
  TRY(const json::object offer, stored_object(select.column_text(0)));
  TRY(out.offer, protocol::signed_from_json<protocol::Offer>(offer));
  TRY(const json::object call, stored_object(select.column_text(1)));
  TRY(out.call, protocol::inference_call_from_json(call));
  out.made_s = select.column_int64(2);
  return out;
}

Status X402Calls::put(const Hash& sale, const X402Call& call) {
  const std::lock_guard lock(mutex_);
  TRY(auto insert, db_->prepare("INSERT OR REPLACE INTO calls(sale, offer, call, made_s) "
                                "VALUES(?1, ?2, ?3, ?4)"));
  return insert
      .bind_all(ByteView(sale), json::dump(to_json(call.offer)), json::dump(to_json(call.call)),
                call.made_s)
      .run();
}

}  // namespace assay::services
