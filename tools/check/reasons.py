#!/usr/bin/env python3
"""Every refusal of the contracts is expected by a test: each `Kind(Why.Reason)` and each other custom error that
contracts/src reverts with is named in a function of contracts/test, as `Kind.selector` beside `Why.Reason`, there or in a
helper of the same file that it calls. Exit 1 and the missing ones otherwise."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2] / "contracts"
KINDS = ("Invalid", "Mismatch", "Refused", "NotFound", "Conflict")
REASON = re.compile(rf"\b({'|'.join(KINDS)})\(\s*Why\.(\w+)\)")


def code(path):
    return re.sub(r"//[^\n]*", "", path.read_text())


def functions(text):
    """(name, body) of each function: to the brace that closes it."""
    for start in re.finditer(r"\bfunction (\w+)", text):
        opened = text.find("{", start.end())
        ended = text.find(";", start.end())
        if opened < 0 or 0 <= ended < opened:
            continue
        depth, at = 1, opened + 1
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        yield start[1], text[opened:at]


def main():
    wanted, errors = set(), set()
    sources = [code(path) for path in sorted((ROOT / "src").rglob("*.sol"))]
    for text in sources:
        wanted.update(REASON.findall(text))
        errors.update(name for name in re.findall(r"\berror (\w+)\(", text) if name not in KINDS)
    declared = re.search(r"enum Why \{([^}]*)\}", (ROOT / "src/market/Errors.sol").read_text())[1]
    used = {reason for _, reason in wanted}
    problems = [f"Why.{name} is declared and never given"
                for name in re.findall(r"\w+", declared) if not any(f"Why.{name}" in text for text in sources)]
    found, selectors = set(), set()
    for path in sorted((ROOT / "test").rglob("*.sol")):
        bodies = {}
        for name, body in functions(code(path)):
            bodies[name] = bodies.get(name, "") + body
        for body in bodies.values():
            near = body + "".join(other for name, other in bodies.items() if re.search(rf"\b{name}\(", body))
            kinds = [kind for kind in KINDS if f"{kind}.selector" in near]
            found.update((kind, reason) for reason in re.findall(r"\bWhy\.(\w+)", body) for kind in kinds)
            selectors.update(re.findall(r"\b(\w+)\.selector", body))
    problems += [f"no test expects {kind}(Why.{reason})" for kind, reason in sorted(wanted - found)]
    problems += [f"no test expects {name}()" for name in sorted(errors - selectors)]
    for problem in problems:
        print("reasons:", problem)
    print(f"reasons: {len(wanted)} refusals for {len(used)} reasons and {len(errors)} other errors, {len(problems)} unexpected by tests")
    return 1 if problems or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
