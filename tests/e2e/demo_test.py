"""`assay demo --json`: everything the terminal story says must really have happened."""
import json
import pathlib

from harness import MODEL, ROOT, Folder, Runner, expect, expect_equal


def micros(text):
    """'1.25' → 1250000, exactly."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    return sign * (int(whole) * 1_000_000 + int((fraction + "000000")[:6]))


def demo_tells_the_truth(t):
    with Folder() as folder:
        demo = t.json("demo", "--models", ROOT / "models", "--data", folder / "market", timeout=180)
        honest = [a for a in demo["audits"] if a["match"]]
        lies = [a for a in demo["audits"] if not a["match"]]
        expect(len(lies) == 1 and len(honest) >= 1, f"audits: {demo['audits']}")
        expect("position" in lies[0]["divergence"], "the divergence names no position")
        expect("layer" in lies[0]["divergence"], "the divergence names no layer")
        expect_equal(demo["slashed"][0]["provider"], lies[0]["provider"], "who was slashed")
        expect(micros(demo["slashed"][0]["amount"]) > 0, "nothing was slashed")
        expect("the step gives" in demo["slashed"][0]["reason"], f"no executed step: {demo['slashed'][0]['reason']}")
        expect(2 * micros(demo["slashed"][0]["burned"]) >= micros(demo["slashed"][0]["amount"]),
               "at least half of a slash is burned")
        expect(demo["conserved"], "money was not conserved")
        expect("75" in demo["answer"], f"answer: {demo['answer']}")
        before, after = demo["balances"]["before"], demo["balances"]["after"]
        cheat = next(n for n, b in after.items() if b["address"] == lies[0]["provider"])
        expect(micros(after[cheat]["stake"]) < micros(before[cheat]["stake"]), "the cheat kept its stake")
        expect_equal(micros(after[cheat]["paid"]), 0, "what the cheat was paid")
        paid = next(n for n, b in after.items() if b["address"] == honest[0]["provider"])
        expect(micros(after[paid]["paid"]) > 0, "the honest provider was not paid")

        # The files lie where it says, and an outsider reaches the same verdicts with them.
        by_provider = {r["provider"]: r for r in demo["receipts"]}
        good, bad = by_provider[honest[0]["provider"]], by_provider[lies[0]["provider"]]
        t.cli("verify", good["file"], "--opening", good["opening"], "--model", MODEL)
        audit = t.json("audit", good["file"], "--opening", good["opening"], "--model", MODEL)
        expect(audit["match"], "the honest receipt does not replay")
        audit = t.json("audit", bad["file"], "--opening", bad["opening"], "--model", MODEL, code=1)
        expect_equal(audit["divergence"]["position"], lies[0]["divergence"]["position"], "position")
        expect_equal(audit["divergence"]["layer"], lies[0]["divergence"]["layer"], "layer")
        t.cli("ledger", "verify", demo["ledger"]["file"])

        # One changed byte in the ledger's log is noticed.
        tampered = folder / "tampered.db"
        raw = bytearray(pathlib.Path(demo["ledger"]["file"]).read_bytes())
        at = raw.find(b'"deposit"')
        expect(at > 0, "no deposit in the ledger file")
        digit = next(i for i in range(at, at + 400) if raw[i:i + 10] == b'"amount":"') + 10
        raw[digit] = ord("9") if raw[digit] != ord("9") else ord("8")
        tampered.write_bytes(raw)
        t.cli("ledger", "verify", tampered, code=1)


def demo_cleans_up(t):
    with Folder() as folder:
        demo = json.loads(t.cli("demo", "--json", "--models", ROOT / "models", "--data", folder / "m",
                                timeout=180).stdout)
        for pid in demo["processes"]:
            expect(not pathlib.Path(f"/proc/{pid}").exists(), f"process {pid} is still there")


if __name__ == "__main__":
    Runner().run(demo_tells_the_truth, demo_cleans_up)
