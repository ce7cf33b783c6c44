#include "io/line_splitter.hpp"

namespace assay::io {

Status LineSplitter::feed(std::string_view data, const OnLine& on_line) {
  while (!data.empty()) {
    const std::size_t end = data.find('\n');
    const std::string_view piece = data.substr(0, end);
    if (rest_.size() + piece.size() > max_)
      return fail(Errc::invalid, "a line of the stream exceeds {} bytes", max_);
    if (end == std::string_view::npos) {
      rest_ += piece;
      return {};
    }
    std::string line = std::move(rest_);
    rest_.clear();
    line += piece;
    if (line.ends_with('\r')) line.pop_back();
    data.remove_prefix(end + 1);
    CHECK_OK(on_line(line));
  }
  return {};
}

std::string_view event_data(std::string_view line) {
  if (!line.starts_with("data:")) return {};
  line.remove_prefix(5);
  return line.starts_with(' ') ? line.substr(1) : line;
}

}  // namespace assay::io
