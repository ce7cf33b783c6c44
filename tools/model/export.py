#!/usr/bin/env python3
"""Turns a training checkpoint into the master GGUF (matrices F16, norms F32).

    export.py DIR/tern.npz DIR/tokenizer.json --name Tern -o models/tern-f16.gguf
"""
import argparse

import numpy as np

import gguf
import mixture
import spm

ORDER = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]
CONTEXT, HEADS, HEAD_DIM = 512, 4, 64


def metadata(name, layers, ffn, tok):
    u, f, s, b = gguf.U32, gguf.FLOAT, gguf.STRING, gguf.BOOL
    end = tok.ids["<|end|>"]
    return {
        "general.architecture": (s, "llama"), "general.name": (s, name), "general.file_type": (u, mixture.FILE_TYPE["f16"]),
        "general.quantization_version": (u, 2), "general.alignment": (u, gguf.ALIGN),
        "llama.vocab_size": (u, len(tok.tokens)), "llama.context_length": (u, CONTEXT), "llama.embedding_length": (u, HEADS * HEAD_DIM),
        "llama.block_count": (u, layers), "llama.feed_forward_length": (u, ffn), "llama.rope.dimension_count": (u, HEAD_DIM),
        "llama.attention.head_count": (u, HEADS), "llama.attention.head_count_kv": (u, HEADS),
        "llama.attention.layer_norm_rms_epsilon": (f, 1e-5), "llama.rope.freq_base": (f, 10000.0),
        "tokenizer.ggml.model": (s, "llama"), "tokenizer.ggml.pre": (s, "default"),
        "tokenizer.ggml.tokens": (gguf.ARRAY, (s, tok.tokens)), "tokenizer.ggml.scores": (gguf.ARRAY, (f, tok.scores)),
        "tokenizer.ggml.token_type": (gguf.ARRAY, (gguf.I32, tok.types)),
        "tokenizer.ggml.bos_token_id": (u, spm.BOS), "tokenizer.ggml.eos_token_id": (u, end), "tokenizer.ggml.eot_token_id": (u, end),
        "tokenizer.ggml.unknown_token_id": (u, spm.UNK), "tokenizer.ggml.add_bos_token": (b, True),
        "tokenizer.ggml.add_eos_token": (b, False), "tokenizer.ggml.add_space_prefix": (b, False),
        "tokenizer.chat_template": (s, spm.TEMPLATE),
    }


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("checkpoint")
    ap.add_argument("tokenizer")
    ap.add_argument("--name", default="Tern")
    ap.add_argument("-o", "--out", required=True)
    args = ap.parse_args()
    p, tok = np.load(args.checkpoint), spm.Tokenizer.load(args.tokenizer)
    layers = 1 + max(int(n.split(".")[1]) for n in p if n.startswith("blk."))
    names = ["token_embd"] + ["blk.%d.%s" % (i, n) for i in range(layers) for n in ORDER] + ["output_norm"]
    tensors = []
    for n in names:
        kind = "f32" if p[n].ndim == 1 else "f16"
        tensors.append((n + ".weight", p[n].shape, kind, gguf.quantize(p[n], kind)))
    gguf.write(args.out, metadata(args.name, layers, p["blk.0.ffn_gate"].shape[0], tok), tensors)


if __name__ == "__main__":
    main()
