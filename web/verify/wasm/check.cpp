#include "check.hpp"

#include <algorithm>
#include <map>

#include "base/hex.hpp"
#include "engine/chat_template.hpp"
#include "protocol/json_codec.hpp"
#include "tlog/checkpoint.hpp"
#include "tlog/evidence.hpp"
#include "verify/quote.hpp"
#include "verify/vocabulary.hpp"

namespace assay::page {
namespace {

using protocol::TokenList;
using verify::Standing;

struct Trust {
  tlog::LogTrust log{};
  verify::ModelTrust model{};
};

// Keys as people paste them: one vkey a line, public keys in PEM between them.
Result<Trust> read_trust(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ";
  Trust out;
  bool pem = false;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.starts_with(kBegin)) pem = true;
    if (pem) {
      out.model.public_key_pem.append(line).push_back('\n');
      if (line.starts_with(kEnd)) pem = false;
    } else if (!line.empty()) {
      auto key = tlog::VerifierKey::parse(line);
      if (!key) return fail_in(fmt::format("the key '{}'", line.substr(0, 40)), key.error());
      auto& list = key->type == tlog::KeyType::ed25519 ? out.log.logs : out.log.witnesses;
      list.push_back(std::move(*key));
    }
  }
  return out;
}

// A checkpoint that the reader has from elsewhere, held against the one that the evidence has.
verify::Finding judge_checkpoint(std::string_view note, const protocol::LogEvidence& evidence,
                                 const protocol::LogPlace& place, const tlog::LogTrust& trust) {
  tlog::LogPolicy policy{.origin = place.origin, .log = {}};
  for (const auto& key : trust.logs)
    if (key.name == place.origin) policy.log.push_back(key);
  if (const auto key = tlog::VerifierKey::parse(evidence.log_key); policy.log.empty() && key)
    policy.log.push_back(*key);
  const auto opened = tlog::open_checkpoint(note, policy);
  if (!opened)
    return {"checkpoint", Standing::unchecked,
            "the checkpoint you brought says nothing about this log: " + opened.error().message};
  const auto& other = opened->checkpoint;
  if (other.size != place.size)
    return {
        "checkpoint", Standing::unchecked,
        fmt::format("the checkpoint you brought is of {} entries, the evidence's of {}: whether "
                    "the one continues the other only the log's tiles can say (`assay log "
                    "monitor`)",
                    other.size, place.size)};
  if (other.root != place.root)
    return {
        "checkpoint", Standing::failed,
        fmt::format("a forked log: '{}' signed two different histories of {} entries, the one in "
                    "the evidence and the one you brought. Keep both files: together they prove "
                    "it",
                    place.origin, place.size)};
  return {"checkpoint", Standing::proven,
          fmt::format("the evidence is in the same history of {} entries as the checkpoint you "
                      "brought",
                      place.size)};
}

json::object chain_of(const verify::Exhibit& e, const std::optional<protocol::LogPlace>& place) {
  const auto& f = e.file;
  const auto& receipt = f.receipt.message;
  const auto& lease = f.lease.message;
  using protocol::encode;
  json::value model = nullptr;
  if (const auto* m = protocol::offered_model(f))
    model = json::object{{"name", m->name},
                         {"quantization", m->quantization},
                         {"file_alias", encode(m->file_alias)},
                         {"price_in", encode(m->price_in)},
                         {"price_out", encode(m->price_out)}};
  json::value log = nullptr, anchor = nullptr;
  if (place) {
    json::array cosignatures;
    for (const auto& c : place->cosignatures)
      cosignatures.push_back(
          json::object{{"witness", c.witness}, {"time", encode(c.time)}, {"trusted", c.trusted}});
    log = json::object{{"origin", place->origin},     {"index", encode(place->index)},
                       {"size", encode(place->size)}, {"root", encode(place->root)},
                       {"trusted", place->trusted},   {"cosignatures", std::move(cosignatures)}};
  }
  if (e.bundle && e.bundle->anchor) {
    const auto& a = *e.bundle->anchor;
    anchor = json::object{{"chain_id", encode(a.chain_id)},
                          {"block", encode(a.block)},
                          {"contract", encode(a.contract)},
                          {"transaction", encode(a.transaction)}};
  }
  return {{"buyer", encode(lease.buyer)},
          {"provider", encode(lease.provider)},
          {"amount", encode(receipt.amount)},
          {"receipt", encode(protocol::digest(f.domain, receipt))},
          {"number", encode(receipt.key_sequence)},
          {"prompt_tokens", encode(f.request.message.prompt_count)},
          {"answer_tokens", encode(receipt.count)},
          {"finish", encode(receipt.finish)},
          {"weights_root", encode(f.execution.weights_root)},
          {"program_hash", encode(f.execution.program_hash)},
          {"canon", encode(f.execution.canon)},
          {"model", std::move(model)},
          {"log", std::move(log)},
          {"anchor", std::move(anchor)}};
}

// The proven ids of a list; nullopt where they are not all disclosed.
std::optional<std::vector<std::uint32_t>> tokens_of(const verify::Exhibit& e,
                                                    const protocol::Opening* opening,
                                                    const verify::VerifyReport& report,
                                                    TokenList list) {
  const bool prompt = list == TokenList::prompt;
  if (!report.proven(prompt ? "prompt" : "answer")) return std::nullopt;
  if (opening != nullptr) return prompt ? opening->prompt : opening->answer;
  std::map<std::uint32_t, std::vector<std::uint32_t>> chunks;
  for (const auto& chunk : e.bundle->chunks) {
    if (chunk.list != list) continue;
    if (auto ids = check_chunk(e.file, chunk)) chunks[chunk.chunk] = std::move(*ids);
  }
  std::vector<std::uint32_t> out;
  for (const auto& [_, ids] : chunks) out.insert(out.end(), ids.begin(), ids.end());
  return out;
}

// Only by the vocabulary that the receipt is about.
std::optional<std::string> text_of(const std::optional<std::vector<std::uint32_t>>& tokens,
                                   const ModelFile* model, const protocol::ExecutionId& execution,
                                   bool prompt) {
  if (!tokens || model == nullptr || model->program_hash != execution.program_hash)
    return std::nullopt;
  if (!std::ranges::all_of(*tokens, [&](auto id) { return id < model->tokenizer.size(); }))
    return std::nullopt;
  if (prompt) return engine::valid_utf8(model->tokenizer.decode(*tokens, true));
  engine::Detokenizer text(model->tokenizer);
  std::string out;
  for (const std::uint32_t id : *tokens) out += text.push(id);
  return out + text.finish();
}

json::value text_json(const std::optional<std::string>& text) {
  if (!text) return nullptr;
  return json::object{{"text", *text}};
}

json::object quote_json(const verify::QuoteComparison& q) {
  json::array parts;
  for (const auto& part : q.parts)
    parts.push_back(json::object{{"kind", to_string(part.kind)}, {"text", part.text}});
  return {{"verdict", to_string(q.verdict)},
          {"exact", q.exact},
          {"before", q.before},
          {"parts", std::move(parts)},
          {"after", q.after}};
}

Result<json::object> answer(const Inputs& in) {
  TRY(const verify::Exhibit evidence, verify::evidence_from(in.evidence));
  std::optional<protocol::Opening> given_opening;
  if (!in.opening.empty()) {
    TRY(given_opening, protocol::opening_from_text(in.opening));
  }
  TRY(const Trust trust, read_trust(in.trusted));
  std::vector<json::object> attestations;
  if (!in.attestation.empty()) {
    TRY(const json::value parsed, json::parse(in.attestation, protocol::kFileBytesMax));
    TRY(const json::object* o, json::as_object(parsed, "the signature of the model's files"));
    attestations.push_back(*o);
  }
  std::optional<protocol::LogPlace> place;
  verify::Given given;
  given.opening = given_opening ? &*given_opening : nullptr;
  if (in.model != nullptr && in.model->identity) given.identity = &*in.model->identity;
  given.attestations = attestations;
  if (!trust.model.public_key_pem.empty()) given.model_signer = &trust.model;
  given.log = [&](const protocol::LogEvidence& log, const protocol::ReceiptFile& file) {
    auto judged = tlog::place_in_log(log, file, trust.log);
    if (judged) place = *judged;
    return judged;
  };
  auto report = verify::verify_evidence(evidence, given);
  if (!in.checkpoint.empty() && place)
    report.findings.push_back(
        judge_checkpoint(in.checkpoint, *evidence.bundle->log, *place, trust.log));

  json::object verdict = to_json(evidence, report);
  verdict["ok"] = report.ok();
  verdict["not_proven"] = json::array();
  const protocol::Opening* opening = given.opening;
  if (opening == nullptr && evidence.bundle && evidence.bundle->opening)
    opening = &*evidence.bundle->opening;
  const auto text = [&](TokenList list) {
    return text_of(tokens_of(evidence, opening, report, list), in.model, evidence.file.execution,
                   list == TokenList::prompt);
  };
  const auto said = text(TokenList::tape);
  json::value quote = nullptr;
  if (said && !in.quote.empty()) quote = quote_json(verify::compare_quote(in.quote, *said));
  return json::object{{"verdict", std::move(verdict)},
                      {"chain", chain_of(evidence, place)},
                      {"answer", text_json(said)},
                      {"prompt", text_json(text(TokenList::prompt))},
                      {"quote", std::move(quote)}};
}

}  // namespace

Result<ModelFile> open_model(ByteView file, const verify::HashProgress& progress) {
  if (const auto gguf = engine::Gguf::parse(file); gguf && verify::is_vocabulary(*gguf)) {
    TRY(auto vocabulary, verify::open_vocabulary(*gguf));
    return ModelFile{std::nullopt, vocabulary.program_hash, std::move(vocabulary.tokenizer)};
  }
  TRY(const auto model, engine::Model::load(file));
  TRY(engine::Tokenizer tokenizer, engine::Tokenizer::from(model->gguf()));
  const auto chat = engine::ChatTemplate::from(model->gguf());
  ThreadPool pool(1);
  TRY(const auto identity,
      verify::identify(*model, tokenizer, chat ? &*chat : nullptr, file, pool, progress));
  return ModelFile{identity, identity.program_hash, std::move(tokenizer)};
}

std::string check(const Inputs& inputs) {
  const auto result = answer(inputs);
  return json::dump(result ? *result : json::object{{"error", result.error().message}});
}

}  // namespace assay::page
