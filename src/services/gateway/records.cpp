#include "services/gateway/records.hpp"

namespace assay::services {

std::string_view to_string(HireStage stage) {
  switch (stage) {
    case HireStage::asked:
      return "asked";
    case HireStage::decided:
      return "decided";
    case HireStage::over:
      return "over";
  }
  return "?";
}

std::string_view to_string(LeaseStage stage) {
  switch (stage) {
    case LeaseStage::opening:
      return "opening";
    case LeaseStage::open:
      return "open";
    case LeaseStage::ended:
      return "ended";
  }
  return "ended";
}

std::string_view to_string(RequestStage stage) {
  switch (stage) {
    case RequestStage::signed_off:
      return "signed";
    case RequestStage::receipted:
      return "receipted";
    case RequestStage::audited:
      return "audited";
    case RequestStage::settled:
      return "settled";
    case RequestStage::mismatch:
      return "mismatch";
    case RequestStage::disputed:
      return "disputed";
    case RequestStage::refunded:
      return "refunded";
    case RequestStage::withheld:
      return "withheld";
    case RequestStage::expired:
      return "expired";
    case RequestStage::demanded:
      return "demanded";
  }
  return "expired";
}

std::string_view to_string(RebateState state) {
  switch (state) {
    case RebateState::due:
      return "due";
    case RebateState::accepted:
      return "accepted";
    case RebateState::refused:
      return "refused";
    case RebateState::unanswered:
      return "unanswered";
    case RebateState::lapsed:
      return "lapsed";
    case RebateState::broken:
      return "broken";
  }
  return "lapsed";
}

std::string_view to_string(AuditState audit) {
  switch (audit) {
    case AuditState::none:
      return "none";
    case AuditState::pending:
      return "pending";
    case AuditState::match:
      return "match";
    case AuditState::mismatch:
      return "mismatch";
    case AuditState::not_drawn:
      return "not_drawn";
  }
  return "none";
}

}  // namespace assay::services
