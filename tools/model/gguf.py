"""A small GGUF v3 reader and writer with ggml's F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q5_K and Q6_K.

Needs the standard library and numpy. Tensor shapes are numpy order (rows first);
the file holds them reversed, as ggml does.
"""
import struct

import numpy as np

import kquants

U8, I8, U16, I16, U32, I32, FLOAT, BOOL, STRING, ARRAY, U64, I64, DOUBLE = range(13)
SCALAR = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", FLOAT: "f", BOOL: "?", U64: "Q", I64: "q", DOUBLE: "d"}
TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8, "q4_k": 12, "q5_k": 13, "q6_k": 14, "bf16": 30}
NAMES = {v: k for k, v in TYPES.items()}
# (values, bytes) of a block
BLOCKS = {"f32": (1, 4), "f16": (1, 2), "bf16": (1, 2), "q4_0": (32, 18), "q8_0": (32, 34)}
BLOCKS.update({kind: (kquants.SUPERBLOCK, size) for kind, size in kquants.BYTES.items()})
ALIGN = 32


def _half(x):
    return x.astype(np.float16)


def quantize(x, kind):
    """float32 array -> bytes, exactly as ggml's reference quantizers (K-quants: see kquants.py)."""
    x = np.ascontiguousarray(x, np.float32)
    if kind == "f32":
        return x.tobytes()
    if kind == "f16":
        return _half(x).tobytes()
    if kind == "bf16":
        bits = x.view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
    if kind in kquants.BYTES:
        return kquants.quantize(x, kind)
    blocks = x.reshape(-1, 32)
    n = len(blocks)
    if kind == "q8_0":
        d = np.abs(blocks).max(1) / np.float32(127)
        inv = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
        scaled = blocks * inv[:, None]
        q = (np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))).astype(np.int8)  # roundf
        out = np.empty((n, 34), np.uint8)
        out[:, 2:] = q.view(np.uint8)
    elif kind == "q4_0":
        top = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)[:, 0]
        d = top / np.float32(-8)
        inv = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
        q = np.minimum((blocks * inv[:, None] + np.float32(8.5)).astype(np.int8), 15).astype(np.uint8)
        out = np.empty((n, 18), np.uint8)
        out[:, 2:] = q[:, :16] | (q[:, 16:] << 4)
    else:
        raise ValueError("unknown type " + kind)
    out[:, :2] = _half(d).view(np.uint8).reshape(n, 2)
    return out.tobytes()


def dequantize(data, kind, shape):
    """bytes -> float32 array."""
    if kind == "f32":
        return np.frombuffer(data, np.float32).reshape(shape)
    if kind == "f16":
        return np.frombuffer(data, np.float16).astype(np.float32).reshape(shape)
    if kind == "bf16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind in kquants.BYTES:
        return kquants.dequantize(data, kind).reshape(shape)
    raw = np.frombuffer(data, np.uint8).reshape(-1, 34 if kind == "q8_0" else 18)
    d = raw[:, :2].copy().view(np.float16).astype(np.float32)
    if kind == "q8_0":
        q = raw[:, 2:].view(np.int8).astype(np.float32)
    else:
        q = np.concatenate([raw[:, 2:] & 15, raw[:, 2:] >> 4], 1).astype(np.float32) - 8
    return (q * d).reshape(shape)


def size(kind, count):
    values, block_bytes = BLOCKS[kind]
    return count // values * block_bytes


def _string(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(kind, v):
    if kind == STRING:
        return _string(v)
    if kind == ARRAY:
        item, values = v
        return struct.pack("<IQ", item, len(values)) + b"".join(_value(item, x) for x in values)
    return struct.pack("<" + SCALAR[kind], v)


def write(path, meta, tensors):
    """meta: {key: (type, value)}; tensors: [(name, shape, kind, bytes)] in file order, where bytes may
    be a function that makes them, so that a large file never lies in memory."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta))
    for key, (kind, v) in meta.items():
        head += _string(key) + struct.pack("<I", kind) + _value(kind, v)
    offset = 0
    for name, shape, kind, _ in tensors:
        head += _string(name) + struct.pack("<I", len(shape)) + struct.pack("<%dQ" % len(shape), *reversed(shape))
        head += struct.pack("<IQ", TYPES[kind], offset)
        offset += -(-size(kind, int(np.prod(shape))) // ALIGN) * ALIGN
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % ALIGN))
        for name, shape, kind, data in tensors:
            data = data() if callable(data) else data
            assert len(data) == size(kind, int(np.prod(shape))), name
            f.write(data + b"\0" * (-len(data) % ALIGN))


class Reader:
    """The whole file in memory: .meta {key: (type, value)}, .tensors {name: (shape, kind, bytes)}."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.buf = f.read()
        self.pos = 4
        if self.buf[:4] != b"GGUF" or self._take("I") != 3:
            raise ValueError("not a GGUF v3 file: %s" % path)
        tensor_count, meta_count = self._take("Q"), self._take("Q")
        self.meta = {}
        for _ in range(meta_count):
            key, kind = self._text(), self._take("I")
            self.meta[key] = (kind, self._read(kind))
        infos = []
        for _ in range(tensor_count):
            name, dims = self._text(), self._take("I")
            shape = tuple(self._take("Q") for _ in range(dims))[::-1]
            infos.append((name, shape, NAMES[self._take("I")], self._take("Q")))
        base = -(-self.pos // ALIGN) * ALIGN
        self.tensors = {}
        for name, shape, kind, offset in infos:
            end = base + offset + size(kind, int(np.prod(shape)))
            self.tensors[name] = (shape, kind, self.buf[base + offset:end])

    def _take(self, fmt):
        (v,) = struct.unpack_from("<" + fmt, self.buf, self.pos)
        self.pos += struct.calcsize("<" + fmt)
        return v

    def _text(self):
        n = self._take("Q")
        self.pos += n
        return self.buf[self.pos - n:self.pos].decode()

    def _read(self, kind):
        if kind == STRING:
            return self._text()
        if kind == ARRAY:
            item, n = self._take("I"), self._take("Q")
            return item, [self._read(item) for _ in range(n)]
        return self._take(SCALAR[kind])

    def get(self, key):
        v = self.meta[key]
        return v[1][1] if v[0] == ARRAY else v[1]

    def array(self, name):
        shape, kind, data = self.tensors[name]
        return dequantize(data, kind, shape)
