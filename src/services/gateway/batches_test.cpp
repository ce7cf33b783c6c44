// Files and batches through the gateway's HTTP API.
#include <filesystem>
#include <thread>

#include "base/hex.hpp"
#include "services/gateway/gatekeeper.hpp"
#include "services/gateway/gateway_testutil.hpp"
#include "services/gateway/multipart.hpp"

namespace assay::services {
namespace {

struct BatchesTest : GatewayTest {
  io::HttpClient client;

  static std::string line(const std::string& id, const json::object& body) {
    return json::dump(json::object{{"custom_id", id},
                                   {"method", "POST"},
                                   {"url", "/v1/chat/completions"},
                                   {"body", body}}) +
           "\n";
  }
  io::HttpReply upload(const std::string& content, const std::string& purpose = "batch") {
    const std::string body =
        "--xyz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" + purpose +
        "\r\n--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n"
        "Content-Type: application/jsonl\r\n\r\n" +
        content + "\r\n--xyz--\r\n";
    return *client.post_json(gateway->url() + "/v1/files", body,
                             {{"Content-Type", "multipart/form-data; boundary=xyz"}});
  }
  json::object create(const std::string& content) {
    const json::object file = parse_object(upload(content).body);
    return parse_object(post({{"input_file_id", file.at("id")},
                              {"endpoint", "/v1/chat/completions"},
                              {"completion_window", "24h"}},
                             "/v1/batches")
                            .body);
  }
  json::object await(const json::object& batch, const std::string& status) {
    json::object last;
    EXPECT_TRUE(soon([&] {
      last = get("/v1/batches/" + text_at(batch, "id"));
      return text_at(last, "status") == status;
    })) << json::dump(last);
    return last;
  }
  // The lines of a file by custom_id.
  std::map<std::string, json::object> rows(const json::value& id) {
    std::map<std::string, json::object> out;
    std::string text =
        client.get(gateway->url() + "/v1/files/" + std::string(id.as_string()) + "/content")->body;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      json::object row = parse_object(text.substr(at, end - at));
      const std::string name = text_at(row, "custom_id");
      out[name] = std::move(row);
      at = end + 1;
    }
    return out;
  }
  json::object seeded(int seed) {
    json::object body = chat_body();
    body["temperature"] = 1;
    body["seed"] = seed;
    return body;
  }
};

TEST_F(BatchesTest, EveryLineIsAnsweredAsIfItHadBeenAskedAlone) {
  ScriptedProvider& provider = add_provider({});
  start();
  std::string content;
  for (int i = 0; i < 6; ++i) content += line(fmt::format("line-{}", i), seeded(i));
  json::object wrong = chat_body();
  wrong["model"] = "nope";
  content += line("wrong", wrong);
  const json::object batch = create(content);
  EXPECT_EQ(batch.at("object"), "batch");
  EXPECT_EQ(batch.at("status"), "validating");
  const json::object done = await(batch, "completed");
  EXPECT_EQ(done.at("request_counts"),
            (json::value{{"total", 7}, {"completed", 6}, {"failed", 1}}));
  EXPECT_EQ(provider.calls(), 6);
  const auto output = rows(done.at("output_file_id"));
  ASSERT_EQ(output.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    const json::object& row = output.at(fmt::format("line-{}", i));
    EXPECT_EQ(row.at("response").at("status_code"), 200);
    EXPECT_EQ(text_of(row.at("response").at("body").as_object()),
              text_of(parse_object(post(seeded(i)).body)));
    EXPECT_TRUE(row.at("response").at("body").at("assay").at("receipt").is_string());
  }
  const auto errors = rows(done.at("error_file_id"));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors.at("wrong").at("response").at("status_code"), 404);
  // Nothing of its work is left but what it made.
  EXPECT_TRUE(soon([&] {
    return !std::filesystem::exists(options.data_directory + "/batches/" + text_at(batch, "id"));
  }));
}

TEST_F(BatchesTest, ItGoesOnAfterARestartAndPaysForEachLineOnce) {
  add_provider({});
  start();
  std::string content;
  constexpr int kLines = 24;
  for (int i = 0; i < kLines; ++i) content += line(fmt::format("line-{}", i), seeded(i));
  const json::object batch = create(content);
  int restarts = 0;
  json::object last;
  // Again and again, in whatever state it happens to be.
  ASSERT_TRUE(soon([&] {
    last = get("/v1/batches/" + text_at(batch, "id"));
    if (text_at(last, "status") == "completed") return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    start();
    ++restarts;
    return false;
  })) << json::dump(last);
  EXPECT_GT(restarts, 0);
  EXPECT_EQ(last.at("request_counts").at("completed"), kLines);
  const auto output = rows(last.at("output_file_id"));
  ASSERT_EQ(output.size(), std::size_t{kLines});
  for (int i : {0, 11, kLines - 1})
    EXPECT_EQ(text_of(output.at(fmt::format("line-{}", i)).at("response").at("body").as_object()),
              text_of(parse_object(post(seeded(i)).body)));
  EXPECT_TRUE(ledger->totals()->conserved());
}

TEST_F(BatchesTest, LinesWaitForAProvider) {
  start();
  const json::object batch = create(line("only", chat_body()));
  await(batch, "in_progress");
  add_provider({});
  EXPECT_EQ(await(batch, "completed").at("request_counts").at("completed"), 1);
}

TEST_F(BatchesTest, ACancelledBatchKeepsWhatItHas) {
  start();  // nobody answers
  const json::object batch = create(line("only", chat_body()));
  await(batch, "in_progress");
  const std::string path = "/v1/batches/" + text_at(batch, "id");
  EXPECT_EQ(parse_object(post({}, path + "/cancel").body).at("status"), "cancelling");
  EXPECT_EQ(await(batch, "cancelled").at("request_counts").at("total"), 1);
  EXPECT_EQ(error_code(post({}, path + "/cancel")), "invalid_batch_status");
}

TEST_F(BatchesTest, AWindowThatPassedLeavesTheRestUnanswered) {
  start();
  const json::object batch = create(line("only", chat_body()));
  await(batch, "in_progress");
  clock.ms += 86'400'000;
  const json::object done = await(batch, "expired");
  EXPECT_EQ(rows(done.at("error_file_id")).at("only").at("error").at("code"), "batch_expired");
}

TEST_F(BatchesTest, AFileThatIsNotABatchIsRefusedLineByLine) {
  start();
  json::object streamed = chat_body();
  streamed["stream"] = true;
  const json::object batch =
      create(line("a", chat_body()) + "not json\n" + line("a", chat_body()) + line("b", streamed) +
             R"({"custom_id":"c","method":"GET","url":"/v1/chat/completions","body":{}})" + "\n");
  const json::object failed = await(batch, "failed");
  const json::array& errors = failed.at("errors").at("data").as_array();
  ASSERT_EQ(errors.size(), 4u) << json::dump(failed);
  EXPECT_EQ(errors[0].at("line"), 2);
  EXPECT_EQ(errors[0].at("code"), "invalid_json_line");
  EXPECT_EQ(errors[1].at("code"), "duplicate_custom_id");
  EXPECT_EQ(errors[2].at("line"), 4);
  EXPECT_EQ(errors[3].at("code"), "invalid_method");
}

// A line counts like a request sent alone: it waits for its key's minute, and is not refused.
TEST_F(BatchesTest, LinesWaitForTheirKeysLimits) {
  ScriptedProvider& provider = add_provider({});
  start();
  const std::string secret = new_api_key();
  const auto store = *Store::open_beside(options.data_directory);
  const ApiKey key{.id = new_api_key_id(), .name = "ci", .requests_per_min = 2};
  ASSERT_TRUE(store->add_api_key(key, api_key_hash(secret)));
  const io::HttpClient::Headers as_ci = {{"Authorization", "Bearer " + secret}};
  const auto ask = [&](const std::string& path, const json::object& body) {
    return *client.post_json(gateway->url() + path, json::dump(body), as_ci);
  };
  const auto batch_of = [&](int lines) {
    std::string content;
    for (int i = 0; i < lines; ++i) content += line(fmt::format("line-{}", i), seeded(i));
    const std::string body =
        "--xyz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xyz\r\n"
        "Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n" +
        content + "\r\n--xyz--\r\n";
    auto headers = as_ci;
    headers.emplace_back("Content-Type", "multipart/form-data; boundary=xyz");
    const auto file = *client.post_json(gateway->url() + "/v1/files", body, headers);
    return text_at(
        parse_object(ask("/v1/batches", {{"input_file_id", parse_object(file.body).at("id")},
                                         {"endpoint", "/v1/chat/completions"},
                                         {"completion_window", "24h"}})
                         .body),
        "id");
  };
  const std::string batch = batch_of(4);
  EXPECT_TRUE(soon([&] { return provider.calls() == 2; }));
  // The third waits half a minute; who asks meanwhile is told so.
  const io::HttpReply limited = ask("/v1/chat/completions", chat_body());
  EXPECT_EQ(limited.status, 429) << limited.body;
  EXPECT_EQ(error_code(limited), "rate_limit_exceeded");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(provider.calls(), 2);
  ask("/v1/batches/" + batch + "/cancel", {});
  EXPECT_TRUE(soon([&] { return (**store->batch(batch)).status == "cancelled"; }));
}

TEST_F(BatchesTest, FilesAreListedReadAndDeleted) {
  start();
  const std::string content = "binary \r\n--xy\r\n--x stays\n";
  const json::object file = parse_object(upload(content).body);
  EXPECT_EQ(file.at("object"), "file");
  EXPECT_EQ(file.at("filename"), "in.jsonl");
  EXPECT_EQ(file.at("bytes"), content.size());
  const std::string path = "/v1/files/" + text_at(file, "id");
  EXPECT_EQ(client.get(gateway->url() + path + "/content")->body, content);
  EXPECT_EQ(get(path), file);
  upload("another");
  EXPECT_EQ(get("/v1/files").at("data").as_array().size(), 2u);
  const json::object first = get("/v1/files?limit=1");
  EXPECT_EQ(first.at("has_more"), true);
  EXPECT_EQ(get("/v1/files?limit=1&after=" + text_at(first, "last_id")).at("data").at(0), file);
  EXPECT_EQ(error_code(upload("x", "fine-tune")), "unsupported_value");
  EXPECT_EQ(get("/v1/files/file-nope").at("error").at("code"), "not_found");
  EXPECT_EQ(error_code(post({{"input_file_id", "file-nope"},
                             {"endpoint", "/v1/chat/completions"},
                             {"completion_window", "24h"}},
                            "/v1/batches")),
            "not_found");
  EXPECT_EQ(error_code(post({{"input_file_id", file.at("id")},
                             {"endpoint", "/v1/embeddings"},
                             {"completion_window", "24h"}},
                            "/v1/batches")),
            "unsupported_value");
}

TEST(Multipart, PartsAreReadAndDamageIsNamed) {
  const std::string type = "multipart/form-data; boundary=\"a b\"";
  const auto form = parse_form(
      type,
      "preamble\r\n--a b\r\ncontent-disposition: form-data; name=x\r\n\r\n1\r\n--a b\r\n"
      "Content-Type: text/plain\r\nContent-Disposition: form-data; filename=\"q\\\"uote.txt\"; "
      "name=\"y\"\r\n\r\n\r\n2\r\n\r\n--a b--\r\nepilogue");
  ASSERT_TRUE(form) << form.error().message;
  ASSERT_EQ(form->size(), 2u);
  EXPECT_EQ((*form)[0].name, "x");
  EXPECT_EQ((*form)[0].content, "1");
  EXPECT_EQ((*form)[1].name, "y");
  EXPECT_EQ((*form)[1].filename, "q\"uote.txt");
  EXPECT_EQ((*form)[1].content, "\r\n2\r\n");
  EXPECT_TRUE(parse_form(type, "--a b--\r\n"));
  for (const char* bad :
       {"", "--a b", "--a b\r\n", "--a b\r\nContent-Disposition: form-data; name=x\r\n\r\n1",
        "--a b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--a b--",
        "--a b\r\nno head\r\n--a b--", "--a bX\r\n"})
    EXPECT_FALSE(parse_form(type, bad)) << bad;
  EXPECT_FALSE(parse_form("application/json", "{}"));
  EXPECT_FALSE(parse_form("multipart/form-data", "--\r\n"));
  EXPECT_FALSE(parse_form("multipart/form-data; boundary=" + std::string(71, 'x'), ""));
}

}  // namespace
}  // namespace assay::services
