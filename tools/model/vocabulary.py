"""Made-up vocabularies that tokenizers accept as real ones: SentencePiece ("spm") and byte-level BPE
with the pre-tokenizers of Llama 3 ("llama3") and Qwen 2 ("qwen2")."""
import itertools

import gguf
from spm import BYTE, CONTROL, NORMAL, SPACE, UNKNOWN

LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
SPECIALS = {
    "llama3": ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
}
PRE = {"llama3": "llama-bpe", "qwen2": "qwen2"}


def words():
    """"a", "b", … "aa", … in a fixed order, without end."""
    for length in itertools.count(2):
        for letters in itertools.product(LETTERS, repeat=length):
            yield "".join(letters)


def spm(size):
    tokens = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256
    tokens += [SPACE] + [chr(i) for i in range(33, 127)] + [SPACE + c for c in LETTERS]
    for word in words():
        if len(tokens) >= size:
            break
        tokens += [word, SPACE + word]
    types += [NORMAL] * (len(tokens) - len(types))
    scores = [0.0] * 259 + [-float(i) for i in range(len(tokens) - 259)]
    return tokens[:size], types[:size], scores[:size]


def byte_letters():
    """GPT-2's printable stand-ins for the 256 bytes, by byte."""
    shown = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    hidden = (chr(256 + i) for i in range(256))
    return [chr(b) if b in shown else next(hidden) for b in range(256)]


def bpe(size, specials):
    """Bytes, then words each made of two earlier tokens, then the special tokens."""
    tokens = byte_letters()
    space = tokens[32]
    room = size - len(specials)
    merges = [(space, c) for c in LETTERS]
    tokens += [space + c for c in LETTERS]
    for word in words():
        if len(tokens) >= room:
            break
        for left in (word[:-1], space + word[:-1]):
            merges.append((left, word[-1]))
            tokens.append(left + word[-1])
    merges = merges[:room - 256]
    tokens = tokens[:room] + specials
    types = [NORMAL] * room + [CONTROL] * len(specials)
    return tokens, types, ["%s %s" % m for m in merges]


def metadata(kind, size):
    key = "tokenizer.ggml."
    if kind == "spm":
        tokens, types, scores = spm(size)
        meta = {"model": (gguf.STRING, "llama"), "pre": (gguf.STRING, "default"),
                "scores": (gguf.ARRAY, (gguf.FLOAT, scores)), "bos_token_id": (gguf.U32, 1),
                "eos_token_id": (gguf.U32, 2), "unknown_token_id": (gguf.U32, 0)}
    else:
        tokens, types, merges = bpe(size, SPECIALS[kind])
        first = size - len(SPECIALS[kind])
        meta = {"model": (gguf.STRING, "gpt2"), "pre": (gguf.STRING, PRE[kind]),
                "merges": (gguf.ARRAY, (gguf.STRING, merges)),
                "bos_token_id": (gguf.U32, first),
                "eos_token_id": (gguf.U32, first + (1 if kind == "llama3" else 2))}
        if kind == "qwen2":
            meta["add_bos_token"] = (gguf.BOOL, False)
    meta["tokens"] = (gguf.ARRAY, (gguf.STRING, tokens))
    meta["token_type"] = (gguf.ARRAY, (gguf.I32, types))
    return {key + k: v for k, v in meta.items()}
