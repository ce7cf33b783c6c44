"""Each public format against an implementation we did not write: viem (EIP-712, EIP-1559), ethers
(keystore v3), @auth0/cose and @sigstore/core (exports of receipts), the official OpenAI clients of npm and PyPI, llama.cpp (GGUF, tokenizer, greedy answers)."""
import json
import os
import subprocess
import sys

from harness import MODEL, NODE, ROOT, Folder, Runner, Service, expect, expect_equal

PEERS = ROOT / "tests/peers"
PYTHON = PEERS / "python/.venv/bin/python"
CLEAN = {k: v for k, v in os.environ.items() if k != "NODE_OPTIONS"}
TEXTS = ["What is 27 + 48?", "", " ", "  two  spaces ", "Hello, world!\n\nNew line\ttab", "naïve café — “quotes”",
         "日本語 and 한국어", "😀 emoji 👩‍👩‍👧", "<|user|>Hi<|end|><|assistant|>", "a<|end|>b", "<|nothing|>", "0123456789",
         "<s>bos</s>", "▁ lower one eighth block", "The capital of Veloria", "éé\u0301", "x" * 300,
         "\u00a0\u2003 odd spaces", "tab\tand\x7fdelete"]


def node(script, *arguments, stdin=None, timeout=300):
    expect(NODE.exists(), f"{NODE} is missing: run make setup")
    return subprocess.run([NODE, PEERS / script, *map(str, arguments)], capture_output=True, text=True,
                          input=stdin, timeout=timeout, env=CLEAN, cwd=PEERS)


def viem_agrees_on_every_message(t):
    run = node("messages.mjs")
    expect_equal(run.returncode, 0, f"messages.mjs: {run.stderr[-1500:]}")
    print("  " + run.stdout.strip().replace("\n", "\n  "))


def viem_agrees_on_every_transaction(t):
    run = node("chain.mjs")
    expect_equal(run.returncode, 0, f"chain.mjs: {run.stderr[-1500:]}")
    print("  " + run.stdout.strip())


def cose_and_dsse_libraries_read_our_exports(t):
    run = node("export.mjs")
    expect_equal(run.returncode, 0, f"export.mjs: {run.stderr[-1500:]}")
    print("  " + run.stdout.strip())


def ethers_reads_and_writes_our_keys(t):
    run = node("keystore.mjs", t.assay)
    expect_equal(run.returncode, 0, f"keystore.mjs: {run.stderr[-1500:]}")


def llama_cpp_tokenizes_the_same(t):
    peer = json.loads(llama(t, TEXTS, 0))
    for text, theirs in zip(TEXTS, peer):
        with Folder() as folder:
            (folder / "t.txt").write_text(text, newline="")
            ours = t.json("tokenize", "--model", MODEL, "--file", folder / "t.txt")["tokens"]
        expect_equal(ours[0], 1, "BOS in front")
        expect_equal(ours[1:], theirs["tokens"], f"tokens of {text[:40]!r}")


def llama_cpp_answers_the_same(t):
    """Another engine rounds differently, so a few answers may differ, not many."""
    lines = (ROOT / "models/eval/questions.jsonl").read_text().splitlines()
    asked = [json.loads(line)["question"] for line in lines[:: max(1, len(lines) // 20)]][:20]
    prompts = [f"<|user|>{question}<|end|><|assistant|>" for question in asked]
    same = 0
    for question, theirs in zip(asked, json.loads(llama(t, prompts, 32))):
        ours = t.json("generate", "--model", MODEL, "--prompt", question, "--chat", "--temp", "0", "-n", "32")
        same += ours["text"].strip() == theirs["text"].strip()
    print(f"  {same} of {len(asked)} greedy answers equal llama.cpp's")
    expect(same >= 0.9 * len(asked), f"only {same} of {len(asked)} answers equal llama.cpp's")


def llama(t, prompts, count):
    run = node("llama/llama.mjs", MODEL, "--generate", count, stdin=json.dumps(prompts))
    expect_equal(run.returncode, 0, f"llama.mjs: {run.stderr[-1500:]}")
    return run.stdout


def ajv_validates_what_our_automata_accept(t):
    run = node("constraint.mjs")
    expect_equal(run.returncode, 0, f"constraint.mjs: {run.stderr[-1500:]}")
    print("  " + run.stdout.strip())


def the_x402_packages_read_what_payers_sign(t):
    run = node("x402.mjs")
    expect_equal(run.returncode, 0, f"x402.mjs: {run.stderr[-1500:]}")
    print("  " + run.stdout.strip())


TOOL_TEMPLATE = """{% if tools %}<|system|>{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|end|>{% endif %}\
{% for message in messages %}{{ '<|' + message['role'] + '|>' }}{{ message['content'] }}\
{% if message.tool_calls %}{% for call in message.tool_calls %}{{ '<tool_call>{"name": "' + call.function.name + '", "arguments": ' }}\
{{ call.function.arguments | tojson }}{{ '}</tool_call>' }}{% endfor %}{% endif %}{{ '<|end|>' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""


def with_tools(path):
    """Tern with a chat template that shows tools."""
    sys.path.insert(0, str(ROOT / "tools/model"))
    import gguf
    source = gguf.Reader(MODEL)
    meta = dict(source.meta)
    kind, _ = meta["tokenizer.chat_template"]
    meta["tokenizer.chat_template"] = (kind, TOOL_TEMPLATE)
    gguf.write(path, meta, [(n, *v) for n, v in source.tensors.items()])


def the_official_openai_clients_work(t):
    with Folder() as folder:
        model = folder / "tern-tools.gguf"
        with_tools(model)
        up = Service(t, "up", "--data", folder / "market", "--model", model, "--models", folder, "--port",
                     0, log=folder / "up.log", timeout=120)
        try:
            run = node("openai_client.mjs", up.url, model.stem)
            print("  " + run.stdout.strip().replace("\n", "\n  "))
            expect_equal(run.returncode, 0, f"openai_client.mjs: {run.stderr[-1500:]}")
            expect(PYTHON.exists(), f"{PYTHON} is missing: run make setup")
            run = subprocess.run([PYTHON, PEERS / "python/openai_client.py", up.url, model.stem], capture_output=True,
                                 text=True, timeout=300)
            print("  " + run.stdout.strip().replace("\n", "\n  "))
            expect_equal(run.returncode, 0, f"openai_client.py: {run.stdout[-800:]} {run.stderr[-1500:]}")
        finally:
            up.stop()


if __name__ == "__main__":
    Runner().run(viem_agrees_on_every_message, viem_agrees_on_every_transaction, ajv_validates_what_our_automata_accept,
                 the_x402_packages_read_what_payers_sign, cose_and_dsse_libraries_read_our_exports,
                 ethers_reads_and_writes_our_keys, llama_cpp_tokenizes_the_same, llama_cpp_answers_the_same,
                 the_official_openai_clients_work)
