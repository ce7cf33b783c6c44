// Values of options are looked at while the command line is parsed: a wrong one is wrong usage.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace assay::cli {

// `parse` makes a Result of a text; its error is what the user reads.
template <class Parse>
CLI::Validator parsed_by(Parse parse) {
  return {[parse](std::string& text) {
            const auto value = parse(text);
            return value ? std::string() : value.error().message;
          },
          std::string()};
}

CLI::Validator money_value();
CLI::Validator rebate_value();   // percent
CLI::Validator sort_value();     // --sort of offers
CLI::Validator address_value();  // of an account
CLI::Validator digest_value();   // 32 bytes in hex
CLI::Validator listen_value();   // an IP address of this machine, or localhost

// Of every verb under `app`: where a count is asked for, "-1" is none.
void refuse_negative_counts(CLI::App& app);

}  // namespace assay::cli
