#include "cli/verify_batch.hpp"

#include <algorithm>
#include <filesystem>

#include "base/thread_pool.hpp"
#include "cli/receipt_input.hpp"
#include "io/system_clock.hpp"

namespace assay::cli {
namespace {

namespace fs = std::filesystem;

Result<std::vector<std::string>> files_of(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const auto& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      out.push_back(path);
      continue;
    }
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
      if (it->is_regular_file(error)) out.push_back(it->path().string());
    if (error) return fail(Errc::io, "cannot read folder {}: {}", path, error.message());
  }
  std::ranges::sort(out);
  return out;
}

// Why a file does not pass; empty when it does.
std::string problem_of(const std::string& path, const std::vector<std::string>& require,
                       const verify::Given& given, verify::SignatureMemo& memo) {
  const auto evidence = read_evidence(path);
  if (!evidence) return evidence.error().message;
  const auto report = verify::verify_evidence(*evidence, given, &memo);
  for (const auto& finding : report.findings)
    if (finding.standing == verify::Standing::failed)
      return fmt::format("{}: {}: {}", path, finding.code, finding.text);
  const auto missing = not_proven(report, require);
  return missing.empty() ? "" : fmt::format("{}: not proven: {}", path, fmt::join(missing, ", "));
}

}  // namespace

std::vector<std::string> not_proven(const verify::VerifyReport& report,
                                    const std::vector<std::string>& require) {
  std::vector<std::string> out;
  for (const auto& asked : require) {
    const auto* question = std::ranges::find(verify::kQuestions, asked, &verify::Question::word);
    if (!report.proven(question == std::end(verify::kQuestions) ? asked : question->code))
      out.push_back(asked);
  }
  return out;
}

Result<int> verify_batch(const Context& context, const std::vector<std::string>& paths,
                         const std::vector<std::string>& require, const verify::Given& given,
                         unsigned threads) {
  TRY(const std::vector<std::string> files, files_of(paths));
  if (files.empty())
    return fail(Errc::not_found, "no files to verify in {}", fmt::join(paths, ", "));
  std::vector<std::string> problems(files.size());
  const std::int64_t start = io::steady_ms();
  ThreadPool pool(threads);
  pool.parallel_for(files.size(), 256, [&](std::size_t begin, std::size_t end) {
    verify::SignatureMemo memo;
    for (std::size_t i = begin; i < end; ++i)
      problems[i] = problem_of(files[i], require, given, memo);
  });
  const double seconds = static_cast<double>(io::steady_ms() - start) / 1000.0;
  std::erase(problems, "");
  const std::size_t good = files.size() - problems.size();
  if (context.json()) {
    context.print(json::object{{"ok", problems.empty()},
                               {"checked", files.size()},
                               {"good", good},
                               {"seconds", seconds},
                               {"problems", json::array(problems.begin(), problems.end())}});
  } else {
    for (const auto& problem : problems) fmt::print("{} {}\n", red("✗"), problem);
    fmt::print("{} of {} hold ({:.2f} s)\n", good, files.size(), seconds);
  }
  return problems.empty() ? kOk : kFailed;
}

}  // namespace assay::cli
