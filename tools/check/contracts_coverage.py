#!/usr/bin/env python3
"""Line coverage of contracts/src by forge's tests, from `forge coverage --ir-minimum` in a copy (7 minutes), at least 95 %.

forge does not follow lines of assembly: they are counted apart. Unoptimized, a test may run out of gas; whether tests pass is
`make test`'s to say. --lcov FILE reads a report that is there."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORGE = ROOT / "contracts/node_modules/@foundry-rs/forge-linux-amd64/bin/forge"
LEAST = 0.95


def measure(folder):
    shutil.copytree(ROOT / "contracts", folder / "contracts", ignore=shutil.ignore_patterns("out", "cache"), symlinks=True)
    (folder / "spec").mkdir()
    (folder / "build/cases").mkdir(parents=True)
    shutil.copytree(ROOT / "spec/vectors", folder / "spec/vectors")
    run = subprocess.run([FORGE, "coverage", "--ir-minimum", "--report", "lcov"], cwd=folder / "contracts", text=True,
                         capture_output=True, env=dict(os.environ, FOUNDRY_DISABLE_NIGHTLY_WARNING="1"))
    report = folder / "contracts/lcov.info"
    if not report.exists():
        sys.exit(f"coverage: forge wrote no report: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    return report.read_text()


def assembly(path):
    """Numbers of the lines inside assembly blocks."""
    lines, depth = set(), 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("//")[0]
        if depth or re.search(r"\bassembly\b.*\{", line):
            lines.add(number)
            depth += line.count("{") - line.count("}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lcov")
    options = parser.parse_args()
    if options.lcov:
        report = pathlib.Path(options.lcov).read_text()
    else:
        with tempfile.TemporaryDirectory() as folder:
            report = measure(pathlib.Path(folder))
    counted = hit = inside = 0
    for name, body in re.findall(r"^SF:(src/\S+)\n(.*?)^end_of_record", report, re.M | re.S):
        skipped = assembly(ROOT / "contracts" / name)
        text = (ROOT / "contracts" / name).read_text().splitlines()
        for number, hits in ((int(n), int(h)) for n, h in re.findall(r"^DA:(\d+),(\d+)", body, re.M)):
            if number in skipped:
                inside += 1
                continue
            counted += 1
            hit += hits > 0
            if hits == 0:
                print(f"  not reached: {name}:{number}: {text[number - 1].strip()}")
    print(f"coverage: {hit} of {counted} lines of contracts/src, {100 * hit / max(counted, 1):.2f} %; {inside} lines of assembly are not followed")
    return 1 if hit < LEAST * counted or counted == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
