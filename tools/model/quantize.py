#!/usr/bin/env python3
"""Rewrites a GGUF with other weight types: the matrices change, the norms stay F32.

    quantize.py models/tern-f16.gguf --to f32|f16|bf16|q8_0|q4_0|q4_k|q4_k_m|q5_k|q5_k_m|q6_k -o out.gguf

Needs python3 and python3-numpy only. F32 from the F16 master is lossless. As with
llama.cpp, quantize from the master, not from another quantization.
"""
import argparse

import gguf
import mixture


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("source")
    ap.add_argument("--to", required=True, choices=mixture.CHOICES)
    ap.add_argument("-o", "--out", required=True)
    args = ap.parse_args()
    src = gguf.Reader(args.source)
    layers = src.get(src.get("general.architecture") + ".block_count")
    tied = "output.weight" not in src.tensors
    tensors = []
    for name, (shape, kind, data) in src.tensors.items():
        to = mixture.kind_of(name, shape, args.to, layers, tied)
        if kind != to:
            data, kind = gguf.quantize(src.array(name), to), to
        tensors.append((name, shape, kind, data))
    meta = dict(src.meta)
    meta["general.file_type"] = (gguf.U32, mixture.FILE_TYPE[args.to])
    gguf.write(args.out, meta, tensors)


if __name__ == "__main__":
    main()
