#include "market/signers.hpp"

namespace assay::market {
namespace {

struct Recover {
  const Domain& domain;
  protocol::RecoveredSigners& out;

  template <class M>
  void operator()(const Signed<M>& part) const {
    out.add(protocol::digest(domain, part.message), part.signature);
  }
  void operator()(const OpenLease& op) const {
    (*this)(op.lease);
    (*this)(op.offer);
  }
  void operator()(const auto&) const {}
};

}  // namespace

protocol::RecoveredSigners recover_signers(const Domain& domain, const Operation& operation) {
  protocol::RecoveredSigners out;
  std::visit(Recover{domain, out}, operation);
  return out;
}

}  // namespace assay::market
