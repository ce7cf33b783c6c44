"""Tokenizers against llama.cpp, an implementation we did not write: for every name of a pre-tokenizer
a small byte-level BPE vocabulary, the same texts through `assay tokenize` and through llama.cpp, the
same ids or it fails. llama.cpp runs on tests/peers/llama (node-llama-cpp)."""
import json
import os
import random
import re
import subprocess
import sys

from harness import MODEL, NODE, ROOT, Folder, Runner, Skip, expect, expect_equal
from tokenizer_texts import byte_alphabet, hostile_texts, train_bpe

sys.path.insert(0, str(ROOT / "tools/model"))
import gguf  # noqa: E402

PEER = ROOT / "tests/peers/llama"
CLEAN = {k: v for k, v in os.environ.items() if k != "NODE_OPTIONS"}
SEPARATOR = "<|sep|>"  # a control token that no text holds: cuts one file into many texts
TABLE = ROOT / "src/engine/tokenizer/unicode_table.hpp"
NAMES = re.findall(r'^    \{"([^"]+)", "[^"]+"[^{]*\},$',
                   (ROOT / "src/engine/tokenizer/pretokenizer.cpp").read_text(), re.M)


WHOLE = ["Hello", "Ġworld", "Ġagain", "they", "Ġreturn"]  # no merges lead to these words


def vocabulary(merges, specials):
    """(texts, types): every byte, what merges give, whole words, then special tokens {text: type}."""
    texts = list(dict.fromkeys([*byte_alphabet().values(), *(a + b for a, b in merges), *WHOLE]))
    return texts + list(specials), [1] * len(texts) + list(specials.values())


def write_vocabulary(path, pre, merges, specials, more=None):
    texts, types = vocabulary(merges, specials)
    meta = {
        "general.architecture": (gguf.STRING, "llama"), "llama.block_count": (gguf.U32, 1),
        "llama.context_length": (gguf.U32, 64), "llama.embedding_length": (gguf.U32, 32),
        "llama.feed_forward_length": (gguf.U32, 32), "llama.attention.head_count": (gguf.U32, 1),
        "llama.attention.layer_norm_rms_epsilon": (gguf.FLOAT, 1e-5),
        "tokenizer.ggml.model": (gguf.STRING, "gpt2"), "tokenizer.ggml.pre": (gguf.STRING, pre),
        "tokenizer.ggml.tokens": (gguf.ARRAY, (gguf.STRING, texts)),
        "tokenizer.ggml.token_type": (gguf.ARRAY, (gguf.I32, types)),
        "tokenizer.ggml.merges": (gguf.ARRAY, (gguf.STRING, [f"{a} {b}" for a, b in merges])),
        "tokenizer.ggml.bos_token_id": (gguf.U32, texts.index("<s>")),
        "tokenizer.ggml.eos_token_id": (gguf.U32, texts.index("</s>")), **(more or {})}
    gguf.write(path, meta, [])
    return texts


def llama_cpp(models, texts, special=True):
    if not (PEER / "node_modules/node-llama-cpp").exists() or not NODE.exists():
        raise Skip("llama.cpp is not installed; run make setup")
    request = {"models": [str(m) for m in models], "texts": texts, "special": special}
    with Folder() as folder:
        (folder / "request.json").write_text(json.dumps(request))
        run = subprocess.run([NODE, PEER / "tokenize.mjs", folder / "request.json", folder / "result.json"],
                             capture_output=True, text=True, timeout=300, env=CLEAN, cwd=PEER)
        expect_equal(run.returncode, 0, f"tokenize.mjs: {run.stderr[-1500:]}")
        return json.loads((folder / "result.json").read_text())


def ours(t, folder, model, texts, separator):
    """The ids of each text: one run over all of them, cut at the separator's id."""
    file = folder / "texts"
    file.write_bytes(SEPARATOR.join(texts).encode())
    ids = t.json("tokenize", "--model", model, "--file", file)["tokens"]
    out = [[]]
    for token in ids:
        if token == separator:
            out.append([])
        else:
            out[-1].append(token)
    return out


def compare(t, folder, models, entries, texts):
    """Texts of each model, ours and llama.cpp's; returns how many ids were compared."""
    count, wrong = 0, []
    for model, mine, theirs in zip(models, texts, llama_cpp(models, texts)):
        expect(theirs is not None, f"llama.cpp does not load {model.name}")
        found = ours(t, folder, model, mine, entries.index(SEPARATOR))
        if found[0] and found[0][0] == entries.index("<s>"):
            found[0].pop(0)
        expect_equal(len(found), len(mine), "texts")
        for text, a, b in zip(mine, found, theirs):
            count += len(b)
            if a != b:
                wrong.append(f"{model.stem}: {text[:60]!r}: {[entries[i] for i in a][:30]}, llama.cpp "
                             f"{[entries[i] for i in b][:30]}")
    expect(not wrong, f"{len(wrong)} texts differ: " + "; ".join(wrong[:5]))
    return count


SPECIALS = {"<unk>": 2, "<s>": 3, "</s>": 3, SEPARATOR: 3, "<|user|>": 3, "<|user|>x": 3, "<tool>": 4}


def every_pre_tokenizer_cuts_like_llama_cpp(t):
    expect(len(NAMES) > 30, f"found only {NAMES} in pretokenizer.cpp")
    with Folder() as folder:
        merges = train_bpe([text[:40] for text in hostile_texts(400, seed=3)], 300)
        models, texts = [], []
        for i, name in enumerate(NAMES):
            model = folder / f"{name}.gguf"
            entries = write_vocabulary(model, name, merges, SPECIALS)
            models.append(model)
            texts.append(hostile_texts(220, seed=100 + i))
        ids = compare(t, folder, models, entries, texts)
        print(f"  {len(models)} names, {sum(map(len, texts))} texts, {ids} ids, {len(entries)} entries")


def unicode_classes_are_llama_cpps(t):
    """Every code point where a class begins or ends, beside a letter, a digit, a sign and a space."""
    starts = [int(x, 16) >> 3 for x in re.findall(r"0x[0-9a-f]+", TABLE.read_text())]
    codes = sorted({c for s in starts for c in (s - 1, s) if c >= 0 and not 0xD800 <= c < 0xE000} | {0x10FFFF})
    expect(len(codes) > 3000, f"only {len(codes)} borders")
    alphabet = byte_alphabet()
    leads = sorted({chr(c).encode()[0] for c in codes})
    # A word begun by one of these shows by the merge whether the character belongs to it.
    probes = ["x", "1", "!", "\t", "\t\t"]
    merges = [(alphabet[p.encode()[0]], alphabet[lead]) for p in ("x", "1", "!", "\t") for lead in leads]
    lines = ["".join(probe + chr(code) + "\n" for probe in probes) for code in codes]
    texts = ["".join(lines[i:i + 32]) for i in range(0, len(lines), 32)]
    with Folder() as folder:
        names = ["gpt-2", "llama-bpe", "deepseek-coder", "deepseek-v3", "deepseek-llm", "falcon"]
        models = [folder / f"{name}.gguf" for name in names]
        for name, model in zip(names, models):
            entries = write_vocabulary(model, name, merges, SPECIALS)
        ids = compare(t, folder, models, entries, [texts] * len(models))
        print(f"  {len(codes)} code points, {len(names)} names, {ids} ids")


def special_tokens_like_llama_cpp(t):
    rng = random.Random(5)
    pieces = [*SPECIALS, "<|user|", "x", " ", "a b", "<", "\n", "é", "<|", "|>", "<too", "l>"]
    del pieces[pieces.index(SEPARATOR)]
    texts = ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 8))) for _ in range(150)]
    with Folder() as folder:
        merges = [(a, b) for a, b in train_bpe(texts, 40) if a + b not in SPECIALS]
        model = folder / "llama-bpe.gguf"
        entries = write_vocabulary(model, "llama-bpe", merges, SPECIALS)
        print(f"  {compare(t, folder, [model], entries, [texts])} ids")
        plain = texts[:25]
        for text, theirs in zip(plain, llama_cpp([model], [plain], special=False)[0]):
            (folder / "text").write_bytes(text.encode())
            found = t.json("tokenize", "--model", model, "--file", folder / "text", "--no-special")["tokens"]
            expect_equal(found, theirs, f"ids of {text!r} without specials")


def sentence_pieces_like_llama_cpp(t):
    texts = hostile_texts(200, seed=7)
    theirs = llama_cpp([MODEL], [texts])[0]
    with Folder() as folder:
        for text, want in list(zip(texts, theirs))[::4]:
            (folder / "text").write_bytes(text.encode())
            found = t.json("tokenize", "--model", MODEL, "--file", folder / "text")["tokens"]
            expect_equal(found[1:], want, f"ids of {text[:60]!r}")


def tokenize_verb(t):
    with Folder() as folder:
        model = folder / "v.gguf"
        entries = write_vocabulary(model, "qwen2", [("a", "b")], SPECIALS)
        run = t.json("tokenize", "--model", model, "--text", "ab<|user|>")
        expect_equal(run["tokens"], [entries.index("ab"), entries.index("<|user|>")], "ids, no BOS in qwen2")
        plain = t.json("tokenize", "--model", model, "--text", "<|user|>", "--no-special")
        expect_equal(plain["count"], 8, "ids of a control token's text")
        write_vocabulary(model, "llama-bpe", [("a", "b")], SPECIALS)
        expect_equal(t.json("tokenize", "--model", model, "--text", "")["tokens"], [entries.index("<s>")], "BOS")
        write_vocabulary(model, "llama-bpe", [("a", "b")], SPECIALS,
                         {"tokenizer.ggml.add_bos_token": (gguf.BOOL, False),
                          "tokenizer.ggml.add_eos_token": (gguf.BOOL, True)})
        expect_equal(t.json("tokenize", "--model", model, "--text", "ab")["tokens"],
                     [entries.index("ab"), entries.index("</s>")], "EOS")
        write_vocabulary(model, "from-the-future", [("a", "b")], SPECIALS)
        refused = t.cli("tokenize", "--model", model, "--text", "x", code=1)
        expect("pre-tokenizer 'from-the-future'" in refused.stderr, refused.stderr)
        expect_equal(refused.stderr.count("\n"), 1, "lines of the error")
        write_vocabulary(model, "gpt-2", [("a", "b")], SPECIALS)
        million = folder / "million"
        million.write_bytes(b"ab" * 500_000)
        expect_equal(t.json("tokenize", "--model", model, "--file", million, timeout=30)["count"], 500_000, "ids")


if __name__ == "__main__":
    Runner().run(every_pre_tokenizer_cuts_like_llama_cpp, unicode_classes_are_llama_cpps,
                 special_tokens_like_llama_cpp, sentence_pieces_like_llama_cpp, tokenize_verb)
