"""A market on a chain where every answer is held to a schema, with a cheat in it, which plays its dispute to the end: kill -9
of all sides while the deadlines run, and what a client that we did not write (viem, tests/peers/market.ts) reads of it
afterwards."""
import json
import os
import random
import sys
import time

from crash_test import PASS
from evm_test import Chain, ChainMarket
from harness import MODEL, ROOT, Folder, Runner, expect, expect_equal, http, wait_for
from peers_test import node

sys.path.append(str(ROOT / "tests/attacks"))
from proxy import Proxy, no  # noqa: E402

SUM = {"type": "json_schema", "json_schema": {"name": "sum", "strict": True, "schema": {
    "type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": False}}}


class Disputed(ChainMarket):
    """The crash test's market with `cuckoo` in it, the cheapest: it serves the model's weights at three bits. `on_chain`:
    it makes its moves there only, each a transaction."""

    def __init__(self, t, folder, chain, move_s, others=(), on_chain=False):
        self.endpoint = Proxy(before=lambda path, body: no() if path == "/v1/dispute" else None) if on_chain else None
        self.bought = 0
        super().__init__(t, folder, chain, others=("cuckoo", *others), deploy=["--move-deadline", str(move_s)])
        self.fund("cuckoo", "5.00")
        self.start("cuckoo")

    def fund(self, name, amount):
        self.t.cli("ledger", "deposit", "--market", self.url("market"), "--key", self.folder / "host.key", "--to",
                   self.address[name], "--amount", amount, env=self.env)

    def arguments(self, name):
        if name == "cuckoo":
            cheat = ["attack", "model-swap", "--bits", "3", "--claim", MODEL, "--price-in", "0.10", "--price-out", "0.20",
                     *self.settlement(), "--key", self.folder / "cuckoo.key", "--data", self.folder / "c", "--stake", "5.00",
                     "--port", self.ports.get(name, 0), "--threads", "1"]
            return [*cheat, "--endpoint", self.endpoint.url] if self.endpoint else cheat
        if name == "careless":
            # Audits nothing and pays late: whoever sells to it claims.
            return ["gateway", *self.settlement(), "--models", ROOT / "models", "--key", self.folder / "careless.key", "--data",
                    self.folder / "careless", "--audit-rate", "0", "--settle-hold", "600", "--ignore", self.address["cuckoo"]]
        more = {"provider": ["--rest", "1", "--threads", "1"], "gateway": ["--audit-rate", "1"]}
        return super().arguments(name) + more.get(name, [])

    def settlement(self):
        return ["--settlement", "evm", "--rpc", self.chain.url, "--market", self.manifest, "--board", self.url("market")]

    def start(self, name):
        super().start(name)
        if name == "cuckoo" and self.endpoint:
            self.endpoint.target = self.url("cuckoo")

    def ask(self, gateway="gateway"):
        """The `assay` object of an answer held to a schema. Another question each time."""
        self.bought += 1
        question = f"What is {20 + self.bought} + 48?"
        status, reply = http("POST", self.url(gateway) + "/v1/chat/completions", {
            "model": MODEL.stem, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 24,
            "response_format": SUM})
        expect_equal(status, 200, f"an answer: {reply}")
        choice = reply["choices"][0]
        expect(choice["message"]["content"].startswith('{"sum":'), f"not held to its schema: {choice}")
        if choice["finish_reason"] == "stop":
            expect_equal(list(json.loads(choice["message"]["content"])), ["sum"], "members of the answer")
        return reply["assay"]

    def ask_for(self, name):
        """Asks until that provider is the one who answers."""
        return wait_for(f"an answer of {name}", lambda: next(
            (a for a in [self.ask()] if a["provider"] == self.address[name]), None), 60)

    def ledger(self, path):
        status, document = http("GET", self.url("market") + "/ledger" + path)
        expect_equal(status, 200, f"{path}: {document}")
        return document

    def row(self, receipt, gateway="gateway"):
        rows = http("GET", self.url(gateway) + "/assay/receipts")[1]["data"]
        return next(r for r in rows if r["receipt"] == receipt)

    def events(self, *more):
        at = ["--rpc", self.chain.url, "--market", self.manifest]
        return self.t.json("chain", "events", *at, "--data", self.folder / "index", *more)["events"]

    def conserved(self):
        totals = self.ledger("/totals")
        held = sum(int(totals[k]) for k in ("available", "stake", "unbonding", "escrow", "bonds", "burned"))
        expect_equal(held, int(totals["deposited"]) - int(totals["withdrawn"]), "money on the ledger")

    def stop(self):
        for name in ("careless", "cuckoo", "gateway", "provider", "market"):
            service = self.services.pop(name, None)
            if service and service.process.returncode is None:
                service.stop(expect_code=None)
        if self.endpoint:
            self.endpoint.stop()
            self.endpoint = None


def a_dispute_survives_kill_9(t):
    seed = int(os.environ.get("ASSAY_SEED", time.time_ns() % 1_000_000))
    print(f"  seed {seed} (ASSAY_SEED repeats it)", flush=True)
    chance = random.Random(seed)
    with Folder() as folder:
        chain, market = Chain(folder), None
        try:
            market = Disputed(t, folder, chain, move_s=40, on_chain=True)
            lie = market.ask_for("cuckoo")
            wait_for("the audit", lambda: market.row(lie["receipt"])["audit"] == "mismatch", 60)
            kills = []
            filed = None
            deadline = time.monotonic() + 200

            def decided():
                nonlocal filed
                try:
                    filed = filed or market.row(lie["receipt"]).get("dispute")
                    return filed and market.ledger(f"/disputes/{filed}")["state"] == "decided"
                except (OSError, AssertionError):
                    return False  # not filed yet

            while not decided():
                expect(time.monotonic() < deadline, f"undecided; killed {', '.join(kills)}")
                time.sleep(chance.uniform(0.1, 1.2))
                name = chance.choice(["gateway", "cuckoo", "gateway", "cuckoo", "market", "provider"])
                if len(kills) < 4 * t.options.rounds:
                    kills.append(name)
                    market.kill(name)
                    time.sleep(chance.uniform(0.0, 0.5))
                    # Convicted meanwhile, also while it starts, the cheat has no stake to start with.
                    if name != "cuckoo" or not decided():
                        try:
                            market.start(name)
                        except AssertionError:
                            expect(name == "cuckoo", f"{name} did not start again")
                            wait_for("the conviction that kept the cheat from starting", decided, 10)
            verdict = market.ledger(f"/disputes/{filed}")
            print(f"  killed {', '.join(kills)}", flush=True)
            # No deadline was missed by anybody: the game went on to the step, which the contract executed.
            expect_equal(verdict["outcome"], "provider_wrong", f"verdict: {verdict}")
            expect("the step gives" in verdict["reason"], f"no executed step: {verdict['reason']}")
            moved = market.events("--kind", "Moved")
            expect_equal([int(e["indexed"][1], 16) for e in moved], list(range(int(verdict["moves"]))), "moves on the chain")
            gas = {r["transactionHash"]: int(r["gasUsed"], 16) for r in market.receipts()}
            print(f"  gas of the moves: {', '.join(str(gas[e['transaction']]) for e in moved)}; the last executes the step and convicts")
            cuckoo = market.ledger(f"/accounts/{market.address['cuckoo']}")
            expect_equal((cuckoo["stake"], cuckoo["available"], cuckoo["convictions"]), ("0", "0", "1"), "the cheat's account")
            wait_for("the refund", lambda: market.row(lie["receipt"])["stage"] == "refunded", 60)
            expect_equal(len(market.events("--kind", "Convicted")), 1, "convictions")
            # Honest work goes on, and is paid once.
            market.ask_for("alder")
            wait_for("every receipt to be settled", lambda: all(
                r["stage"] in ("settled", "refunded", "expired") for r in
                http("GET", market.url("gateway") + "/assay/receipts")[1]["data"]), 120)
            files = [json.loads(p.read_text()) for p in (folder / "g/receipts").glob("*.json")]
            owed = sum(int(f["receipt"]["message"]["amount"]) for f in files
                       if f["lease"]["message"]["provider"] == market.address["alder"])
            alder = f"/accounts/{market.address['alder']}"
            wait_for("the last settlement", lambda: int(market.ledger(alder)["available"]) >= owed, 60)
            expect_equal(int(market.ledger(alder)["available"]), owed, "what the honest provider was paid")
            expect_equal(market.ledger(alder)["convictions"], "0", "convictions of an honest provider")
            market.conserved()
            market.finish()
        finally:
            if market:
                market.stop()
            if chain.process.poll() is None:
                chain.stop()


def viem_reads_the_same_market(t):
    checked = node("node_modules/typescript/bin/tsc", "-p", "tsconfig.json")
    expect_equal(checked.returncode, 0, f"types: {checked.stdout[-2000:]}")
    with Folder() as folder:
        chain, market = Chain(folder), None
        try:
            market = Disputed(t, folder, chain, move_s=20, others=["careless"])
            lie = market.ask_for("cuckoo")
            market.fund("careless", "10.00")
            market.start("careless")
            wait_for("the conviction", lambda: market.row(lie["receipt"])["stage"] == "refunded", 90)
            paid, claimed = market.ask_for("alder"), market.ask("careless")
            lease = market.row(claimed["receipt"], "careless")["lease"]
            wait_for("the settlement", lambda: market.row(paid["receipt"])["stage"] == "settled", 60)
            wait_for("the claim", lambda: market.ledger(f"/leases/{lease}")["claim"], 60)
            for name in ("careless", "gateway", "cuckoo", "provider"):
                market.services.pop(name).stop(expect_code=None)
            given = {
                "rpc": chain.url, "manifest": json.loads(market.manifest.read_text()), "board": market.url("market"),
                "status": t.json("chain", "status", "--rpc", chain.url, "--market", market.manifest), "events": market.events(),
                "receipts": [json.loads(p.read_text()) for data in ("g", "careless")
                             for p in (folder / data / "receipts").glob("*.json")]}
            run = node("market.ts", stdin=json.dumps(given))
            expect_equal(run.returncode, 0, f"market.ts: {run.stderr[-2500:]}")
            told = json.loads(run.stdout)
            print(f"  viem agrees: {run.stdout.strip()}")
            expect(told["leases"] >= 3 and told["pending"] >= 1 and told["staked"] == 1, f"too little happened: {told}")
            expect(told["disputes"] == 1 and told["moves"][0] > 4, f"no dispute was played: {told}")
            for kind in ("Stake", "Lease", "Settlement", "Claim", "CommitDispute", "Dispute", "Offer", "Request", "Receipt"):
                expect(told["signatures"].get(kind, 0) > 0, f"no {kind} among {told['signatures']}")
            # A figure of ours that is not the chain's is noticed.
            given["status"]["burned"] = str(int(given["status"]["burned"]) + 1)
            expect(node("market.ts", stdin=json.dumps(given)).returncode != 0, "another total went unnoticed")
        finally:
            if market:
                market.stop()
            chain.stop()


if __name__ == "__main__":
    Runner().run(viem_reads_the_same_market, a_dispute_survives_kill_9)
