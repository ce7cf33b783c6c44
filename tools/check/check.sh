#!/usr/bin/env bash
# Format, tidy, Slither on the contracts, and the unit tests under clang 19's address/undefined and thread sanitizers.
# ASSAY_CHECK=format,tidy,slither,asan,tsan chooses parts; the default is all of them.
set -euo pipefail
cd "$(dirname "$0")/../.."
parts=${ASSAY_CHECK:-format,tidy,slither,asan,tsan}
has() { [[ ",$parts," == *",$1,"* ]]; }

if has format; then
  git ls-files '*.cpp' '*.hpp' | xargs clang-format-19 --dry-run --Werror
  echo "check: format ok"
fi
if has tidy; then
  git ls-files 'src/*.cpp' | grep -v -e '_test\.cpp' -e '_testutil\.cpp' -e '/neon/' |
    xargs -P "$(nproc)" -n 4 clang-tidy-19 -p build/release --quiet \
      --extra-arg=-Wno-unknown-warning-option
  echo "check: tidy ok"
fi
if has slither; then
  tools/check/slither.sh
fi
for sanitizer in asan tsan; do
  has "$sanitizer" || continue
  cmake --preset "$sanitizer" >/dev/null
  cmake --build "build/$sanitizer"
  for program in build/"$sanitizer"/src/assay_*_test; do
    ASAN_OPTIONS=detect_leaks=1 "$program" --gtest_brief=1
  done
  echo "check: $sanitizer ok"
done
