#!/usr/bin/env python3
"""House rules that rot without a test: file lengths, left-over markers, banned calls, pragma once,
skipped tests, functions of one name in files that are compiled together. Prints every violation;
exit 1 if there is one."""
import collections
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_LINES, MEDIAN_LINES = 800, 150
BANNED = {
    r"\bstd::rand\b|\bsrand\s*\(": "use io/random.hpp",
    r"\bsystem\s*\(\s*\"|\bpopen\s*\(": "use io/process.hpp",
    r"\bstrcpy\s*\(|\bsprintf\s*\(|\bgets\s*\(": "unbounded C string call",
    r"-ffast-math|\b_MM_SET_FLUSH_ZERO_MODE\(_MM_FLUSH_ZERO_ON": "the canon forbids it",
    r"\bDISABLED_": "a test is run or deleted",
    r"\bstd::(expf?|logf?|sinf?|cosf?|powf?)\s*\(": "libm differs between machines: use canon/",
}
MARKERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# io and cli may use libm for people's eyes only; the arithmetic lives below them.
LIBM_FREE = ("base", "crypto", "canon", "engine", "protocol", "verify", "market", "settle")


def tracked():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                         capture_output=True, text=True, check=True)
    return [ROOT / line for line in out.stdout.splitlines() if (ROOT / line).is_file()]


ALONE = re.compile(r"src/(canon|engine/kernels)/")  # as src/CMakeLists.txt has it
LIBRARY = re.compile(r"src/(services/\w+|verify/referee|\w+)/")


def same_names(sources):
    """Functions of one name that two files of a library keep to themselves. Compiled together, they are
    overloads of each other: the compiler refuses equal ones, and may take the wrong one of others."""
    names = collections.defaultdict(set)
    for name, text in sources:
        test = name.endswith(("_test.cpp", "_testutil.cpp"))
        if not name.startswith("src/") or not name.endswith(".cpp") or (ALONE.match(name) and not test):
            continue
        for part in re.findall(r"^namespace \{\n(.*?)^\}  // namespace$", text, re.M | re.S):
            for function in re.finditer(
                    r"^(?!TEST|[\s}/#])(?:template <.*>\n(?:  requires .*\n)?)?(?:[\w:<>,*&\[\] ]+?[ *&])(\w+)\(", part, re.M):
                names[LIBRARY.match(name).group(1), test, function.group(1)].add(name)
    return [f"{function}: a function of {' and '.join(sorted(files))}: they are compiled together"
            for (_, _, function), files in sorted(names.items()) if len(files) > 1]


def main():
    problems, lengths, sources = [], [], []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix not in {".cpp", ".hpp", ".py", ".sh", ".mjs", ".sol", ".ts"}:
            continue
        text = path.read_text(errors="replace")
        lines = text.count("\n")
        sources.append((name, text))
        if path.suffix in {".cpp", ".hpp"}:
            lengths.append(lines)
        if lines > MAX_LINES:
            problems.append(f"{name}: {lines} lines, at most {MAX_LINES}")
        if name == "tools/check/style.py":
            continue
        if MARKERS.search(text):
            problems.append(f"{name}: left-over marker {MARKERS.search(text).group()}")
        if path.suffix == ".hpp" and name.startswith("src/") and "#pragma once" not in text:
            problems.append(f"{name}: no #pragma once")
        for pattern, why in BANNED.items():
            if "std::(expf" in pattern and (
                    name.endswith("_test.cpp") or not name.startswith(tuple(f"src/{f}/" for f in LIBM_FREE))):
                continue
            found = re.search(pattern, text)
            if found and name.startswith(("src/", "tests/", "bench/")):
                problems.append(f"{name}: {found.group().strip()}: {why}")
    problems += same_names(sources)
    if lengths and statistics.median(lengths) > MEDIAN_LINES:
        problems.append(f"median file length {statistics.median(lengths)} > {MEDIAN_LINES}")
    for problem in problems:
        print("style:", problem)
    print(f"style: {len(lengths)} C++ files, median {statistics.median(lengths or [0]):.0f} lines, "
          f"longest {max(lengths or [0])}, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
