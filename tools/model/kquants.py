"""ggml's K-quant blocks (256 values each): Q4_K, Q5_K and Q6_K, packed and unpacked with numpy.

Layouts: ggml-common.h. The quantizers are plain (no search for better scales), so a file made
here is somewhat worse than llama-quantize's, and as valid.
"""
import numpy as np

SUPERBLOCK = 256
BYTES = {"q4_k": 144, "q5_k": 176, "q6_k": 210}


def _half(x):
    return np.ascontiguousarray(x, np.float32).astype("<f2")


def _divide(a, b):
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape, np.float32), where=b != 0)


def _put_halves(out, at, x):
    out[:, at:at + 2] = _half(x).view(np.uint8).reshape(-1, 2)


def _halves(raw, at):
    return raw[:, at:at + 2].copy().view("<f2").astype(np.float32)[:, 0]


def _pack_scales(scale, minimum):
    """Eight 6-bit scales and eight 6-bit minimums in 12 bytes."""
    out = np.empty((len(scale), 12), np.uint8)
    out[:, 0:4] = scale[:, :4] | (scale[:, 4:] >> 4 << 6)
    out[:, 4:8] = minimum[:, :4] | (minimum[:, 4:] >> 4 << 6)
    out[:, 8:12] = (scale[:, 4:] & 15) | ((minimum[:, 4:] & 15) << 4)
    return out


def _unpack_scales(b):
    scale = np.concatenate([b[:, 0:4] & 63, (b[:, 8:12] & 15) | (b[:, 0:4] >> 6 << 4)], 1)
    minimum = np.concatenate([b[:, 4:8] & 63, (b[:, 8:12] >> 4) | (b[:, 4:8] >> 6 << 4)], 1)
    return scale, minimum


def pack_with_mins(kind, d, dmin, scale, minimum, q):
    """Q4_K, Q5_K: d, dmin [n]; 6-bit scale, minimum [n][8]; q [n][256] of 4 or 5 bits."""
    n = len(d)
    out = np.empty((n, BYTES[kind]), np.uint8)
    _put_halves(out, 0, d)
    _put_halves(out, 2, dmin)
    out[:, 4:16] = _pack_scales(scale, minimum)
    groups = q.reshape(n, 4, 2, 32)  # of 64 values: the first 32 in low nibbles, the rest in high
    low = groups & 15
    out[:, -128:] = (low[:, :, 0] | (low[:, :, 1] << 4)).reshape(n, 128)
    if kind == "q5_k":
        bits = (groups >> 4).reshape(n, 8, 32) << np.arange(8, dtype=np.uint8)[None, :, None]
        out[:, 16:48] = np.bitwise_or.reduce(bits, 1)
    return out.tobytes()


def pack_q6_k(d, scale, q):
    """d [n]; int8 scale [n][16]; q [n][256] in 0..63, standing for q - 32."""
    n = len(d)
    out = np.empty((n, BYTES["q6_k"]), np.uint8)
    half = q.reshape(n, 2, 4, 32)
    low = half & 15
    out[:, 0:128] = np.concatenate([low[:, :, 0] | (low[:, :, 2] << 4), low[:, :, 1] | (low[:, :, 3] << 4)],
                                   2).reshape(n, 128)
    high = (half >> 4) << np.array([0, 2, 4, 6], np.uint8)[None, None, :, None]
    out[:, 128:192] = np.bitwise_or.reduce(high, 2).reshape(n, 64)
    out[:, 192:208] = scale.astype(np.int8).view(np.uint8)
    _put_halves(out, 208, d)
    return out.tobytes()


def quantize(x, kind):
    """float32 values, whole superblocks -> bytes."""
    blocks = x.reshape(-1, SUPERBLOCK)
    n = len(blocks)
    if kind == "q6_k":
        sub = blocks.reshape(n, 16, 16)
        top = np.take_along_axis(sub, np.abs(sub).argmax(2)[:, :, None], 2)[:, :, 0]
        wanted = top / np.float32(-32)
        d = _half(np.abs(wanted).max(1) / np.float32(127)).astype(np.float32)
        scale = np.clip(np.rint(_divide(wanted, d[:, None])), -128, 127).astype(np.int8)
        step = d[:, None] * scale
        q = np.clip(np.rint(_divide(sub, step[:, :, None])), -32, 31) + 32
        return pack_q6_k(d, scale, q.astype(np.uint8))
    levels = {"q4_k": 15, "q5_k": 31}[kind]
    sub = blocks.reshape(n, 8, 32)
    low = np.minimum(sub.min(2), 0)
    width = (sub.max(2) - low) / np.float32(levels)
    d = _half(width.max(1) / np.float32(63)).astype(np.float32)
    dmin = _half(-low.min(1) / np.float32(63)).astype(np.float32)
    scale = np.clip(np.rint(_divide(width, d[:, None])), 0, 63).astype(np.uint8)
    minimum = np.clip(np.rint(_divide(-low, dmin[:, None])), 0, 63).astype(np.uint8)
    step, offset = d[:, None] * scale, dmin[:, None] * minimum
    q = np.clip(np.rint(_divide(sub + offset[:, :, None], step[:, :, None])), 0, levels)
    return pack_with_mins(kind, d, dmin, scale, minimum, q.astype(np.uint8))


def dequantize(data, kind):
    """bytes -> float32 values."""
    raw = np.frombuffer(data, np.uint8).reshape(-1, BYTES[kind])
    n = len(raw)
    if kind == "q6_k":
        low = raw[:, 0:128].reshape(n, 2, 2, 32)
        high = raw[:, 128:192].reshape(n, 2, 1, 32)
        q = np.concatenate([low & 15, low >> 4], 2) | ((high >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3) << 4)
        scale = raw[:, 192:208].view(np.int8).astype(np.float32)
        step = _halves(raw, 208)[:, None] * scale
        return ((q.reshape(n, 16, 16).astype(np.float32) - 32) * step[:, :, None]).reshape(-1)
    scale, minimum = _unpack_scales(raw[:, 4:16])
    nibbles = raw[:, -128:].reshape(n, 4, 32)
    q = np.stack([nibbles & 15, nibbles >> 4], 2).reshape(n, 8, 32)
    if kind == "q5_k":
        q = q | (raw[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & 1) << 4
    step, offset = _halves(raw, 0)[:, None] * scale, _halves(raw, 2)[:, None] * minimum
    return (q * step[:, :, None] - offset[:, :, None]).astype(np.float32).reshape(-1)


def random_blocks(rng, kind, count, deviation):
    """`count` superblocks of random bytes whose values have about this standard deviation, mean 0."""
    jitter = rng.uniform(0.7, 1.3, count).astype(np.float32) * deviation
    if kind == "q6_k":
        scale = rng.integers(64, 128, (count, 16), np.uint8) * rng.choice(np.array([1, -1], np.int8), (count, 16))
        raw = rng.integers(0, 256, (count, 210), np.uint8)
        raw[:, 192:208] = scale.astype(np.int8).view(np.uint8)
        _put_halves(raw, 208, jitter / np.float32(18.5 * 96))
        return raw.tobytes()
    levels = {"q4_k": 15, "q5_k": 31}[kind]
    scale = rng.integers(32, 64, (count, 8), np.uint8)
    raw = rng.integers(0, 256, (count, BYTES[kind]), np.uint8)
    d = jitter / np.float32(0.29 * (levels + 1) * 48)
    _put_halves(raw, 0, d)
    _put_halves(raw, 2, d * np.float32(levels / 2))
    raw[:, 4:16] = _pack_scales(scale, scale)
    return raw.tobytes()
