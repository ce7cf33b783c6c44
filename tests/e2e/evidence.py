"""What becomes of a receipt that a buyer holds: exports, a bundle with its place in a witnessed log,
and what `assay verify` says of each, whole and tampered with. Run by log_test.py on its market."""
import base64
import json
import os
import shutil
import subprocess

from harness import NODE, ROOT, expect, expect_equal

PEERS = ROOT / "tests/peers"


def standings(report):
    return {f["code"]: f["standing"] for f in report["findings"]}


def exports(t, folder, receipt, opening, key, env):
    """Both forms, read by libraries we did not write; one changed byte and they are refused."""
    files = {}
    for form in ("cose", "dsse"):
        files[form] = folder / f"receipt.{form}"
        t.cli("receipt", "export", receipt, "--format", form, "--key", key, "--out", files[form], "--public-key-out",
              folder / "signer.pem", env=env)
        report = t.json("verify", files[form], "--require", "who,weights")
        expect_equal((report["form"], standings(report)["export.signature"]), (form, "proven"), f"{form}")
        t.cli("verify", files[form], "--require", "output", code=1)
        t.cli("verify", files[form], "--opening", opening, "--require", "output")
        changed = bytearray(files[form].read_bytes())
        changed[len(changed) // 2] ^= 1
        (folder / "tampered").write_bytes(changed)
        t.cli("verify", folder / "tampered", code=1)
    expect(NODE.exists(), f"{NODE} is missing: run make setup")
    run = subprocess.run([NODE, PEERS / "export.mjs", files["cose"], files["dsse"], folder / "signer.pem", receipt],
                         capture_output=True, text=True, timeout=60, cwd=PEERS,
                         env={k: v for k, v in os.environ.items() if k != "NODE_OPTIONS"})
    expect_equal(run.returncode, 0, f"export.mjs: {run.stderr[-1500:]}")
    print("  " + run.stdout.strip(), flush=True)
    return files


def bundle(t, folder, receipt, opening, log, witness_key):
    """Who, when, which weights and which output from one file, without the secret."""
    path = folder / "evidence.json"
    keys = ["--log-key", log.vkey, "--witness-key", witness_key]
    t.cli("receipt", "bundle", receipt, "--opening", opening, "--disclose", "answer", "--log", log.url, *keys, "--out",
          path)
    secret = json.loads(opening.read_text())["salt_secret"]
    expect(secret not in path.read_text(), "the bundle tells the salt secret")
    t.cli("verify", path, *keys, "--require", "who,when,weights,output,log")
    t.cli("verify", path, *keys, "--require", "prompt", code=1)
    # The same keys from the bundle alone are claims.
    found = standings(t.json("verify", path))
    expect_equal((found["log"], found["time"], found["answer"]), ("claimed", "claimed", "proven"), "without keys")
    t.cli("verify", path, "--witness-key", witness_key, "--require", "when")
    # A log of the same name, and a witness, that are others.
    for option, vkey in (("--log-key", log.vkey), ("--witness-key", witness_key)):
        name = vkey.split("+")[0]
        kind = ["--witness"] if option == "--witness-key" else []
        other = t.json("log", "keygen", "--name", name, "--out", folder / f"other{option}", *kind)["vkey"]
        t.cli("verify", path, option, other, "--require", "when,log", code=1)

    whole = json.loads(path.read_text())
    entry = base64.b64decode(whole["log"]["proof"].split("\n")[1].removeprefix("extra "))

    def tampered(change):
        changed = json.loads(path.read_text())
        change(changed)
        (folder / "tampered").write_text(json.dumps(changed))
        report = json.loads(t.cli("verify", folder / "tampered", *keys, "--json", code=1).stdout)
        return [f["code"] for f in report["findings"] if f["standing"] == "failed"]

    def leaf(b):
        text = b["chunks"][0]["leaf"]
        b["chunks"][0]["leaf"] = text[:-1] + ("0" if text[-1] != "0" else "1")

    def proof(old, new):
        def change(b):
            b["log"]["proof"] = b["log"]["proof"].replace(old, new, 1)
        return change

    expect_equal(tampered(leaf), ["answer.chunks"], "another answer")
    expect_equal(tampered(lambda b: b["log"].update(salt="0x" + "07" * 32)), ["log"], "another salt")
    changed = entry[:70] + bytes([entry[70] ^ 1]) + entry[71:]
    expect_equal(tampered(proof(base64.b64encode(entry).decode(), base64.b64encode(changed).decode())), ["log"],
                 "another entry")
    expect_equal(tampered(proof("index ", "index 1")), ["log"], "another index")
    expect("receipt.signature" in tampered(lambda b: b["receipt"]["receipt"]["message"].update(count="1")), "count")

    # The anchor is of this checkpoint, or there is no bundle.
    _, size, root = whole["log"]["proof"].split("\n\n")[1].split("\n")[:3]
    anchor = {"chain_id": "10", "block": "7", "contract": "0x" + "0" * 40, "transaction": "0x" + "01" * 32, "size": size,
              "root": "0x" + base64.b64decode(root).hex()}
    build = ["receipt", "bundle", receipt, "--opening", opening, "--log-proof", folder / "p.tlog-proof", *keys,
             "--anchor", folder / "anchor.json", "--out", folder / "anchored.json"]
    (folder / "p.tlog-proof").write_text(whole["log"]["proof"])
    (folder / "anchor.json").write_text(json.dumps(anchor))
    t.cli(*build)
    expect_equal(standings(t.json("verify", folder / "anchored.json", *keys))["anchor"], "claimed", "an anchor")
    (folder / "anchor.json").write_text(json.dumps(dict(anchor, size="1")))
    expect("no bundle is written: anchor" in t.cli(*build, code=1).stderr, "an anchor of another checkpoint")

    # A receipt that the log does not have.
    absent = json.loads(receipt.read_text())
    absent["receipt"]["message"]["key_sequence"] = "999"
    (folder / "absent.json").write_text(json.dumps(absent))
    error = t.cli("receipt", "bundle", folder / "absent.json", "--opening", opening, "--log", log.url, *keys, code=1).stderr
    expect("no number 999" in error and "holds it back" in error, error)
    return path, keys


def batch(t, folder, good, keys):
    heap = folder / "heap"
    heap.mkdir()
    for path in good:
        shutil.copy(path, heap)
    t.cli("verify", "--batch", heap, *keys, "--require", "who,weights")
    found = json.loads(t.cli("verify", "--batch", heap, *keys, "--require", "when", "--json", code=1).stdout)
    expect_equal((found["checked"], found["good"]), (len(good), 1), "files that prove a time")
    shutil.copy(folder / "tampered", heap / "tampered")
    found = json.loads(t.cli("verify", "--batch", heap, "--json", code=1).stdout)
    expect_equal((found["good"], len(found["problems"])), (len(good), 1), "files that hold")
    expect("tampered" in found["problems"][0], found["problems"])


def keyless_is_refused(t, folder):
    """By name, with what to do."""
    (folder / "keyless.sig").write_text(json.dumps({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": "YQ=="}, "tlogEntries": [{}]},
        "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", "payload": "e30=",
                         "signatures": [{"sig": "YQ=="}]}}))
    error = t.cli("model", "verify-signature", folder / "keyless.sig", "--public-key", folder / "signer.pem", code=1).stderr
    expect("keyless Sigstore" in error and "ask the publisher" in error, error)


def round_trip(t, folder, receipt, opening, log, witness_key, key, env):
    files = exports(t, folder, receipt, opening, key, env)
    path, keys = bundle(t, folder, receipt, opening, log, witness_key)
    batch(t, folder, [receipt, files["cose"], files["dsse"], path], keys)
    keyless_is_refused(t, folder)
