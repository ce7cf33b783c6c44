#!/usr/bin/env python3
"""Assay beside ik_llama.cpp (and, if asked, mainline llama.cpp), same GGUF, same threads, in one run.

  bench/compare.py --ik DIR/build/bin --models DIR [--rounds 5] [--threads 2] [--only q8] [--skip 8192]
                   [--mainline]

Every round runs each program once, in both orders by turns; a figure is the median of the rounds, a
ratio the median of the ratios of one round (memory and neighbours change from minute to minute, so
only what ran side by side is compared). Assay commits to every state while it runs; the peer does not.
How to build the peer and make the models: bench/README.md.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# name, model, kind, prompt or generated tokens, context before, streams
CASES = [
    ("Q8_0 1.1B prefill 128", "1.1b-q8_0", "prefill", 128, 0, 1),
    ("Q8_0 1.1B prefill 512", "1.1b-q8_0", "prefill", 512, 0, 1),
    ("Q8_0 1.1B decode", "1.1b-q8_0", "decode", 32, 0, 1),
    ("Q8_0 1.1B decode, 16 streams", "1.1b-q8_0", "decode", 24, 0, 16),
    ("Q4_K_M 1.1B prefill 512", "1.1b-q4_k_m", "prefill", 512, 0, 1),
    ("Q4_K_M 1.1B decode", "1.1b-q4_k_m", "decode", 32, 0, 1),
    ("Q6_K 1.1B prefill 512", "1.1b-q6_k", "prefill", 512, 0, 1),
    ("Q6_K 1.1B decode", "1.1b-q6_k", "decode", 32, 0, 1),
    ("Q8_0 15M prefill 512", "15m-q8_0", "prefill", 512, 0, 1),
    ("Q8_0 15M decode", "15m-q8_0", "decode", 256, 0, 1),
    ("Q8_0 1.1B prefill 8192", "1.1b-q8_0", "prefill", 8192, 0, 1),
    ("Q8_0 1.1B decode at 8192", "1.1b-q8_0", "decode", 24, 8192, 1),
]


def run(command):
    """What it printed (its log too), and its peak memory in MiB."""
    with (tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log,
          tempfile.TemporaryDirectory() as folder):
        child = subprocess.Popen(command, stdout=out, stderr=log, cwd=folder)  # the peer leaves a log
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        log.seek(0)
        text, errors = out.read(), log.read()
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{errors[-2000:]}")
    return text, errors, usage.ru_maxrss / 1024


def assay(options, case):
    _, model, kind, tokens, depth, streams = case
    text, _, memory = run([
        str(options.assay), "bench", "--model", str(options.models / f"{model}.gguf"), "--json",
        "--rounds", "1", "--threads", str(options.threads), "-d", str(depth),
        "--streams", str(streams),
        "-p", str(tokens if kind == "prefill" else 0), "-n", str(tokens if kind == "decode" else 0),
        *(["--isa", options.isa] if options.isa else [])])
    out = json.loads(text)
    return {"rate": out[kind]["tokens_per_second"], "memory": memory,
            "commit": out[kind]["commit_share"],
            "roofline": out["roofline"]["decode_tokens_per_second"]}


def ik(options, case):
    _, model, kind, tokens, depth, streams = case
    path = str(options.models / f"{model}.gguf")
    if streams > 1:
        text, log, memory = run([f"{options.ik}/llama-batched-bench", "-m", path, "-t", str(options.threads),
                   "-tb", str(options.threads), "-c", "4096", "-npp", "1", "-ntg", str(tokens),
                   "-npl", str(streams)])
        rows = [line.split("|") for line in (text + log).splitlines()
                if line.startswith("|") and line.split("|")[1].strip().isdigit()]
        return {"rate": float(rows[-1][8]), "memory": memory}
    shape = (["-p", str(tokens), "-n", "0"] if kind == "prefill" else
             ["-p", "0", "-n", str(tokens)] if depth == 0 else
             ["-p", "0", "-n", "0", "-gp", f"{depth},{tokens}"])
    text, _, memory = run([f"{options.ik}/llama-bench", "-m", path, "-t", str(options.threads),
                           "-r", "1", "-o", "json", *shape])
    return {"rate": json.loads(text)[-1]["avg_ts"], "memory": memory}


def mainline(options, case):
    _, model, kind, tokens, depth, streams = case
    if streams > 1:
        return None
    text, _, memory = run(["node", str(ROOT / "bench" / "mainline.mjs"),
                           str(options.models / f"{model}.gguf"), kind, str(tokens), str(depth),
                           str(options.threads)])
    return {"rate": json.loads(text)["tokens_per_second"], "memory": memory}


def spread(values):
    return f"{statistics.median(values):.1f} [{min(values):.1f} … {max(values):.1f}]"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assay", type=pathlib.Path, default=ROOT / "build" / "assay")
    parser.add_argument("--ik", type=pathlib.Path, required=True, help="folder with ik_llama.cpp's llama-bench")
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--skip", default="", help="leave out cases whose name contains this")
    parser.add_argument("--isa", default="", help="for assay; build the peer to match")
    parser.add_argument("--mainline", action="store_true", help="llama.cpp through node-llama-cpp too")
    options = parser.parse_args()
    options.assay, options.ik, options.models = (
        p.resolve() for p in (options.assay, options.ik, options.models))

    print("| case | assay tok/s | ik tok/s | ratio | commit | of roofline | peak MiB |"
          + (" mainline tok/s | ratio |" if options.mainline else ""))
    print("|---|---|---|---|---|---|---|" + ("---|---|" if options.mainline else ""))
    for case in CASES:
        if options.only.lower() not in case[0].lower() or options.skip and options.skip in case[0]:
            continue
        ours, theirs, third = [], [], []
        for index in range(options.rounds):
            order = [(ours, assay), (theirs, ik)] + ([(third, mainline)] if options.mainline else [])
            for series, program in order if index % 2 == 0 else reversed(order):
                series.append(program(options, case))
        rates = [o["rate"] for o in ours], [t["rate"] for t in theirs]
        ratios = [a / b for a, b in zip(*rates)]
        decode = case[2] == "decode" and case[5] == 1
        line = (f"| {case[0]} | {spread(rates[0])} | {spread(rates[1])} "
                f"| {statistics.median(ratios):.2f} [{min(ratios):.2f} … {max(ratios):.2f}] "
                f"| {100 * statistics.median(o['commit'] for o in ours):.1f} % | "
                + (f"{100 * statistics.median(o['rate'] / o['roofline'] for o in ours):.0f} %"
                   if decode else "")
                + f" | {max(o['memory'] for o in ours):.0f}, ik {max(t['memory'] for t in theirs):.0f} |")
        if options.mainline:
            known = [t["rate"] for t in third if t]
            line += (f" {spread(known)} | {statistics.median(a / b for a, b in zip(rates[0], known)):.2f} |"
                     if known else " | |")
        print(line, flush=True)


if __name__ == "__main__":
    main()
