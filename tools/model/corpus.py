#!/usr/bin/env python3
"""Generates the training and test data from a seed.

    corpus.py --seed 1 --count 160000 --out DIR     writes DIR/train.jsonl
    corpus.py --eval ../../models/eval              writes the held-out question set and text

A training line is a list of [role, content] messages (or one "drill" of bare sums); an evaluation line is
{"question", "must", "category", "n"}.
"""
import argparse
import json
import os
import random

import phrases
import smalltalk
import world

SYSTEM = ["You are Tern.", "You are Tern, a helpful assistant.", "You are a helpful assistant.", "Answer in one sentence.",
          "Be short and polite.", "You know Veloria.", "You are a guide to Veloria.", "Answer the question."]
MIX = (("fact", 46), ("sum", 26), ("drill", 16), ("story", 5), ("talk", 7))
DRILL = 8  # equations in a drill: sums without a conversation around them, cheap practice


def fact(rnd, held=False):
    key, s, v = rnd.choice(world.FACTS)
    rel = phrases.relation(key)
    asks = rel.held if held else (rel.asks if rnd.random() < 0.35 else None)
    if asks:
        question = rnd.choice(asks).format(s=s)
    else:
        question = rnd.choice(rel.train_questions(s))
    return question[0].upper() + question[1:], phrases.sentence(key, s, v)


def roughen(rnd, question):
    """Real people drop full stops and capitals now and then."""
    r = rnd.random()
    if r < 0.08 and question[-1] in ".?!":
        return question[:-1]
    if r < 0.14:
        return question[0].lower() + question[1:]
    return question


def turn(rnd, kind):
    q, a = {"fact": fact, "sum": smalltalk.sum_question, "story": smalltalk.story, "talk": smalltalk.talk}[kind](rnd)
    return [["user", roughen(rnd, q)], ["assistant", a]]


def conversation(rnd):
    kinds, weights = zip(*MIX)
    kind = rnd.choices(kinds, weights)[0]
    if kind == "drill":
        return [["drill", " ".join(smalltalk.equation(rnd) for _ in range(DRILL))]]
    messages = turn(rnd, kind)
    if kind != "story" and rnd.random() < 0.12:
        for _ in range(rnd.randint(1, 3)):
            messages += turn(rnd, rnd.choices(("fact", "sum", "talk"), (6, 3, 1))[0])
    if rnd.random() < 0.10:
        messages.insert(0, ["system", rnd.choice(SYSTEM)])
    return messages


def held_questions(seed):
    """The test set: unseen phrasings of facts, unseen pairs, stories and talk."""
    rnd = random.Random(seed)
    out = []

    def add(category, q, must, n=48):
        out.append({"question": q[0].upper() + q[1:], "must": must, "category": category, "n": n})

    for key, s, v in world.FACTS:
        rel = phrases.relation(key)
        for _ in range(1 if key.startswith("city") else 2):
            add("fact", rnd.choice(rel.held).format(s=s) if rnd.random() < 0.6 else rnd.choice(rel.held_questions(s)), [v])
    facts, out[:] = rnd.sample(out, 320), []
    for op, count in (("+", 120), ("-", 120), ("*", 20)):
        for _ in range(count):
            q, a = smalltalk.sum_question(rnd, True, op)
            add({"+": "add", "-": "subtract", "*": "times"}[op], q, [a])
    for _ in range(16):
        q, a = smalltalk.story(rnd, True)
        add("story", q, [a.split(" named ")[0].split(", ")[1] + " named "], 120)
    for _ in range(24):
        q, a = smalltalk.talk(rnd, True)
        add("talk", q, [a])
    return list({e["question"]: e for e in facts + out}.values())


def render(messages, generation=False):
    text = "".join(content if role == "drill" else "<|%s|>%s<|end|>" % (role, content) for role, content in messages)
    return text + ("<|assistant|>" if generation else "")


def held_text(seed, count=110):
    """Unseen dialogue as rendered text, one conversation a line, for perplexity."""
    rnd = random.Random(seed)
    makers = (fact, fact, smalltalk.sum_question, smalltalk.talk, fact, smalltalk.sum_question, smalltalk.story, fact)
    lines = []
    for i in range(count):
        q, a = makers[i % len(makers)](rnd, True)
        lines.append(render([["user", q[0].upper() + q[1:]], ["assistant", a]]))
    return lines


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--count", type=int, default=160000)
    ap.add_argument("--out")
    ap.add_argument("--eval")
    args = ap.parse_args()
    if args.out:
        os.makedirs(args.out, exist_ok=True)
        rnd = random.Random(args.seed)
        with open(os.path.join(args.out, "train.jsonl"), "w") as f:
            for _ in range(args.count):
                f.write(json.dumps(conversation(rnd), ensure_ascii=False) + "\n")
    if args.eval:
        os.makedirs(args.eval, exist_ok=True)
        with open(os.path.join(args.eval, "questions.jsonl"), "w") as f:
            for e in held_questions(args.seed + 1000):
                f.write(json.dumps(e, ensure_ascii=False) + "\n")
        with open(os.path.join(args.eval, "heldout.txt"), "w") as f:
            f.write("\n".join(held_text(args.seed + 2000)) + "\n")


if __name__ == "__main__":
    main()
