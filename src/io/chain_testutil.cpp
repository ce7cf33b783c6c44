#include "io/chain_testutil.hpp"

#include "crypto/keccak.hpp"

namespace assay::io {

FakeNode::FakeNode() {
  answer("eth_chainId", "0x7a69");
  auto server = HttpServer::start({}, [this](HttpRequest& request, HttpResponse& response) {
    const auto parsed = json::parse(request.body);
    const json::object& call = parsed->as_object();
    const std::string method(call.at("method").as_string());
    Handler handler;
    {
      const std::scoped_lock lock(mutex_);
      ++calls_[method];
      if (const auto found = handlers_.find(method); found != handlers_.end())
        handler = found->second;
    }
    FakeReply reply{.error = {{-32601, "method not found"}}};
    if (handler) reply = handler(call.at("params").as_array());
    for (const auto& [name, value] : reply.headers) response.set_header(name, value);
    if (reply.raw) {
      response.send(reply.status, "application/json", *reply.raw);
      return;
    }
    json::object out{{"jsonrpc", "2.0"}, {"id", call.at("id")}};
    if (reply.error) {
      out["error"] = {{"code", reply.error->first}, {"message", reply.error->second}};
      if (!reply.data.is_null()) out["error"].as_object()["data"] = reply.data;
    } else {
      out["result"] = reply.result;
    }
    response.send(reply.status, "application/json", json::dump(out));
  });
  EXPECT_TRUE(server) << server.error().message;
  server_ = std::move(*server);
}

void FakeNode::on(const std::string& method, Handler handler) {
  const std::scoped_lock lock(mutex_);
  handlers_[method] = std::move(handler);
}

int FakeNode::calls(const std::string& method) {
  const std::scoped_lock lock(mutex_);
  return calls_[method];
}

FakeChain::FakeChain(FakeNode& node) {
  const auto hash_of = [this](std::uint64_t number) {
    return to_hex(
        crypto::keccak256(crypto::Uint256(number * 1000 + (number >= fork_at ? fork : 0)).bytes));
  };
  node.on("eth_getBlockByNumber", [=, this](const json::array& params) {
    const std::scoped_lock lock(mutex);
    const std::string tag(params[0].as_string());
    const std::uint64_t number = tag == "latest" ? head : *crypto::parse_quantity_u64(tag);
    if (number > head) return FakeReply{};
    return FakeReply{.result = {{"number", crypto::to_quantity(number)},
                                {"hash", hash_of(number)},
                                {"parentHash", hash_of(number - 1)},
                                {"timestamp", "0x1"},
                                {"gasLimit", "0x1c9c380"},
                                {"baseFeePerGas", "0x3b9aca00"}}};
  });
  node.answer("eth_feeHistory", {{"baseFeePerGas", {"0x3b9aca00", "0x3b9aca00"}},
                                 {"reward", json::array(1, json::array(1, "0x3b9aca00"))}});
  node.answer("eth_maxPriorityFeePerGas", "0x3b9aca00");
  node.answer("eth_estimateGas", "0x5208");
  node.on("eth_getTransactionCount", [this](const json::array&) {
    const std::scoped_lock lock(mutex);
    return FakeReply{.result = json::value(crypto::to_quantity(count))};
  });
  node.on("eth_sendRawTransaction", [this](const json::array& params) {
    const std::scoped_lock lock(mutex);
    sent.push_back(*from_hex(std::string_view(params[0].as_string())));
    if (send_error) return FakeReply{.error = send_error};
    return FakeReply{.result = json::value(to_hex(crypto::keccak256(sent.back())))};
  });
  node.on("eth_getTransactionReceipt", [=, this](const json::array& params) {
    const std::scoped_lock lock(mutex);
    const Hash hash = *array_from_hex<32>(std::string_view(params[0].as_string()));
    const auto found = mined.find(hash);
    if (found == mined.end()) return FakeReply{};
    return FakeReply{.result = {{"transactionHash", to_hex(hash)},
                                {"blockHash", hash_of(found->second.first)},
                                {"blockNumber", crypto::to_quantity(found->second.first)},
                                {"gasUsed", "0x5000"},
                                {"status", found->second.second ? "0x1" : "0x0"},
                                {"contractAddress", nullptr},
                                {"logs", json::array()}}};
  });
}

void FakeChain::mine(const Hash& transaction, bool success) {
  const std::scoped_lock lock(mutex);
  mined[transaction] = {++head, success};
  ++count;
}

}  // namespace assay::io
