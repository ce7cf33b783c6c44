"""kill -9 at random moments of a running market: nothing is lost, created or paid twice, and every
process continues from its own files. --rounds 50 is the soak."""
import json
import os
import random
import threading
import time

from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http, wait_for

PASS = {"ASSAY_PASSPHRASE": "crash test"}


class Market:
    """Ledger, one provider and a gateway as separate processes on fixed ports."""

    def __init__(self, t, folder, new_keys=True):
        self.t, self.folder, self.env = t, folder, dict(os.environ, **PASS)
        self.ports, self.services = {}, {}
        for name in ("host", "alder", "buyer") if new_keys else ():
            t.cli("keys", "new", "--out", folder / f"{name}.key", env=self.env)
        self.start("market")
        for name, amount in (("alder", "5.00"), ("buyer", "50.00")):
            address = t.json("keys", "show", folder / f"{name}.key", env=self.env)["address"]
            t.cli("ledger", "deposit", "--market", self.url("market"), "--key", folder / "host.key", "--to", address,
                  "--amount", amount, env=self.env)
        self.start("provider")
        self.start("gateway")

    def arguments(self, name):
        f, port = self.folder, self.ports.get(name, 0)
        if name == "market":
            return ["market", "--data", f / "m", "--key", f / "host.key", "--port", port]
        if name == "provider":
            return ["provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", "--market",
                    self.url("market"), "--key", f / "alder.key", "--data", f / "p", "--stake", "5.00", "--port", port]
        return ["gateway", "--market", self.url("market"), "--models", ROOT / "models", "--key", f / "buyer.key",
                "--data", f / "g", "--port", port, "--settle-hold", "2"]

    def start(self, name):
        service = Service(self.t, *self.arguments(name), log=self.folder / f"{name}.log", env=PASS)
        self.services[name] = service
        expect(service.url, f"{name} did not start: {service.ready}")
        self.ports[name] = int(service.url.rsplit(":", 1)[1])

    def url(self, name):
        return self.services[name].url

    def kill(self, name):
        self.services[name].kill()

    def stop(self):
        for name in ("gateway", "provider", "market"):
            if name in self.services:
                self.services[name].stop(expect_code=None)

    def finish(self):
        self.stop()
        self.t.cli("ledger", "verify", self.folder / "m" / "ledger.db")


def survive_kill_9(t, make, victims, rounds):
    """Buys from a market while its processes are killed; then every receipt is paid, once. `make(folder)` starts it."""
    seed = int(os.environ.get("ASSAY_SEED", time.time_ns() % 1_000_000))
    print(f"  seed {seed} (ASSAY_SEED repeats it)", flush=True)
    chance = random.Random(seed)
    with Folder() as folder:
        market = make(folder)
        stopping, counts = threading.Event(), {"answered": 0, "refused": 0}

        def buy():
            number = 0
            while not stopping.is_set():
                number += 1
                question = f"What is {10 + number % 80} + {11 + number % 70}?"
                try:
                    status, _ = http("POST", market.url("gateway") + "/v1/chat/completions", {
                        "model": MODEL.stem, "messages": [{"role": "user", "content": question}],
                        "temperature": 0, "max_tokens": 24}, timeout=60)
                    counts["answered" if status == 200 else "refused"] += 1
                    if status != 200:
                        time.sleep(0.05)
                except OSError:
                    counts["refused"] += 1
                    time.sleep(0.05)

        buyers = [threading.Thread(target=buy) for _ in range(2)]
        for buyer in buyers:
            buyer.start()
        try:
            kills = []
            for _ in range(rounds):
                time.sleep(chance.uniform(0.2, 2.5))
                name = chance.choice(victims)
                kills.append(name)
                market.kill(name)
                time.sleep(chance.uniform(0.0, 0.5))
                market.start(name)
        finally:
            stopping.set()
            for buyer in buyers:
                buyer.join(120)
        print(f"  killed {', '.join(kills)}; {counts['answered']} answered, {counts['refused']} refused", flush=True)
        expect(counts["answered"] > 0, f"nothing was answered: {counts}")

        # The market works after all that, and every receipt the buyer accepted is settled, once.
        status, reply = http("POST", market.url("gateway") + "/v1/chat/completions", {
            "model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "temperature": 0})
        expect_equal(status, 200, f"a request after the crashes: {reply}")

        def receipts():
            return http("GET", market.url("gateway") + "/assay/receipts")[1]["data"]

        def settled():
            return all(r["stage"] in ("settled", "expired") for r in receipts())

        try:
            wait_for("every receipt to be settled", settled, timeout=240)
        finally:
            for r in receipts():
                if r["stage"] not in ("settled", "expired"):
                    print(f"  {r['statement']} {r['receipt'][:12]}: {r['stage']}, audit {r['audit']}: {r['reason']}")
        rows = receipts()
        # Money arrives once for each receipt: the ledger's total equals the sum of the receipts.
        owed = 0
        for path in (folder / "g" / "receipts").glob("*.json"):
            owed += int(json.loads(path.read_text())["receipt"]["message"]["amount"])
        alder = t.json("keys", "show", folder / "alder.key", env=market.env)["address"]

        def paid():
            _, account = http("GET", f"{market.url('market')}/ledger/accounts/{alder}")
            return account if int(account["available"]) >= owed else None

        account = wait_for("the last settlement", paid, timeout=60)
        expect_equal(int(account["available"]), owed, "what the provider was paid against its receipts")
        expect_equal(int(account["convictions"]), 0, "convictions of an honest provider")
        audits = [r for r in rows if r["audit"] == "mismatch"]
        expect(not audits, f"an honest provider failed an audit: {audits}")
        _, totals = http("GET", market.url("market") + "/ledger/totals")
        held = sum(int(totals[k]) for k in ("available", "stake", "unbonding", "escrow", "bonds", "burned"))
        expect_equal(held, int(totals["deposited"]) - int(totals["withdrawn"]), "money on the ledger")
        market.finish()


def a_market_survives_kill_9(t):
    survive_kill_9(t, lambda folder: Market(t, folder), ["market", "provider", "gateway"], t.options.rounds)


if __name__ == "__main__":
    Runner().run(a_market_survives_kill_9)
