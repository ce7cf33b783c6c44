#!/usr/bin/env bash
# Line coverage of every parser of the notary's formats by its unit tests, which replay the fuzz corpora.
# Fails when one is under 90 %. Needs `make setup`'s clang group.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/coverage
tests=(assay_tlog_test assay_protocol_test)
files=(src/tlog/{note,checkpoint,tile,entry,receipt_entry,proof_file,witness,utf8}.cpp
  src/protocol/{cbor,cbor_decode,cose,dsse,air,export,bundle,files,json_codec,json_fields}.cpp)

cmake -G Ninja -B "$build" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_C_COMPILER=clang-19 \
  -DCMAKE_CXX_FLAGS="-O1 -fprofile-instr-generate -fcoverage-mapping" -DCMAKE_CXX_FLAGS_DEBUG= >/dev/null
cmake --build "$build" --target "${tests[@]}"
objects=()
for test in "${tests[@]}"; do
  LLVM_PROFILE_FILE=$build/$test.profraw "$build/src/$test" --gtest_brief=1
  objects+=(-object "$build/src/$test")
done
llvm-profdata-19 merge -sparse "$build"/*.profraw -o "$build/all.profdata"
llvm-cov-19 export -summary-only -instr-profile "$build/all.profdata" "${objects[@]:1}" "${files[@]}" |
  /usr/bin/python3 -c '
import json, sys
low = 0
for f in json.load(sys.stdin)["data"][0]["files"]:
    lines = f["summary"]["lines"]
    low += lines["percent"] < 90
    print("{:5.1f} % of {:4} lines  {}".format(lines["percent"], lines["count"], f["filename"].split("/src/")[1]))
print("coverage: {} parsers under 90 %".format(low))
sys.exit(low > 0)'
