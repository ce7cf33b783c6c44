"""A market on a chain: `assay demo --settlement evm`, the verbs of `assay chain`, and kill -9 of provider, gateway and
relay while contracts settle. The chain is anvil, from contracts/ (npm)."""
import json
import os
import platform
import re
import subprocess
import time

from crash_test import PASS, Market, survive_kill_9
from harness import MODEL, ROOT, Folder, Runner, Service, Skip, expect, expect_equal

ANVIL = ROOT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"


class Chain:
    """anvil on a free port, with an account for each name that has more gas than it can use."""

    def __init__(self, folder):
        if platform.machine() != "x86_64":
            raise Skip("anvil is installed for x86-64 only")
        self.log = folder / "anvil.log"
        self.process = subprocess.Popen([ANVIL, "--port", "0", "--prune-history", "256"], stdout=open(self.log, "w"),
                                        stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while not (said := re.search(r"Listening on (\S+)", self.log.read_text())):
            expect(time.monotonic() < deadline and self.process.poll() is None, f"anvil did not start: {self.log}")
            time.sleep(0.05)
        self.url = f"http://{said[1]}"

    def ask(self, method, *params):
        import urllib.request
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        answer = json.load(urllib.request.urlopen(request, timeout=10))
        expect("error" not in answer, f"{method}: {answer.get('error')}")
        return answer["result"]

    def enrich(self, address):
        self.ask("anvil_setBalance", address, hex(10**19))

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class ChainMarket(Market):
    """The crash test's market, settling on contracts."""

    def __init__(self, t, folder, chain, others=(), deploy=()):
        self.chain, env = chain, dict(os.environ, **PASS)
        self.address = address = {}
        for name in ("deployer", "host", "alder", "buyer", *others):
            t.cli("keys", "new", "--out", folder / f"{name}.key", "--cost", 1, env=env)
            address[name] = t.json("keys", "show", folder / f"{name}.key", env=env)["address"]
            chain.enrich(address[name])
        self.deployed = t.json("chain", "deploy", "--rpc", chain.url, "--key", folder / "deployer.key", "--data",
                               folder / "deployment", "--test-token-for", address["host"], *deploy, env=env)
        self.manifest = folder / "deployment/manifest.json"
        super().__init__(t, folder, new_keys=False)

    def arguments(self, name):
        on_chain = ["--settlement", "evm", "--rpc", self.chain.url, "--market", self.manifest]
        f, port = self.folder, self.ports.get(name, 0)
        if name == "market":
            return ["market", *on_chain, "--data", f / "m", "--key", f / "host.key", "--port", port]
        on_chain += ["--board", self.url("market")]
        if name == "provider":
            return ["provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", *on_chain, "--key",
                    f / "alder.key", "--data", f / "p", "--stake", "5.00", "--port", port]
        return ["gateway", *on_chain, "--models", ROOT / "models", "--key", f / "buyer.key", "--data", f / "g", "--port",
                port, "--settle-hold", "2"]

    def receipts(self):
        """Of all transactions there were."""
        for number in range(1, int(self.chain.ask("eth_blockNumber"), 16) + 1):
            yield from self.chain.ask("eth_getBlockReceipts", hex(number))

    def finish(self):
        # An operation that was sent twice would show as a transaction that reverted: nothing is repeated.
        reverted = [r["transactionHash"] for r in self.receipts() if r["status"] != "0x1"]
        expect_equal(reverted, [], "transactions that reverted")
        self.stop()
        self.chain.stop()


def demo_on_a_chain(t):
    with Folder() as folder:
        demo = t.json("demo", "--settlement", "evm", "--models", ROOT / "models", "--data", folder / "market", timeout=240)
        lies = [a for a in demo["audits"] if not a["match"]]
        expect_equal(len(lies), 1, "lies")
        expect_equal(demo["slashed"][0]["provider"], lies[0]["provider"], "who was slashed")
        expect(demo["conserved"], "money was not conserved")
        gas = {g["what"]: g["gas"] for g in demo["ledger"]["gas"]}
        convicted = [what for what in gas if what.endswith("convicted")]
        expect_equal(len(convicted), 1, f"conviction among {sorted(gas)}")
        # Not by a deadline: the cheat played to the end, and the contract executed the step.
        expect("the step gives" in demo["slashed"][0]["reason"], f"no executed step: {demo['slashed'][0]['reason']}")
        for what in ("lease opened", "settled", "staked", "Market deployed"):
            expect(gas.get(what, 0) > 20_000, f"no gas of {what!r} among {sorted(gas)}")
        for pid in demo["processes"]:
            expect(not os.path.exists(f"/proc/{pid}"), f"process {pid} is still there")


def a_deployment_is_checked_and_its_events_are_found(t):
    with Folder() as folder:
        chain = Chain(folder)
        try:
            market = ChainMarket(t, folder, chain)
            market.stop()
            at = ["--rpc", chain.url, "--market", market.manifest]
            status = t.json("chain", "status", *at)
            expect(status["ok"] and len(status["contracts"]) == 13, f"status: {status}")
            # By the address alone, as a stranger would.
            stranger = t.json("chain", "status", "--rpc", chain.url, "--market", market.deployed["market"])
            expect(stranger["ok"], f"status by address: {stranger}")
            events = t.json("chain", "events", *at, "--data", folder / "index", "--kind", "Staked", "--kind", "deposited")
            kinds = [e["event"] for e in events["events"]]
            expect_equal(sorted(kinds), ["Deposited", "Deposited", "Staked"], "events")
            alder = t.json("keys", "show", folder / "alder.key", env=market.env)["address"]
            about = t.json("chain", "events", *at, "--data", folder / "index", "--about", alder)
            expect_equal([e["event"] for e in about["events"]], ["Deposited", "Staked"], "events about the provider")
            # Tokens of one's own go in, once however often they are sent.
            deposit = ["chain", "deposit", *at, "--key", folder / "host.key", "--data", folder / "own", "--amount", "1.25",
                       "--nonce", "7"]
            first, second = (t.json(*deposit, env=market.env) for _ in range(2))
            expect_equal([first["already"], second["already"]], [False, True], "the same deposit twice")
            expect_equal(second["account"]["available"], "1250000", "what was deposited")
            # A log's checkpoint, and the event that dates it.
            log = Service(t, "log", "serve", "--data", folder / "log", "--origin", "localhost/assay", log=folder / "log.txt")
            try:
                anchor = ["chain", "anchor", "--rpc", chain.url, "--contract", market.manifest, "--key", folder / "host.key",
                          "--data", folder / "own", "--log", log.url, "--vkey", log.ready["vkey"]]
                anchored, again = (t.json(*anchor, env=market.env) for _ in range(2))
            finally:
                log.stop(expect_code=None)
            expect_equal(again["transaction"], anchored["transaction"], "one checkpoint, one transaction")
            found = t.json("chain", "events", *at, "--data", folder / "index", "--kind", "Anchored")["events"]
            expect_equal([e["data"] for e in found], [anchored["root"]], "anchored roots")
            # Deploying again from the same folder sends nothing and says the same.
            again = t.json("chain", "deploy", "--rpc", chain.url, "--key", folder / "deployer.key", "--data",
                           folder / "deployment", "--test-token-for", market.deployed["deployer"], env=market.env)
            expect_equal(again, market.deployed, "deployed again")
            # Other code is noticed.
            chain.ask("anvil_setCode", market.deployed["contracts"]["Games"]["address"], "0x60016000f3")
            changed = t.cli("chain", "status", *at, "--json", code=None)
            expect(changed.returncode != 0, "other code went unnoticed")
            refused = t.cli("auditor", "--settlement", "evm", code=1)
            expect("hired auditors are not in the contracts" in refused.stderr, f"auditor: {refused.stderr}")
        finally:
            chain.stop()


def a_market_on_a_chain_survives_kill_9(t):
    def make(folder):
        return ChainMarket(t, folder, Chain(folder))
    survive_kill_9(t, make, ["market", "provider", "gateway"], min(t.options.rounds, 3) if t.options.rounds <= 5
                   else t.options.rounds)


if __name__ == "__main__":
    Runner().run(demo_on_a_chain, a_deployment_is_checked_and_its_events_are_found, a_market_on_a_chain_survives_kill_9)
