#include "io/http_client.hpp"

#include <algorithm>
#include <curl/curl.h>
#include <mutex>

#include "base/assert.hpp"
#include "base/base64.hpp"
#include "base/loopback.hpp"
#include "io/pinned_url.hpp"
#include "io/request_id.hpp"
#include "io/system_clock.hpp"
#include "io/wire.hpp"

namespace assay::io {
namespace {

constexpr std::size_t kIdleHandlesMax = 32;
constexpr std::size_t kReplyHeaderBytesMax = 64u << 10;
constexpr std::int64_t kPollMs = 200;  // how late a cancellation may be noticed

// A multi handle with its one easy handle: the pair owns a connection cache, and driving it
// ourselves gives timeouts in ms and cancellation between bytes.
struct Handle {
  CURLM* multi = curl_multi_init();
  CURL* easy = curl_easy_init();
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    if (multi != nullptr) curl_multi_cleanup(multi);
  }
};

struct HeaderList {
  curl_slist* list = nullptr;
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list); }
  bool add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list, line.c_str());
    if (longer != nullptr) list = longer;
    return longer != nullptr;
  }
};

// One request on its way, as curl's callbacks see it.
struct Transfer {
  HttpReply reply;
  const HttpClient::OnData* on_data = nullptr;
  const HttpClient::OnHead* on_head = nullptr;  // until it was called
  std::size_t max_body_bytes = 0, body_bytes = 0, header_bytes = 0;
  std::int64_t last_byte_ms = 0;
  bool stopped = false;  // on_data said so
  bool too_large = false;
  long os_error = 0;
  bool began = false;  // a byte of the reply has arrived
};

std::string_view trim_field(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' '))
    text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  Transfer& t = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  t.last_byte_ms = steady_ms();
  t.began = true;
  t.header_bytes += line.size();
  if (t.header_bytes > kReplyHeaderBytesMax) {
    t.too_large = true;
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    // A new head: an interim reply (100) came before it.
    const std::size_t space = line.find(' ');
    t.reply.status = space == std::string_view::npos ? 0 : std::atoi(line.substr(space + 1).data());
    t.reply.headers.clear();
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    const std::string_view value = trim_field(line.substr(colon + 1));
    auto [it, fresh] = t.reply.headers.try_emplace(std::string(line.substr(0, colon)), value);
    if (!fresh) it->second.append(", ").append(value);
  }
  return line.size();
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  Transfer& t = *static_cast<Transfer*>(user);
  const std::string_view bytes(data, size * count);
  t.last_byte_ms = steady_ms();
  t.body_bytes += bytes.size();
  if (t.body_bytes > t.max_body_bytes) {
    t.too_large = true;
    return 0;
  }
  const bool streamed = t.on_data != nullptr && t.reply.status >= 200 && t.reply.status < 300;
  const bool wanted = !streamed || t.on_head == nullptr || (*t.on_head)(t.reply);
  t.on_head = nullptr;
  if (!streamed) {
    t.reply.body += bytes;
  } else if (!wanted) {
    t.stopped = true;
    return 0;
  } else if (!(*t.on_data)(bytes)) {
    t.stopped = true;
    return 0;
  }
  return bytes.size();
}

struct UrlParts {
  std::string origin;  // "http://host:port", for messages: a path may carry ids
  bool loopback = false, tls = false;
};

Result<UrlParts> inspect(const std::string& url) {
  struct Url {
    CURLU* handle = curl_url();
    ~Url() { curl_url_cleanup(handle); }
  } parsed;
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(parsed.handle, which, &text, 0) != CURLUE_OK) return std::string();
    std::string out = text;
    curl_free(text);
    return out;
  };
  if (curl_url_set(parsed.handle, CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return fail(Errc::invalid, "not a URL: '{}' (for example http://127.0.0.1:8080)", url);
  const std::string scheme = part(CURLUPART_SCHEME), host = part(CURLUPART_HOST);
  if (scheme != "http" && scheme != "https")
    return fail(Errc::invalid, "only http and https URLs are supported: '{}'", url);
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty())
    return fail(Errc::invalid, "a URL must not carry a user name or password");
  const std::string port = part(CURLUPART_PORT);
  UrlParts out{fmt::format("{}://{}{}{}", scheme, host, port.empty() ? "" : ":", port)};
  out.loopback = is_loopback_host(host);
  out.tls = scheme == "https";
  return out;
}

}  // namespace

struct HttpClient::Impl {
  HttpClientOptions options;
  std::mutex mutex;
  std::vector<std::unique_ptr<Handle>> idle;

  std::unique_ptr<Handle> take() {
    const std::scoped_lock lock(mutex);
    if (idle.empty()) return std::make_unique<Handle>();
    auto handle = std::move(idle.back());
    idle.pop_back();
    return handle;
  }
  void give_back(std::unique_ptr<Handle> handle) {
    curl_easy_reset(handle->easy);  // forgets options, keeps connections
    const std::scoped_lock lock(mutex);
    if (idle.size() < kIdleHandlesMax) idle.push_back(std::move(handle));
  }

  std::unexpected<Error> explain(CURLcode code, const char* detail, const std::string& origin,
                                 const Transfer& t) const {
    const std::string who = fmt::format("{} at {}", options.peer_word, origin);
    switch (code) {
      case CURLE_COULDNT_CONNECT:
        return fail(Errc::unavailable, "{} is unreachable: {}", who,
                    t.os_error == ECONNREFUSED ? "connection refused"
                    : t.os_error != 0
                        ? std::generic_category().message(static_cast<int>(t.os_error))
                        : detail);
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
        return fail(Errc::unavailable, "{} is unreachable: no such host name", who);
      case CURLE_OPERATION_TIMEDOUT:
        return fail(Errc::unavailable, "{} timed out{}", who, t.began ? " in mid-reply" : "");
      case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return fail(Errc::unavailable,
                    "{} shows another TLS key than it is known by: somebody stands between, or it "
                    "has changed its key",
                    who);
      case CURLE_SSL_CONNECT_ERROR:
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CERTPROBLEM:
      case CURLE_SSL_CIPHER:
        return fail(Errc::unavailable, "TLS with {} failed: {}", who,
                    *detail != 0 ? detail : curl_easy_strerror(code));
      case CURLE_SSL_CACERT_BADFILE:
        return fail(Errc::invalid, "cannot read the authorities' file {}", options.ca_file);
      case CURLE_PARTIAL_FILE:
      case CURLE_RECV_ERROR:
      case CURLE_SEND_ERROR:
      case CURLE_GOT_NOTHING:
        return fail(Errc::unavailable, "{} closed the connection {}", who,
                    t.began ? "in mid-reply" : "without a reply");
      default:
        return fail(Errc::unavailable, "{} failed: {}", who,
                    *detail != 0 ? detail : curl_easy_strerror(code));
    }
  }

  // Runs the transfer to its end; the code is curl's, with our own timeouts and cancellation.
  Result<CURLcode> drive(Handle& handle, Transfer& t, const Cancelled& cancelled,
                         const std::string& origin) {
    for (;;) {
      int running = 0;
      if (const CURLMcode m = curl_multi_perform(handle.multi, &running); m != CURLM_OK)
        return fail(Errc::internal, "curl: {}", curl_multi_strerror(m));
      int left = 0;
      if (const CURLMsg* message = curl_multi_info_read(handle.multi, &left); message != nullptr)
        return message->data.result;
      if (cancelled && cancelled()) return fail(Errc::cancelled, "request to {} cancelled", origin);
      const std::int64_t quiet_ms = steady_ms() - t.last_byte_ms;
      if (options.idle_timeout_ms > 0 && quiet_ms >= options.idle_timeout_ms)
        return CURLE_OPERATION_TIMEDOUT;
      std::int64_t wait_ms = cancelled ? kPollMs : 1000;
      if (options.idle_timeout_ms > 0)
        wait_ms = std::min(wait_ms, options.idle_timeout_ms - quiet_ms);
      curl_multi_poll(handle.multi, nullptr, 0, static_cast<int>(wait_ms), nullptr);
    }
  }

  Result<HttpReply> request(const std::string& address, const std::string_view* body,
                            const Headers& headers, const OnData* on_data,
                            const Cancelled& cancelled, const OnHead* on_head = nullptr) {
    TRY(const auto where, parse_pinned(address));
    TRY(const UrlParts target, inspect(where.url));
    if (options.tls_beyond_loopback && !target.tls && !target.loopback)
      return fail(
          Errc::refused,
          "{} at {} offers no TLS, and what is sent there is nobody else's business: an https "
          "address, with '#tls=…' where no authority vouches for it, is needed",
          options.peer_word, target.origin);
    auto handle = take();
    if (handle->easy == nullptr || handle->multi == nullptr)
      return fail(Errc::unavailable, "no memory for a request to {}", target.origin);
    CURL* const easy = handle->easy;
    HeaderList list;
    bool listed = list.add("Expect:");  // no "100 Continue" round trip
    const bool typed = std::ranges::any_of(
        headers, [](const auto& header) { return header.first == "Content-Type"; });
    if (body != nullptr && !typed) listed &= list.add("Content-Type: application/json");
    for (const auto& [name, value] : headers) {
      const std::string line = fmt::format("{}: {}", name, value);
      if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
        return fail(Errc::invalid, "a header of the request has a line break");
      listed &= list.add(line);
    }
    if (options.ours) {
      listed &= list.add(fmt::format("{}: {}", kWireHeader, to_string(kWire)));
      if (const std::string& id = current_request_id(); !id.empty())
        listed &= list.add(fmt::format("{}: {}", kRequestIdHeader, id));
    }
    if (!listed) return fail(Errc::unavailable, "no memory for a request to {}", target.origin);

    Transfer t;
    t.on_data = on_data;
    t.on_head = on_head;
    t.max_body_bytes = options.max_body_bytes;
    t.last_byte_ms = steady_ms();
    char detail[CURL_ERROR_SIZE] = {};
    curl_easy_setopt(easy, CURLOPT_URL, where.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options.connect_timeout_ms));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout_ms));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list.list);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t);
    if (target.loopback) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (!options.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    if (where.tls_key) {
      // The key is what was signed for; names and dates of a certificate add nothing.
      const std::string pin = "sha256//" + to_base64(*where.tls_key);
      curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, pin.c_str());
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (body != nullptr) {
      curl_easy_setopt(easy, CURLOPT_POST, 1L);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    }
    curl_multi_add_handle(handle->multi, easy);
    const Result<CURLcode> ended = drive(*handle, t, cancelled, target.origin);
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &t.os_error);
    curl_multi_remove_handle(handle->multi, easy);
    give_back(std::move(handle));

    if (t.too_large)
      return fail(Errc::invalid, "the reply of {} at {} exceeds {} bytes", options.peer_word,
                  target.origin, options.max_body_bytes);
    if (t.stopped) return fail(Errc::cancelled, "request to {} cancelled", target.origin);
    if (!ended) return std::unexpected(ended.error());
    if (*ended != CURLE_OK) return explain(*ended, detail, target.origin, t);
    if (const auto version = t.reply.headers.find(kWireHeader);
        options.ours && version != t.reply.headers.end() && !agree(version->second))
      return fail(Errc::unsupported,
                  "the {} at {} speaks wire version {}, this assay {}: upgrade the older one",
                  options.peer_word, target.origin, version->second, to_string(kWire));
    return std::move(t.reply);
  }
};

HttpClient::HttpClient(HttpClientOptions options) : impl_(std::make_unique<Impl>()) {
  // Reference counted and thread-safe in every libcurl we support.
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  ASSAY_ASSERT(ready == CURLE_OK);
  impl_->options = std::move(options);
}

HttpClient::~HttpClient() = default;

Result<HttpReply> HttpClient::get(const std::string& url, const Headers& headers) {
  return impl_->request(url, nullptr, headers, nullptr, {});
}

Result<HttpReply> HttpClient::post_json(const std::string& url, std::string_view body,
                                        const Headers& headers) {
  return impl_->request(url, &body, headers, nullptr, {});
}

Result<HttpReply> HttpClient::post_text(const std::string& url, std::string_view body) {
  return impl_->request(url, &body, {{"Content-Type", "text/plain; charset=utf-8"}}, nullptr, {});
}

Result<HttpReply> HttpClient::post_stream(const std::string& url, std::string_view body,
                                          const OnData& on_data, const Headers& headers,
                                          const Cancelled& cancelled) {
  return impl_->request(url, &body, headers, on_data ? &on_data : nullptr, cancelled);
}

Result<HttpReply> HttpClient::get_stream(const std::string& url, const OnHead& on_head,
                                         const OnData& on_data, const Headers& headers,
                                         const Cancelled& cancelled) {
  return impl_->request(url, nullptr, headers, &on_data, cancelled, &on_head);
}

Error refusal(std::string_view peer_word, const HttpReply& reply) {
  const Errc code = reply.status == 404                          ? Errc::not_found
                    : reply.status == 409                        ? Errc::conflict
                    : reply.status >= 500 || reply.status == 429 ? Errc::unavailable
                                                                 : Errc::refused;
  std::string words;
  if (auto body = json::parse(reply.body, 64u << 10); body && body->is_object())
    if (const auto* error = body->get_object().if_contains("error"); error && error->is_object())
      if (auto message = json::get_string(error->get_object(), "message")) words = *message;
  if (words.empty()) words = "no reason given";
  if (words.size() > 300) words.resize(300);
  for (char& c : words)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return {code, fmt::format("the {} answered {}: {}", peer_word, reply.status, words)};
}

}  // namespace assay::io
