#include "io/download.hpp"

#include <cstdio>
#include <fcntl.h>
#include <filesystem>

#include "base/json.hpp"
#include "crypto/sha256.hpp"
#include "io/files.hpp"
#include "io/http_client.hpp"
#include "io/unique_fd.hpp"

namespace assay::io {
namespace {

constexpr int kRedirectsMax = 5;
constexpr std::size_t kPieceBytes = 1u << 20;

std::string note_path(const std::string& target) { return target + ".partial.json"; }

// What a partial file is a part of: it is continued only from the same source in the same version.
struct Version {
  std::string source, tag;
  bool operator==(const Version&) const = default;
};

Version read_note(const std::string& target) {
  Version out;
  const auto text = read_file(note_path(target));
  const auto parsed = text ? json::parse(*text) : Result<json::value>(fail(Errc::not_found, ""));
  if (!parsed || !parsed->is_object()) return out;
  out.source = json::get_string(parsed->get_object(), "source").value_or("");
  out.tag = json::get_string(parsed->get_object(), "tag").value_or("");
  return out;
}

Status write_note(const std::string& target, const Version& version) {
  return write_file_atomic(
      note_path(target),
      view(json::dump(json::object{{"source", version.source}, {"tag", version.tag}})));
}

std::uint64_t size_of(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

class Partial {
 public:
  // from the beginning, or where the file ends.
  static Result<Partial> open(const std::string& target, bool again) {
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (again ? O_TRUNC : O_APPEND);
    Partial out(partial_path(target), UniqueFd(::open(partial_path(target).c_str(), flags, 0644)));
    if (!out.fd_.valid()) return std::unexpected(errno_error(errno, "write", out.path_));
    return out;
  }
  Status write(std::string_view data) {
    while (!data.empty()) {
      const ssize_t n = ::write(fd_.get(), data.data(), data.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return std::unexpected(errno_error(errno, "write", path_));
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
  }
  Status sync() {
    if (::fsync(fd_.get()) != 0) return std::unexpected(errno_error(errno, "sync", path_));
    return {};
  }

 private:
  Partial(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  UniqueFd fd_;
};

Result<Fetched> copy(const Download& d) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(d.source, error))
    return fail(Errc::not_found, "no such file: {}", d.source);
  const std::uint64_t total = size_of(d.source);
  const auto modified = std::filesystem::last_write_time(d.source, error);
  const Version version{
      d.source, fmt::format("{} {}", total, error ? 0 : modified.time_since_epoch().count())};
  const bool again = read_note(d.target) != version || size_of(partial_path(d.target)) > total;
  if (again) {
    // First nothing is there, then the note says what will be.
    discard_download(d.target);
    CHECK_OK(write_note(d.target, version));
  }
  TRY(Partial partial, Partial::open(d.target, again));
  Fetched out{.bytes = size_of(partial_path(d.target)), .resumed_at = 0};
  out.resumed_at = out.bytes;
  const UniqueFd source(::open(d.source.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.valid()) return std::unexpected(errno_error(errno, "read", d.source));
  std::string piece(kPieceBytes, '\0');
  while (out.bytes < total) {
    if (d.cancelled && d.cancelled()) return fail(Errc::cancelled, "stopped");
    const ssize_t n =
        ::pread(source.get(), piece.data(), piece.size(), static_cast<off_t>(out.bytes));
    if (n < 0) return std::unexpected(errno_error(errno, "read", d.source));
    if (n == 0) return fail(Errc::mismatch, "{} became shorter while it was copied", d.source);
    CHECK_OK(partial.write({piece.data(), static_cast<std::size_t>(n)}));
    out.bytes += static_cast<std::uint64_t>(n);
    if (d.progress) d.progress(out.bytes, total);
  }
  CHECK_OK(partial.sync());
  return out;
}

std::string field(const HttpReply& reply, std::string_view name) {
  const auto it = reply.headers.find(name);
  return it == reply.headers.end() ? std::string() : it->second;
}

// What tells one version of the file from another; weak tags do not.
std::string tag_of(const HttpReply& reply) {
  const std::string tag = field(reply, "etag");
  return tag.starts_with("W/") ? std::string() : tag;
}

// "bytes 100-199/200" → 200; 0: not said.
std::uint64_t total_of(const HttpReply& reply, std::uint64_t have) {
  const std::string range = field(reply, "content-range");
  const auto whole = json::parse_u64(range.substr(std::min(range.rfind('/') + 1, range.size())));
  if (reply.status == 206) return whole.value_or(0);
  const auto length = json::parse_u64(field(reply, "content-length"));
  return length ? have + *length : 0;
}

Result<std::string> redirected(const std::string& from, const HttpReply& reply) {
  const std::string to = field(reply, "location");
  if (to.starts_with("https://") || (to.starts_with("http://") && from.starts_with("http://")))
    return to;
  if (to.starts_with('/') && !to.starts_with("//"))
    return from.substr(0, from.find('/', from.find("://") + 3)) + to;
  return fail(Errc::refused, "{} redirects to '{}', which is not followed", from, to);
}

Result<Fetched> fetch(const Download& d) {
  HttpClientOptions options;
  options.ours = false;
  options.total_timeout_ms = 0;
  options.max_body_bytes = std::size_t{1} << 42;
  options.peer_word = "mirror";
  HttpClient client(options);
  std::string url = d.source;
  for (int hop = 0; hop <= kRedirectsMax; ++hop) {
    const Version known = read_note(d.target);
    const std::uint64_t have = size_of(partial_path(d.target));
    const bool resume = have > 0 && known.source == d.source && !known.tag.empty();
    HttpClient::Headers headers;
    if (resume) {
      headers.emplace_back("Range", fmt::format("bytes={}-", have));
      headers.emplace_back("If-Range", known.tag);
    }
    std::optional<Partial> partial;
    Fetched out;
    std::uint64_t total = 0;
    Status wrote{};
    const auto on_head = [&](const HttpReply& head) {
      wrote = [&]() -> Status {
        const bool goes_on = resume && head.status == 206;
        if (!goes_on) {
          discard_download(d.target);
          CHECK_OK(write_note(d.target, {d.source, tag_of(head)}));
        }
        out.bytes = out.resumed_at = goes_on ? have : 0;
        total = total_of(head, out.bytes);
        TRY(partial, Partial::open(d.target, !goes_on));
        return {};
      }();
      return wrote.has_value();
    };
    const auto on_data = [&](std::string_view data) {
      wrote = partial->write(data);
      out.bytes += data.size();
      if (d.progress) d.progress(out.bytes, total);
      return wrote.has_value();
    };
    const auto reply = client.get_stream(url, on_head, on_data, headers, d.cancelled);
    if (!wrote) return std::unexpected(wrote.error());
    if (!reply) return std::unexpected(reply.error());
    if (reply->status >= 300 && reply->status < 400 && reply->status != 304) {
      TRY(url, redirected(url, *reply));
      continue;
    }
    // Everything was there: only its name was missing.
    if (reply->status == 416 && resume &&
        field(*reply, "content-range") == fmt::format("bytes */{}", have))
      return Fetched{.bytes = have, .resumed_at = have};
    if (reply->status != 200 && reply->status != 206)
      return std::unexpected(refusal("mirror", *reply));
    if (!partial) return fail(Errc::invalid, "{} is empty", d.source);
    if (total != 0 && out.bytes != total)
      return fail(Errc::unavailable, "the mirror sent {} of {} bytes", out.bytes, total);
    CHECK_OK(partial->sync());
    return out;
  }
  return fail(Errc::refused, "{} redirects more than {} times", d.source, kRedirectsMax);
}

}  // namespace

std::string partial_path(const std::string& target) { return target + ".partial"; }

Result<Fetched> download(const Download& d) {
  if (d.source.starts_with("http://") || d.source.starts_with("https://")) return fetch(d);
  if (const std::size_t end = d.source.find("://"); end != std::string::npos)
    return fail(Errc::unsupported, "{} is not fetched: give an http or https URL, or a path",
                d.source.substr(0, end + 3));
  return copy(d);
}

Status finish_download(const std::string& target) {
  if (std::rename(partial_path(target).c_str(), target.c_str()) != 0)
    return std::unexpected(errno_error(errno, "name", target));
  std::remove(note_path(target).c_str());
  return {};
}

void discard_download(const std::string& target) {
  std::remove(partial_path(target).c_str());
  std::remove(note_path(target).c_str());
}

Result<Hash> hash_file(const std::string& path,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  TRY(const MappedFile file, MappedFile::open(path));
  const ByteView bytes = file.bytes();
  crypto::Sha256 hash;
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    hash.update(bytes.subspan(at, std::min(kPieceBytes, bytes.size() - at)));
    if (progress) progress(std::min(at + kPieceBytes, bytes.size()), bytes.size());
  }
  return hash.finish();
}

}  // namespace assay::io
