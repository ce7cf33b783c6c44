"""A market of real processes to attack, shared by attacks that do not disturb each other: each has its own
provider, and the buyer audits every receipt."""
import json
import math
import os
import shutil
import tempfile
import threading
import pathlib

from harness import MODEL, ROOT, Service, expect, expect_equal, http, wait_for
from protocol import Ledger, Signer, audit_layers, sha

ENV = dict(os.environ, ASSAY_PASSPHRASE="attack")
LAYERS = 4
STAKE = 1_000_000  # of every provider, micro-units
BOND = 100_000
DRAWS = 4000       # of layers, for each rate
QUESTION = "What is 27 + 48?"


class World:
    window_s, move_s = 8, 6
    known_execution = None

    def __init__(self, t, models=None, window_s=None, move_s=None):
        self.t, self.bond = t, BOND
        self.window_s, self.move_s = window_s or self.window_s, move_s or self.move_s
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-attacks-"))
        self.models = self.folder / "models"
        self.models.mkdir()
        for path in models or [MODEL]:
            shutil.copy(path, self.models / path.name)
        self.lock, self.services, self.signers, self.started = threading.Lock(), [], {}, {}
        self.identity = t.json("model", "inspect", MODEL)
        self.new_key("host")
        self.market = self.service("market", "--data", self.folder / "market", "--key", self.key("host"), "--window-min",
                                   self.window_s, "--window-max", 600, "--unbonding", 600, "--move-deadline", self.move_s)
        self.ledger = Ledger(self.market.url)
        self.host = self.signer("host")
        self.gateway = None
        self.execution_id = {"weights_root": self.identity["weights_root"], "program_hash": self.identity["program_hash"],
                             "canon": str(self.identity["canon"])}

    # processes and keys

    def key(self, name):
        return self.folder / f"{name}.key"

    def new_key(self, name):
        self.t.cli("keys", "new", "--out", self.key(name), "--cost", 1, env=ENV)

    def service(self, *arguments):
        name = str(arguments[0]) + str(len(self.services))
        service = Service(self.t, *arguments, log=self.folder / f"{name}.log", env=ENV, timeout=120)
        self.services.append(service)
        expect("ready" in service.ready, f"{arguments}: {service.ready}")
        return service

    def signer(self, name, fund=None):
        """Whoever has the key `name`; made, and funded, when there is none."""
        with self.lock:
            if name not in self.signers:
                if not self.key(name).exists():
                    self.new_key(name)
                self.signers[name] = Signer(self.t, self.market.url, self.key(name), ENV)
        if fund:
            self.deposit(self.signers[name].address, fund)
        return self.signers[name]

    def deposit(self, address, amount):
        micros = int(float(amount) * 10**6)
        with self.lock:
            made = self.host.sign("Deposit", account=address, amount=str(micros), nonce=str(int.from_bytes(os.urandom(6), "big")))
        self.ledger.submit("deposit", made)

    def staked(self, name, stake=STAKE):
        who = self.signer(name, fund=stake / 10**6)
        self.ledger.submit("stake", who.sign("Stake", account=who.address, amount=str(stake), nonce="1"))
        return who

    def provider(self, name, verb, *arguments, market=None, stake="1.00", prices=(100, 400)):
        """A provider's process, reached by its region; verb: ["provider"] or ["attack", …]."""
        who = self.signer(name, fund=stake)
        service = self.service(*verb, "--price-in", prices[0], "--price-out", prices[1], "--market", market or self.market.url,
                               "--key", self.key(name), "--data", self.folder / name, "--region", name, "--stake", stake,
                               "--threads", 1, "--kv-memory", 64, *arguments)
        service.address = who.address
        self.seen(self.buyer().url, who.address)
        return service

    def seen(self, gateway, address):
        """A gateway looks at the board every second: waits until it knows this provider's offer."""
        def known():
            found = http("GET", f"{gateway}/assay/screen?model={MODEL.stem}")[1]
            return address in json.dumps(found)
        wait_for(f"the gateway to see {address}", known, 20)

    def buyer(self, *arguments):
        if self.gateway is None:
            who = self.signer("buyer", fund="100.00")
            self.gateway = self.service("gateway", "--market", self.market.url, "--models", self.models, "--key",
                                        self.key("buyer"), "--data", self.folder / "buyer", "--settle-hold", 1,
                                        *(arguments or ("--audit-rate", 1)))
            self.gateway.address = who.address
            models = http("GET", self.gateway.url + "/v1/models")[1]["data"]
            self.gateway.executions = {m["id"]: m["assay"]["execution"] for m in models}
        return self.gateway

    @property
    def execution(self):
        """An ExecutionId's struct hash: a gateway tells it."""
        if World.known_execution is None:
            World.known_execution = self.buyer().executions[MODEL.stem]
        return World.known_execution

    def stop(self):
        for signer in self.signers.values():
            signer.stop()
        for service in reversed(self.services):
            if service.process.poll() is None:
                service.kill()
        if "ASSAY_KEEP" not in os.environ:
            shutil.rmtree(self.folder, ignore_errors=True)

    # buying

    def ask(self, region, question=QUESTION, status=200, model=MODEL.stem, **more):
        """One answer by the provider of that region: its `assay` object and text, or the error."""
        found, reply = http("POST", self.buyer().url + "/v1/chat/completions", {
            "model": model, "messages": [{"role": "user", "content": question}], "temperature": 0.9, "seed": 11,
            "max_tokens": 40, "provider": {"regions": [region], "allow_fallbacks": False}, **more})
        expect_equal(found, status, f"{region}: {reply}")
        return reply

    def rows(self, address):
        """The buyer's records about a provider, one a request."""
        return [r for r in http("GET", self.buyer().url + "/assay/receipts")[1]["data"] if r["provider"] == address]

    def row(self, address, stages, timeout=90):
        """The buyer's record about a provider's only receipt, once it is in one of these stages."""
        def found():
            return next((r for r in self.rows(address) if r["stage"] in stages), None)
        return wait_for(f"the buyer's record of {address} to be {' or '.join(stages)}", found, timeout)

    def files(self, row, name):
        """Receipt and opening of a record, as files."""
        paths = []
        for kind in ("receipts", "openings"):
            status, document = http("GET", f"{self.buyer().url}/assay/{kind}/{row['receipt']}")
            expect_equal(status, 200, str(document))
            paths.append(self.folder / f"{name}-{kind}.json")
            paths[-1].write_text(json.dumps(document))
        return paths

    def audit(self, files, *more, model=MODEL):
        """`assay audit`, whose exit code says match or not."""
        receipt, opening = files
        run = self.t.cli("audit", receipt, "--opening", opening, "--model", model, "--threads", 1, "--state",
                         self.folder / f"state-{os.urandom(4).hex()}", *more, "--json", code=None)
        expect(run.stdout.startswith("{"), run.stdout + run.stderr)
        report = json.loads(run.stdout)
        return {"verdict": "unanswered", "reason": report["error"]["message"]} if "error" in report else report

    def own_leaves(self):
        """The model's tensor leaves, for auditors of a provider that serves none."""
        path = self.folder / "leaves.json"
        if not path.exists():
            path.write_text(self.t.cli("model", "tensors", MODEL).stdout)
        return ("--tensors", path)

    def charged(self, lease):
        """What a provider got out of a lease, and what is left in it."""
        view = self.ledger.lease(lease)
        return int(view["paid"]), int(view["escrow"])

    def expect_convicted(self, row, address):
        """The whole stake is gone, nothing was paid, the buyer has its escrow back."""
        account = self.ledger.account(address)
        expect_equal((account["convictions"], account["stake"], account["slashed"]), (1, 0, STAKE), f"of {address}")
        expect_equal(self.charged(row["lease"]), (0, 0), "paid and escrow of the lease")
        dispute = self.ledger.dispute(row["dispute"])
        expect_equal((dispute["state"], dispute["outcome"]), ("decided", "provider_wrong"), str(dispute))
        expect_equal(int(dispute["slashed"]),
                     int(dispute["burned"]) + int(dispute["made_whole"]) + int(dispute["reward"]), "the slash")
        expect(int(dispute["burned"]) * 2 >= STAKE, f"less than half was burned: {dispute}")
        expect(int(dispute["escrow_refunded"]) > 0, f"no escrow came back: {dispute}")
        expect(self.ledger.conserved(), "money is not conserved")
        return dispute


class Row:
    """One line of the table in docs/security.md."""

    def __init__(self, attack, by, full, cost, one="–", two="–"):
        self.attack, self.by, self.full, self.cost, self.one, self.two = attack, by, full, cost, one, two


def rate(name, caught, count):
    """Measured and predicted share of draws of `count` layers that include a layer whose audit sees the cheat.
    caught: the layers, by really auditing each; every layer where head, embedding or form gave it away."""
    hits = 0
    for i in range(DRAWS):
        link, receipt = sha(f"{name}/link/{i}".encode()), sha(f"{name}/receipt/{i}".encode())
        hits += bool(set(audit_layers(link, receipt, LAYERS, count)) & set(caught))
    measured = hits / DRAWS
    predicted = 1 - math.comb(LAYERS - len(caught), count) / math.comb(LAYERS, count)  # k/L for one layer
    sigma = (predicted * (1 - predicted) / DRAWS) ** 0.5
    expect(abs(measured - predicted) <= 3.3 * sigma, f"{name}: caught in {measured:.4f} of the draws, predicted {predicted}")
    if predicted == 1:
        return "100 % / 100 %"
    return f"{100 * measured:.1f} ± {196 * sigma:.1f} % / {100 * predicted:.0f} %"


def caught_layers(world, files, name, expected, more=(), model=MODEL):
    """Audits each layer by itself, and two pairs; the layers whose audit does not match. An audit without a verdict
    counts as caught: it falls back to the full one (spec/trace.md)."""
    verdicts = {}
    for layer in range(LAYERS):
        audit = world.audit(files, "--layer", layer, *more, model=model)
        verdicts[layer] = audit["verdict"]
    caught = [layer for layer, verdict in verdicts.items() if verdict != "match"]
    expect_equal(caught, expected, f"{name}: layers whose sampled audit sees it ({verdicts})")
    for pair in ((0, 1), (2, 3)):
        audit = world.audit(files, *[x for layer in pair for x in ("--layer", layer)], *more, model=model)
        expect_equal(audit["verdict"] != "match", any(layer in caught for layer in pair), f"{name}: layers {pair}: {audit}")
    return caught, verdicts


def sampled(world, files, name, expected):
    caught, verdicts = caught_layers(world, files, name, expected, world.own_leaves())
    unanswered = "unanswered" in verdicts.values()
    note = " (no verdict: full audit)" if unanswered else ""
    return rate(name, caught, 1) + note, rate(name, caught, 2) + note


def cheat_by_engine(world, name, verb, title, expected=(0, 1, 2, 3), question=QUESTION, by="full audit, dispute",
                    before=None, **request):
    """A provider that computes something else: one question, the buyer's audit, the dispute, the slash; then every
    sampled audit of the same receipt."""
    provider = world.provider(name, verb)
    reply = world.ask(name, question, **request)
    row = world.row(provider.address, ("refunded", "withheld", "audited", "settled"))
    expect_equal(row["stage"], "refunded", f"{name}: {row}")
    expect_equal(row["audit"], "mismatch", str(row))
    world.expect_convicted(row, provider.address)
    files = world.files(row, name)
    full = world.audit(files)
    expect(not full["match"] and full["trace_root"] != full["expected_trace_root"], f"{name}: {full}")
    if before:
        before(reply, row, full)
    one, two = sampled(world, files, name, list(expected))
    provider.kill()
    return [Row(title, by, "caught", "stake 1.00, unpaid", one, two)]


COMPUTE = ["attack", "compute", "--model", MODEL, "--how"]


def transformed(world, name, change):
    """A copy of the model whose tensors `change` may alter: {name: [shape, kind, bytes]}."""
    import sys
    sys.path.insert(0, str(ROOT / "tools/model"))
    import gguf
    source = gguf.Reader(MODEL)
    tensors = {n: list(v) for n, v in source.tensors.items()}
    change(gguf, tensors)
    path = world.folder / f"{name}.gguf"
    gguf.write(path, source.meta, [(n, *v) for n, v in tensors.items()])
    return path


def swap(world, name, path, title, **named):
    return cheat_by_engine(world, name, ["attack", "model-swap", "--serve", path, "--claim", MODEL], title, **named)
