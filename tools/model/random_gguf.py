#!/usr/bin/env python3
"""Random-weight GGUFs of real and tiny shapes, in any weight type, for benchmarks and peer tests.

    random_gguf.py --shape 1.1b --format q4_k_m [--context N] [--seed S] out.gguf
    random_gguf.py --list

Tiny shapes get weights drawn as numbers and quantized, scaled so that next-token distributions are
peaked; large ones get random blocks directly (1.1b: seconds). The same arguments give the same bytes.
"""
import argparse
import dataclasses
import math

import numpy as np

import gguf
import mixture
import vocabulary


@dataclasses.dataclass
class Shape:
    dim: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    context: int
    arch: str = "llama"
    head_dim: int = 0  # 0: dim / heads
    tied: bool = False
    base: float = 10000.0
    epsilon: float = 1e-5
    factors: tuple = ()  # llama 3.1: (factor, low, high, old context)
    linear: float = 0.0  # linear RoPE scaling
    tokens: str = "spm"  # vocabulary.py

    @property
    def width(self):
        return self.head_dim or self.dim // self.heads


def tiny(**other):
    return Shape(256, 2, 4, 2, 512, 640, 1024, **other)


LLAMA31 = (8.0, 1.0, 4.0, 8192)
SHAPES = {
    # a 15M llama2.c model, TinyLlama, Llama 2 7B, Mistral 7B, Llama 3.1 8B, Llama 3.2 1B, Qwen2.5 and Qwen3
    "15m": Shape(288, 6, 6, 6, 768, 32000, 1024, tied=True),
    "1.1b": Shape(2048, 22, 32, 4, 5632, 32000, 2048),
    "7b": Shape(4096, 32, 32, 32, 11008, 32000, 4096),
    "mistral-7b": Shape(4096, 32, 32, 8, 14336, 32768, 32768, base=1e6),
    "llama3.1-8b": Shape(4096, 32, 32, 8, 14336, 128256, 131072, base=5e5, factors=LLAMA31, tokens="llama3"),
    "llama3.2-1b": Shape(2048, 16, 32, 8, 8192, 128256, 131072, base=5e5, factors=(32.0, 1.0, 4.0, 8192), tied=True,
                         tokens="llama3"),
    "qwen2.5-1.5b": Shape(1536, 28, 12, 2, 8960, 151936, 32768, "qwen2", base=1e6, epsilon=1e-6, tied=True,
                          tokens="qwen2"),
    "qwen3-0.6b": Shape(1024, 28, 16, 8, 3072, 151936, 40960, "qwen3", 128, base=1e6, epsilon=1e-6, tied=True,
                        tokens="qwen2"),
    # every computation there is, two layers each
    "tiny-llama": tiny(),
    "tiny-llama-tied": tiny(tied=True),
    "tiny-llama3": tiny(base=5e5, factors=(8.0, 1.0, 4.0, 128), tokens="llama3"),
    "tiny-linear": tiny(linear=4.0),
    "tiny-nemo": tiny(head_dim=96, base=1e6),  # heads * head_dim is not dim, as in Mistral Nemo
    "tiny-qwen2": tiny(arch="qwen2", base=1e6, epsilon=1e-6, tokens="qwen2"),
    "tiny-qwen2-tied": tiny(arch="qwen2", base=1e6, epsilon=1e-6, tied=True, tokens="qwen2"),
    "tiny-qwen3": tiny(arch="qwen3", head_dim=128, base=1e6, epsilon=1e-6, tied=True, tokens="qwen2"),
}
QUANTIZED_AT_MOST = 1 << 24  # matrices of more values get random blocks


def rope_factors(s):
    """Llama 3.1's frequency divisors, as the conversion to GGUF computes them."""
    factor, low, high, old = s.factors
    out = []
    for i in range(0, s.width, 2):
        wavelength = 2 * math.pi * s.base ** (i / s.width)
        if wavelength < old / high:
            out.append(1.0)
        elif wavelength > old / low:
            out.append(factor)
        else:
            smooth = (old / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, np.float32)


def tensors_of(s):
    """(name, shape, gain): the standard deviation is gain / sqrt(row length)."""
    q, kv = s.heads * s.width, s.kv_heads * s.width
    yield "token_embd.weight", (s.vocab, s.dim), None
    for i in range(s.layers):
        b = "blk.%d." % i
        yield b + "attn_norm.weight", (s.dim,), None
        for part, rows in (("q", q), ("k", kv), ("v", kv)):
            yield b + "attn_%s.weight" % part, (rows, s.dim), 1.0 if part == "v" else 1.4
            if s.arch == "qwen2":
                yield b + "attn_%s.bias" % part, (rows,), None
        if s.arch == "qwen3":
            yield b + "attn_q_norm.weight", (s.width,), None
            yield b + "attn_k_norm.weight", (s.width,), None
        yield b + "attn_output.weight", (s.dim, q), 1.0
        yield b + "ffn_norm.weight", (s.dim,), None
        yield b + "ffn_gate.weight", (s.ffn, s.dim), 1.0
        yield b + "ffn_up.weight", (s.ffn, s.dim), 1.0
        yield b + "ffn_down.weight", (s.dim, s.ffn), 1.0
    yield "output_norm.weight", (s.dim,), None
    if not s.tied:
        yield "output.weight", (s.vocab, s.dim), 3.0
    if s.factors:
        yield "rope_freqs.weight", (s.width // 2,), None


def values(rng, s, name, shape, gain):
    if name == "rope_freqs.weight":
        return rope_factors(s)
    if name.endswith(".bias"):
        return rng.normal(0, 0.5, shape).astype(np.float32)
    if len(shape) == 1:
        return (1 + 0.1 * rng.standard_normal(shape)).astype(np.float32)
    # an embedding that is also the output is scaled for the output; the first norm undoes it
    deviation = (3.0 if s.tied else 16.0) / 16 if gain is None else gain / math.sqrt(shape[1])
    return (deviation * rng.standard_normal(shape)).astype(np.float32)


def random_matrix(rng, kind, shape):
    """Valid random blocks, as quickly as random bytes come."""
    count, deviation = shape[0] * shape[1], 1 / math.sqrt(shape[1])
    if kind in gguf.kquants.BYTES:
        return gguf.kquants.random_blocks(rng, kind, count // 256, deviation)
    if kind in ("f32", "f16", "bf16"):
        return gguf.quantize(deviation * rng.standard_normal(count, np.float32), kind)
    _, size = gguf.BLOCKS[kind]
    raw = rng.integers(0, 256, (count // 32, size), np.uint8)
    if kind == "q8_0":
        raw[:, 2:][raw[:, 2:] == 0x80] = 0  # -128 is legal, but no quantizer writes it
    spread = rng.uniform(0.7, 1.3, count // 32) * deviation / (74 if kind == "q8_0" else 4.6)
    raw[:, :2] = spread.astype("<f2").view(np.uint8).reshape(-1, 2)
    return raw.tobytes()


def metadata(s, name, form):
    def u(v):
        return gguf.U32, v

    def f(v):
        return gguf.FLOAT, v

    a = s.arch + "."
    meta = {
        "general.architecture": (gguf.STRING, s.arch), "general.name": (gguf.STRING, "random " + name),
        "general.file_type": u(mixture.FILE_TYPE[form]), "general.quantization_version": u(2),
        a + "vocab_size": u(s.vocab), a + "context_length": u(s.context), a + "embedding_length": u(s.dim),
        a + "block_count": u(s.layers), a + "feed_forward_length": u(s.ffn),
        a + "attention.head_count": u(s.heads), a + "attention.head_count_kv": u(s.kv_heads),
        a + "attention.layer_norm_rms_epsilon": f(s.epsilon), a + "rope.freq_base": f(s.base),
        a + "rope.dimension_count": u(s.width),
    }
    if s.head_dim:
        meta[a + "attention.key_length"] = meta[a + "attention.value_length"] = u(s.head_dim)
    if s.linear:
        meta[a + "rope.scaling.type"] = (gguf.STRING, "linear")
        meta[a + "rope.scaling.factor"] = f(s.linear)
    meta.update(vocabulary.metadata(s.tokens, s.vocab))
    return meta


def make(path, name, form, context=0, seed=1):
    s = dataclasses.replace(SHAPES[name], context=context or SHAPES[name].context)
    rng = np.random.Generator(np.random.Philox(seed))

    def entry(tensor, shape, gain):
        kind = mixture.kind_of(tensor, shape, form, s.layers, s.tied)

        def data():
            if len(shape) == 2 and s.vocab * s.dim > QUANTIZED_AT_MOST:
                return random_matrix(rng, kind, shape)
            return gguf.quantize(values(rng, s, tensor, shape, gain), kind)

        return tensor, shape, kind, data

    gguf.write(path, metadata(s, name, form), [entry(*t) for t in tensors_of(s)])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--shape", choices=SHAPES, default="15m")
    ap.add_argument("--format", choices=mixture.CHOICES, default="q8_0")
    ap.add_argument("--context", type=int, default=0, help="context length to state; default: the shape's own")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--list", action="store_true", help="show the shapes")
    ap.add_argument("out", nargs="?")
    args = ap.parse_args()
    if args.list:
        for name, shape in SHAPES.items():
            print("%-16s %s" % (name, shape))
    elif args.out is None:
        ap.error("name the file to write")
    else:
        make(args.out, args.shape, args.format, args.context, args.seed)


if __name__ == "__main__":
    main()
