#!/usr/bin/env python3
"""Trains the model with JAX on a CPU, reproducibly from a seed.

    train.py --data DIR --out DIR/tern.npz --layers 4 --ffn 512 --steps 1350 --decay-from 750 --seed 1

DIR holds train.jsonl (corpus.py) and tokenizer.json (spm.py). Conversations are
packed into rows; attention never crosses a conversation. The loss weighs most
what is hard and right or wrong: the result of a sum, then the assistant's words. Matrices are trained with Muon, embeddings
and norms with Adam. RoPE rotates adjacent pairs, as GGUF's llama architecture expects.
"""
import argparse
import functools
import hashlib
import json
import os
import time

import jax
import jax.numpy as jnp
import numpy as np

import corpus
import spm

DIM, HEADS, HEAD_DIM, EPS, BASE = 256, 4, 64, 1e-5, 10000.0
QUIET, SPOKEN, RESULT = 0.1, 1.0, 3.0  # loss weights


def init(seed, layers, ffn, vocab):
    rng = np.random.default_rng(seed)

    def mat(o, i, gain=1.0):
        return jnp.asarray(rng.normal(0, gain / np.sqrt(i), (o, i)), jnp.float32)

    p = {"token_embd": mat(vocab, DIM, 0.5), "output_norm": jnp.ones(DIM)}
    for i in range(layers):
        b = "blk.%d." % i
        p |= {b + "attn_norm": jnp.ones(DIM), b + "ffn_norm": jnp.ones(DIM),
              b + "attn_q": mat(DIM, DIM), b + "attn_k": mat(DIM, DIM), b + "attn_v": mat(DIM, DIM), b + "attn_output": mat(DIM, DIM, 0.1),
              b + "ffn_gate": mat(ffn, DIM), b + "ffn_up": mat(ffn, DIM), b + "ffn_down": mat(DIM, ffn, 0.1)}
    return p


def norm(x, w):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + EPS) * w


def rope_tables(length):
    freq = BASE ** (-np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    angle = np.arange(length)[:, None] * freq
    return jnp.asarray(np.cos(angle), jnp.float32), jnp.asarray(np.sin(angle), jnp.float32)


def rope(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    c, s = cos[None, :, None], sin[None, :, None]
    return jnp.stack([a * c - b * s, a * s + b * c], -1).reshape(x.shape)


def forward(p, tokens, segment, layers):
    B, T = tokens.shape
    cos, sin = rope_tables(T)
    mask = (segment[:, :, None] == segment[:, None, :]) & jnp.tril(jnp.ones((T, T), bool))
    bias = jnp.where(mask, 0.0, -1e9)[:, None]
    x = p["token_embd"][tokens]
    for i in range(layers):
        b = "blk.%d." % i
        h = norm(x, p[b + "attn_norm"])
        q, k, v = ((h @ p[b + n].T).reshape(B, T, HEADS, HEAD_DIM) for n in ("attn_q", "attn_k", "attn_v"))
        s = jnp.einsum("bqhd,bkhd->bhqk", rope(q, cos, sin), rope(k, cos, sin)) / np.sqrt(HEAD_DIM) + bias
        o = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(s, -1), v)
        x = x + o.reshape(B, T, DIM) @ p[b + "attn_output"].T
        h = norm(x, p[b + "ffn_norm"])
        x = x + (jax.nn.silu(h @ p[b + "ffn_gate"].T) * (h @ p[b + "ffn_up"].T)) @ p[b + "ffn_down"].T
    return norm(x, p["output_norm"]) @ p["token_embd"].T


def loss_fn(p, tokens, segment, weight, layers):
    logits = forward(p, tokens[:, :-1], segment[:, :-1], layers)
    target, w = tokens[:, 1:], weight[:, 1:]
    nll = jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, target[..., None], -1)[..., 0]
    parts = [jnp.sum(nll * (w == c)) / jnp.maximum(jnp.sum(w == c), 1) for c in (RESULT, SPOKEN)]
    return jnp.sum(nll * w) / jnp.sum(w), jnp.stack(parts)


def orthogonal(g):
    """Newton-Schulz iteration towards the nearest orthogonal matrix (Muon)."""
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (jnp.linalg.norm(x) + 1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def update(p, m, v, g, step, lr):
    """Muon for the matrices of the blocks, Adam for everything else."""
    np_, nm, nv = {}, {}, {}
    for n in p:
        if p[n].ndim == 2 and n != "token_embd":
            nm[n], nv[n] = 0.95 * m[n] + g[n], v[n]
            o = orthogonal(g[n] + 0.95 * nm[n])
            gain = np.sqrt(max(1.0, p[n].shape[0] / p[n].shape[1]))
            np_[n] = p[n] * (1 - 0.02 * lr) - lr * gain * o
        else:
            nm[n], nv[n] = 0.9 * m[n] + 0.1 * g[n], 0.98 * v[n] + 0.02 * g[n] ** 2
            hat = (nm[n] / (1 - 0.9 ** step)) / (jnp.sqrt(nv[n] / (1 - 0.98 ** step)) + 1e-8)
            np_[n] = p[n] - 0.15 * lr * hat
    return np_, nm, nv


def weights(role, content, ids, equals, story):
    """Loss weights of the tokens of one rendered message."""
    if role not in ("assistant", "drill"):
        return [QUIET] * len(ids)
    plain = QUIET if role == "drill" else story if content.startswith("Once") else SPOKEN
    out, result = [], False
    for i in ids:
        out.append(RESULT if result else plain)
        result = i == equals[0] or (result and i not in equals)
    if role == "assistant":
        out[0] = QUIET  # its header is given, not spoken
    return out


def encode_conversations(path, tok, story):
    """Token ids and loss weights of every conversation."""
    out, equals = [], (tok.ids["="], tok.ids["."])
    with open(path) as f:
        for line in f:
            ids, w = [spm.BOS], [QUIET]
            for role, content in json.loads(line):
                part = tok.encode(corpus.render([[role, content]]), bos=False)
                ids += part
                w += weights(role, content, part, equals, story)
            out.append((np.array(ids, np.int32), np.array(w, np.float32)))
    return out


def batches(docs, rows, length, seed):
    """Endless packed batches: each row is filled from a shuffled window, first fit."""
    rng = np.random.default_rng(seed)
    window, order = [], []
    while True:
        tokens = np.zeros((rows, length), np.int32)
        segment, weight = np.full((rows, length), -1, np.int32), np.zeros((rows, length), np.float32)
        for r in range(rows):
            used = part = 0
            while True:
                while len(window) < 64:
                    if not order:
                        order = list(rng.permutation(len(docs)))
                    window.append(docs[order.pop()])
                fit = next((i for i, d in enumerate(window) if used + len(d[0]) <= length), None)
                if fit is None:
                    break
                ids, w = window.pop(fit)
                end = used + len(ids)
                tokens[r, used:end], weight[r, used:end], segment[r, used:end] = ids, w, part
                weight[r, used] = 0.0  # nothing predicts the first token
                used, part = end, part + 1
        yield tokens, segment, weight


def digest(p):
    h = hashlib.sha256()
    for n in sorted(p):
        h.update(np.asarray(p[n]).tobytes())
    return h.hexdigest()


def save(path, p, m, v, step):
    """Atomically: weights under their names, Muon's and Adam's state under m. and v."""
    arrays = {tag + n: np.asarray(x) for tag, d in (("", p), ("m.", m), ("v.", v)) for n, x in d.items()}
    np.savez(path + ".tmp.npz", step=step, **arrays)
    os.replace(path + ".tmp.npz", path)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--layers", type=int, default=4)
    ap.add_argument("--ffn", type=int, default=512)
    ap.add_argument("--steps", type=int, default=1350)
    ap.add_argument("--decay-from", type=int, help="step at which the rate begins its linear way to zero (default 0.4 of all)")
    ap.add_argument("--resume", action="store_true", help="go on from OUT (same seed and data)")
    ap.add_argument("--stop", type=int, help="stop after this many of the steps, the schedule unchanged")
    ap.add_argument("--rows", type=int, default=8)
    ap.add_argument("--length", type=int, default=192)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--story-weight", type=float, default=0.3, help="loss weight of the words of stories, most of which repeat")
    ap.add_argument("--save-every", type=int, default=250)
    args = ap.parse_args()
    tok = spm.Tokenizer.load(args.data + "/tokenizer.json")
    docs = [d for d in encode_conversations(args.data + "/train.jsonl", tok, args.story_weight) if len(d[0]) <= args.length]
    print(len(docs), "conversations,", sum(len(d[0]) for d in docs), "tokens", flush=True)
    p = init(args.seed, args.layers, args.ffn, len(tok.tokens))
    print(sum(x.size for x in p.values()), "parameters", flush=True)
    m, v = ({n: jnp.zeros_like(x) for n, x in p.items()} for _ in range(2))
    decay_from, first = args.decay_from or int(0.4 * args.steps), 1
    if args.resume:
        with np.load(args.out) as z:
            p, m, v = ({n: jnp.asarray(z[tag + n]) for n in p} for tag in ("", "m.", "v."))
            first = int(z["step"]) + 1

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def train_step(p, m, v, step, tokens, segment, weight):
        grad = jax.grad(loss_fn, has_aux=True)(p, tokens, segment, weight, args.layers)
        warm = jnp.minimum(step / 60.0, 1.0)
        lr = args.lr * warm * jnp.minimum(1.0, (args.steps - step + 1) / (args.steps - decay_from))
        return update(p, m, v, grad[0], step, lr) + (grad[1],)

    stream, start, seen, recent = batches(docs, args.rows, args.length, args.seed + 1), time.time(), 0, []
    last = args.stop or args.steps
    for step in range(1, last + 1):
        batch = next(stream)
        if step < first:
            continue
        p, m, v, loss = train_step(p, m, v, jnp.float32(step), *batch)
        seen += int((batch[1] >= 0).sum())
        recent.append(loss)
        if step % 50 == 0 or step == last:
            result, words = np.mean([np.asarray(x) for x in recent], 0)
            print("step %d loss of results %.4f words %.4f tokens %d %.0f tok/s %.0f s" % (step, result, words, seen, seen / (time.time() - start), time.time() - start), flush=True)
            recent = []
        if step % args.save_every == 0 or step == last:
            save(args.out, p, m, v, step)
    print("sha256 of the weights", digest(p), flush=True)


if __name__ == "__main__":
    main()
