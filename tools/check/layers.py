#!/usr/bin/env python3
"""The one rule of DESIGN section 4: a folder of src/ includes only lower numbers, and folders with
the same number never see each other. The referee is narrower still. Reads every #include; there is no
allow-list."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = {
    "base": 0, "crypto": 1, "canon": 1, "engine": 2, "protocol": 2,
    "verify": 3, "market": 3, "tlog": 3, "io": 3, "settle": 4, "services": 5, "cli": 6,
}
# A folder inside another that sees only these; the folder around it may include it.
INNER = {"verify/referee": {"base", "crypto", "canon", "protocol"}}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def folder_of(parts):
    """services/* are separate folders of layer 5, and so is a folder of INNER."""
    two = "/".join(parts[:2])
    return two if parts[0] == "services" or two in INNER else parts[0]


def may_include(mine, other):
    if mine == other:
        return True
    if mine in INNER:
        return other in INNER[mine]
    if other in INNER and other.split("/")[0] == mine:
        return True
    return LAYERS[other.split("/")[0]] < LAYERS[mine.split("/")[0]]


def main():
    problems, checked = [], 0
    for path in sorted((ROOT / "src").rglob("*.[ch]pp")):
        here = path.relative_to(ROOT / "src").parts
        if here[0] not in LAYERS:
            problems.append(f"src/{'/'.join(here)}: folder is not in the layer table")
            continue
        for kind, target in INCLUDE.findall(path.read_text()):
            parts = target.split("/")
            if kind == "<":
                if parts[0] in LAYERS and len(parts) > 1:
                    problems.append(f"src/{'/'.join(here)}: own header {target} included with <>")
                continue
            checked += 1
            if not (ROOT / "src" / target).exists():
                if target.startswith("tests/") and here[-1].endswith(("_test.cpp", "_testutil.cpp")):
                    continue  # corpus replays share their entry function with the fuzz target
                problems.append(f"src/{'/'.join(here)}: include path '{target}' is not from src/")
                continue
            mine, other = folder_of(here), folder_of(parts)
            if not may_include(mine, other):
                problems.append(
                    f"src/{'/'.join(here)} ({LAYERS[here[0]]}) includes {target} ({LAYERS[parts[0]]})")
    for problem in problems:
        print("layer rule:", problem)
    print(f"layers: {checked} includes checked, {len(problems)} violations")
    return 1 if problems or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
