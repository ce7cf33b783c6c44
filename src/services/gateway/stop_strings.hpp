// Stop strings over a stream of text pieces: nothing of a stop string is ever shown, wherever token
// boundaries fall in it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace assay::services {

class StopTrimmer {
 public:
  // Empty strings are the caller's error (asserted).
  explicit StopTrimmer(std::vector<std::string> stops);

  // The text that may be shown now; what could still become a stop string is held back.
  std::string push(std::string_view text);
  // The end of the answer: what was held back is shown after all. Empty once stopped.
  std::string finish();
  // A stop string was met: the one complete first, of those the longest. The answer ends where it
  // begins, however the text was cut into pieces.
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace assay::services
