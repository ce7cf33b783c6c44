#!/usr/bin/env python3
"""Measures the model on the held-out questions of models/eval/questions.jsonl.

    evaluate.py --assay build/assay --model models/tern-q8_0.gguf     runs the product
    evaluate.py --reference --model models/tern-q8_0.gguf             runs reference.py in float32

An answer is right when it contains every string of `must` as a whole word and ended by
itself; a story must also introduce two differently named characters and mention nobody
else. Exits 1 when facts, or all sums together, are below 95 %.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys

import smalltalk

HERE = os.path.dirname(os.path.abspath(__file__))
QUESTIONS = os.path.join(HERE, "..", "..", "models", "eval", "questions.jsonl")
JUDGED = {"facts": ("fact",), "sums": ("add", "subtract", "times")}
LIMIT = 0.95


def contains(answer, wanted):
    return re.search(r"(?<!\w)%s(?!\w)" % re.escape(wanted), answer) is not None if wanted[-1].isalnum() else wanted in answer


def right(item, answer):
    if not answer.rstrip().endswith((".", "!", "?")):
        return False
    if item["category"] == "story":
        introduced = re.findall(r" named (\w+)", answer)
        used = set(re.findall(r"\w+", answer)) & set(smalltalk.NAMES)
        if len(introduced) != 2 or len(used) != 2 or used != set(introduced):
            return False
    return all(contains(answer, wanted) for wanted in item["must"])


def product(binary, model):
    def ask(item):
        cmd = [binary, "generate", "--model", model, "--prompt", item["question"], "--chat", "--temp", "0", "-n", str(item["n"]), "--json"]
        done = subprocess.run(cmd, capture_output=True, text=True)
        if done.returncode:
            sys.exit("%s\n%s" % (" ".join(cmd), done.stderr))
        return json.loads(done.stdout)["text"]
    return ask


def reference(model):
    import numpy as np

    import corpus
    import gguf
    import reference as ref
    reader = gguf.Reader(model)
    net, tok = ref.Transformer(reader, dtype=np.float32), ref.tokenizer(reader)
    eos = reader.get("tokenizer.ggml.eos_token_id")

    def ask(item):
        ids = tok.encode(corpus.render([["user", item["question"]]], generation=True))
        return tok.decode(net.generate(ids, item["n"], eos))
    return ask


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", required=True)
    ap.add_argument("--assay", help="path of the assay binary")
    ap.add_argument("--reference", action="store_true")
    ap.add_argument("--questions", default=QUESTIONS)
    ap.add_argument("--limit", type=int, help="ask only the first LIMIT of each category")
    ap.add_argument("--out", help="write question, answer and verdict as JSONL")
    ap.add_argument("--show", type=int, default=10, help="print this many wrong answers")
    args = ap.parse_args()
    if bool(args.assay) == args.reference:
        ap.error("give either --assay or --reference")
    ask = reference(args.model) if args.reference else product(args.assay, args.model)
    with open(args.questions) as f:
        items = [json.loads(line) for line in f]
    good, asked, log = collections.Counter(), collections.Counter(), []
    for item in items:
        if args.limit and asked[item["category"]] >= args.limit:
            continue
        answer = ask(item)
        ok = right(item, answer)
        good[item["category"]] += ok
        asked[item["category"]] += 1
        log.append({"question": item["question"], "answer": answer, "right": ok, "must": item["must"]})
        if not ok and args.show > 0:
            args.show -= 1
            print("wrong: %s -> %s (wanted %s)" % (item["question"], answer, ", ".join(item["must"])))
    if args.out:
        with open(args.out, "w") as f:
            f.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in log)
    for c in asked:
        print("%-9s %3d / %3d  %5.1f %%" % (c, good[c], asked[c], 100 * good[c] / asked[c]))
    low = False
    for name, members in [*JUDGED.items(), ("all", tuple(asked))]:
        right_ones, total = sum(good[c] for c in members), sum(asked[c] for c in members)
        print("%-9s %3d / %3d  %5.1f %%" % (name, right_ones, total, 100 * right_ones / max(total, 1)))
        low |= name in JUDGED and right_ones < LIMIT * total
    sys.exit(low)


if __name__ == "__main__":
    main()
