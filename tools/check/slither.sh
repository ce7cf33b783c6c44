#!/usr/bin/env bash
# Slither over contracts/src, from PyPI in a virtual environment outside the repository (ASSAY_SLITHER, default
# ~/.cache/assay-slither). Fails on a kind of finding in a file that docs/security.md ("Static analysis") does not answer.
#   tools/check/slither.sh [--all]     --all: prints each finding, answered or not
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${ASSAY_SLITHER:-$HOME/.cache/assay-slither} version=0.11.6
if [ "$("$venv/bin/pip" show slither-analyzer 2>/dev/null | sed -n 's/^Version: //p')" != "$version" ]; then
  /usr/bin/python3 -m venv "$venv" || { echo "slither: install python3-venv" >&2; exit 1; }
  "$venv/bin/pip" install --quiet "slither-analyzer==$version"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$PWD/contracts/node_modules/@foundry-rs/forge-linux-amd64/bin:$PATH
export FOUNDRY_DISABLE_NIGHTLY_WARNING=1
# Slither reads the syntax trees that the compiler made.
(cd contracts && forge build --build-info --out "$work/out" --cache-path "$work/cache" --skip test --ast \
  >"$work/build.log" 2>&1) || { cat "$work/build.log"; exit 1; }
# Version 0.11.6 stops at a call of AttentionSteps where it gives types to literals; without them it goes on.
cat >"$work/launch.py" <<'E1'
import slither.slithir.convert as convert
from slither.__main__ import main

convert_constant_types = convert.convert_constant_types


def lenient(irs):
    try:
        convert_constant_types(irs)
    except (AssertionError, IndexError):
        pass


convert.convert_constant_types = lenient
main()
E1
(cd contracts && "$venv/bin/python" "$work/launch.py" . --ignore-compile --foundry-out-directory "$work/out" \
  --filter-paths 'node_modules|test/' --json "$work/found.json" >"$work/slither.log" 2>&1) || true # its exit code counts
[ -s "$work/found.json" ] || { tail -n 20 "$work/slither.log"; exit 1; }
/usr/bin/python3 - "$work/found.json" "${1:-}" <<'E2'
import collections, json, pathlib, re, sys
report = json.load(open(sys.argv[1]))
if not report["success"]:
    sys.exit(f"slither: {report['error']}")
section = pathlib.Path("docs/security.md").read_text().partition("## Static analysis")[2].partition("\n## ")[0]
answered = {(check, file.strip()) for checks, files in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", section, re.M)
            for check in re.findall(r"`([\w-]+)`", checks) for file in files.split(",")}
found = collections.Counter()
for finding in report["results"].get("detectors", []):
    places = {pathlib.Path(e["source_mapping"]["filename_relative"]).stem for e in finding["elements"][:1]}
    for place in places:
        found[finding["check"], finding["impact"], place] += 1
        if sys.argv[2] == "--all":
            print(f"{finding['impact']:<14} {finding['check']:<28} {place}: {' '.join(finding['description'].split())[:300]}")
new = [f"{check} ({impact}) in {place}: {n}" for (check, impact, place), n in sorted(found.items())
       if (check, place) not in answered and (check, "all") not in answered]
stale = sorted(f"{check} in {file}" for check, file in answered
               if not any(c == check and file in (p, "all") for c, _, p in found))
for line in new:
    print("slither: not answered in docs/security.md:", line)
for line in stale:
    print("slither: answered in docs/security.md, but not found any more:", line)
print(f"slither: {sum(found.values())} findings, {len(new)} kinds in files not answered, {len(stale)} answers stale")
sys.exit(1 if new or stale else 0)
E2
