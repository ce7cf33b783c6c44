#!/usr/bin/env bash
# Runs the tests of everything with threads while some of their threads sleep at random (slow_threads.cpp),
# two programs at a time, and prints which tests failed. Part of `make soak`.
#   tools/check/slow_threads.sh [ROUNDS=3] [MICROSECONDS=20000] [NAME=…]
#   tools/check/slow_threads.sh 10 60000 services_gateway    one program (assay_NAME_test), longer sleeps
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3} longest=${2:-20000} name=${3:-}
g++ -std=c++20 -O2 -Wall -Wextra -shared -fPIC -o build/slow_threads.so tools/check/slow_threads.cpp -ldl
mkdir -p build/slow_threads

one() {  # SEED PROGRAM MICROSECONDS
  local log=build/slow_threads/$2.$1.log tests='*'
  # Bits and kernels have no order to get wrong.
  [ "$2" = engine ] && tests='Batcher*'
  if SLOW_SEED=$1 SLOW_MICROSECONDS=$3 LD_PRELOAD=$PWD/build/slow_threads.so timeout 1800 \
    "build/release/src/assay_$2_test" --gtest_filter="$tests" >"$log" 2>&1; then
    echo "slow threads: $2, seed $1: passed"
  else
    echo "slow threads: $2, seed $1: FAILED, exit status $?, see $log"
    grep '^\[  FAILED  \] .*ms)$' "$log" || true
    return 1
  fi
}
export -f one
for seed in $(seq "$rounds"); do
  for program in ${name:-services_gateway services_provider services_log settle market io engine tlog \
    services_auditor services_market base}; do echo "$seed $program $longest"; done
done | xargs -P 2 -L 1 bash -c 'one "$@"' one
