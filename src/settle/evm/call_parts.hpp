// What the calls of all operations are made from.
#pragma once
#include "crypto/sha256.hpp"
#include "settle/evm/calls.hpp"

namespace assay::settle::evm {

class CallParts {
 public:
  explicit CallParts(ChainView& chain) : chain_(chain) {}

 protected:
  const crypto::Address& market() const { return chain_.contracts().market; }
  const crypto::Address& disputes() const { return chain_.contracts().disputes; }
  const crypto::Address& deliveries() const { return chain_.contracts().deliveries; }
  static const std::string& lease_type() {
    static const std::string type = abi_type<protocol::Lease>();
    return type;
  }

  template <class M>
  static AbiWriter signed_message(const protocol::Signed<M>& op) {
    AbiWriter out;
    put(put(out, op.message), op.signature);
    return out;
  }
  // "topUp" of TopUp.
  template <class M>
  static std::string function_of() {
    std::string name(M::kName);
    name[0] = static_cast<char>(name[0] - 'A' + 'a');
    return name;
  }
  template <class... Args>
  static Result<Call> call(const crypto::Address& to, const AbiWriter& arguments,
                           fmt::format_string<Args...> signature, Args&&... args) {
    return Call{to, arguments.call(fmt::format(signature, std::forward<Args>(args)...))};
  }

  // What lies beside an operation and goes into Programs before it.
  static Status check_program(const protocol::ExecutionId& execution, ByteView program) {
    if (program.size() > market::kProgramBytesMax)
      return fail(Errc::invalid, "a program of {} bytes, at most {}", program.size(),
                  market::kProgramBytesMax);
    if (crypto::sha256(program) != execution.program_hash)
      return fail(Errc::mismatch, "the program is not the one the execution id names");
    return {};
  }

  Status put_terms(AbiWriter& out, const Hash& lease) {
    TRY(const auto terms, chain_.terms(lease));
    put(out, terms.value_or(protocol::Lease{}));
    return {};
  }
  Status put_claim(AbiWriter& out, const Hash& id) {
    TRY(const auto claim, chain_.claim(id));
    put(out, claim.value_or(protocol::Claim{}));
    return {};
  }
  Status put_wanted(AbiWriter& out, const Hash& demand) {
    TRY(const auto wanted, chain_.wanted(demand));
    put_words(out, wanted.value_or(Wanted{}));
    return {};
  }

  ChainView& chain_;
};

}  // namespace assay::settle::evm
