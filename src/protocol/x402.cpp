#include "protocol/x402.hpp"

#include <algorithm>

#include "base/base64.hpp"
#include "crypto/eip712.hpp"
#include "protocol/x402_json.hpp"

namespace assay::protocol::x402 {
namespace {

constexpr std::string_view kNamespace = "eip155:";
constexpr std::size_t kIdentifierMin = 16, kIdentifierMax = 128, kTextMax = 256;

Result<Authorization> authorization_from_json(const json::object& o) {
  Authorization out;
  TRY(out.from, get_address(o, "from"));
  TRY(out.to, get_address(o, "to"));
  TRY(out.value, get_decimal(o, "value"));
  TRY(out.valid_after, get_decimal_u64(o, "validAfter"));
  TRY(out.valid_before, get_decimal_u64(o, "validBefore"));
  TRY(out.nonce, json::get_hash(o, "nonce"));
  return out;
}

}  // namespace

std::string header_of(const json::object& o) { return to_base64(view(json::dump(o))); }

Result<json::object> any_object_of(std::string_view header, std::string_view what) {
  if (header.size() > kHeaderBytesMax)
    return fail(Errc::invalid, "{} is longer than {} bytes", what, kHeaderBytesMax);
  const auto bytes = from_base64(header);
  if (!bytes) return fail_in(what, bytes.error());
  const auto parsed =
      json::parse(std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  if (!parsed) return fail_in(what, parsed.error());
  TRY(const json::object* o, json::as_object(*parsed, what));
  return *o;
}

Result<json::object> object_of(std::string_view header, std::string_view what) {
  TRY(json::object o, any_object_of(header, what));
  TRY(const std::uint64_t version, json::get_u64(o, "x402Version"));
  if (version != 2) return fail(Errc::unsupported, "{}: x402 version {}, not 2", what, version);
  return o;
}

Result<std::int64_t> get_decimal(const json::object& o, std::string_view key) {
  TRY(const std::string text, json::get_string(o, key));
  const auto n = json::parse_i64(text);
  if (!n) return fail_in(key, n.error());
  if (*n < 0) return fail(Errc::invalid, "{} is negative", key);
  return *n;
}

Result<std::uint64_t> get_decimal_u64(const json::object& o, std::string_view key) {
  TRY(const std::string text, json::get_string(o, key));
  const auto n = json::parse_u64(text);
  if (!n) return fail_in(key, n.error());
  return *n;
}

Result<Address> get_address(const json::object& o, std::string_view key) {
  TRY(const std::string text, json::get_string(o, key));
  auto parsed = Address::parse(text);
  if (!parsed) return fail_in(key, parsed.error());
  return parsed;
}

Result<crypto::Signature> get_signature(const json::object& o, std::string_view key) {
  crypto::Signature out;
  TRY(const Bytes signature, json::get_hex(o, key));
  if (signature.size() != out.bytes.size())
    return fail(Errc::unsupported, "a signature has 65 bytes: those of contracts are not accepted");
  std::ranges::copy(signature, out.bytes.begin());
  // Some wallets count from 0.
  if (std::uint8_t& v = out.bytes.back(); v < 2) v = static_cast<std::uint8_t>(v + 27);
  return out;
}

json::object member(const json::object& o, std::string_view key) {
  const json::value* v = o.if_contains(key);
  return v != nullptr && v->is_object() ? v->get_object() : json::object{};
}

Result<std::optional<std::string>> identifier_in(const json::object& extensions) {
  const json::object extension = member(extensions, kPaymentIdentifier);
  const json::object info = member(extension, "info");
  if (!info.contains("id")) return std::nullopt;
  TRY(std::string id, json::get_string(info, "id"));
  if (!valid_identifier(id))
    return fail(Errc::invalid, "a payment identifier is {} to {} letters, digits, - and _",
                kIdentifierMin, kIdentifierMax);
  return id;
}

std::string network_of(std::uint64_t chain_id) { return fmt::format("{}{}", kNamespace, chain_id); }

Result<std::uint64_t> chain_of(std::string_view network) {
  if (!network.starts_with(kNamespace))
    return fail(Errc::unsupported, "network '{}': only {}… is spoken", network, kNamespace);
  return json::parse_u64(network.substr(kNamespace.size()));
}

json::object to_json(const Requirements& terms) {
  return {{"scheme", kExact},
          {"network", network_of(terms.chain_id)},
          {"amount", std::to_string(terms.amount)},
          {"asset", terms.asset.to_string()},
          {"payTo", terms.pay_to.to_string()},
          {"maxTimeoutSeconds", terms.timeout_s},
          {"extra", json::object{{"assetTransferMethod", "eip3009"},
                                 {"name", terms.name},
                                 {"version", terms.version}}}};
}

Result<Requirements> requirements_from_json(const json::object& o) {
  Requirements out;
  TRY(const std::string scheme, json::get_string(o, "scheme"));
  if (scheme != kExact)
    return fail(Errc::unsupported, "scheme '{}': only '{}' is spoken", scheme, kExact);
  TRY(const std::string network, json::get_string(o, "network"));
  TRY(out.chain_id, chain_of(network));
  TRY(out.amount, get_decimal(o, "amount"));
  if (out.amount == 0) return fail(Errc::unsupported, "an amount of nothing is not paid");
  TRY(out.asset, get_address(o, "asset"));
  TRY(out.pay_to, get_address(o, "payTo"));
  TRY(const std::uint64_t timeout, json::get_u64(o, "maxTimeoutSeconds"));
  out.timeout_s = static_cast<std::uint32_t>(std::min<std::uint64_t>(timeout, 0x7fffffff));
  const json::object extra = member(o, "extra");
  if (const json::value* method = extra.if_contains("assetTransferMethod");
      method != nullptr && *method != "eip3009")
    return fail(Errc::unsupported, "only transfers by eip3009 are spoken");
  TRY(out.name, json::get_string(extra, "name"));
  TRY(out.version, json::get_string(extra, "version"));
  if (out.name.size() > kTextMax || out.version.size() > kTextMax)
    return fail(Errc::invalid, "the name of an asset is at most {} bytes", kTextMax);
  return out;
}

std::string to_header(const Required& required) {
  json::object o{{"x402Version", 2}};
  if (!required.error.empty()) o["error"] = required.error;
  o["resource"] = required.resource;
  o["accepts"] = required.accepts;
  if (!required.extensions.empty()) o["extensions"] = required.extensions;
  return header_of(o);
}

Result<Required> required_from_header(std::string_view header) {
  TRY(const json::object o, object_of(header, "PAYMENT-REQUIRED"));
  Required out;
  if (const json::value* error = o.if_contains("error"); error != nullptr && error->is_string())
    out.error = error->get_string();
  TRY(const json::object* resource, json::get_object(o, "resource"));
  TRY(const json::array* accepts, json::get_array(o, "accepts"));
  out.resource = *resource;
  out.accepts = *accepts;
  out.extensions = member(o, "extensions");
  return out;
}

Hash digest(const Requirements& token, const Authorization& a) {
  const Hash domain =
      crypto::domain_separator_evm(token.name, token.version, token.chain_id, token.asset);
  return crypto::typed_digest(
      domain, crypto::StructHasher("TransferWithAuthorization(address from,address to,uint256 "
                                   "value,uint256 validAfter,uint256 validBefore,bytes32 nonce)")
                  .address(a.from)
                  .address(a.to)
                  .u64(static_cast<std::uint64_t>(a.value))
                  .u64(a.valid_after)
                  .u64(a.valid_before)
                  .bytes32(a.nonce)
                  .finish());
}

std::string to_header(const Payment& payment) {
  const Authorization& a = payment.authorization;
  json::object o{{"x402Version", 2}};
  if (!payment.resource.empty()) o["resource"] = payment.resource;
  o["accepted"] = to_json(payment.accepted);
  o["payload"] =
      json::object{{"signature", to_hex(payment.signature.bytes)},
                   {"authorization", json::object{{"from", a.from.to_string()},
                                                  {"to", a.to.to_string()},
                                                  {"value", std::to_string(a.value)},
                                                  {"validAfter", std::to_string(a.valid_after)},
                                                  {"validBefore", std::to_string(a.valid_before)},
                                                  {"nonce", to_hex(a.nonce)}}}};
  if (!payment.extensions.empty()) o["extensions"] = payment.extensions;
  return header_of(o);
}

Result<Payment> payment_from_header(std::string_view header) {
  TRY(const json::object o, object_of(header, "PAYMENT-SIGNATURE"));
  Payment out;
  TRY(const json::object* accepted, json::get_object(o, "accepted"));
  TRY(out.accepted, requirements_from_json(*accepted));
  TRY(const json::object* payload, json::get_object(o, "payload"));
  TRY(const json::object* authorization, json::get_object(*payload, "authorization"));
  TRY(out.authorization, authorization_from_json(*authorization));
  TRY(out.signature, get_signature(*payload, "signature"));
  out.resource = member(o, "resource");
  out.extensions = member(o, "extensions");
  TRY(out.id, identifier_in(out.extensions));
  return out;
}

std::string to_header(const Settled& settled) {
  json::object o{{"x402Version", 2}, {"success", settled.success}};
  if (!settled.success) o["errorReason"] = settled.error;
  if (!settled.payer.is_zero()) o["payer"] = settled.payer.to_string();
  o["transaction"] = settled.transaction ? to_hex(*settled.transaction) : "";
  o["network"] = network_of(settled.chain_id);
  if (settled.success) o["amount"] = settled.amount ? std::to_string(*settled.amount) : "";
  if (!settled.extra.empty()) o["extra"] = settled.extra;
  return header_of(o);
}

Result<Settled> settled_from_header(std::string_view header) {
  TRY(const json::object o, any_object_of(header, "PAYMENT-RESPONSE"));
  Settled out;
  TRY(out.success, json::get_bool(o, "success"));
  TRY(const std::string transaction, json::get_string(o, "transaction"));
  if (!transaction.empty()) {
    TRY(out.transaction, json::get_hash(o, "transaction"));
  }
  TRY(const std::string network, json::get_string(o, "network"));
  TRY(out.chain_id, chain_of(network));
  if (const json::value* error = o.if_contains("errorReason");
      error != nullptr && error->is_string())
    out.error = error->get_string();
  if (o.contains("payer")) {
    TRY(out.payer, get_address(o, "payer"));
  }
  if (const json::value* amount = o.if_contains("amount"); amount != nullptr) {
    out.amount.reset();
    if (*amount != "") {
      TRY(out.amount, get_decimal(o, "amount"));
    }
  }
  out.extra = member(o, "extra");
  return out;
}

bool valid_identifier(std::string_view id) {
  return id.size() >= kIdentifierMin && id.size() <= kIdentifierMax &&
         std::ranges::all_of(id, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  c == '-' || c == '_';
         });
}

json::object identifier_extension() {
  return {
      {"info", json::object{{"required", false}}},
      {"schema", json::object{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                              {"type", "object"},
                              {"properties",
                               json::object{{"required", json::object{{"type", "boolean"}}},
                                            {"id", json::object{{"type", "string"},
                                                                {"minLength", kIdentifierMin},
                                                                {"maxLength", kIdentifierMax},
                                                                {"pattern", "^[a-zA-Z0-9_-]+$"}}}}},
                              {"required", json::array{"required"}}}}};
}

json::object with_identifier(json::object declared, std::string_view id) {
  json::value* extension = declared.if_contains(kPaymentIdentifier);
  if (extension == nullptr || !extension->is_object()) return declared;
  json::object info = member(extension->get_object(), "info");
  info["id"] = id;
  extension->get_object()["info"] = std::move(info);
  return declared;
}

}  // namespace assay::protocol::x402
