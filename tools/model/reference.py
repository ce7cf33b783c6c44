#!/usr/bin/env python3
"""An independent forward pass in float64, straight from a GGUF file: llama, qwen2 and qwen3.

    reference.py FILE --tokens 1,2,3 --json [--last] [--kv f32|f16]
    reference.py FILE --text "<|user|>Hello<|end|><|assistant|>" --generate 48
    reference.py FILE --perplexity models/eval/heldout.txt

Textbook formulas on dequantized weights; it shares no code with the product and
serves to check it to rounding accuracy. Perplexity takes each line of the file as
one conversation (BOS added, control tokens recognised) and counts every token after BOS.
"""
import argparse
import json

import numpy as np

import gguf
import spm


def tokenizer(reader):
    """None where the file's is not SentencePiece: ids are then the caller's affair (--tokens)."""
    if reader.get("tokenizer.ggml.model") != "llama":
        return None
    names = ("tokens", "scores", "token_type")
    return spm.Tokenizer(*(reader.get("tokenizer.ggml." + n) for n in names))


class Transformer:
    def __init__(self, reader, kv="f32", dtype=np.float64):
        self.kv, self.dtype = kv, dtype
        self.w = {n.removesuffix(".weight"): reader.array(n).astype(dtype) for n in reader.tensors}
        arch = reader.get("general.architecture") + "."

        def value(key, absent):
            return reader.get(arch + key) if arch + key in reader.meta else absent

        self.layers = reader.get(arch + "block_count")
        self.heads = reader.get(arch + "attention.head_count")
        self.kv_heads = value("attention.head_count_kv", self.heads)
        self.eps = reader.get(arch + "attention.layer_norm_rms_epsilon")
        self.head_dim = value("attention.key_length", reader.get(arch + "embedding_length") // self.heads)
        self.halves = arch != "llama."
        self.freq = value("rope.freq_base", 10000.0) ** (-np.arange(0, self.head_dim, 2) / self.head_dim)
        self.freq = self.freq / self.w.get("rope_freqs", 1.0) / value("rope.scaling.factor", 1.0)

    def new_cache(self):
        empty = np.zeros((0, self.kv_heads, self.head_dim), self.dtype)
        return [(empty, empty)] * self.layers

    def _norm(self, x, weight):
        return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + self.eps) * weight

    def _rope(self, x, positions):
        angle = positions[:, None] * self.freq
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        half = self.head_dim // 2
        a, b = (x[..., :half], x[..., half:]) if self.halves else (x[..., 0::2], x[..., 1::2])
        rotated = a * cos - b * sin, a * sin + b * cos
        if self.halves:
            return np.concatenate(rotated, -1).astype(self.dtype)
        return np.stack(rotated, -1).reshape(x.shape).astype(self.dtype)

    def _store(self, x):
        return x.astype(np.float16).astype(self.dtype) if self.kv == "f16" else x

    def forward(self, tokens, cache):
        """Logits of every given token; the cache (a list, one pair a layer) grows in place."""
        w, n = self.w, len(tokens)
        past = len(cache[0][0])
        positions = np.arange(past, past + n)
        visible = np.arange(past + n)[None, :] <= positions[:, None]
        x = w["token_embd"][tokens]
        for i in range(self.layers):
            b = "blk.%d." % i
            h = self._norm(x, w[b + "attn_norm"])
            q, k, v = ((h @ w[b + m].T + w.get(b + m + ".bias", 0)).reshape(n, -1, self.head_dim)
                       for m in ("attn_q", "attn_k", "attn_v"))
            if b + "attn_q_norm" in w:
                q, k = self._norm(q, w[b + "attn_q_norm"]), self._norm(k, w[b + "attn_k_norm"])
            keys = np.concatenate([cache[i][0], self._store(self._rope(k, positions))])
            values = np.concatenate([cache[i][1], self._store(v)])
            cache[i] = (keys, values)
            q = self._rope(q, positions)
            out = np.empty_like(q)
            for head in range(self.heads):
                group = head * self.kv_heads // self.heads
                score = q[:, head] @ keys[:, group].T / np.sqrt(self.head_dim)
                score = np.where(visible, score, -np.inf)
                score = np.exp(score - score.max(-1, keepdims=True))
                out[:, head] = score / score.sum(-1, keepdims=True) @ values[:, group]
            x = x + out.reshape(n, -1) @ w[b + "attn_output"].T
            h = self._norm(x, w[b + "ffn_norm"])
            gate = h @ w[b + "ffn_gate"].T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ w[b + "ffn_up"].T)) @ w[b + "ffn_down"].T
        return self._norm(x, w["output_norm"]) @ w.get("output", w["token_embd"]).T

    def generate(self, tokens, count, eos):
        """Greedy continuation (lowest id on ties), without the end token."""
        cache, out = self.new_cache(), []
        logits = self.forward(tokens, cache)[-1]
        while len(out) < count:
            token = int(np.argmax(logits))
            if token == eos:
                break
            out.append(token)
            logits = self.forward([token], cache)[-1]
        return out


def perplexity(model, tok, lines):
    total, count = 0.0, 0
    for line in lines:
        ids = tok.encode(line)
        logits = model.forward(ids[:-1], model.new_cache())
        top = logits.max(-1, keepdims=True)
        logp = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        total -= logp[np.arange(len(ids) - 1), ids[1:]].sum()
        count += len(ids) - 1
    return float(np.exp(total / count)), count


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("file")
    ap.add_argument("--tokens", help="comma-separated ids")
    ap.add_argument("--text", help="text to tokenize (BOS added)")
    ap.add_argument("--generate", type=int, metavar="N", help="greedy continuation of up to N tokens")
    ap.add_argument("--perplexity", metavar="TEXTFILE")
    ap.add_argument("--last", action="store_true", help="logits of the last position only")
    ap.add_argument("--kv", choices=("f32", "f16"), default="f32", help="f16 rounds K and V to fp16; f32 leaves them")
    ap.add_argument("--json", action="store_true")
    args = ap.parse_args()
    reader = gguf.Reader(args.file)
    model, tok = Transformer(reader, args.kv), tokenizer(reader)
    if tok is None and (args.tokens is None or args.generate):
        ap.error("this file's tokenizer is not SentencePiece: give --tokens")
    if args.perplexity:
        with open(args.perplexity) as f:
            value, count = perplexity(model, tok, f.read().splitlines())
        result = {"perplexity": value, "tokens": count}
    else:
        ids = [int(t) for t in args.tokens.split(",")] if args.tokens else tok.encode(args.text or "")
        if args.generate:
            out = model.generate(ids, args.generate, reader.get("tokenizer.ggml.eos_token_id"))
            result = {"tokens": out, "text": tok.decode(out)}
        else:
            logits = model.forward(ids, model.new_cache())
            result = {"tokens": ids, "logits": (logits[-1:] if args.last else logits).tolist()}
    if args.json:
        print(json.dumps(result, ensure_ascii=False))
    elif "logits" in result:
        names = reader.get("tokenizer.ggml.tokens")
        for row in result["logits"]:
            best = np.argsort(row)[::-1][:5]
            print("  ".join("%d %r %.4f" % (i, names[i], row[i]) for i in best))
    else:
        print("\n".join("%s: %s" % kv for kv in result.items()))


if __name__ == "__main__":
    main()
