#include "verify/receipt.hpp"

#include <fmt/format.h>

#include "base/hex.hpp"
#include "base/utc.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"

namespace assay::verify {
namespace {

using protocol::ReceiptFile;

// "12.345678": micro-units as people read them.
std::string money(protocol::Micros micros) {
  return fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000);
}

class Judge {
 public:
  Judge(const ReceiptFile& file, SignatureMemo* memo) : file_(file), memo_(memo) {}

  void proven_if(std::string code, const Status& status, std::string text) {
    if (status)
      add(std::move(code), Standing::proven, std::move(text));
    else
      add(std::move(code), Standing::failed, status.error().message);
  }
  void add(std::string code, Standing standing, std::string text) {
    report.findings.push_back({std::move(code), standing, std::move(text)});
  }

  void signatures();
  void ties();
  void terms();
  void outcome();
  void secrets(const protocol::Opening* opening);
  void model(const ModelIdentity* identity);
  void claims();
  void open_questions(const protocol::Opening* opening);
  void caveats(const protocol::Opening* opening);

  VerifyReport report;

 private:
  const protocol::OfferModel* offered() const { return protocol::offered_model(file_); }

  // Of a message that many receipts share.
  template <class M>
  Status shared_signature(const protocol::Signed<M>& message, const protocol::Address& signer) {
    const auto check = [&] { return check_signature(file_.domain, message, signer); };
    return memo_ == nullptr ? check()
                            : memo_->once(digest(file_.domain, message.message), message.signature,
                                          signer, check);
  }

  const ReceiptFile& file_;
  SignatureMemo* memo_;
};

void Judge::signatures() {
  const auto& f = file_;
  const auto& lease = f.lease.message;
  const auto provider = f.offer.message.provider.to_string(), buyer = lease.buyer.to_string();
  proven_if("offer.signature", shared_signature(f.offer, f.offer.message.provider),
            fmt::format("provider {} signed the offer", provider));
  proven_if("lease.signature", shared_signature(f.lease, lease.buyer),
            fmt::format("buyer {} signed the lease", buyer));
  proven_if("request.signature", check_signature(f.domain, f.request, lease.buyer),
            "the same buyer signed the request");
  proven_if("receipt.signature", check_signature(f.domain, f.receipt, lease.provider),
            fmt::format("the lease's provider {} signed the receipt", lease.provider.to_string()));
}

// Each message names the one before it; all name one execution.
void Judge::ties() {
  const auto& f = file_;
  const auto& offer = f.offer.message;
  const auto& lease = f.lease.message;
  const auto& request = f.request.message;
  const auto tied = [&]() -> Status {
    if (lease.offer != digest(f.domain, offer))
      return fail(Errc::mismatch, "the lease was made under another offer");
    if (lease.provider != offer.provider || lease.payout != offer.payout)
      return fail(Errc::mismatch, "the lease names another provider or payout than its offer");
    if (request.lease != digest(f.domain, lease))
      return fail(Errc::mismatch, "the request belongs to another lease");
    if (f.receipt.message.request != digest(f.domain, request))
      return fail(Errc::mismatch, "the receipt answers another request");
    return {};
  };
  proven_if("chain", tied(), "receipt → request → lease → offer: each names the one before it");

  const Hash execution = struct_hash(f.execution);
  const auto same = [&]() -> Status {
    if (lease.execution != execution || request.execution != execution)
      return fail(Errc::mismatch, "lease, request and receipt file do not name one execution id");
    if (offered() == nullptr)
      return fail(Errc::mismatch, "the offer does not list this execution id");
    return {};
  };
  proven_if("execution", same(),
            fmt::format("offer, lease and request name one execution id: weights {}…, program {}…, "
                        "canon {}",
                        to_hex(f.execution.weights_root).substr(0, 14),
                        to_hex(f.execution.program_hash).substr(0, 14), f.execution.canon));
}

void Judge::terms() {
  const auto& f = file_;
  const auto& lease = f.lease.message;
  const auto& request = f.request.message;
  const auto* offered_model = offered();
  const auto priced = [&]() -> Status {
    if (offered_model != nullptr &&
        (lease.price_in != offered_model->price_in || lease.price_out != offered_model->price_out))
      return fail(Errc::mismatch, "the lease's prices are not the offer's");
    if (request.cap > lease.escrow)
      return fail(Errc::mismatch, "the request's cap {} is more than the lease's first escrow {}",
                  money(request.cap), money(lease.escrow));
    return {};
  };
  proven_if("terms", priced(),
            fmt::format("prices are the offer's: {} in, {} out per million tokens",
                        money(lease.price_in), money(lease.price_out)));
  const auto in_time = [&]() -> Status {
    if (request.expires > lease.expires)
      return fail(Errc::mismatch, "the request expires after its lease");
    return {};
  };
  proven_if("expiry", in_time(), "the request expires no later than its lease");
  proven_if("request.form", protocol::check_runnable(request),
            "the request describes an execution that exists");
}

void Judge::outcome() {
  const auto& request = file_.request.message;
  const auto& r = file_.receipt.message;
  const auto billed = [&]() -> Status {
    TRY(const protocol::Micros amount, protocol::amount_of(file_.lease.message, request, r.count));
    if (r.amount != amount)
      return fail(Errc::mismatch, "the receipt asks {}, price × tokens is {}", money(r.amount),
                  money(amount));
    if (r.amount > request.cap)
      return fail(Errc::mismatch, "the receipt asks {}, the cap is {}", money(r.amount),
                  money(request.cap));
    return {};
  };
  proven_if("amount", billed(),
            fmt::format("{} is price × tokens ({} in, {} out) and within the cap of {}",
                        money(r.amount), request.prompt_count, r.count, money(request.cap)));
  const auto counted = [&]() -> Status {
    if (r.count > request.max_tokens)
      return fail(Errc::mismatch, "{} tokens are billed, the request allows {}", r.count,
                  request.max_tokens);
    if (r.finish > static_cast<std::uint32_t>(protocol::Finish::cancelled))
      return fail(Errc::unsupported, "finish {} is not known", r.finish);
    if (request.sequence == 0 || r.key_sequence == 0)
      return fail(Errc::invalid, "sequences start at 1");
    return {};
  };
  proven_if("count", counted(),
            fmt::format("{} tokens, at most the {} asked for", r.count, request.max_tokens));
}

void Judge::secrets(const protocol::Opening* opening) {
  if (opening == nullptr) {
    add("prompt", Standing::unchecked,
        "which prompt was asked: the request commits to it, --opening FILE checks it");
    add("answer", Standing::unchecked,
        "which answer was given: the receipt commits to it, --opening FILE checks it");
    return;
  }
  const auto& request = file_.request.message;
  const auto& r = file_.receipt.message;
  const auto belongs = [&]() -> Status {
    if (opening->request != digest(file_.domain, request))
      return fail(Errc::mismatch, "the opening belongs to another request");
    return protocol::check_secrets(request, opening->salt_secret, opening->prompt,
                                   opening->stop_ids);
  };
  proven_if("prompt", belongs(),
            fmt::format("the opening's {} prompt tokens are what the buyer signed",
                        opening->prompt.size()));
  const auto answered = [&]() -> Status {
    if (opening->answer.size() != r.count ||
        protocol::tape_root(opening->salt_secret, opening->answer) != r.tape_root)
      return fail(Errc::mismatch, "the opening's answer is not the one the receipt commits to");
    TRY(const Hash logprobs,
        protocol::logprobs_root(opening->salt_secret, request, r.count, opening->logprobs));
    if (logprobs != r.logprobs_root)
      return fail(Errc::mismatch,
                  "the opening's log-probabilities are not the ones the receipt commits to");
    return protocol::check_finish(request, opening->stop_ids, opening->answer, r.finish);
  };
  proven_if("answer", answered(),
            fmt::format("the opening's {} answer tokens are what the provider signed, and end as "
                        "the receipt says",
                        opening->answer.size()));
}

void Judge::model(const ModelIdentity* identity) {
  const auto* offered_model = offered();
  const auto alias = [&] { return to_hex(offered_model->file_alias).substr(0, 14); };
  if (identity == nullptr) {
    add("model", Standing::unchecked,
        "which file the execution id stands for: --model FILE checks it locally");
    if (offered_model != nullptr)
      add("file", Standing::claimed,
          fmt::format("the provider says that it is '{}', {}, GGUF file SHA-256 {}…: unchecked",
                      offered_model->name, offered_model->quantization, alias()));
    return;
  }
  const auto same = [&]() -> Status {
    if (struct_hash(execution_id(*identity)) != struct_hash(file_.execution))
      return fail(Errc::mismatch,
                  "the model file given is not the one this receipt is about (`assay model id` "
                  "shows a file's execution id)");
    return {};
  };
  proven_if("model", same(), "the model file given has this execution id");
  if (offered_model == nullptr) return;
  if (identity->file_sha256 == offered_model->file_alias)
    add("file", Standing::proven,
        fmt::format("checked locally: the file given has the SHA-256 that the offer names, {}…",
                    alias()));
  else
    add("file", Standing::claimed,
        fmt::format("the offer names a file with SHA-256 {}…, the one given has another: names or "
                    "metadata differ where execution does not look",
                    alias()));
}

void Judge::claims() {
  const auto& offer = file_.offer.message;
  const auto vram = offer.vram_mib == 0 ? std::string("no GPU memory")
                                        : fmt::format("{} MiB of GPU memory", offer.vram_mib);
  add("hardware", offer.evidence == Hash{} ? Standing::claimed : Standing::unchecked,
      fmt::format("hardware: \"{}\", {}{}", offer.hardware, vram,
                  offer.evidence == Hash{} ? "; the provider's word, no evidence"
                                           : "; the offer refers to evidence, which was not read"));
  add("region", Standing::claimed,
      fmt::format("region: \"{}\"; the provider's word", offer.region));
  add("latency", Standing::claimed,
      fmt::format("first token in {} ms, then {} ms each; the provider's word",
                  offer.first_token_ms, offer.per_token_ms));
}

void Judge::open_questions(const protocol::Opening* opening) {
  add("execution.audit", Standing::unchecked,
      opening == nullptr
          ? "that this model gave this answer: whoever has the opening can run `assay audit`"
          : "that this model gave this answer: `assay audit` re-executes it, bit for bit");
  add("ledger", Standing::unchecked,
      "that the lease was opened on the ledger and the amount paid: ask the ledger");
  const auto who = [&] {
    switch (static_cast<protocol::Disclosure>(file_.lease.message.disclosure)) {
      case protocol::Disclosure::self:
        return "nobody but buyer and provider";
      case protocol::Disclosure::referee:
        return "the referee of a dispute";
      case protocol::Disclosure::everyone:
        return "everyone";
    }
    return "an unknown party";
  };
  add("disclosure", Standing::unchecked,
      fmt::format("that only those allowed saw the prompt: the lease allows {}, which nothing "
                  "here can check",
                  who()));
  add("time", Standing::unchecked,
      fmt::format(
          "when: no signature here proves a time (a bundle with a log's cosigned checkpoint "
          "does); the request had to be answered before {}",
          utc_text(file_.request.message.expires)));
}

// What stays true of an answer that is proven in everything.
void Judge::caveats(const protocol::Opening* opening) {
  const auto& request = file_.request.message;
  add("meaning", Standing::caveat,
      "the answer need not be true or good: a receipt says who promised what for which price, not "
      "that the model is right");
  add("meaning.prompt", Standing::caveat,
      opening == nullptr ? "the prompt is not disclosed: it may have asked for exactly these words"
                         : "the prompt is the buyer's: what was asked decides what is answered");
  if (!request.logit_bias.empty())
    add("meaning.bias", Standing::caveat,
        fmt::format("the buyer changed the odds of {} tokens (logit_bias): the model alone might "
                    "have said something else",
                    request.logit_bias.size()));
  if (request.temperature_bits != 0)
    add("meaning.seed", Standing::caveat,
        fmt::format("the buyer chose the seed ({}): of many seeds, the one with the wanted answer "
                    "can be kept and the others thrown away",
                    request.seed));
  if (request.continuation != 0)
    add("meaning.continuation", Standing::caveat,
        fmt::format("the last {} prompt tokens are given as an earlier answer, which only an audit "
                    "checks",
                    request.continuation));
}

}  // namespace

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::proven:
      return "proven";
    case Standing::claimed:
      return "claimed";
    case Standing::unchecked:
      return "unchecked";
    case Standing::failed:
      return "failed";
    case Standing::caveat:
      return "caveat";
  }
  return "unknown";
}

bool VerifyReport::ok() const {
  return std::ranges::none_of(findings,
                              [](const Finding& f) { return f.standing == Standing::failed; });
}

const Finding* VerifyReport::find(std::string_view code) const {
  constexpr Standing kOrder[] = {Standing::failed, Standing::proven, Standing::claimed,
                                 Standing::unchecked, Standing::caveat};
  for (const Standing standing : kOrder)
    for (const Finding& f : findings)
      if (f.code == code && f.standing == standing) return &f;
  return nullptr;
}

bool VerifyReport::proven(std::string_view code) const {
  return std::ranges::any_of(
      findings, [&](const Finding& f) { return f.code == code && f.standing == Standing::proven; });
}

VerifyReport verify_receipt(const ReceiptFile& file, const protocol::Opening* opening,
                            const ModelIdentity* identity, SignatureMemo* memo) {
  Judge judge(file, memo);
  judge.signatures();
  judge.ties();
  judge.terms();
  judge.outcome();
  judge.secrets(opening);
  judge.model(identity);
  judge.claims();
  judge.open_questions(opening);
  judge.caveats(opening);
  return std::move(judge.report);
}

}  // namespace assay::verify
