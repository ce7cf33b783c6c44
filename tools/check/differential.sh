#!/usr/bin/env bash
# Random histories of operations on the state machine and on anvil, the same after every one of them, in pieces: what
# has passed is not run again, so it can be stopped and started.
#   tools/check/differential.sh [HISTORIES, default 10000] [STEPS OF EACH, default 50] [Differential or
#     DifferentialAudits, which are histories of hired auditors]
# ASSAY_DIFFERENTIAL_RUN: a command to run each piece with (nice, a lock). Ends with what was accepted, refused
# and reached by all, and fails where less than half was accepted or a transition was never reached.
set -euo pipefail
cd "$(dirname "$0")/../.."
total=${1:-10000} steps=${2:-50} test=${3:-Differential} piece=250
folder=build/differential/$steps
[ "$test" = Differential ] || folder+=-$test piece=50
mkdir -p "$folder"
# A transaction is five commits of SQLite here: in memory, where there is some.
[ -w /dev/shm ] && export TMPDIR=/dev/shm
for ((from = 1; from <= total; from += piece)); do
  log=$folder/$from.log
  grep -qs '\[  PASSED  \] 1 test' "$log" && continue
  # shellcheck disable=SC2086
  ASSAY_DIFFERENTIAL=$piece ASSAY_DIFFERENTIAL_FROM=$from ASSAY_DIFFERENTIAL_STEPS=$steps \
    ${ASSAY_DIFFERENTIAL_RUN:-} build/release/src/assay_settle_test --gtest_filter="$test.*" >"$log.new" 2>&1 ||
    { tail -n 30 "$log.new"; exit 1; }
  mv "$log.new" "$log"
  echo "differential: histories $from to $((from + piece - 1)) agree"
done
cat "$folder"/*.log | awk -v histories="$total" -v steps="$steps" '
  /^operations on both:/ { accepted += $4; refused += $6 }
  /^reached:/ { reached[$2] += $3 }
  END {
    printf "differential: %d histories of %d steps: %d operations, %d accepted, %d refused\n", histories, steps,
      accepted + refused, accepted, refused
    for (name in reached) { kinds++; printf "  %-26s %d\n", name, reached[name] | "sort"; if (!reached[name]) never = never " " name }
    close("sort")
    if (accepted < refused) { print "less than half was accepted"; exit 1 }
    if (!kinds || never != "") { print "never reached:" never; exit 1 }
  }'
