// What an event of the contracts says, field by field and by name (contracts/src/**/I*.sol).
#pragma once
#include "base/json.hpp"
#include "settle/evm/events.hpp"

namespace assay::settle::evm {

struct EventField {
  std::string name;
  std::string value;  // decimal, hex, "true", a state's name
  std::string shown;  // the same for people: addresses short, micro-units as money, seconds as a date
};

// In the event's order; what is only worth its bytes (moves, cases) is left out. Errors:
// unsupported (no event of these contracts), invalid (not the fields of one).
Result<std::vector<EventField>> event_fields(const Event& event);

}  // namespace assay::settle::evm
