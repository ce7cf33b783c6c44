#include "verify/dispute/subject.hpp"

#include "crypto/sha256.hpp"
#include "protocol/typed.hpp"

namespace assay::verify {
namespace {

template <class M>
Result<Subject> subject_from(const protocol::ExecutionId& execution, ByteView program,
                             const protocol::Request& request, const M& statement) {
  if (protocol::struct_hash(execution) != request.execution)
    return fail(Errc::mismatch, "the execution id is not the one the request names");
  if (crypto::sha256(program) != execution.program_hash)
    return fail(Errc::mismatch, "the program is not the one of the execution id");
  Subject s;
  TRY(s.program, parse_program(program));
  s.weights_root = execution.weights_root;
  s.request = request;
  s.count = statement.count;
  s.tape_root = statement.tape_root;
  s.trace_root = statement.trace_root;
  s.logprobs_root = statement.logprobs_root;
  return s;
}

}  // namespace

Result<Subject> subject_of(const protocol::ExecutionId& execution, ByteView program,
                           const protocol::Request& request, const protocol::Receipt& receipt) {
  TRY(Subject s, subject_from(execution, program, request, receipt));
  s.finish = receipt.finish;
  return s;
}

Result<Subject> subject_of(const protocol::ExecutionId& execution, ByteView program,
                           const protocol::Request& request, const protocol::Progress& progress) {
  return subject_from(execution, program, request, progress);
}

}  // namespace assay::verify
