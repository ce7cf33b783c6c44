#!/usr/bin/env python3
"""Whether files compiled together mean what they mean alone: every function and every table of a library, by the
assembly of an unoptimized compilation, the same both ways (docs/decisions/0035-files-compiled-together.md).

    tools/check/same_code.py [LIBRARY…]     default: all but the tests; `verify` for src/verify

Needs a configured build/release; takes some ten minutes of two cores for all of them."""
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LABEL = re.compile(r"^([.\w$@]+):$")
LEAVING = re.compile(r"D[0-2]Ev$|^_Zd[la]Pv")  # destructors, delete: all that is called on the way out of an exception


def commands(build):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = [w for w in shlex.split(entry["command"]) if not w.endswith("ccache")]
        output = words[words.index("-o") + 1]
        library = re.search(r"CMakeFiles/(?:assay_)?(\w+)\.dir/", output).group(1)
        if library.endswith("_test") or "/bench/" in output or "/web/" in output or output.startswith("web/"):
            continue
        yield library, entry["directory"], words


def assembly(words, directory, folder):
    out = pathlib.Path(folder) / f"{os.urandom(8).hex()}.s"
    at = words.index("-o")
    words = words[:at] + ["-o", str(out)] + words[at + 2:] + ["-S", "-O0", "-w", "-fno-asynchronous-unwind-tables"]
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    text = out.read_text()
    out.unlink()
    return symbols(text)


def symbols(text):
    """Name to what is meant, of each function and table: what is called, the names and numbers in it. Not the order of
    instructions: how a call is left by an exception depends on what is known of the one called."""
    blocks, name, functions = {}, None, set(re.findall(r"^\t\.type\t(\S+), @function", text, re.M))
    for line in text.splitlines():
        label = LABEL.match(line)
        if line.startswith("\t.size\t"):
            name = None
        elif label and (label.group(1).startswith(".LC") or not label.group(1).startswith(".L")):
            name = label.group(1)
            blocks[name] = []
        elif name is not None and not label:
            blocks[name].append(line.strip())
    constants = {n: "{" + ";".join(x for x in lines if x.startswith((".long", ".string", ".ascii", ".quad", ".value", ".zero"))) + "}"
                 for n, lines in blocks.items() if n.startswith(".LC")}
    out = {}
    for name, lines in blocks.items():
        if "5assay" not in name or name.startswith("_GLOBAL__"):  # libraries' own templates have frames of two kinds
            continue
        meant = set()
        for line in lines:
            line = line.removesuffix("@PLT")
            if name in functions and (line.startswith(".") or line.endswith(", %rsp")):
                continue  # the table of what is caught stands between; a frame's size is the compiler's
            if name not in functions:
                if line.startswith((".long", ".quad", ".value", ".byte", ".string", ".ascii", ".zero")):
                    meant.add(re.sub(r"\.L[A-Z]*\d+", ".L", re.sub(r"\.LC\d+", lambda m: constants.get(m.group(), ""), line)))
                continue
            meant.update(constants.get(c, c) for c in re.findall(r"\.LC\d+", line))
            meant.update(re.findall(r"\$-?\d+", line))
            meant.update(n for n in re.findall(r"\b_Z\w+", line) if not LEAVING.search(n))
        out[name] = "\n".join(sorted(meant))
    return out


def main():
    wanted = set(name.replace("/", "_") for name in sys.argv[1:])
    together = ROOT / "build/release"
    if not (together / "compile_commands.json").is_file():
        sys.exit("configure build/release first: make build")
    failures = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        alone = pathlib.Path(folder) / "alone"
        subprocess.run(["cmake", "--preset", "release", "-B", alone, "-DCMAKE_UNITY_BUILD=OFF"], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
        found = {}
        for way, build in (("together", together), ("alone", alone)):
            jobs = [(library, pool.submit(assembly, words, directory, folder))
                    for library, directory, words in commands(build) if not wanted or library in wanted]
            for library, job in jobs:
                for name, text in job.result().items():
                    found.setdefault(library, {}).setdefault(name, {}).setdefault(way, set()).add(text)
        for library, names in sorted(found.items()):
            # What only one way needs is an inline function nobody calls; what both have must be the same.
            both = {n: t for n, t in names.items() if len(t) == 2}
            differ = [n for n, t in both.items() if t["together"] != t["alone"]]
            for name in differ[:20]:
                print(f"same code: {library}: {name} differs")
            failures += len(differ)
            print(f"same code: {library}: {len(both)} functions and tables, {len(differ)} differ, "
                  f"{len(names) - len(both)} in one of the two ways only")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
