#include "settle/deadline_alarm.hpp"

#include "base/hex.hpp"
#include "io/log.hpp"

namespace assay::settle {

bool DeadlineAlarm::look(std::string_view what, const Hash& id, std::uint64_t due_s,
                         std::uint64_t now_s) {
  std::erase_if(said_, [&](const auto& s) { return s.second.due_s + whole_s_ < now_s; });
  const std::uint64_t left_s = due_s > now_s ? due_s - now_s : 0;
  if (left_s > whole_s_ / 4) return false;
  Said& said = said_[id];
  if (said.due_s == due_s && left_s > said.left_s / 2) return false;
  if (said.due_s == due_s && said.left_s == 0) return false;
  said = {due_s, left_s};
  io::log_warn("DEADLINE: {} {} must be answered by {}, in {} s", what, to_hex(id), due_s, left_s);
  return true;
}

}  // namespace assay::settle
