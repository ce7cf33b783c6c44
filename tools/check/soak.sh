#!/usr/bin/env bash
# Long runs, not part of `make test`: fuzzers under ASan/UBSan, a market and a log killed at random moments,
# random ledger histories with many seeds. ASSAY_FUZZ_SECONDS (default 60) is the time per target,
# ASSAY_SOAK_REQUESTS (default 10000) how many requests must not give a false alarm, ASSAY_SOAK_STEPS
# (default 100000) how many steps of each kind the contracts must judge as the C++ referee does,
# ASSAY_SOAK_ROUNDS (default 3) how often the tests of everything with threads run while some of them sleep.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${ASSAY_FUZZ_SECONDS:-60}

cmake --preset asan >/dev/null
cmake --build build/asan --target fuzzers
for corpus in tests/fuzz/corpus/*/; do
  name=$(basename "$corpus")
  found=build/asan/found/$name
  mkdir -p "$found"
  echo "soak: fuzzing $name for $seconds s"
  "build/asan/tests/fuzz/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$found/" "$found" "$corpus" 2>&1 | tail -n 3
done

# Random shapes and hostile numbers, every kernel table against the canon.
echo "soak: products for $seconds s per table"
ASSAY_SOAK_SECONDS=$seconds build/release/src/assay_engine_test \
  --gtest_filter='*ProductTest.RandomShapes*' | tail -n 3
echo "soak: attention and the rest of the kernels for $seconds s per table"
ASSAY_SOAK_SECONDS=$seconds build/release/src/assay_engine_test \
  --gtest_filter='*AttentionTest.Hostile*:*KernelsTest.*Row*:*KernelsTest.Rope*:*ProductTest.Quantizers*' | tail -n 3

# The same requests on every table, batched, cached and audited in every way: the same bits.
ASSAY_SOAK_REQUESTS=${ASSAY_SOAK_REQUESTS:-10000} build/release/src/assay_verify_test \
  --gtest_filter='NoFalseAlarm.*'

tools/check/slow_threads.sh "${ASSAY_SOAK_ROUNDS:-3}"

tools/check/same_bits.sh

tools/check/referee_cases.sh "${ASSAY_SOAK_STEPS:-100000}"

# The same random operations on the state machine and on contracts.
tools/check/differential.sh "${ASSAY_SOAK_HISTORIES:-10000}"
tools/check/differential.sh "${ASSAY_SOAK_AUDIT_HISTORIES:-2000}" 100 DifferentialAudits
/usr/bin/python3 tests/e2e/evm_test.py --assay build/release/src/assay --only survives --rounds 50
for _ in $(seq 20); do
  /usr/bin/python3 tests/e2e/evm_dispute_test.py --assay build/release/src/assay --only survives --rounds 20
done
/usr/bin/python3 tests/e2e/crash_test.py --assay build/release/src/assay --rounds 50
ASSAY_CHAOS=${ASSAY_CHAOS:-10000,20,0.2} /usr/bin/python3 tests/e2e/chaos_test.py --assay build/release/src/assay
/usr/bin/python3 tests/e2e/log_test.py --assay build/release/src/assay --only a_killed --rounds 250
tools/check/litewitness.sh
tools/check/openapi.sh
python3 bench/gateway_load.py --rounds 0 --soak 600
echo "soak: done"
