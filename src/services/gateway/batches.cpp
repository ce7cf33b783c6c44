#include "services/gateway/batches.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/request_id.hpp"

namespace assay::services {
namespace {

constexpr std::size_t kLinesMax = 50'000;  // OpenAI's limit
constexpr std::int64_t kWindowS = 86'400;
constexpr std::int64_t kBatchTickMs = 200;
constexpr std::int64_t kRetryFirstMs = 500, kRetryMostMs = 60'000;
constexpr std::size_t kErrorsMax = 100;

// What one line came to.
struct LineSink : ReplySink {
  explicit LineSink(std::function<bool()> abandoned) : abandoned_(std::move(abandoned)) {}
  void header(std::string_view, std::string_view) override {}
  void whole(int code, const json::object& answer) override {
    status = code;
    body = answer;
  }
  bool event(std::string_view) override { return false; }
  void end_stream() override {}
  bool started() const override { return status != 0; }
  bool gone() override { return abandoned_(); }

  int status = 0;
  json::object body;

 private:
  std::function<bool()> abandoned_;
};

// Whether asking again later can help: nobody is to be had, or somebody failed.
bool passes(const LineSink& reply) {
  if (reply.status < 500 && reply.status != 429) return false;
  const auto* error = reply.body.if_contains("error");
  const auto code = error != nullptr && error->is_object()
                        ? json::get_string(error->get_object(), "code").value_or("")
                        : std::string();
  return code != "insufficient_quota";
}

std::optional<ApiRequest::Kind> kind_of(std::string_view endpoint) {
  if (endpoint == "/v1/chat/completions") return ApiRequest::Kind::chat;
  if (endpoint == "/v1/completions") return ApiRequest::Kind::text;
  return std::nullopt;
}

json::object line_error(std::string code, std::string message, std::size_t line) {
  return {{"code", std::move(code)},
          {"message", std::move(message)},
          {"line", line},
          {"param", nullptr}};
}

// The same name for the same batch, so that a finish that was cut off is done over.
std::string output_id(const BatchRecord& batch, std::string_view what) {
  const Hash hash = crypto::sha256(view(fmt::format("{} {}", batch.id, what)));
  return "file-" + to_hex_bare(hash).substr(0, 24);
}

std::string text_of(const json::object& document, std::string_view key) {
  return json::get_string(document, key).value_or("");
}

}  // namespace

Batches::Batches(Buyer& buyer, Completions& completions, Gatekeeper& gatekeeper, FileStore& files,
                 unsigned parallel)
    : buyer_(buyer),
      completions_(completions),
      gatekeeper_(gatekeeper),
      files_(files),
      parallel_(parallel) {}

Batches::~Batches() { stop(); }

void Batches::start() {
  thread_.start([this] {
    round();
    return kBatchTickMs;
  });
}

void Batches::stop() {
  stopping_ = true;
  thread_.stop();
}

std::string Batches::folder(const BatchRecord& batch) const {
  return fmt::format("{}/batches/{}", buyer_.options.data_directory, batch.id);
}

std::string Batches::line_path(const BatchRecord& batch, std::size_t number) const {
  return fmt::format("{}/{}.json", folder(batch), number);
}

ApiResult<json::object> Batches::create(const Caller& caller, std::string_view body) {
  const auto parsed = json::parse(body);
  if (!parsed)
    return api_fail(400, "invalid_json", "", "the body cannot be read: {}", parsed.error().message);
  TRY(const Fields fields, Fields::of(*parsed, "body"));
  CHECK_OK(fields.only({"input_file_id", "endpoint", "completion_window", "metadata"}));
  TRY(const std::string input, fields.text("input_file_id"));
  TRY(const std::string endpoint, fields.text("endpoint"));
  TRY(const std::string window, fields.text("completion_window"));
  if (!kind_of(endpoint))
    return api_fail(400, "unsupported_value", "endpoint",
                    "'endpoint' is '{}': batches are of /v1/chat/completions or /v1/completions",
                    endpoint);
  if (window != "24h")
    return api_fail(400, "invalid_value", "completion_window", "'completion_window' must be 24h");
  const auto file = files_.find(caller, input);
  if (!file) return api_fail(404, "not_found", "input_file_id", "{}", file.error().message);
  if (file->purpose != "batch")
    return api_fail(400, "invalid_value", "input_file_id", "{} is of purpose '{}', not batch",
                    input, file->purpose);
  const json::value* metadata = fields.find("metadata");
  if (metadata != nullptr && !metadata->is_object()) return fields.bad("metadata", "an object");

  BatchRecord batch{.id = "batch_" + to_hex_bare(io::random_hash()).substr(0, 24),
                    .api_key = caller.spender.api_key,
                    .status = "validating",
                    .created_s = buyer_.clock.now_s(),
                    .expires_s = buyer_.clock.now_s() + kWindowS,
                    .document = {}};
  batch.document = {{"endpoint", endpoint},
                    {"input_file_id", input},
                    {"completion_window", window},
                    {"metadata", metadata != nullptr ? *metadata : json::value()}};
  if (const Status added = buyer_.store->add_batch(batch); !added)
    return std::unexpected(to_api_error(added.error()));
  return shown(batch);
}

// OpenAI's batch object; what has not happened is left out, as its description has it.
json::object Batches::shown(const BatchRecord& batch) const {
  json::object out{{"id", batch.id}, {"object", "batch"}, {"status", batch.status}};
  out["created_at"] = batch.created_s;
  out["expires_at"] = batch.expires_s;
  out["request_counts"] = {{"total", 0}, {"completed", 0}, {"failed", 0}};
  for (const auto& [key, value] : batch.document) out[key] = value;
  if (batch.status != "in_progress" && batch.status != "cancelling") return out;
  // Of a batch at work, what its lines on disk say.
  std::int64_t completed = 0, failed = 0;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(folder(batch), error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".bad")) ++failed;
    if (name.ends_with(".json")) ++completed;
  }
  json::object& counts = out["request_counts"].as_object();
  counts["completed"] = completed - failed;
  counts["failed"] = failed;
  return out;
}

ApiResult<BatchRecord> Batches::owned(const Caller& caller, const std::string& id) {
  auto found = buyer_.store->batch(id);
  if (!found) return std::unexpected(to_api_error(found.error()));
  if (!*found || (*found)->api_key != caller.spender.api_key)
    return api_fail(404, "not_found", "", "no such batch: '{}'", id.substr(0, 80));
  return std::move(**found);
}

ApiResult<json::object> Batches::find(const Caller& caller, const std::string& id) {
  TRY(const BatchRecord batch, owned(caller, id));
  return shown(batch);
}

ApiResult<json::object> Batches::cancel(const Caller& caller, const std::string& id) {
  for (int i = 0; i < 5; ++i) {
    TRY(BatchRecord batch, owned(caller, id));
    if (batch.status == "cancelling") return shown(batch);
    if (batch.status != "validating" && batch.status != "in_progress")
      return api_fail(409, "invalid_batch_status", "", "the batch is {}: nothing is left to cancel",
                      batch.status);
    const std::string from = std::exchange(batch.status, "cancelling");
    batch.document["cancelling_at"] = buyer_.clock.now_s();
    const Status done = buyer_.store->update_batch(batch, from);
    if (done) return shown(batch);
    if (done.error().code != Errc::conflict) return std::unexpected(to_api_error(done.error()));
  }
  return api_fail(503, "unavailable", "", "the batch changes while it is cancelled: ask again");
}

ApiResult<std::vector<json::object>> Batches::list(const Caller& caller) {
  const auto batches = buyer_.store->batches_of(caller.spender.api_key);
  if (!batches) return std::unexpected(to_api_error(batches.error()));
  std::vector<json::object> out;
  for (const BatchRecord& batch : *batches) out.push_back(shown(batch));
  return out;
}

void Batches::round() {
  const auto open = buyer_.store->open_batches();
  if (!open) return io::log_error("gateway database: {}", open.error().message);
  for (const BatchRecord& batch : *open) {
    if (stopping_) return;
    if (const Status done = run(batch); !done)
      io::log_warn("batch {}: {}", batch.id, done.error().message);
  }
}

Batches::Lines Batches::read_lines(const BatchRecord& batch, std::string_view text) const {
  Lines out;
  std::set<std::string> ids;
  const std::string endpoint = text_of(batch.document, "endpoint");
  const auto read = [&](std::string_view line) -> ApiResult<Line> {
    const auto parsed = json::parse(line);
    if (!parsed) return api_fail(400, "invalid_json_line", "", "{}", parsed.error().message);
    TRY(const Fields fields, Fields::of(*parsed, "line"));
    CHECK_OK(fields.only({"custom_id", "method", "url", "body"}));
    Line made;
    TRY(made.custom_id, fields.text("custom_id"));
    TRY(const std::string method, fields.text("method"));
    TRY(const std::string url, fields.text("url"));
    const json::value* body = fields.find("body");
    if (method != "POST" || url != endpoint)
      return api_fail(400, "invalid_method", "", "the line must be POST {}", endpoint);
    if (body == nullptr || !body->is_object())
      return api_fail(400, "invalid_request", "", "'body' must be an object");
    if (const auto* stream = body->get_object().if_contains("stream");
        stream != nullptr && *stream != json::value(false) && !stream->is_null())
      return api_fail(400, "invalid_request", "", "a line of a batch cannot be streamed");
    if (!ids.insert(made.custom_id).second)
      return api_fail(400, "duplicate_custom_id", "", "custom_id '{}' is used twice",
                      made.custom_id.substr(0, 80));
    made.body = body->get_object();
    return made;
  };
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number;
    if (line.empty()) continue;
    auto made = read(line);
    if (made) out.good.push_back(std::move(*made));
    if (!made && out.errors.size() < kErrorsMax)
      out.errors.push_back(line_error(made.error().code, made.error().message, number));
    if (out.good.size() > kLinesMax) break;
  }
  if (out.good.size() > kLinesMax)
    out.errors.push_back(
        line_error("too_many_lines", fmt::format("more than {} lines", kLinesMax), number));
  if (out.good.empty() && out.errors.empty())
    out.errors.push_back(line_error("empty_file", "the file has no lines", 0));
  return out;
}

bool Batches::ended(const BatchRecord& batch) {
  if (stopping_ || buyer_.clock.now_s() >= batch.expires_s) return true;
  const auto now = buyer_.store->batch(batch.id);
  return now && *now && (*now)->status == "cancelling";
}

bool Batches::wait(const BatchRecord& batch, std::int64_t ms) {
  for (std::int64_t waited = 0; waited < ms; waited += kBatchTickMs) {
    if (ended(batch)) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(kBatchTickMs));
  }
  return true;
}

Status Batches::run(BatchRecord batch) {
  const auto file = buyer_.store->file(text_of(batch.document, "input_file_id"));
  const auto text = file && *file
                        ? files_.content(**file)
                        : Result<std::string>(fail(Errc::not_found, "the input file is gone"));
  Lines lines;
  if (text) lines = read_lines(batch, *text);
  if (!text) lines.errors.push_back(line_error("file_unreadable", text.error().message, 0));
  if (!lines.errors.empty()) {
    const std::string from = std::exchange(batch.status, "failed");
    batch.document["failed_at"] = buyer_.clock.now_s();
    batch.document["errors"] = {{"object", "list"}, {"data", lines.errors}};
    return buyer_.store->update_batch(batch, from);
  }
  CHECK_OK(io::make_directories(folder(batch), 0700));
  if (batch.status == "validating") {
    batch.status = "in_progress";
    batch.document["in_progress_at"] = buyer_.clock.now_s();
    batch.document["request_counts"] = {
        {"total", lines.good.size()}, {"completed", 0}, {"failed", 0}};
    CHECK_OK(buyer_.store->update_batch(batch, "validating"));
  }
  const auto worked = work(batch, lines.good);
  if (stopping_) return {};
  if (!worked && worked.error().status >= 500)
    return fail(Errc::unavailable, "{}", worked.error().message);
  TRY(const auto now, buyer_.store->batch(batch.id));
  if (!now) return fail(Errc::not_found, "it is gone");
  return finish(*now, lines.good,
                worked ? ApiError{.code = "batch_expired",
                                  .message = "not answered within the completion window"}
                       : worked.error());
}

ApiResult<void> Batches::work(const BatchRecord& batch, const std::vector<Line>& lines) {
  Caller caller{.spender = {.api_key = batch.api_key}, .may_wait = true};
  if (!batch.api_key.empty()) {
    const auto keys = buyer_.store->api_keys();
    if (!keys) return std::unexpected(to_api_error(keys.error()));
    const auto key = std::ranges::find(*keys, batch.api_key, &ApiKey::id);
    if (key == keys->end() || key->revoked_s)
      return api_fail(401, "invalid_api_key", "", "the batch's API key was revoked");
    caller.key = *key;
    caller.spender.budget = key->budget;
    caller.spender.since_s = period_start(key->period, buyer_.clock.now_s());
  }
  std::atomic<std::size_t> next = 0;
  const auto some = [&] {
    const io::RequestScope scope(batch.id);
    for (std::size_t i = next++; i < lines.size() && !ended(batch); i = next++)
      if (!io::path_exists(line_path(batch, i))) answer_line(batch, caller, lines[i], i);
  };
  std::vector<std::jthread> threads;
  for (unsigned t = 1; t < std::min<std::size_t>(parallel_, lines.size()); ++t)
    threads.emplace_back(some);
  some();
  return {};
}

void Batches::answer_line(const BatchRecord& batch, const Caller& caller, const Line& line,
                          std::size_t number) {
  const auto kind = kind_of(text_of(batch.document, "endpoint"));
  const std::string body = json::dump(line.body);
  while (const std::int64_t room_ms = gatekeeper_.take_or_wait_ms(caller))
    if (!wait(batch, room_ms)) return;
  for (std::int64_t wait_ms = kRetryFirstMs;; wait_ms = std::min(2 * wait_ms, kRetryMostMs)) {
    LineSink reply([this] { return stopping_.load(); });
    (void)completions_.once(*kind, body, caller, fmt::format("batch {}/{}", batch.id, number),
                            reply);
    if (reply.status != 0 && !stopping_ && !passes(reply)) {
      const bool good = reply.status == 200;
      const json::object row{{"id", fmt::format("batch_req_{}_{}", batch.id.substr(6), number)},
                             {"custom_id", line.custom_id},
                             {"response", json::object{{"status_code", reply.status},
                                                       {"request_id", io::current_request_id()},
                                                       {"body", std::move(reply.body)}}},
                             {"error", nullptr}};
      // The mark first: a line without it is a good one.
      Status kept =
          good ? Status{} : io::write_file_atomic(line_path(batch, number) + ".bad", {}, 0600);
      if (kept) kept = io::write_file_atomic(line_path(batch, number), view(json::dump(row)), 0600);
      if (!kept) io::log_error("a line of a batch cannot be kept: {}", kept.error().message);
      return;
    }
    if (!wait(batch, wait_ms)) return;
  }
}

Status Batches::finish(BatchRecord batch, const std::vector<Line>& lines,
                       const ApiError& left_over) {
  std::string output, errors;
  std::size_t completed = 0, failed = 0;
  const bool cancelled = batch.status == "cancelling";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string path = line_path(batch, i);
    if (io::path_exists(path)) {
      TRY(const std::string row, io::read_file(path, kFileBytesMax));
      const bool good = !io::path_exists(path + ".bad");
      (good ? output : errors) += row + "\n";
      ++(good ? completed : failed);
    } else if (!cancelled) {
      errors += json::dump(json::object{
                    {"id", fmt::format("batch_req_{}_{}", batch.id.substr(6), i)},
                    {"custom_id", lines[i].custom_id},
                    {"response", nullptr},
                    {"error", {{"code", left_over.code}, {"message", left_over.message}}}}) +
                "\n";
      ++failed;
    }
  }
  const std::int64_t now = buyer_.clock.now_s();
  const bool expired =
      !cancelled && completed + failed == lines.size() && failed > 0 && now >= batch.expires_s;
  const auto keep = [&](const char* what, const std::string& text) -> Status {
    if (text.empty()) return {};
    const FileRecord file{.id = output_id(batch, what),
                          .api_key = batch.api_key,
                          .name = fmt::format("{}_{}.jsonl", batch.id, what),
                          .purpose = "batch_output",
                          .bytes = 0,
                          .created_s = now};
    CHECK_OK(files_.put(file, text));
    batch.document[fmt::format("{}_file_id", what)] = file.id;
    return {};
  };
  CHECK_OK(keep("output", output));
  CHECK_OK(keep("error", errors));
  const std::string from = batch.status;
  batch.status = cancelled ? "cancelled" : expired ? "expired" : "completed";
  batch.document["finalizing_at"] = now;
  batch.document[batch.status + "_at"] = now;
  batch.document["request_counts"] = {
      {"total", lines.size()}, {"completed", completed}, {"failed", failed}};
  CHECK_OK(buyer_.store->update_batch(batch, from));
  // A crash before the next line leaves files that nobody reads.
  std::error_code error;
  std::filesystem::remove_all(folder(batch), error);
  return {};
}

}  // namespace assay::services
