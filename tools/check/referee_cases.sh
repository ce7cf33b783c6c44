#!/usr/bin/env bash
# Random steps of every kind, judged by the C++ referee, judged again by the contracts (forge).
#   tools/check/referee_cases.sh [STEPS OF EACH KIND, default 500] [FIRST SEED, default 1]
# ASSAY_CASES_KINDS=answer_state,piece_state,constrain takes those kinds alone. Each round takes up to ASSAY_CASES_ROUND
# (500) of each kind and another seed. A difference is printed with file and number of the case; the round's files stay
# in build/cases.
set -euo pipefail
cd "$(dirname "$0")/../.."
total=${1:-500} seed=${2:-1} round=${ASSAY_CASES_ROUND:-500}
forge=contracts/node_modules/@foundry-rs/forge-linux-amd64/bin/forge
export ASSAY_CASES=$PWD/build/cases FOUNDRY_DISABLE_NIGHTLY_WARNING=1
mkdir -p "$ASSAY_CASES"
for ((done = 0; done < total; done += round, ++seed)); do
  count=$((total - done < round ? total - done : round))
  ASSAY_CASES_COUNT=$count ASSAY_CASES_SEED=$seed build/release/src/assay_verify_referee_test \
    --gtest_filter=ProofCases.Random --gtest_brief=1 >"$ASSAY_CASES/written.log" || { cat "$ASSAY_CASES/written.log"; exit 1; }
  (cd contracts && "../$forge" test --match-path 'test/referee/*' --match-test test_random >"$ASSAY_CASES/judged.log" 2>&1) ||
    { tail -n 40 "$ASSAY_CASES/judged.log"; exit 1; }
  echo "referee cases: $((done + count)) of $total of each kind agree (seed $seed)"
done
