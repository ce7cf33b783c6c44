#!/usr/bin/env python3
"""Measures the model on the held-out questions of models/eval/questions.jsonl.

    evaluate.py --assay build/assay --model models/tern-q8_0.gguf     runs the product
    evaluate.py --reference --model models/tern-q8_0.gguf             runs reference.py in float32

An answer is right when it contains every string of `must` as a whole word and ended by
itself; a story must also keep its hero's name. Exits 1 when facts or sums are below 95 %.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
QUESTIONS = os.path.join(HERE, "..", "..", "models", "eval", "questions.jsonl")
JUDGED, LIMIT = ("fact", "add", "subtract", "times"), 0.95


def contains(answer, wanted):
    return re.search(r"(?<!\w)%s(?!\w)" % re.escape(wanted), answer) is not None if wanted[-1].isalnum() else wanted in answer


def right(item, answer):
    if not answer.rstrip().endswith((".", "!", "?")):
        return False
    if item["category"] == "story":
        hero = re.search(r" named (\w+)", answer)
        if not hero or len(re.findall(r"\b%s\b" % hero[1], answer)) < 2:
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
    net, tok = ref.Llama(reader, dtype=np.float32), ref.tokenizer(reader)
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
    print("%-9s %3d / %3d  %5.1f %%" % ("all", good.total(), asked.total(), 100 * good.total() / asked.total()))
    sys.exit(any(asked[c] and good[c] / asked[c] < LIMIT for c in JUDGED))


if __name__ == "__main__":
    main()
