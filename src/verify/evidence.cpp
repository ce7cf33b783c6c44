#include "verify/evidence.hpp"

#include <map>

#include "base/hex.hpp"
#include "base/utc.hpp"

namespace assay::verify {
namespace {

using protocol::Bundle;
using protocol::TokenList;

constexpr std::uint8_t kCoseSign1 = 0xd2;  // tag 18

void add(VerifyReport& report, std::string code, Standing standing, std::string text) {
  report.findings.push_back({std::move(code), standing, std::move(text)});
}

void judge_export(const Exhibit& e, VerifyReport& report) {
  const bool provider = e.exported->signer == e.file.lease.message.provider;
  add(report, "export.signature", Standing::proven,
      fmt::format("{} signed this export{}; its claims are the receipt's own",
                  e.exported->signer.to_string(), provider ? ", the provider itself" : ""));
  add(report, "export.time", Standing::claimed,
      fmt::format("the export was made {}; its signer's word", utc_text(e.exported->issued_at)));
}

// Chunks of one list; where they are all of it, they prove as much as an opening does.
void judge_chunks(const Bundle& bundle, TokenList list, VerifyReport& report) {
  const std::string what = list == TokenList::prompt ? "prompt" : "answer";
  const std::uint32_t tokens = list == TokenList::prompt
                                   ? bundle.receipt.request.message.prompt_count
                                   : bundle.receipt.receipt.message.count;
  std::map<std::uint32_t, std::size_t> opened;  // chunk → tokens
  for (const auto& chunk : bundle.chunks) {
    if (chunk.list != list) continue;
    const auto ids = check_chunk(bundle.receipt, chunk);
    if (!ids) return add(report, what + ".chunks", Standing::failed, ids.error().message);
    opened[chunk.chunk] = ids->size();
  }
  if (opened.empty()) return;
  std::size_t disclosed = 0;
  for (const auto& [chunk, size] : opened) disclosed += size;
  add(report, what + ".chunks", Standing::proven,
      fmt::format("{} of the {} {} tokens are in the bundle, and are what was signed", disclosed,
                  tokens, what));
  if (disclosed != tokens) return;
  for (Finding& f : report.findings)
    if (f.code == what && f.standing == Standing::unchecked)
      f = {what, Standing::proven,
           fmt::format("the bundle's chunks are all {} {} tokens that were signed", tokens, what)};
}

// Who vouches that the file hash in the offer is the official one.
void judge_aliases(const Exhibit& e, const Given& given, VerifyReport& report) {
  std::vector<const json::object*> attestations;
  if (e.bundle)
    for (const auto& alias : e.bundle->aliases) attestations.push_back(&alias.bundle);
  for (const json::object& o : given.attestations) attestations.push_back(&o);
  const auto* offered = protocol::offered_model(e.file);
  if (attestations.empty() || offered == nullptr)
    return add(report, "file.signed", Standing::unchecked,
               "nobody vouches that this file hash is the official one: no publisher's signature "
               "over the model's files is here");
  if (given.model_signer == nullptr)
    return add(
        report, "file.signed", Standing::unchecked,
        "somebody signed the model's files: --model-signer FILE (the publisher's public key) "
        "or --model-certificates FILE tells whether it was who you trust");
  Finding found;
  for (const json::object* attestation : attestations) {
    const auto signature = verify_model_signature(*attestation, *given.model_signer);
    if (!signature) {
      const bool failed = signature.error().code != Errc::unsupported;
      found = {"file.signed", failed ? Standing::failed : Standing::unchecked,
               signature.error().message};
    } else if (const auto* file = find_file(*signature, offered->file_alias)) {
      return add(report, "file.signed", Standing::proven,
                 fmt::format("signed by {}: the file the offer names is '{}' of '{}'",
                             signature->signer, file->name, signature->model));
    } else {
      found = {"file.signed", Standing::failed,
               fmt::format("what {} signed does not list the file that the offer names",
                           signature->signer)};
    }
  }
  report.findings.push_back(std::move(found));
}

// Any one of the trusted witnesses' times would do; so many of them say that it was there by then.
void judge_time(const protocol::LogPlace& place, std::size_t witnesses, VerifyReport& report) {
  const auto replace = [&](Standing standing, std::string text) {
    for (Finding& f : report.findings)
      if (f.code == "time") f = {"time", standing, std::move(text)};
  };
  const std::size_t needed = std::max<std::size_t>(witnesses, 1);
  std::vector<std::string> names;
  for (const auto& c : place.cosignatures)
    if (c.trusted && names.size() < needed) {
      names.push_back(c.witness);
      if (names.size() == needed)
        return replace(Standing::proven,
                       fmt::format("no later than {}: cosigned by {}, which you name",
                                   utc_text(c.time), fmt::join(names, ", ")));
    }
  if (!names.empty())
    return replace(Standing::unchecked,
                   fmt::format("when: {} of {} witnesses you name cosigned", names.size(), needed));
  if (!place.cosignatures.empty())
    replace(Standing::claimed,
            fmt::format("no later than {}, says witness {}, whose key only the bundle names: "
                        "--witness-key KEY makes it more",
                        utc_text(place.cosignatures[0].time), place.cosignatures[0].witness));
}

// The place, where there is one.
std::optional<protocol::LogPlace> judge_log(const Bundle& bundle, const Given& given,
                                            VerifyReport& report) {
  if (given.log == nullptr) {
    add(report, "log", Standing::unchecked,
        "that a public log has it: a proof is in the bundle, which nothing here read");
    return std::nullopt;
  }
  auto place = given.log(*bundle.log, bundle.receipt);
  if (!place) {
    add(report, "log", Standing::failed, place.error().message);
    return std::nullopt;
  }
  const auto where = fmt::format("entry {} of the {} in the log '{}' commits to this receipt",
                                 place->index, place->size, place->origin);
  if (place->trusted)
    add(report, "log", Standing::proven, where + ", signed by the log's key that you name");
  else
    add(report, "log", Standing::claimed,
        where + "; the log's key is the bundle's word: --log-key KEY makes it more");
  judge_time(*place, given.witnesses, report);
  return std::move(*place);
}

void judge_anchor(const protocol::Anchor& anchor, const std::optional<protocol::LogPlace>& place,
                  VerifyReport& report) {
  const auto where =
      fmt::format("chain {}, block {}, transaction {} to {}", anchor.chain_id, anchor.block,
                  to_hex(anchor.transaction), anchor.contract.to_string());
  if (!place)
    return add(report, "anchor", Standing::unchecked,
               fmt::format("that a chain carries a root over this receipt ({}): without a log "
                           "proof that holds nothing ties them",
                           where));
  if (anchor.size != place->size || anchor.root != place->root)
    return add(report, "anchor", Standing::failed,
               fmt::format("the anchor is of another checkpoint ({} entries) than the log proof's "
                           "({} entries)",
                           anchor.size, place->size));
  add(report, "anchor", Standing::claimed,
      fmt::format("the root of exactly this checkpoint is on a chain: {}. That it is there, and "
                  "since when, only the chain can say",
                  where));
}

void judge_bundle(const Bundle& bundle, const Given& given, VerifyReport& report) {
  judge_chunks(bundle, TokenList::prompt, report);
  judge_chunks(bundle, TokenList::tape, report);
  std::optional<protocol::LogPlace> place;
  if (bundle.log) place = judge_log(bundle, given, report);
  if (bundle.anchor) judge_anchor(*bundle.anchor, place, report);
}

}  // namespace

Result<Exhibit> evidence_from(ByteView bytes) {
  if (!bytes.empty() && bytes[0] == kCoseSign1) {
    TRY(protocol::Exported exported, protocol::import_cose(bytes));
    return Exhibit{exported.file, "cose", std::move(exported), std::nullopt};
  }
  const auto parsed = json::parse(text(bytes), protocol::kFileBytesMax);
  if (!parsed || !parsed->is_object())
    return fail(Errc::invalid,
                "neither a receipt file, nor a COSE or DSSE export of one, nor a bundle{}{}",
                parsed ? "" : ": ", parsed ? "" : parsed.error().message);
  const json::object& o = parsed->get_object();
  if (o.contains("payloadType")) {
    TRY(protocol::Exported exported, protocol::import_dsse(o));
    return Exhibit{exported.file, "dsse", std::move(exported), std::nullopt};
  }
  const json::value* tag = o.if_contains("assay");
  if (tag != nullptr && tag->is_string() && tag->get_string().starts_with("bundle/")) {
    TRY(Bundle bundle, protocol::bundle_from_json(o));
    return Exhibit{bundle.receipt, "bundle", std::nullopt, std::move(bundle)};
  }
  TRY(protocol::ReceiptFile file, protocol::receipt_file_from_json(o));
  return Exhibit{std::move(file), "receipt", std::nullopt, std::nullopt};
}

VerifyReport verify_evidence(const Exhibit& evidence, const Given& given, SignatureMemo* memo) {
  const protocol::Opening* opening = given.opening;
  if (opening == nullptr && evidence.bundle && evidence.bundle->opening)
    opening = &*evidence.bundle->opening;
  VerifyReport report = verify_receipt(evidence.file, opening, given.identity, memo);
  if (evidence.exported) judge_export(evidence, report);
  judge_aliases(evidence, given, report);
  if (evidence.bundle) judge_bundle(*evidence.bundle, given, report);
  return report;
}

json::object to_json(const Exhibit& evidence, const VerifyReport& report) {
  json::array findings;
  for (const Finding& f : report.findings)
    findings.push_back(
        json::object{{"code", f.code}, {"standing", to_string(f.standing)}, {"text", f.text}});
  const auto& file = evidence.file;
  return {{"form", evidence.form},
          {"provider", file.lease.message.provider.to_string()},
          {"buyer", file.lease.message.buyer.to_string()},
          {"amount", std::to_string(file.receipt.message.amount)},
          {"findings", std::move(findings)}};
}

}  // namespace assay::verify
