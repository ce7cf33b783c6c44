#!/usr/bin/env python3
"""The tokenizer: a BPE trainer and llama.cpp's SPM encoder, in plain Python.

    spm.py --train DIR/train.jsonl --out DIR/tokenizer.json [--size 1024]

Vocabulary order: <unk>, <s>, </s>, 256 byte tokens, chat control tokens, "▁",
printable ASCII, merges. A merge never contains a digit or punctuation and
"▁" only begins a piece; the score of merge number i is -i.
"""
import argparse
import collections
import functools
import heapq
import json
import re

SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
CHAT = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
BOS, UNK = 1, 0
TEMPLATE = ("{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")


class Tokenizer:
    def __init__(self, tokens, scores, types):
        self.tokens, self.scores, self.types = list(tokens), list(scores), list(types)
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        special = [t for t, y in zip(self.tokens, self.types) if y in (CONTROL, UNKNOWN)]
        special.sort(key=len, reverse=True)
        self.special = re.compile("(" + "|".join(map(re.escape, special)) + ")")
        self.byte_ids = [self.ids["<0x%02X>" % b] for b in range(256)]
        # pieces with an inner space mark would make merges cross words
        mergeable = (t for t, y in zip(self.tokens, self.types) if y == NORMAL)
        self.word_wise = all(SPACE not in t[1:] for t in mergeable)
        self._pieces = functools.lru_cache(maxsize=200000)(self._merge)

    def encode(self, text, bos=True, parse_special=True):
        out = [BOS] if bos else []
        for part in self.special.split(text) if parse_special else [text]:
            if parse_special and self.special.fullmatch(part):
                out.append(self.ids[part])
            elif part:
                part = part.replace(" ", SPACE)
                for word in re.findall(f"{SPACE}?[^{SPACE}]+|{SPACE}", part) if self.word_wise else [part]:
                    out += self._pieces(word)
        return out

    def _merge(self, text):
        """llama.cpp's llm_tokenizer_spm: best-scoring adjacent pair first, leftmost on ties."""
        sym = list(text)
        prev, nxt = list(range(-1, len(sym) - 1)), list(range(1, len(sym) + 1))
        heap = []

        def push(left, right):
            if left < 0 or right >= len(nxt):
                return
            i = self.ids.get(sym[left] + sym[right])
            if i is not None and self.types[i] == NORMAL:
                heapq.heappush(heap, (-self.scores[i], left, right, sym[left] + sym[right]))

        for i in range(1, len(sym)):
            push(i - 1, i)
        while heap:
            _, left, right, piece = heapq.heappop(heap)
            if not sym[left] or not sym[right] or sym[left] + sym[right] != piece:
                continue
            sym[left], sym[right] = piece, ""
            nxt[left] = nxt[right]
            if nxt[right] < len(prev):
                prev[nxt[right]] = left
            push(prev[left], left)
            push(left, nxt[left])
        out = []
        for s in filter(None, sym):
            i = self.ids.get(s)
            out += [i] if i is not None else [self.byte_ids[b] for b in s.encode()]
        return tuple(out)

    def decode(self, ids, special=False):
        out = b""
        for i in ids:
            if self.types[i] == BYTE:
                out += bytes([int(self.tokens[i][3:5], 16)])
            elif self.types[i] == NORMAL or special:
                out += self.tokens[i].replace(SPACE, " ").encode()
        return out.decode("utf-8", "replace")

    def save(self, path):
        with open(path, "w") as f:
            json.dump({"tokens": self.tokens, "scores": self.scores, "types": self.types}, f, ensure_ascii=False)

    @staticmethod
    def load(path):
        with open(path) as f:
            d = json.load(f)
        return Tokenizer(d["tokens"], d["scores"], d["types"])


def base_vocabulary():
    tokens = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)] + CHAT
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [CONTROL] * len(CHAT)
    chars = [SPACE] + [chr(i) for i in range(33, 127)]
    return tokens + chars, types + [NORMAL] * len(chars)


def learn_merges(words, count):
    """Byte-pair merges over a word -> frequency table; ties go to the smaller pair."""
    split = {w: list(w) for w in words}
    pairs, where = collections.Counter(), collections.defaultdict(set)

    def note(w, sign):
        for p in zip(split[w], split[w][1:]):
            pairs[p] += sign * words[w]
            where[p].add(w)

    for w in words:
        note(w, 1)
    merges = []
    while len(merges) < count:
        best, freq = min(pairs.items(), key=lambda kv: (-kv[1], kv[0]))
        if freq < 2:
            break
        merges.append(best[0] + best[1])
        for w in where.pop(best):
            note(w, -1)
            s, i = split[w], 0
            while i < len(s) - 1:
                if (s[i], s[i + 1]) == best:
                    s[i:i + 2] = [best[0] + best[1]]
                i += 1
            note(w, 1)
        del pairs[best]
    return merges


def train(lines, size):
    words = collections.Counter()
    for line in lines:
        for _, content in json.loads(line):
            words.update(re.findall(f"{SPACE}?[A-Za-z]+", content.replace(" ", SPACE)))
    tokens, types = base_vocabulary()
    merges = learn_merges(words, size - len(tokens))
    seen = set()
    merges = [m for m in merges if not (m in seen or seen.add(m))]
    scores = [0.0] * len(tokens) + [-float(i) for i in range(len(merges))]
    # single characters score below every merge, as in SentencePiece models
    for i, t in enumerate(tokens):
        if types[i] == NORMAL:
            scores[i] = -float(size + i)
    tokens += merges
    types += [NORMAL] * len(merges)
    while len(tokens) < size:
        tokens.append("<|unused%d|>" % len(tokens))
        scores.append(0.0)
        types.append(CONTROL)
    return Tokenizer(tokens, scores, types)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--train", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--size", type=int, default=1024)
    args = ap.parse_args()
    with open(args.train) as f:
        tok = train(f, args.size)
    tok.save(args.out)
    print(len(tok.tokens), "tokens, last merges:", tok.tokens[-8:])


if __name__ == "__main__":
    main()
