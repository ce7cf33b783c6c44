"""The transparency log as processes: a market that publishes to it, a witness, a monitor, a reader
we did not write, and kill -9. --rounds 200 is the soak."""
import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import threading
import time

import evidence
from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http, wait_for

PASS = {"ASSAY_PASSPHRASE": "log test"}
ENV = dict(os.environ, **PASS)
READER = ROOT / "tests/peers/log/.go/reader"
LEDGER = "0x" + "09" * 32


def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def root_of(leaves):
    """RFC 6962, as it is written there."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


def entries_on_disk(folder, size):
    """Every entry of the log, read from its plain files."""
    out = []
    for n in range((size + 255) // 256):
        width = min(256, size - 256 * n)
        path = folder / "tile/entries" / f"{n:03}"
        data = path.read_bytes() if width == 256 else path.with_name(f"{n:03}.p").joinpath(str(width)).read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            out.append(data[2:2 + length])
            data = data[2 + length:]
    return out


def checkpoint_of(text):
    lines = text.split("\n")
    return int(lines[1]), base64.b64decode(lines[2])


def new_key(t, path):
    t.cli("keys", "new", "--out", path, env=ENV)
    return t.json("keys", "show", path, env=ENV)["address"]


class Log:
    def __init__(self, t, folder, *flags):
        self.t, self.folder, self.flags = t, folder, flags
        self.ports = (0, 0)
        self.start()

    def start(self):
        self.service = Service(self.t, "log", "serve", "--data", self.folder / "log", "--origin", "example.com/log",
                               "--port", self.ports[0], "--append-port", self.ports[1], *self.flags,
                               log=self.folder / "log.log")
        ready = self.service.ready
        self.url, self.append, self.vkey = ready["url"], ready["append_url"], ready["vkey"]
        self.ports = tuple(int(url.rsplit(":", 1)[1]) for url in (self.url, self.append))

    def published(self, size, timeout=30):
        def there():
            status, text = http("GET", self.url + "/checkpoint")
            return status == 200 and checkpoint_of(text)[0] >= size and text
        return wait_for(f"a checkpoint of {size} entries", there, timeout=timeout)


def append(t, log, key, count, at_once=1):
    run = t.cli("log", "append", "--log", log.append, "--key", key, "--ledger", LEDGER, "--random", count, "--at-once",
                at_once, "--json", env=ENV)
    return [json.loads(line) for line in run.stdout.splitlines()]


def a_stranger_reads_a_witnessed_log(t):
    expect(READER.exists(), f"{READER} is missing: run make setup")
    with Folder() as folder:
        new_key(t, folder / "a.key")
        new_key(t, folder / "b.key")
        vkey = t.json("log", "keygen", "--name", "example.com/log", "--out", folder / "key")["vkey"]
        witness = Service(t, "log", "witness", "--data", folder / "witness", "--name", "witness.example/w1", "--log",
                          vkey, log=folder / "witness.log")
        wkey = witness.ready["vkey"]
        log = Log(t, folder, "--key", folder / "key", "--witness", f"{wkey}@{witness.url}", "--quorum", 1)
        expect_equal(log.vkey, vkey, "the log's key")
        rows = append(t, log, folder / "a.key", 300, 100) + append(t, log, folder / "b.key", 3)
        log.published(303)
        rows += append(t, log, folder / "a.key", 300, 299)
        log.published(603)
        proofs = []
        for row in (rows[0], rows[302], rows[602]):
            path = folder / f"{row['index']}.tlog-proof"
            t.cli("log", "prove", log.url, "--vkey", vkey, "--index", row["index"], "--out", path)
            policy = ["--vkey", vkey, "--witness-key", wkey, "--quorum", 1]
            verified = t.json("log", "verify", path, *policy, "--entry", row["entry"])
            expect_equal(verified["witnesses"][0]["name"], "witness.example/w1", "who cosigned")
            t.cli("log", "verify", path, *policy, "--entry", rows[1]["entry"], code=1)
            proofs += [path, row["entry"]]
        # Go's note and tlog packages: checkpoint, cosignature, every tile and entry, the proofs.
        run = subprocess.run([READER, log.url, vkey, wkey, *proofs], capture_output=True, text=True, timeout=120)
        expect_equal(run.returncode, 0, f"the Go reader: {run.stderr[-800:]}")
        print("  " + run.stdout.strip().replace("\n", "\n  "), flush=True)
        expect("603 entries" in run.stdout, run.stdout)
        for source in (log.url, folder / "log"):
            expect_equal(t.json("log", "check", source, "--vkey", vkey)["size"], 603, "entries checked")
        monitor = ["log", "monitor", log.url, "--vkey", vkey, "--data", folder / "monitor", "--compare", witness.url,
                   "--once"]
        expect_equal(t.json(*monitor), {"entries": 603, "issuers": 2}, "what the monitor saw")
        # Plain files: any static server's. Nothing but the log's own files is for readers.
        expect_equal((folder / "log/checkpoint").stat().st_mode & 0o777, 0o644, "mode of the checkpoint")
        expect_equal((folder / "log/tile/0/000").stat().st_mode & 0o777, 0o644, "mode of a tile")

        # The same log from an old copy, and another entry: the monitor has the proof of the fork.
        log.service.stop()
        shutil.copytree(folder / "log", folder / "fork/log")
        log.start()
        append(t, log, folder / "a.key", 1)
        log.published(604)
        t.cli(*monitor)
        log.service.stop()
        fork = Log(t, folder / "fork", "--key", folder / "key")
        append(t, fork, folder / "b.key", 2)
        fork.published(605)
        forked = t.cli("log", "monitor", fork.url, "--vkey", vkey, "--data", folder / "monitor", "--once", code=1)
        expect("fork" in forked.stdout, forked.stdout)
        proof = list((folder / "monitor").glob("fork-*.txt"))
        expect(len(proof) == 1 and proof[0].read_text().count("example.com/log\n") == 2, "the two notes are kept")
        fork.service.stop()
        witness.stop()


def a_witness_cosigns_a_log_of_others(t):
    """The log is Go's: it hashes, proves and signs without our code."""
    with Folder() as folder:
        run = lambda *args: subprocess.run([READER, *args], capture_output=True, text=True, timeout=60)
        skey, vkey = run("keygen", "example.com/others").stdout.split()
        witness = Service(t, "log", "witness", "--data", folder / "witness", "--name", "witness.example/w1", "--log",
                          vkey, log=folder / "witness.log")
        asked = run("submit", witness.url, skey, vkey, witness.ready["vkey"])
        expect_equal(asked.returncode, 0, f"the Go log: {asked.stdout}{asked.stderr}")
        expect_equal(len(asked.stdout.splitlines()), 11, asked.stdout)
        witness.stop()


def a_killed_log_keeps_what_it_acknowledged(t):
    seed = int(os.environ.get("ASSAY_SEED", time.time_ns() % 1_000_000))
    print(f"  seed {seed} (ASSAY_SEED repeats it)", flush=True)
    chance = random.Random(seed)
    with Folder() as folder:
        writers = 4
        for w in range(writers):
            new_key(t, folder / f"{w}.key")
        log = Log(t, folder, "--batch-ms", 3)
        acknowledged, checkpoints, failures = [], set(), []
        stopping = threading.Event()

        def write(w):
            # One process a writer, which repeats each call until it is answered.
            process = subprocess.Popen(
                [t.assay, "log", "append", "--log", log.append, "--key", folder / f"{w}.key", "--ledger", LEDGER,
                 "--random", "100000000", "--at-once", str(1 + 3 * w), "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
            stop = threading.Thread(target=lambda: (stopping.wait(), process.terminate()))
            stop.start()
            for line in process.stdout:
                row = json.loads(line)
                (failures if "error" in row else acknowledged).append(row)
            error = process.stderr.read()
            if process.wait(60) != 0 or error.strip():
                failures.append(f"writer {w}: {process.returncode} {error[-500:]}")
            stop.join()

        def look():
            while not stopping.is_set():
                try:
                    status, text = http("GET", log.url + "/checkpoint", timeout=5)
                    if status == 200:
                        checkpoints.add(text)
                except OSError:
                    pass
                time.sleep(0.005)

        threads = [threading.Thread(target=write, args=(w,)) for w in range(writers)] + [threading.Thread(target=look)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(t.options.rounds):
                time.sleep(chance.uniform(0.02, 0.3))
                log.service.kill()
                log.start()
            time.sleep(0.3)
        finally:
            stopping.set()
            for thread in threads:
                thread.join(120)
        expect(not failures, f"{failures}")
        log.service.stop()
        t.cli("log", "check", log.folder / "log", "--vkey", log.vkey)
        size, root = checkpoint_of((log.folder / "log/checkpoint").read_text())
        entries = entries_on_disk(log.folder / "log", size)
        leaves = [leaf_hash(e) for e in entries]
        expect_equal(len(set(entries)), len(entries), "entries that are there once")
        for row in acknowledged:
            expect(row["index"] < size, f"acknowledged entry {row['index']} is beyond the log's {size}")
            expect_equal(entries[row["index"]].hex(), row["entry"], f"acknowledged entry {row['index']}")
        expect_equal(len({row["index"] for row in acknowledged}), len(acknowledged), "indexes that were told once")
        # No checkpoint that anybody saw is of another history.
        by_size = {}
        for note in checkpoints:
            seen, seen_root = checkpoint_of(note)
            expect_equal(by_size.setdefault(seen, seen_root), seen_root, f"the root of {seen} entries")
        for seen in sorted(by_size)[:: max(1, len(by_size) // 60)]:
            expect_equal(root_of(leaves[:seen]), by_size[seen], f"the root of the first {seen} entries")
        expect_equal(root_of(leaves), root, "the last root")
        print(f"  killed {t.options.rounds} times; {len(acknowledged)} acknowledged of {size} entries, "
              f"{len(by_size)} checkpoints seen", flush=True)


def a_killed_witness_signs_no_rollback(t):
    """The witness is killed while a log asks it; then an old copy of the log asks."""
    with Folder() as folder:
        new_key(t, folder / "a.key")
        vkey = t.json("log", "keygen", "--name", "example.com/log", "--out", folder / "key")["vkey"]

        def witness_on(port):
            return Service(t, "log", "witness", "--data", folder / "witness", "--name", "witness.example/w1", "--log",
                           vkey, "--port", port, log=folder / "witness.log")

        witness = witness_on(0)
        port = int(witness.url.rsplit(":", 1)[1])
        wkey = witness.ready["vkey"]
        flags = ["--key", folder / "key", "--witness", f"{wkey}@{witness.url}", "--batch-ms", 1]
        log = Log(t, folder, *flags)
        append(t, log, folder / "a.key", 5)
        log.published(5)
        log.service.stop()
        shutil.copytree(folder / "log", folder / "old/log")
        log.start()
        writer = threading.Thread(target=append, args=(t, log, folder / "a.key", 400))
        writer.start()
        for _ in range(3):
            time.sleep(0.15)
            witness.kill()
            witness = witness_on(port)
        writer.join(120)
        origin = hashlib.sha256(b"example.com/log").hexdigest()

        def cosigned():
            status, text = http("GET", f"{witness.url}/{origin}/checkpoint")
            return status == 200 and checkpoint_of(text)[0] == 405 and text
        wait_for("the witness to catch up", cosigned)
        log.service.stop()
        old = Log(t, folder / "old", *flags, "--quorum", 1)
        append(t, old, folder / "a.key", 1)
        time.sleep(1.5)
        _, text = http("GET", old.url + "/checkpoint")
        expect_equal(checkpoint_of(text)[0], 5, "what an old copy may publish under a quorum")
        expect("old copy" in (folder / "old/log.log").read_text(), "the log says why")
        expect(cosigned(), "the witness stays where it was")
        old.service.stop()
        witness.stop()


def a_market_publishes_receipts_and_rows(t):
    with Folder() as folder:
        host, alder, _ = (new_key(t, folder / f"{name}.key") for name in ("host", "alder", "buyer"))
        vkey = t.json("log", "keygen", "--name", "example.com/log", "--out", folder / "key")["vkey"]
        witness = Service(t, "log", "witness", "--data", folder / "witness", "--name", "witness.example/w1", "--log",
                          vkey, log=folder / "witness.log")
        log = Log(t, folder, "--key", folder / "key", "--witness", f"{witness.ready['vkey']}@{witness.url}", "--quorum", 1)
        market = Service(t, "market", "--data", folder / "m", "--key", folder / "host.key", "--log", log.append,
                         "--log-ms", 100, log=folder / "market.log", env=PASS)
        for name, amount in (("alder", "5.00"), ("buyer", "50.00")):
            address = t.json("keys", "show", folder / f"{name}.key", env=ENV)["address"]
            t.cli("ledger", "deposit", "--market", market.url, "--key", folder / "host.key", "--to", address,
                  "--amount", amount, env=ENV)

        def provider_on(port):
            return Service(t, "provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", "--market",
                           market.url, "--key", folder / "alder.key", "--data", folder / "p", "--stake", "5.00",
                           "--port", port, "--log-delay", 200, log=folder / "provider.log", env=PASS)

        provider = provider_on(0)
        gateway = Service(t, "gateway", "--market", market.url, "--models", ROOT / "models", "--key",
                          folder / "buyer.key", "--data", folder / "g", "--log", log.url, "--log-key", log.vkey,
                          "--log-within", 30, log=folder / "gateway.log", env=PASS)

        def ask(question):
            status, reply = http("POST", gateway.url + "/v1/chat/completions", {
                "model": MODEL.stem, "messages": [{"role": "user", "content": question}], "temperature": 0,
                "max_tokens": 24})
            expect_equal(status, 200, f"an answer: {reply}")

        ledger = None

        def numbers():
            """issuer → numbers, in the log's order."""
            nonlocal ledger
            _, text = http("GET", log.url + "/checkpoint")
            out = {}
            for entry in entries_on_disk(folder / "log", checkpoint_of(text)[0]):
                ledger = entry[1:33]
                out.setdefault("0x" + entry[33:53].hex(), []).append(int.from_bytes(entry[53:61], "big"))
            return out

        for question in ("What is 27 + 48?", "What is 31 + 7?", "What is 5 + 6?"):
            ask(question)
        found = wait_for("three receipts and a void", lambda: (n := numbers().get(alder.lower(), [])) and len(n) >= 4 and n)
        expect_equal(found, list(range(1, len(found) + 1)), "the provider's numbers")
        expect_equal(len(found) % 4, 0, "voids fill a batch up")
        # A provider that is killed goes on with the next number.
        port = int(provider.url.rsplit(":", 1)[1])
        provider.kill()
        provider = provider_on(port)
        ask("What is 12 + 13?")
        receipts = sorted((folder / "g/receipts").glob("*.json"))
        expect_equal(len(receipts), 4, "receipts of the buyer")
        last = max(int(json.loads(path.read_text())["receipt"]["message"]["key_sequence"]) for path in receipts)
        found = wait_for("the last receipt", lambda: (n := numbers()[alder.lower()]) and len(n) >= last and n)
        expect_equal(found, list(range(1, len(found) + 1)), "the provider's numbers after a crash")
        _, totals = http("GET", market.url + "/ledger/totals")
        rows = int(totals["operations"])
        wait_for("every row", lambda: len(numbers()[host.lower()]) >= rows)
        # Each receipt the buyer holds is the one in the log, and another one is not.
        for i, path in enumerate(receipts):
            proof = folder / f"{i}.tlog-proof"
            t.cli("log", "prove", log.url, "--vkey", log.vkey, "--receipt", path, "--out", proof)
            opening = folder / "g/openings" / path.name
            t.cli("log", "verify", proof, "--vkey", log.vkey, "--receipt", path, "--opening", opening)
            other = receipts[i - 1]
            t.cli("log", "verify", proof, "--vkey", log.vkey, "--receipt", other, "--opening",
                  folder / "g/openings" / other.name, code=1)
        # The buyer's gateway found them there, and keeps the proofs.
        wait_for("the gateway's proofs", lambda: all(
            row["log"] == "included" for row in http("GET", gateway.url + "/assay/receipts")[1]["data"]))
        expect_equal(len(list((folder / "g/proofs").glob("*.tlog-proof"))), 4, "proofs that the gateway keeps")
        evidence.round_trip(t, folder, receipts[0], folder / "g/openings" / receipts[0].name, log, witness.ready["vkey"],
                            folder / "alder.key", ENV)
        expect_equal(t.json("log", "monitor", log.url, "--vkey", log.vkey, "--data", folder / "monitor", "--once")["issuers"],
                     2, "issuers")
        # Only who has a stake may append through the market.
        stranger = t.cli("log", "append", "--log", market.url + "/log", "--key", folder / "buyer.key", "--ledger",
                         "0x" + ledger.hex(), "--random", 1, code=1, env=ENV)
        expect("stake at least" in stranger.stderr, stranger.stderr)
        for service in (gateway, provider, market, log.service, witness):
            service.stop()


if __name__ == "__main__":
    Runner().run(a_stranger_reads_a_witnessed_log, a_witness_cosigns_a_log_of_others, a_killed_log_keeps_what_it_acknowledged,
                 a_killed_witness_signs_no_rollback, a_market_publishes_receipts_and_rows)
