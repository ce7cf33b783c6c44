#include "protocol/bundle.hpp"

#include "base/hex.hpp"
#include "protocol/json_fields.hpp"

namespace assay::protocol {

// Found by the visitors through their arguments, which are all of this namespace or cast to it.
static json::value encode(TokenList list) {
  return list == TokenList::prompt ? "prompt" : "answer";
}
static Status decode(const json::value& v, TokenList& out) {
  if (v == json::value("prompt")) {
    out = TokenList::prompt;
  } else if (v == json::value("answer")) {
    out = TokenList::tape;
  } else {
    return fail(Errc::invalid, "must be \"prompt\" or \"answer\"");
  }
  return {};
}

namespace {

constexpr std::string_view kTag = "bundle/0";
constexpr std::size_t kChunk = 256;

// Texts that strangers wrote, larger than a signed message's.
constexpr std::size_t kProofBytesMax = 1u << 20;

struct Writer {
  json::object& out;
  void operator()(std::string_view name, const std::string& s) { out.emplace(name, s); }
  void operator()(std::string_view name, const json::object& o) { out.emplace(name, o); }
  void operator()(std::string_view name, const std::vector<std::string>& list) {
    out.emplace(name, json::array(list.begin(), list.end()));
  }
  template <class T>
  void operator()(std::string_view name, const T& field) {
    out.emplace(name, encode(field));
  }
};

struct Reader {
  const json::object& in;
  Status status{};
  std::size_t taken = 0;

  template <class T>
  void operator()(std::string_view name, T& field) {
    if (!status) return;
    const json::value* v = in.if_contains(name);
    if (v == nullptr) {
      status = fail(Errc::invalid, "{} is missing", name);
      return;
    }
    ++taken;
    if (Status ok = read(*v, field); !ok) status = fail_in(name, ok.error());
  }
  Status finish() const {
    if (status && taken != in.size()) return fail(Errc::invalid, "unknown members");
    return status;
  }

 private:
  static Status read(const json::value& v, std::string& out) {
    if (!v.is_string() || v.get_string().size() > kProofBytesMax)
      return fail(Errc::invalid, "must be text of at most {} bytes", kProofBytesMax);
    out = std::string(v.get_string());
    return {};
  }
  static Status read(const json::value& v, json::object& out) {
    if (!v.is_object()) return fail(Errc::invalid, "must be an object");
    out = v.get_object();
    return {};
  }
  static Status read(const json::value& v, std::vector<std::string>& out) {
    if (!v.is_array() || v.get_array().size() > kBundleWitnessesMax)
      return fail(Errc::invalid, "must be an array of at most {} texts", kBundleWitnessesMax);
    for (const json::value& element : v.get_array()) CHECK_OK(read(element, out.emplace_back()));
    return {};
  }
  template <class T>
  static Status read(const json::value& v, T& out) {
    return decode(v, out);
  }
};

template <class T>
json::value section(const T& value) {
  json::object out;
  T::fields(value, Writer{out});
  return out;
}

template <class T>
Result<T> section_from(const json::value& v, std::string_view what) {
  TRY(const json::object* o, json::as_object(v, what));
  T out{};
  Reader read{*o};
  T::fields(out, read);
  if (Status ok = read.finish(); !ok) return fail_in(what, ok.error());
  return out;
}

template <class T>
json::array sections(const std::vector<T>& list) {
  json::array out;
  for (const T& element : list) out.push_back(section(element));
  return out;
}

template <class T>
Status sections_from(const json::object& o, std::string_view name, std::size_t most,
                     std::vector<T>& out) {
  TRY(const json::array* list, json::get_array(o, name));
  if (list->size() > most)
    return fail(Errc::invalid, "{}: {} where at most {} are read", name, list->size(), most);
  for (const json::value& v : *list) {
    TRY(T element, section_from<T>(v, name));
    out.push_back(std::move(element));
  }
  return {};
}

template <class T>
Status optional_from(const json::object& o, std::string_view name, std::optional<T>& out) {
  TRY(const json::value* v, json::get(o, name));
  if (v->is_null()) return {};
  TRY(out, section_from<T>(*v, name));
  return {};
}

std::uint32_t size_of(const ReceiptFile& file, TokenList list) {
  return list == TokenList::prompt ? file.request.message.prompt_count : file.receipt.message.count;
}

}  // namespace

std::string to_text(const Bundle& b) {
  const json::object out{
      {"assay", kTag},
      {"receipt", to_json(b.receipt)},
      {"opening", b.opening ? json::value(to_json(*b.opening)) : json::value(nullptr)},
      {"chunks", sections(b.chunks)},
      {"log", b.log ? section(*b.log) : json::value(nullptr)},
      {"anchor", b.anchor ? section(*b.anchor) : json::value(nullptr)},
      {"aliases", sections(b.aliases)}};
  return json::dump_pretty(out) + "\n";
}

Result<Bundle> bundle_from_json(const json::object& o) {
  if (const json::value* tag = o.if_contains("assay"); tag == nullptr || *tag != json::value(kTag))
    return fail(Errc::invalid, "not a bundle: expected a JSON object with \"assay\": \"{}\"", kTag);
  if (o.size() != 7) return fail(Errc::invalid, "bundle: expected exactly seven members");
  Bundle out;
  TRY(const json::object* receipt, json::get_object(o, "receipt"));
  TRY(out.receipt, receipt_file_from_json(*receipt));
  TRY(const json::value* opening, json::get(o, "opening"));
  if (!opening->is_null()) {
    TRY(const json::object* secrets, json::as_object(*opening, "opening"));
    TRY(out.opening, opening_from_json(*secrets));
  }
  CHECK_OK(sections_from(o, "chunks", kBundleChunksMax, out.chunks));
  CHECK_OK(optional_from(o, "log", out.log));
  CHECK_OK(optional_from(o, "anchor", out.anchor));
  CHECK_OK(sections_from(o, "aliases", kBundleAliasesMax, out.aliases));
  return out;
}

Result<Anchor> anchor_from_json(const json::value& v) { return section_from<Anchor>(v, "anchor"); }

std::vector<OpenedChunk> open_chunks(const Opening& opening, TokenList list) {
  const auto& tokens = list == TokenList::prompt ? opening.prompt : opening.answer;
  std::vector<OpenedChunk> out;
  for (std::uint32_t chunk = 0; chunk * kChunk < tokens.size(); ++chunk) {
    TokenChunk opened = open_tokens(opening.salt_secret, list, tokens, chunk);
    out.push_back({list, chunk, std::move(opened.leaf), std::move(opened.path)});
  }
  return out;
}

Result<std::vector<std::uint32_t>> check_chunk(const ReceiptFile& file, const OpenedChunk& c) {
  const std::uint64_t tokens = size_of(file, c.list), before = c.chunk * kChunk;
  const Hash& root = c.list == TokenList::prompt ? file.request.message.prompt_root
                                                 : file.receipt.message.tape_root;
  const std::string_view what = c.list == TokenList::prompt ? "prompt" : "answer";
  if (before >= tokens ||
      c.leaf.size() != sizeof(Hash) + 4 * std::min<std::uint64_t>(kChunk, tokens - before) ||
      !crypto::verify_inclusion(root, crypto::leaf_hash(c.leaf), c.chunk,
                                (tokens + kChunk - 1) / kChunk, c.path))
    return fail(Errc::mismatch, "chunk {} is not one of the {} that was signed", c.chunk, what);
  std::vector<std::uint32_t> out;
  for (std::size_t at = sizeof(Hash); at < c.leaf.size(); at += 4)
    out.push_back(load_le<std::uint32_t>(c.leaf.data() + at));
  return out;
}

}  // namespace assay::protocol
