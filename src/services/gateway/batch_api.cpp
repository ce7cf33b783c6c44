#include "services/gateway/batch_api.hpp"

#include "services/gateway/multipart.hpp"

namespace assay::services {
namespace {

constexpr std::size_t kListedMost = 100;
constexpr std::size_t kFileNameMax = 255;

// A page of a list, newest first: ?limit=, ?after=<id>.
ApiResult<json::object> page(const io::HttpRequest& request, std::vector<json::object> rows) {
  std::size_t limit = 20;
  if (const std::string_view text = request.query_value("limit"); !text.empty()) {
    const auto asked = json::parse_u64(text);
    if (!asked || *asked == 0 || *asked > kListedMost)
      return api_fail(400, "invalid_value", "limit", "'limit' must be 1 to {}", kListedMost);
    limit = *asked;
  }
  std::size_t from = 0;
  if (const std::string_view after = request.query_value("after"); !after.empty()) {
    while (from < rows.size() && rows[from].at("id") != json::value(after)) ++from;
    if (from == rows.size())
      return api_fail(404, "not_found", "after", "nothing in this list is called '{}'",
                      after.substr(0, 80));
    ++from;
  }
  json::array data;
  for (std::size_t i = from; i < rows.size() && data.size() < limit; ++i)
    data.push_back(std::move(rows[i]));
  const bool more = from + data.size() < rows.size();
  const json::value first = data.empty() ? json::value() : data.front().at("id");
  const json::value last = data.empty() ? json::value() : data.back().at("id");
  json::object out = list_object(std::move(data));
  out["has_more"] = more;
  out["first_id"] = first;
  out["last_id"] = last;
  return out;
}

ApiResult<FileRecord> upload(Buyer& buyer, const Caller& caller, const FileStore& files,
                             const io::HttpRequest& request) {
  const auto form = parse_form(request.header("content-type"), request.body);
  if (!form) return api_fail(400, "invalid_multipart_form", "", "{}", form.error().message);
  const FormPart* content = nullptr;
  std::string purpose;
  for (const FormPart& part : *form) {
    if (part.name == "file") {
      content = &part;
    } else if (part.name == "purpose") {
      purpose = part.content;
    } else {
      return api_fail(400, "unknown_parameter", part.name,
                      "'{}' is not supported: send file and purpose", part.name.substr(0, 80));
    }
  }
  if (content == nullptr || content->filename.empty())
    return api_fail(400, "missing_required_parameter", "file",
                    "'file' is missing: a part of the form with a file name");
  if (purpose != "batch")
    return api_fail(400, "unsupported_value", "purpose",
                    "'purpose' is '{}': only batch is of use here", purpose.substr(0, 80));
  if (content->content.size() > kFileBytesMax)
    return api_fail(413, "file_too_large", "file", "the file has {} bytes, at most {}",
                    content->content.size(), kFileBytesMax);
  const auto kept = files.put({.id = FileStore::new_id(),
                               .api_key = caller.spender.api_key,
                               .name = content->filename.substr(0, kFileNameMax),
                               .purpose = purpose,
                               .bytes = 0,
                               .created_s = buyer.clock.now_s()},
                              content->content);
  if (!kept) return std::unexpected(to_api_error(kept.error()));
  return *kept;
}

template <class T>
ApiResult<T> as_api(Result<T> result) {
  if (!result) return std::unexpected(to_api_error(result.error()));
  return std::move(*result);
}

}  // namespace

void add_batch_routes(io::Router& router, Buyer& buyer, Gatekeeper& gatekeeper, FileStore& files,
                      Batches& batches) {
  // Each handler makes a JSON answer for a caller, or an error.
  using Handler = std::function<ApiResult<json::object>(const Caller&, io::HttpRequest&)>;
  const auto add = [&](const char* method, const char* path, Handler handler) {
    router.add(method, path,
               [&gatekeeper, handler = std::move(handler)](io::HttpRequest& request,
                                                           io::HttpResponse& response) {
                 const auto caller = gatekeeper.admit(request);
                 if (!caller) return send_api_error(response, caller.error());
                 const auto answer = handler(*caller, request);
                 if (!answer) return send_api_error(response, answer.error());
                 response.send_json(200, *answer);
               });
  };
  const auto id = [](const io::HttpRequest& request) { return std::string(request.param("id")); };

  add("POST", "/v1/files",
      [&buyer, &files](const Caller& caller, io::HttpRequest& request) -> ApiResult<json::object> {
        TRY(const FileRecord file, upload(buyer, caller, files, request));
        return to_json(file);
      });
  add("GET", "/v1/files",
      [&files](const Caller& caller, io::HttpRequest& request) -> ApiResult<json::object> {
        TRY(const auto all, as_api(files.list(caller)));
        std::vector<json::object> rows;
        const std::string_view purpose = request.query_value("purpose");
        for (const FileRecord& file : all)
          if (purpose.empty() || purpose == file.purpose) rows.push_back(to_json(file));
        return page(request, std::move(rows));
      });
  add("GET", "/v1/files/{id}",
      [&files, id](const Caller& caller, io::HttpRequest& request) -> ApiResult<json::object> {
        TRY(const FileRecord file, as_api(files.find(caller, id(request))));
        return to_json(file);
      });
  add("DELETE", "/v1/files/{id}",
      [&files, id](const Caller& caller, io::HttpRequest& request) -> ApiResult<json::object> {
        TRY(const FileRecord file, as_api(files.find(caller, id(request))));
        if (const Status removed = files.remove(file); !removed)
          return std::unexpected(to_api_error(removed.error()));
        return json::object{{"id", file.id}, {"object", "file"}, {"deleted", true}};
      });
  router.get("/v1/files/{id}/content",
             [&files, &gatekeeper, id](io::HttpRequest& request, io::HttpResponse& response) {
               const auto caller = gatekeeper.admit(request);
               if (!caller) return send_api_error(response, caller.error());
               const auto file = files.find(*caller, id(request));
               if (!file) return send_api_error(response, to_api_error(file.error()));
               const auto content = files.content(*file);
               if (!content) return send_api_error(response, to_api_error(content.error()));
               response.send(200, "application/octet-stream", *content);
             });

  add("POST", "/v1/batches", [&batches](const Caller& caller, io::HttpRequest& request) {
    return batches.create(caller, request.body);
  });
  add("GET", "/v1/batches",
      [&batches](const Caller& caller, io::HttpRequest& request) -> ApiResult<json::object> {
        TRY(auto rows, batches.list(caller));
        return page(request, std::move(rows));
      });
  add("GET", "/v1/batches/{id}", [&batches, id](const Caller& caller, io::HttpRequest& request) {
    return batches.find(caller, id(request));
  });
  add("POST", "/v1/batches/{id}/cancel",
      [&batches, id](const Caller& caller, io::HttpRequest& request) {
        return batches.cancel(caller, id(request));
      });
}

}  // namespace assay::services
