// Many streamed chat completions at once from one thread, each timed: what a client sees of a
// server that speaks OpenAI's protocol. Prints one JSON document.
//   assay_load_client --url http://127.0.0.1:8787 --body '{"model":…,"stream":true,…}' [--streams
//   N]
//     [--requests N | --seconds S] [--ramp MS] [--bearer KEY]
// N streams run at once, their beginnings spread over --ramp; each connection is kept and used
// again.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <regex>
#include <vector>

namespace {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

double ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

struct Load {
  std::string head_and_body;
  std::vector<tcp::endpoint> to;
  std::uint64_t left = 0;
  Clock::time_point until = Clock::time_point::max();

  std::vector<double> first_ms, total_ms, gap_ms;
  std::uint64_t words = 0, open = 0, peak = 0;
  std::map<std::string, std::uint64_t> failures;

  bool take() {
    if (left == 0 || Clock::now() >= until) return false;
    --left;
    return true;
  }
};

// The place after the next `"content":"` that is not followed by an end; npos: there is none yet.
std::size_t next_word(std::string_view text, std::size_t from) {
  for (;;) {
    const std::size_t key = text.find("\"content\":", from);
    if (key == std::string_view::npos) return key;
    std::size_t at = key + 10;
    while (at < text.size() && text[at] == ' ') ++at;
    if (at + 1 >= text.size()) return std::string_view::npos;
    if (text[at] == '"' && text[at + 1] != '"') return at + 2;
    from = at;
  }
}

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  Stream(asio::io_context& io, Load& load) : socket_(io), timer_(io), load_(load) {}

  void start(std::chrono::milliseconds after) {
    timer_.expires_after(after);
    timer_.async_wait([self = shared_from_this()](error_code) { self->ask(); });
  }

 private:
  void ask() {
    if (!load_.take()) return;
    begun_ = Clock::now();
    text_.clear();
    scanned_ = words_ = 0;
    if (socket_.is_open()) return send();
    asio::async_connect(socket_, load_.to,
                        [self = shared_from_this()](error_code error, const tcp::endpoint&) {
                          if (error) return self->fail("connect: " + error.message());
                          self->socket_.set_option(tcp::no_delay(true));
                          self->send();
                        });
  }
  void send() {
    asio::async_write(socket_, asio::buffer(load_.head_and_body),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (error) return self->fail("send: " + error.message());
                        self->read();
                      });
  }
  void read() {
    socket_.async_read_some(asio::buffer(in_),
                            [self = shared_from_this()](error_code error, std::size_t n) {
                              if (error) return self->fail("cut off: " + error.message());
                              self->take_in(n);
                            });
  }
  void take_in(std::size_t n) {
    const auto now = Clock::now();
    text_.append(in_.data(), n);
    for (std::size_t at; (at = next_word(text_, scanned_)) != std::string::npos; scanned_ = at) {
      if (++words_ == 1) {
        first_ = now;
        load_.peak = std::max(load_.peak, ++load_.open);
      }
      last_ = now;
    }
    // Chunked; an error's body is short and has its length.
    if (text_.ends_with("0\r\n\r\n")) return finish(now);
    if (text_.size() > 12 && text_.compare(9, 3, "200") != 0) {
      const std::size_t body = text_.find("\r\n\r\n");
      if (body != std::string::npos && text_.size() > body + 4)
        return fail(fmt::format("{}: {}", text_.substr(9, 3), text_.substr(body + 4, 160)));
    }
    read();
  }
  void finish(Clock::time_point now) {
    if (text_.find("[DONE]") == std::string::npos || words_ == 0)
      return fail("an end without an answer: " +
                  text_.substr(text_.size() > 200 ? text_.size() - 200 : 0));
    --load_.open;
    load_.first_ms.push_back(ms(first_ - begun_));
    load_.total_ms.push_back(ms(now - begun_));
    if (words_ > 1) load_.gap_ms.push_back(ms(last_ - first_) / static_cast<double>(words_ - 1));
    load_.words += words_;
    if (text_.find("onnection: close") != std::string::npos) socket_.close();
    ask();
  }
  void fail(const std::string& why) {
    if (words_ > 0) --load_.open;
    ++load_.failures[std::regex_replace(why, std::regex("0x[0-9a-fA-F]+|[0-9a-f]{16,}"), "…")];
    words_ = 0;
    error_code ignored;
    socket_.close(ignored);
    start(std::chrono::milliseconds(100));
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  Load& load_;
  std::array<char, 16384> in_;
  std::string text_;
  std::size_t scanned_ = 0, words_ = 0;
  Clock::time_point begun_, first_, last_;
};

std::string summary(std::vector<double>& of) {
  if (of.empty()) return "null";
  std::ranges::sort(of);
  const auto at = [&](double share) {
    return of[std::min(of.size() - 1,
                       static_cast<std::size_t>(share * static_cast<double>(of.size())))];
  };
  return fmt::format(R"({{"p50":{:.3f},"p90":{:.3f},"p99":{:.3f},"max":{:.3f}}})", at(0.5), at(0.9),
                     at(0.99), of.back());
}

std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else
      out += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  return '"' + out + '"';
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Many streamed chat completions at once, each timed");
  std::string url, body, bearer;
  std::size_t streams = 8;
  std::uint64_t requests = 0;
  double seconds = 0;
  int ramp_ms = 0;
  app.add_option("--url", url)->required();
  app.add_option("--body", body)->required();
  app.add_option("--streams", streams);
  auto* count = app.add_option("--requests", requests);
  app.add_option("--seconds", seconds)->excludes(count);
  app.add_option("--ramp", ramp_ms, "milliseconds");
  app.add_option("--bearer", bearer);
  CLI11_PARSE(app, argc, argv);

  std::smatch parts;
  if (!std::regex_match(url, parts, std::regex("http://([^:/]+):([0-9]+)/?"))) {
    fmt::print(stderr, "load_client: --url http://HOST:PORT\n");
    return 2;
  }
  asio::io_context io;
  Load load;
  error_code error;
  for (const auto& found : tcp::resolver(io).resolve(parts[1].str(), parts[2].str(), error))
    load.to.push_back(found.endpoint());
  if (error || load.to.empty()) {
    fmt::print(stderr, "load_client: no such host: {}\n", url);
    return 1;
  }
  load.head_and_body = fmt::format(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: "
      "application/json\r\n{}Content-Length: {}\r\n\r\n{}",
      parts[1].str(), parts[2].str(),
      bearer.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", bearer), body.size(), body);
  load.left = seconds > 0 ? UINT64_MAX : requests > 0 ? requests : streams;
  const auto start = Clock::now();
  if (seconds > 0)
    load.until = start + std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  for (std::size_t i = 0; i < streams; ++i)
    std::make_shared<Stream>(io, load)->start(std::chrono::milliseconds(
        static_cast<std::int64_t>(i) * ramp_ms / static_cast<std::int64_t>(streams)));
  io.run();
  const double took_s = ms(Clock::now() - start) / 1000;

  std::string failures;
  std::uint64_t failed = 0;
  for (const auto& [why, times] : load.failures) {
    failures += fmt::format("{}{}:{}", failures.empty() ? "" : ",", quoted(why), times);
    failed += times;
  }
  const std::size_t answered = load.total_ms.size();
  fmt::print(
      R"({{"answered":{},"failed":{},"words":{},"took_s":{:.3f},"words_s":{:.0f},"streams_peak":{},"first_ms":{},"total_ms":{},"gap_ms":{},"failures":{{{}}}}})"
      "\n",
      answered, failed, load.words, took_s, static_cast<double>(load.words) / took_s, load.peak,
      summary(load.first_ms), summary(load.total_ms), summary(load.gap_ms), failures);
  return failed == 0 ? 0 : 1;
}
