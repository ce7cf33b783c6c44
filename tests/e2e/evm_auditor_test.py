"""Hired auditors on a chain, as real processes on anvil with a block a second: the beacon's service draws, an honest answer
is passed and its auditors are paid, a cheat and whoever passed its lie are convicted; and auditors, gateway and beacon are
killed with -9 at random moments: no fee is lost or paid twice, no round published twice, no deadline missed."""
import json
import os
import random
import threading
import time

from evm_test import Chain
from harness import MODEL, ROOT, WORSE, Folder, Runner, Service, expect, expect_equal, http, wait_for

PASS = {"ASSAY_PASSPHRASE": "evm auditor test"}
MOVE_S = 6  # a deadline of this market
FEE = 10_000
BURNED = 2_000  # of it, by a pass
STAKE = 2_000_000


class Market:
    """A market on a chain with short deadlines; each party is started by its name."""

    def __init__(self, t, folder, beacon_of="deployer"):
        self.t, self.folder, self.env = t, folder, dict(os.environ, **PASS)
        self.chain, self.services, self.ports, self.address, self.spot_check = Chain(folder), {}, {}, {}, 0
        for name in ("deployer", "host", beacon_of):
            if name not in self.address:
                self.key(name)
        # With it goes the chain of values: whoever deploys has its own in the deployment's folder.
        self.beacon = {"key": folder / f"{beacon_of}.key", "data": folder / "deployment"}
        deploy = []
        if beacon_of != "deployer":
            self.beacon["data"] = folder / "beacon"
            made = t.json("chain", "beacon", "--make", "--data", self.beacon["data"], "--key", self.beacon["key"],
                          env=self.env)
            deploy = ["--beacon-host", self.address[beacon_of], "--beacon", made["beacon"]]
        self.deployed = t.json("chain", "deploy", "--rpc", self.chain.url, "--key", folder / "deployer.key", "--data",
                               folder / "deployment", "--test-token-for", self.address["host"], "--move-deadline", MOVE_S,
                               "--window-min", MOVE_S, "--window-max", 3600, "--unbonding", 3600, *deploy, env=self.env)
        self.manifest = folder / "deployment/manifest.json"

    def blocks_by_the_clock(self):
        """As elsewhere: what is sent together comes together, and who is late is late."""
        self.chain.ask("evm_setAutomine", False)
        self.chain.ask("evm_setIntervalMining", 1)

    def key(self, name, amount=None):
        path = self.folder / f"{name}.key"
        self.t.cli("keys", "new", "--out", path, "--cost", 1, env=self.env)
        self.address[name] = self.t.json("keys", "show", path, env=self.env)["address"]
        self.chain.enrich(self.address[name])
        if amount:
            self.t.cli("ledger", "deposit", "--market", self.url("market"), "--key", self.folder / "host.key", "--to",
                       self.address[name], "--amount", amount, env=self.env)

    def url(self, name):
        return self.services[name].url

    def on_chain(self):
        return ["--settlement", "evm", "--rpc", self.chain.url, "--market", self.manifest]

    def arguments(self, name):
        f = self.folder
        own = ["--key", f / f"{name}.key", "--data", f / name, "--port", self.ports.get(name, 0)]
        board = ["--board", self.url("market")] if "market" in self.services else []
        if name == "market":
            return ["market", *self.on_chain(), "--data", f / "m", "--key", f / "host.key", "--port", self.ports.get(name, 0)]
        if name == "beacon":
            return ["chain", "beacon", "--rpc", self.chain.url, "--market", self.manifest, "--data", self.beacon["data"],
                    "--key", self.beacon["key"], "--every-s", 1]
        if name == "cheat":
            return ["attack", "model-swap", "--serve", WORSE, "--claim", MODEL, *self.on_chain(), *board, *own,
                    "--price-in", "0.30", "--price-out", "0.60", "--stake", "5.00", "--threads", 1]
        if name == "lazy":
            return ["attack", "auditor-lazy", "--execution", self.execution(), "--market", self.url("market"), "--key",
                    f / "lazy.key", "--stake", "2.00"]
        if name == "alder":
            return ["provider", "--model", MODEL, *self.on_chain(), *board, *own, "--price-in", "0.30", "--price-out", "0.60",
                    "--stake", "5.00", "--threads", 1]
        if name == "buyer":
            return ["gateway", *self.on_chain(), *board, *own, "--models", ROOT / "models", "--audit-rate", 1, "--audit",
                    "hire", "--auditors", 2, "--settle-hold", 1, "--spot-check", self.spot_check]
        return ["auditor", "--model", MODEL, *self.on_chain(), *own, "--stake", "2.00", "--fee", "0.01", "--threads", 1]

    def start(self, name):
        service = Service(self.t, *self.arguments(name), log=self.folder / f"{name}.log", env=PASS, timeout=120)
        self.services[name] = service
        if service.url:
            self.ports[name] = int(service.url.rsplit(":", 1)[1])
        return service

    def account(self, name):
        return http("GET", f"{self.url('market')}/ledger/accounts/{self.address[name]}")[1]

    def audit(self, audit):
        status, view = http("GET", f"{self.url('market')}/ledger/audits/{audit}")
        return view if status == 200 else None

    def execution(self):
        return self.t.json("model", "inspect", MODEL)["execution"]

    def auditors(self):
        return http("GET", f"{self.url('market')}/ledger/auditors/{self.execution()}")[1]["auditors"]

    def buy(self, question="What is 27 + 48?", timeout=60):
        return http("POST", self.url("buyer") + "/v1/chat/completions", {
            "model": MODEL.stem, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 12},
            timeout=timeout)

    def rows(self):
        return http("GET", self.url("buyer") + "/assay/receipts")[1]["data"]

    def await_rows(self, stages, timeout):
        def reached():
            rows = self.rows()
            return rows if rows and all(r["stage"] in stages for r in rows) else None
        try:
            return wait_for(f"stages {stages}", reached, timeout, 0.5)
        except AssertionError as late:
            where = [{k: r[k] for k in ("stage", "audit", "reason", "hired")} for r in self.rows()]
            raise AssertionError(f"{late}; {json.dumps(where)}") from None

    def events(self, *kinds):
        more = [flag for kind in kinds for flag in ("--kind", kind)]
        return self.t.json("chain", "events", "--rpc", self.chain.url, "--market", self.manifest, "--data",
                           self.folder / "index", *more)["events"]

    def totals(self):
        totals = {k: int(v) for k, v in http("GET", self.url("market") + "/ledger/totals")[1].items() if k != "state"}
        held = sum(totals[k] for k in ("available", "stake", "unbonding", "escrow", "bonds", "audit_fees", "burned"))
        expect_equal(held, totals["deposited"] - totals["withdrawn"], f"money on the ledger: {totals}")
        return totals

    def close(self):
        for service in self.services.values():
            if service.process.poll() is None:
                service.kill()
        self.chain.stop()


def open_market(t, folder, provider, auditors, spot_check=0):
    """Auditors first: who is registered later than a lease is opened is not drawn for it."""
    market = Market(t, folder)
    market.start("market")
    market.key(provider, "5.00")
    market.key("buyer", "10.00")
    for name in auditors:
        market.key(name, "3.00")
        market.start(name)
    market.start(provider)
    time.sleep(1.1)
    market.start("beacon")
    market.spot_check = spot_check
    market.start("buyer")
    market.blocks_by_the_clock()
    return market


def rounds_in_order(market):
    """The chain took every round once; returns how many."""
    rounds = [int(e["fields"]["round"]) for e in market.events("BeaconPublished")]
    expect_equal(rounds, list(range(1, len(rounds) + 1)), "rounds of the beacon")
    return len(rounds)


def nothing_is_lost_to_kill_9(t):
    seed = int(os.environ.get("ASSAY_SEED", time.time_ns() % 1_000_000))
    print(f"  seed {seed} (ASSAY_SEED repeats it)", flush=True)
    chance = random.Random(seed)
    with Folder() as folder:
        market = open_market(t, folder, "alder", ("ada", "bob"), 0.5)
        try:
            stopping, counts = threading.Event(), {"answered": 0, "refused": 0}

            def buy():
                number = 0
                while not stopping.is_set() and counts["answered"] < 4:
                    number += 1
                    try:
                        status, _ = market.buy(f"What is {10 + number} + {11 + number}?")
                        counts["answered" if status == 200 else "refused"] += 1
                    except OSError:
                        counts["refused"] += 1
                    time.sleep(1)

            expect_equal(market.buy()[0], 200, "the first answer")
            buyer = threading.Thread(target=buy)
            buyer.start()
            killed = []
            # Through the draw, the commitments and the verdicts of what is bought meanwhile.
            ends = time.monotonic() + 2.5 * MOVE_S
            while time.monotonic() < ends:
                time.sleep(chance.uniform(0.5, 2.5))
                name = chance.choice(("ada", "bob", "buyer", "beacon"))
                killed.append(name)
                market.services[name].kill()
                time.sleep(chance.uniform(0.0, 0.5))
                market.start(name)
            stopping.set()
            buyer.join(90)
            print(f"  killed {', '.join(killed)}; {counts}", flush=True)
            rows = market.await_rows(("settled", "expired"), 8 * MOVE_S)
            bought = [r for r in rows if r["stage"] == "settled"]
            expect(bought and all(r["audit"] == "match" for r in bought), f"verdicts: {rows}")
            what_was_paid(market, folder, bought)
            status = t.json("chain", "status", "--rpc", market.chain.url, "--market", market.manifest)
            expect(status["ok"] and int(status["beacon"]["round"]) == rounds_in_order(market), f"status: {status}")
            expect_equal(status["fees"], "0", "fees that are still held")
            expect_equal([a["missed"] for a in market.auditors()], ["0", "0"], "audits that an auditor missed")
            nothing_reverted(market)
        finally:
            market.close()


def nothing_reverted(market):
    """What is sent twice, or too late, would show as a transaction that reverted."""
    last = int(market.chain.ask("eth_blockNumber"), 16)
    receipts = [r for n in range(1, last + 1) for r in market.chain.ask("eth_getBlockReceipts", hex(n))]
    names = {address.lower(): name for name, address in market.address.items()}
    reverted = []
    for r in receipts:
        if r["status"] != "0x1":
            tx = market.chain.ask("eth_getTransactionByHash", r["transactionHash"])
            reverted.append((names.get(r["from"].lower()), tx["input"][:10], int(r["gasUsed"], 16), int(tx["gas"], 16)))
    expect_equal(reverted, [], "transactions that reverted, by sender, selector, gas used and granted")


def what_was_paid(market, folder, bought):
    """Fees by the events of the contracts, once for each pass; the provider by its receipts."""
    market.services["buyer"].stop(expect_code=None)
    hired = [h for r in bought for h in r["hired"]]
    audits = [market.audit(h["audit"]) for h in hired]
    passes = [d for a in audits for d in a["drawn"] if d["verdict"] == "pass"]
    spoken = [d for a in audits for d in a["drawn"]]
    expect_equal(len(passes), len(spoken), f"passes among {spoken}: a deadline was missed")
    for shown in (d for h in hired for d in h["auditors"]):
        expect_equal((shown["verdict"], shown["fee"], shown["convicted"]), ("pass", "0.01", False), "an auditor's row")
    events = market.events()
    kinds = [e["event"] for e in events]
    expect_equal(kinds.count("AuditRequested"), len(hired), "audits that were asked for")
    expect_equal(kinds.count("AuditCommitted"), len(spoken), "commitments")
    expect_equal(kinds.count("AuditRevealed"), len(spoken), "verdicts")
    wait_for("every audit to be settled", lambda: all(market.audit(h["audit"])["state"] == "settled" for h in hired), 60)
    asked = [e["fields"] for e in events if e["event"] == "CheckAsked"]
    answered = {e["fields"]["check"] for e in events if e["event"] == "CheckEnded" and e["fields"]["answered"] == "true"}
    expect_equal({c["id"] for c in asked}, answered, "checks, and those that were answered")
    for name in ("ada", "bob"):
        earned = sum(FEE - BURNED for d in passes if d["account"] == market.address[name])
        earned += sum(int(c["bond"]) for c in asked if c["auditor"].lower() == market.address[name].lower())
        account = market.account(name)
        expect_equal((int(account["available"]), int(account["stake"]), int(account["convictions"])),
                     (1_000_000 + earned, STAKE, 0), f"what {name} has")
    owed = sum(int(json.loads(p.read_text())["receipt"]["message"]["amount"])
               for p in (folder / "buyer/receipts").glob("*.json"))
    expect_equal(int(market.account("alder")["available"]), owed, "what the provider was paid")
    totals = market.totals()
    expect_equal((totals["burned"], totals["audit_fees"]), (len(passes) * BURNED, 0), "burned of the fees, and held")


def a_lie_convicts_its_provider_and_who_passed_it(t):
    """`lazy` computes nothing and passes everything; it acts through the market's relay, which pays its gas."""
    with Folder() as folder:
        market = open_market(t, folder, "cheat", ("ada", "lazy"))
        try:
            status, reply = market.buy()
            expect_equal(status, 200, str(reply))
            (row,) = market.await_rows(("refunded",), 10 * MOVE_S)
            expect_equal(row["audit"], "mismatch", str(row))
            cheat = market.account("cheat")
            expect_equal((cheat["stake"], cheat["convictions"]), ("0", "1"), "the cheat")
            (hire,) = row["hired"]
            wait_for("the fees", lambda: market.audit(hire["audit"])["state"] == "settled", 60)
            view = market.audit(hire["audit"])
            said = {d["account"]: (d["verdict"], d["fee_held"]) for d in view["drawn"]}
            expect_equal(said, {market.address["ada"]: ("fail", False), market.address["lazy"]: ("pass", False)}, "verdicts")
            wait_for("the lazy auditor's stake", lambda: market.account("lazy")["stake"] == "0", 10 * MOVE_S)
            expect_equal(market.account("lazy")["convictions"], "1", "convictions of the lazy auditor")
            # A right fail keeps its whole fee, and whoever wins a dispute has a reward.
            ada = market.account("ada")
            expect(int(ada["available"]) > 1_000_000 + FEE and ada["stake"] == str(STAKE), f"what ada has: {ada}")
            expect(int(market.totals()["burned"]) * 2 >= 7_000_000, "at least half of both stakes is burned")
            kinds = [e["event"] for e in market.events("Convicted", "AuditorConvicted")]
            expect_equal(kinds, ["Convicted", "AuditorConvicted"], "convictions")
            expect_equal(rounds_in_order(market), 1, "rounds")
            nothing_reverted(market)
            leaving(t, market)
        finally:
            market.close()


def a_round_that_was_lost_on_its_way_is_found(t):
    """A node forgets the round's transaction, its sender is killed, and another audit is asked for: the round comes as it
    was signed, naming the first audit only, and the second is drawn after it."""
    with Folder() as folder:
        market = open_market(t, folder, "alder", ("ada", "bob"))
        try:
            market.services["beacon"].kill()
            once = [*market.arguments("beacon"), "--once"]
            expect_equal(t.json(*once, env=market.env), {"round": None, "block": None, "drawn": []}, "while nobody waits")
            wait_for("a provider", lambda: market.buy()[0] == 200, 30, 1)
            (first,) = wait_for("a request", lambda: market.events("AuditRequested"), 30, 0.5)
            market.chain.ask("evm_setIntervalMining", 0)
            market.start("beacon")
            pool = wait_for("the round's transaction", lambda: market.chain.ask("txpool_content")["pending"], 30)
            (lost,) = (tx for of in pool.values() for tx in of.values())
            expect_equal(lost["from"].lower(), market.address["deployer"].lower(), "who sent it")
            market.services["beacon"].kill()
            market.chain.ask("anvil_dropTransaction", lost["hash"])
            market.chain.ask("evm_setIntervalMining", 1)
            expect_equal(market.buy("What is 13 + 14?")[0], 200, "another answer")
            wait_for("another request", lambda: len(market.events("AuditRequested")) == 2, 30, 0.5)
            market.chain.ask("anvil_setBalance", market.address["ada"], "0x0")
            market.start("beacon")
            done = json.loads(market.services["beacon"].process.stdout.readline())
            requested = market.events("AuditRequested")
            expect_equal([e["fields"]["round"] for e in requested], ["1", "1"], "the round they wait for")
            expect_equal((done["round"], done["drawn"]), ("1", [e["fields"]["id"] for e in requested]), "what was drawn")
            published = market.chain.ask("eth_getTransactionByHash", market.events("BeaconPublished")[0]["transaction"])
            expect_equal(published["input"], lost["input"], "what was published")
            expect(first["fields"]["id"][2:] in lost["input"] and requested[1]["fields"]["id"][2:] not in lost["input"],
                   "which audits the round names")
            nothing_reverted(market)
            # An auditor that cannot pay for its commitment says so while there is time.
            log = folder / "ada.log"
            wait_for("a word about gas", lambda: "cannot pay for gas" in log.read_text(), 30)
            open_, near = (f'assay_deadlines{{of="audit",state="{state}"}} ' for state in ("open", "near"))
            wait_for("both deadlines", lambda: open_ + "2" in http("GET", market.url("ada") + "/metrics")[1], MOVE_S)
            wait_for("the alarm", lambda: "DEADLINE: audit " in log.read_text(), 2 * MOVE_S)
            expect(near + "0" not in http("GET", market.url("ada") + "/metrics")[1], "no deadline is near")
        finally:
            market.close()


def leaving(t, market):
    """An auditor leaves; whoever is not registered is told so, and sends nothing."""
    expect_equal([a["account"] for a in market.auditors()], [market.address["ada"]], "who is registered: a slash ends it")
    told = time.monotonic()
    market.services["ada"].stop()
    expect(time.monotonic() - told < 5, f"it took {time.monotonic() - told:.1f} s to stop")
    leave = ["auditor", "leave", "--model", MODEL, *market.on_chain(), "--key", market.folder / "ada.key", "--data",
             market.folder / "ada"]
    expect_equal(t.json(*leave, env=market.env)["left"], [market.execution()], "what ada left")
    expect_equal(market.auditors(), [], "who is left")
    again = t.cli(*leave, env=market.env, code=1)
    expect("is not registered" in again.stderr, f"leaving twice: {again.stderr}")
    nowhere = t.cli(*leave[:-2], env=market.env, code=2)
    expect("--data" in nowhere.stderr, f"leaving without a folder: {nowhere.stderr}")


if __name__ == "__main__":
    Runner().run(nothing_is_lost_to_kill_9, a_lie_convicts_its_provider_and_who_passed_it,
                 a_round_that_was_lost_on_its_way_is_found)
