#include "cli/option_checks.hpp"

#include <arpa/inet.h>

#include "base/hex.hpp"
#include "market/money.hpp"
#include "market/ranking.hpp"
#include "market/screen.hpp"

namespace assay::cli {

CLI::Validator money_value() {
  return parsed_by([](const std::string& text) { return market::parse_money(text); });
}
CLI::Validator rebate_value() {
  return parsed_by([](const std::string& text) { return market::parse_rebate(text); });
}
CLI::Validator sort_value() {
  return parsed_by([](const std::string& text) { return market::parse_sort(text); });
}
CLI::Validator address_value() {
  return parsed_by([](const std::string& text) { return market::Address::parse(text); });
}
CLI::Validator digest_value() {
  return parsed_by([](const std::string& text) { return array_from_hex<32>(text); });
}
CLI::Validator listen_value() {
  return parsed_by([](const std::string& text) -> Status {
    in6_addr unused{};
    if (text == "localhost" || ::inet_pton(AF_INET, text.c_str(), &unused) == 1 ||
        ::inet_pton(AF_INET6, text.c_str(), &unused) == 1)
      return {};
    return fail(Errc::invalid, "'{}' is not an IP address to listen on (for example 127.0.0.1)",
                text);
  });
}

void refuse_negative_counts(CLI::App& app) {
  for (CLI::Option* option : app.get_options())
    if (option->get_type_name().starts_with("UINT"))
      option->check(parsed_by([](const std::string& text) -> Status {
        if (!text.starts_with('-')) return {};
        return fail(Errc::invalid, "{} is less than nothing", text);
      }));
  for (CLI::App* verb : app.get_subcommands({})) refuse_negative_counts(*verb);
}

}  // namespace assay::cli
