"""Auditors for hire, as real processes: an honest one passes an honest receipt and is paid, convicts a cheat for a
buyer that replays nothing, and survives kill -9; auditors that compute nothing lose their stakes to spot checks,
reports and canaries. Money is conserved, and the ledger replays."""
import json
import os
import time

from harness import MODEL, ROOT, WORSE, Folder, Runner, Service, expect, expect_equal, http, wait_for

PASS = {"ASSAY_PASSPHRASE": "auditor test"}
MOVE_S = 6  # a deadline of this ledger
FEE = 10_000
EARNED = 8_000  # of it, by a pass: a fifth is burned


class Market:
    """A ledger with short deadlines, and whoever the test adds to it."""

    def __init__(self, t, folder):
        self.t, self.folder, self.env = t, folder, dict(os.environ, **PASS)
        self.services = {}
        self.cli("keys", "new", "--out", folder / "host.key")
        self.start("market", "market", "--data", folder / "m", "--key", folder / "host.key", "--beacon-ms", 500,
                   "--move-deadline", MOVE_S, "--window-min", MOVE_S, "--window-max", 3600, "--unbonding", 3600)
        self.market = self.services["market"].url

    def cli(self, *arguments, **kwargs):
        return self.t.cli(*arguments, env=self.env, **kwargs)

    def json(self, *arguments, **kwargs):
        return self.t.json(*arguments, env=self.env, **kwargs)

    def key(self, name, amount):
        """A funded account; its address."""
        path = self.folder / f"{name}.key"
        self.cli("keys", "new", "--out", path)
        address = self.json("keys", "show", path)["address"]
        self.cli("ledger", "deposit", "--market", self.market, "--key", self.folder / "host.key", "--to", address,
                 "--amount", amount)
        return address

    def start(self, name, *arguments):
        service = Service(self.t, *arguments, log=self.folder / f"{name}.log", env=PASS, timeout=120)
        self.services[name] = service
        return service

    def common(self, name):
        return ["--market", self.market, "--key", self.folder / f"{name}.key"]

    def provider(self, name, *model):
        address = self.key(name, "5.00")
        verb = ["attack", "model-swap", "--serve", WORSE, "--claim", MODEL] if "cheat" in name else \
            ["provider", "--model", MODEL]
        self.start(name, *verb, *self.common(name), "--price-in", "0.30", "--price-out", "0.60", "--data",
                   self.folder / name, "--stake", "5.00", "--threads", 1)
        return address

    def auditor(self, name, port=0):
        self.start(name, "auditor", "--model", MODEL, *self.common(name), "--data", self.folder / name, "--stake", "2.00",
                   "--fee", "0.01", "--port", port, "--threads", 1)
        return self.services[name]

    def gateway(self, name, *more):
        self.start(name, "gateway", *self.common(name), "--models", ROOT / "models", "--data", self.folder / name,
                   "--audit-rate", 1, "--audit", "hire", "--settle-hold", 1, *more)
        return self.services[name]

    def account(self, address):
        return self.json("ledger", "account", address, "--market", self.market)

    def buy(self, gateway, question="What is 27 + 48?"):
        """A receipt row, as it is now."""
        status, reply = http("POST", gateway.url + "/v1/chat/completions", {
            "model": MODEL.stem, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 12})
        expect_equal(status, 200, str(reply))
        return self.row(gateway)

    def row(self, gateway, receipt=None):
        rows = http("GET", gateway.url + "/assay/receipts")[1]["data"]
        return next((r for r in rows if receipt in (None, r["receipt"])), None)

    def await_stage(self, gateway, receipt, *stages, timeout=90):
        def reached():
            row = self.row(gateway, receipt)
            return row if row and row["stage"] in stages else None
        try:
            return wait_for(f"stage {stages}", reached, timeout)
        except AssertionError as late:
            raise AssertionError(f"{late}; it is {json.dumps(self.row(gateway, receipt))}") from None

    def await_drawn(self, gateway, receipt):
        """The ledger's view of the audit, once auditors are drawn."""
        def drawn():
            hired = self.row(gateway, receipt)["hired"]
            if not hired:
                return None
            view = self.audit(hired[0]["audit"])
            return view if view and view["state"] != "waiting" else None
        return wait_for("the draw", drawn, 30)

    def audit(self, audit):
        status, view = http("GET", f"{self.market}/ledger/audits/{audit}")
        return view if status == 200 else None

    def execution(self, gateway):
        models = http("GET", gateway.url + "/v1/models")[1]["data"]
        return next(m["assay"]["execution"] for m in models if m["id"] == MODEL.stem)

    def finish(self):
        """Everything that was written down replays, and no money came or went."""
        report = self.json("ledger", "verify", self.market)
        expect(report["ok"] and report["conserved"], str(report))
        for name in reversed(list(self.services)):
            self.services[name].stop(expect_code=None)


def operations_of(market):
    """(time, operation) of the whole log."""
    rows = [json.loads(line) for line in http("GET", market + "/ledger/log?from=1")[1].splitlines()]
    return [(int(r["time"]), json.loads(r["operation"]) if isinstance(r["operation"], str) else r["operation"])
            for r in rows]


def proven_from_log(operations, provider, now, burned_bps):
    """spec/reputation.md by somebody else, for a log without failures, canaries and convictions: what is burned of
    each audit's passes, forgotten by halves, summed by buyer; then Wilson's bound. In parts per million."""
    half_life, full = 30 * 86400, 2_000
    fees, waiting, audits = {}, [], {}  # auditor → fee; not drawn; in the order of the log
    for at, o in operations:
        m = o["message"]
        if o["kind"] == "register_auditor":
            fees[m["account"]] = int(m["fee"])
        elif o["kind"] == "request_audit":
            waiting.append({"at": at, "buyer": m["buyer"], "subject": m["subject"], "passed": {}, "settled": False})
            audits[len(audits)] = waiting[-1]
        elif o["kind"] == "beacon":
            for audit in waiting:
                audit["fees"] = dict(fees)
            waiting = []
        # An audit is named by the digest of its request, which is not computed here: this log has one at a time.
        elif o["kind"] == "reveal_audit" and str(m["verdict"]) == "1":
            audits[len(audits) - 1]["passed"][m["account"]] = True
        elif o["kind"] == "settle_audit":
            audits[len(audits) - 1]["settled"] = True
    weights = {}
    for audit in audits.values():
        burned = sum(-(-audit["fees"][a] * burned_bps // 10_000) for a in audit["passed"])
        if not audit["settled"] or burned == 0:
            continue
        halvings, rest = divmod(now - audit["at"], half_life)
        whole = 1_000_000 >> halvings
        remembered = whole - whole * rest // (2 * half_life) if halvings < 20 else 0
        key = (audit["buyer"], audit["subject"])
        weights[key] = max(weights.get(key, 0), min(burned, full) * remembered // full)
    by_buyer = {}
    for (buyer, _), ppm in weights.items():
        by_buyer[buyer] = by_buyer.get(buyer, 0) + ppm
    good = sum(min(ppm, 5_000_000) // 1000 for ppm in by_buyer.values())
    root = next(r for r in range(500, 10**6) if r * r >= 250_000)
    return good, max(0, good + 500 - root) * 1_000_000 // (good + 1000) if good else 0


class Closing:
    def __init__(self, market):
        self.market = market

    def __enter__(self):
        return self.market

    def __exit__(self, kind, *_):
        if kind is None:
            self.market.finish()
        for service in self.market.services.values():
            if service.process.poll() is None:
                service.kill()


def an_honest_auditor_passes_and_is_paid(t):
    with Folder() as folder, Closing(Market(t, folder)) as m:
        auditor = m.key("auditor", "3.00")
        service = m.auditor("auditor")
        m.provider("alder")
        m.key("buyer", "10.00")
        time.sleep(1.1)  # drawn for leases opened later than it registered
        gateway = m.gateway("buyer", "--spot-check", 1)
        receipt = m.buy(gateway)["receipt"]
        view = m.await_drawn(gateway, receipt)
        expect_equal([d["account"] for d in view["drawn"]], [auditor], "who is drawn")
        # Between commitment and verdict it is killed; the verdict comes all the same.
        wait_for("the commitment", lambda: int(m.audit(view["id"])["drawn"][0]["nonce_hash"], 16), 30)
        port = service.ready["port"]
        service.kill()
        m.auditor("auditor", port)
        row = m.await_stage(gateway, receipt, "settled", "refunded")
        expect_equal((row["stage"], row["audit"]), ("settled", "match"), str(row))
        expect(auditor in row["reason"], row["reason"])
        # A spot check was made, answered, and cost the buyer its bond.
        bond = 100_000
        wait_for("the fee", lambda: m.account(auditor)["available"] == str(1_000_000 + EARNED + bond), 60)
        account = m.account(auditor)
        expect_equal((account["stake"], account["convictions"]), ("2000000", "0"), str(account))
        operations = operations_of(m.market)
        kinds = [o["kind"] for _, o in operations]
        for kind in ("request_audit", "beacon", "commit_audit", "reveal_audit", "check_audit", "answer_check",
                     "settle_audit"):
            expect(kind in kinds, f"{kind} is not in the log: {sorted(set(kinds))}")
        # What it proves about the provider, recomputed from the log's lines alone.
        ledger = http("GET", m.market + "/ledger")[1]
        expect_equal(int(m.json("ledger", "verify", m.market)["totals"]["burned"]), FEE - EARNED, "burned")
        for source in (m.market, folder / "m"):
            found = m.json("reputation", source)
            (row,) = found["providers"]
            good, proven = proven_from_log(operations, row["provider"], int(found["time"]), int(ledger["audit_burned_bps"]))
            expect_equal((row["good_milli"], row["proven_ppm"]), (good, proven), "recomputed")
            expect(good > 990 and row["audit_burned"] == "0.002", str(row))
        # The secret was not known to the auditor before it had committed: the ledger's order is the proof that the
        # commitment came first; and the tokens it was given hold no salt.
        m.services["auditor"].stop()
        status = m.json("auditor", "status", "--data", folder / "auditor")
        expect_equal((status["audits"], status["passed"]), (1, 1), str(status))


def a_buyer_that_replays_nothing_is_refunded(t):
    with Folder() as folder, Closing(Market(t, folder)) as m:
        auditor = m.key("auditor", "3.00")
        m.auditor("auditor")
        # Another one computes nothing, and passes the lie: found out by the first.
        lazy = m.key("lazy", "3.00")
        m.key("probe", "1.00")
        probe = m.gateway("probe")  # only to be told the execution id
        m.start("lazy", "attack", "auditor-lazy", "--execution", m.execution(probe), *m.common("lazy"), "--stake", "2.00")
        cheat = m.provider("cheat")
        m.key("buyer", "10.00")
        time.sleep(1.1)
        gateway = m.gateway("buyer", "--auditors", 2, "--spot-check", 0)
        receipt = m.buy(gateway)["receipt"]
        view = m.await_drawn(gateway, receipt)
        expect_equal({d["account"] for d in view["drawn"]}, {auditor, lazy}, "who is drawn")
        row = m.await_stage(gateway, receipt, "refunded", "settled", timeout=120)
        expect_equal((row["stage"], row["audit"]), ("refunded", "mismatch"), str(row))
        provider = m.account(cheat)
        expect_equal((provider["stake"], provider["convictions"]), ("0", "1"), str(provider))
        wait_for("the lazy auditor's stake", lambda: m.account(lazy)["stake"] == "0", 120)
        wait_for("the fee of the failure", lambda: all(not d["fee_held"] for d in m.audit(view["id"])["drawn"]), 60)
        honest = m.account(auditor)
        expect(int(honest["available"]) > 1_000_000 and honest["stake"] == "2000000", f"paid and rewarded: {honest}")


def auditors_that_compute_nothing_are_slashed(t):
    with Folder() as folder, Closing(Market(t, folder)) as m:
        m.provider("alder")
        m.key("probe", "1.00")
        execution = m.execution(m.gateway("probe"))
        copier = m.key("copy", "3.00")
        m.start("copy", "attack", "auditor-copy", "--execution", execution, *m.common("copy"), "--stake", "2.00")
        seller = m.key("sell", "3.00")
        selling = m.start("sell", "attack", "auditor-sell", "--execution", execution, *m.common("sell"), "--stake", "2.00")
        m.key("buyer", "10.00")
        m.key("reporter", "1.00")
        time.sleep(1.1)
        gateway = m.gateway("buyer", "--auditors", 2, "--spot-check", 1)
        receipt = m.buy(gateway)["receipt"]
        view = m.await_drawn(gateway, receipt)
        expect_equal({d["account"] for d in view["drawn"]}, {copier, seller}, "who is drawn")
        # Whoever was given the nonce reports it.
        sold = json.loads(selling.process.stdout.readline())
        # A wrong nonce convicts nobody.
        m.cli("auditor", "report", "--audit", sold["audit"], "--auditor", copier, "--nonce", "0x" + "11" * 32,
              *m.common("reporter"), code=1)
        m.cli("auditor", "report", "--audit", sold["audit"], "--auditor", seller, "--nonce", sold["sold"],
              *m.common("reporter"))
        account = m.account(seller)
        expect_equal((account["stake"], account["convictions"]), ("0", "1"), str(account))
        # The copier passes, cannot answer the check, and is convicted; the buyer then replays by itself.
        wait_for("the copier's stake", lambda: m.account(copier)["stake"] == "0", 120)
        row = m.await_stage(gateway, receipt, "settled", timeout=180)
        expect(copier not in row["reason"] and seller not in row["reason"], row["reason"])
        expect_equal(row["audit"], "match", str(row))


def canaries_tell_who_computes(t):
    with Folder() as folder, Closing(Market(t, folder)) as m:
        auditor = m.key("auditor", "3.00")
        m.auditor("auditor")
        m.key("probe", "1.00")
        execution = m.execution(m.gateway("probe"))
        lazy = m.key("lazy", "3.00")
        m.start("lazy", "attack", "auditor-lazy", "--execution", execution, *m.common("lazy"), "--stake", "2.00")
        partner = m.key("partner", "2.00")
        m.key("owner", "5.00")
        time.sleep(1.1)
        result = m.json("auditor", "canary", "--serve", WORSE, "--claim", MODEL, *m.common("owner"), "--provider-key",
                        folder / "partner.key", "--stake", "1.00", "--auditors", 2, "--threads", 1, timeout=200)
        found = {r["auditor"]: (r["verdict"], r["convicted"]) for r in result["auditors"]}
        expect_equal(found, {auditor: ("fail", False), lazy: ("pass", True)}, "verdicts")
        account = m.account(lazy)
        expect_equal((account["stake"], account["convictions"]), ("0", "1"), str(account))
        # Who laid it loses nothing of its stake, whatever the honest auditor's dispute does.
        expect_equal(m.account(partner)["stake"], "1000000", "the canary's provider")
        wait_for("the fee of the failure", lambda: int(m.account(auditor)["available"]) >= 1_000_000 + FEE, 120)
        expect_equal(m.account(auditor)["stake"], "2000000", "the honest auditor's stake")


if __name__ == "__main__":
    Runner().run(an_honest_auditor_passes_and_is_paid, a_buyer_that_replays_nothing_is_refunded,
                 auditors_that_compute_nothing_are_slashed, canaries_tell_who_computes)
