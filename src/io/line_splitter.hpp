// Lines out of a stream that arrives in arbitrary pieces: NDJSON, and server-sent events.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace assay::io {

class LineSplitter {
 public:
  using OnLine = std::function<Status(std::string_view)>;  // an error ends the feed with it

  explicit LineSplitter(std::size_t max_line_bytes = 1u << 20) : max_(max_line_bytes) {}

  // Calls on_line for every complete line, without its "\n" or "\r\n". Errc::invalid when a line
  // exceeds the bound.
  Status feed(std::string_view data, const OnLine& on_line);
  // The unterminated rest; not empty means that the stream was cut.
  const std::string& rest() const { return rest_; }

 private:
  std::size_t max_;
  std::string rest_;
};

// The data of a "data: …" line of an event stream; nullptr data() for other lines.
std::string_view event_data(std::string_view line);

}  // namespace assay::io
