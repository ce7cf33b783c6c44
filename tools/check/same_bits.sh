#!/usr/bin/env bash
# Any build gives the same bits: the canon's and the engine's tests, which compare with
# spec/vectors/ byte for byte and every kernel with the canon, the referee's steps, and what a whole model's
# trace root depends on, under other compilers and options.
# ASSAY_SAME_BITS=gcc-O0,clang-O3,… chooses builds; the default is all of them. Part of `make soak`.
set -euo pipefail
cd "$(dirname "$0")/../.."
builds=(
  "gcc-O0|g++|-O0|"
  "gcc-O2|g++|-O2|"
  "gcc-O3-lto|g++|-O3 -flto=auto|"
  "clang-O0|clang++-19|-O0|"
  "clang-O3|clang++-19|-O3|"
  "clang-O2-lto|clang++-19|-O2 -flto|-fuse-ld=lld-19"
  "clang-O1-sanitized|clang++-19|-O1 -g1|"
)
wanted=${ASSAY_SAME_BITS:-}
agreed=0
for build in "${builds[@]}"; do
  IFS='|' read -r name compiler flags link <<<"$build"
  [ -z "$wanted" ] || [[ ",$wanted," == *",$name,"* ]] || continue
  folder=build/same-bits/$name
  # The build that tools/check/check.sh makes too.
  if [[ $name == *sanitized ]]; then
    folder=build/asan
    cmake --preset asan >/dev/null
  else
    # Archives of intermediate code need the compiler's own archiver.
    ar=gcc-ar ranlib=gcc-ranlib
    cc=gcc
    if [[ $name == clang* ]]; then ar=llvm-ar-19 ranlib=llvm-ranlib-19 cc=clang-19; fi
    cmake -G Ninja -S . -B "$folder" -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_C_COMPILER=$cc \
      -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_EXE_LINKER_FLAGS="$link" \
      -DCMAKE_AR="$(command -v $ar)" -DCMAKE_RANLIB="$(command -v $ranlib)" >/dev/null
  fi
  cmake --build "$folder" --target assay_{canon,engine,verify_referee,verify}_test >"$folder/build.log" ||
    { tail -n 40 "$folder/build.log"; exit 1; }
  for program in "canon *" "engine *" "verify_referee *" "verify *Tern*:Trace.*:Identity.*"; do
    read -r folder_of tests <<<"$program"
    "$folder/src/assay_${folder_of}_test" --gtest_brief=1 --gtest_filter="$tests" | tail -n 1
  done
  echo "same bits: $name ok"
  agreed=$((agreed + 1))
done
root=$(sed -n 's/.*"trace_root": *"\(0x[0-9a-f]*\)".*/\1/p' spec/vectors/model/tern.json)
echo "same bits: $agreed builds agree on trace root $root"
