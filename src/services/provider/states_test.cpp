// POST /v1/states and /v1/tensors, and a sampled audit over them.
#include <gmock/gmock.h>

#include "base/hex.hpp"
#include "io/line_splitter.hpp"
#include "protocol/tokens.hpp"
#include "services/provider/provider_testutil.hpp"
#include "verify/layers_identity.hpp"
#include "verify/sampled.hpp"
#include "verify/trace.hpp"

namespace assay::services {
namespace {

using testing::HasSubstr;

struct Answered {
  int status = 0;
  std::string error;
  std::vector<protocol::PositionStates> positions;
  bool ended = false;
};

Answered ask(const std::string& url, const json::object& call) {
  Answered out;
  io::LineSplitter lines(16u << 20);
  io::HttpClient client;
  const auto on_line = [&](std::string_view line) -> Status {
    if (line.empty()) return {};
    TRY(auto event, protocol::states_event_from_line(line));
    if (auto* p = std::get_if<protocol::PositionStates>(&event))
      out.positions.push_back(std::move(*p));
    if (const auto* e = std::get_if<protocol::ErrorEvent>(&event)) out.error = e->message;
    if (std::holds_alternative<protocol::StatesEnd>(event)) out.ended = true;
    return {};
  };
  const auto reply =
      client.post_stream(url + "/v1/states", json::dump(call),
                         [&](std::string_view data) { return !!lines.feed(data, on_line); });
  if (!reply) return out;
  out.status = reply->status;
  if (reply->status != 200) out.error = reply->body;
  return out;
}

struct Asked {
  World world;
  std::unique_ptr<ProviderService> service = *world.start();
  protocol::InferenceCall call;
  Reply reply;

  explicit Asked(std::uint32_t max_tokens = 40) {
    call = world.call(world.open_lease(), 1, max_tokens);
    reply = World::infer(service->url(), call);
  }
  protocol::StatesCall states(std::uint32_t first, std::uint32_t count) const {
    return {.request = world.id(call),
            .salt_secret = call.salt_secret,
            .first = first,
            .count = count,
            .states = {1, 4},
            .roots = {0, 2, 4},
            .rows = {3, 4}};
  }
  Answered ask(const protocol::StatesCall& what) const {
    return services::ask(service->url(), protocol::to_json(what));
  }
};

TEST(States, AreWhatTheReceiptCommitsTo) {
  const Asked asked;
  const auto all = asked.ask(asked.states(0, 46));
  ASSERT_EQ(all.status, 200) << all.error;
  EXPECT_TRUE(all.ended) << all.error;
  ASSERT_EQ(all.positions.size(), 46u);
  std::vector<Hash> roots;
  for (std::uint32_t t = 0; t < 46; ++t) {
    const auto& p = all.positions[t];
    const bool head = t >= 6;
    EXPECT_EQ(p.position, t);
    EXPECT_EQ(p.leaves.size(), head ? 5u : 4u);
    EXPECT_EQ(p.states[0].size(), 64u * 4);
    EXPECT_EQ(p.states[1].size(), head ? 64u * 4 : 0u);
    EXPECT_EQ(p.roots[2].has_value(), head);
    EXPECT_EQ(p.rows[0].first.size(), 32u * 2);
    EXPECT_EQ(p.rows[1].first.size(), head ? engine::kToyVocab * 4 : 0u);
    if (head) {
      EXPECT_EQ(p.roots[2]->token, asked.reply.tokens[t - 6]);
    }
    roots.push_back(verify::position_root(p.leaves));
  }
  EXPECT_EQ(verify::trace_root(roots, 4), asked.reply.receipt->message.trace_root);
}

// Whatever part is asked for, in whatever order, and whatever of it the cache has.
TEST(States, APartIsThatPartOfAll) {
  const Asked asked(200);
  const auto all = asked.ask(asked.states(0, 206));
  ASSERT_TRUE(all.ended) << all.error;
  for (const auto& [first, count] :
       {std::pair{0u, 3u}, {0u, 6u}, {6u, 1u}, {5u, 3u}, {100u, 64u}, {205u, 1u}, {130u, 76u}}) {
    const auto part = asked.ask(asked.states(first, count));
    ASSERT_TRUE(part.ended) << part.error;
    ASSERT_EQ(part.positions.size(), count);
    for (std::uint32_t i = 0; i < count; ++i)
      EXPECT_EQ(protocol::states_line(part.positions[i]),
                protocol::states_line(all.positions[first + i]));
  }
}

TEST(States, BadCallsAreRefused) {
  const Asked asked;
  const auto with = [&](auto change) {
    auto call = asked.states(0, 46);
    change(call);
    return asked.ask(call);
  };
  EXPECT_EQ(with([](auto& c) { c.salt_secret[0] ^= 1; }).status, 403);
  EXPECT_EQ(with([](auto& c) { c.request[0] ^= 1; }).status, 404);
  for (const auto& reply :
       {with([](auto& c) { c.count = 0; }), with([](auto& c) { c.first = 1; }),
        with([](auto& c) { c.first = 46; }), with([](auto& c) { c.count = UINT32_MAX; }),
        with([](auto& c) { c.first = UINT32_MAX, c.count = 2; }),
        with([](auto& c) { c.states = {5}; }), with([](auto& c) { c.rows = {2, 1}; }),
        with([](auto& c) { c.roots = {2, 2}; }), with([](auto& c) { c.roots = {UINT32_MAX}; })})
    EXPECT_EQ(reply.status, 400) << reply.error;
  EXPECT_EQ(ask(asked.service->url(), {{"request", 1}}).status, 400);
}

// The source a sampled audit takes them from.
struct Served : verify::StateSource {
  explicit Served(std::string at) : url(std::move(at)) {}
  Status states(const protocol::StatesCall& call, const Take& take) override {
    Answered answered = ask(url, protocol::to_json(call));
    if (!answered.ended) return fail(Errc::unavailable, "{}", answered.error);
    for (auto& p : answered.positions) CHECK_OK(take(std::move(p)));
    return {};
  }
  std::string url;
};

TEST(States, ASampledAuditOverThemMatches) {
  const Asked asked;
  io::HttpClient client;
  const auto& request = asked.call.request.message;
  const auto body = json::object{{"execution", to_hex(request.execution)}};
  const auto reply = client.post_json(asked.service->url() + "/v1/tensors", json::dump(body));
  ASSERT_TRUE(reply);
  const auto tensors = protocol::tensors_reply_from_json(json::parse(reply->body)->get_object());
  ASSERT_TRUE(tensors) << tensors.error().message;
  ThreadPool pool(1);
  EXPECT_EQ(tensors->leaves, verify::tensor_leaves(*asked.world.toy.model, pool));
  const auto unknown = client.post_json(asked.service->url() + "/v1/tensors",
                                        json::dump(json::object{{"execution", to_hex(Hash{})}}));
  EXPECT_EQ(unknown->status, 404);

  protocol::Opening opening;
  opening.request = asked.world.id(asked.call);
  opening.salt_secret = asked.call.salt_secret;
  opening.prompt = asked.call.prompt;
  opening.answer = asked.reply.tokens;
  opening.stop_ids = asked.call.stop_ids;
  Served source(asked.service->url());
  for (std::uint32_t layer = 0; layer < 4; ++layer) {
    verify::SampledOptions options;
    options.layers = {layer};
    options.tensor_leaves = tensors->leaves;
    const auto report =
        verify::sampled_audit(request, asked.reply.receipt->message, opening,
                              *asked.world.toy.model, source, pool, options, asked.world.clock);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->verdict, verify::SampledVerdict::match) << report->reason;
  }
}

}  // namespace
}  // namespace assay::services
