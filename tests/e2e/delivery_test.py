"""Refusal to deliver (DESIGN 6.5) among real processes: a provider that is paid for an answer it keeps back is made to
hand it over by the ledger; one that stays silent, or delivers noise, loses its stake."""
import concurrent.futures
import http.server
import json
import os
import sqlite3
import struct
import threading
import time
import urllib.error
import urllib.request

from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http as call, wait_for

PASS = {"ASSAY_PASSPHRASE": "delivery test"}
BOND = 100_000
STAKE = 5_000_000
WINDOW_S, MOVE_S = 12, 6  # a gateway looks at claims every 5 s


class Swallower:
    """Stands for a provider in its offer. Requests reach it, answers and receipts do not come back."""

    def __init__(self):
        self.target, self.swallowed = None, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/v1/receipt":
                    return self.send_error(503)
                request = urllib.request.Request(outer.target + self.path, data=body, method="POST",
                                                 headers={"content-type": "application/json"})
                try:
                    with urllib.request.urlopen(request, timeout=60) as reply:
                        reply.read()
                except urllib.error.HTTPError:
                    pass
                outer.swallowed += self.path == "/v1/infer"
                self.close_connection = True  # without a byte

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Ledger:
    """A market with short deadlines."""

    def __init__(self, t, folder):
        self.t, self.folder, self.env = t, folder, dict(os.environ, **PASS)
        self.key("host")
        self.service = Service(t, "market", "--data", folder / "m", "--key", folder / "host.key", "--window-min", WINDOW_S,
                               "--move-deadline", MOVE_S, log=folder / "market.log", env=PASS)
        self.url = self.service.url

    def key(self, name):
        self.t.cli("keys", "new", "--out", self.folder / f"{name}.key", env=self.env)
        return self.t.json("keys", "show", self.folder / f"{name}.key", env=self.env)["address"]

    def funded(self, name, amount):
        address = self.key(name)
        self.t.cli("ledger", "deposit", "--market", self.url, "--key", self.folder / "host.key", "--to", address,
                   "--amount", amount, env=self.env)
        return address

    def account(self, address):
        return call("GET", f"{self.url}/ledger/accounts/{address}")[1]

    def get(self, path):
        return call("GET", f"{self.url}/ledger/{path}")[1]


class Deal:
    """One provider and one buyer that meet by region; between them, or not, somebody who swallows answers."""

    def __init__(self, t, ledger, name, swallow=True, rest=1):
        self.t, self.ledger, self.name = t, ledger, name
        self.folder = ledger.folder
        self.provider_address = ledger.funded(f"{name}-provider", "5.00")
        self.buyer_address = ledger.funded(f"{name}-buyer", "20.00")
        self.between = Swallower() if swallow else None
        endpoint = ["--endpoint", self.between.url] if swallow else []
        self.provider = Service(t, "provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", "--market",
                                ledger.url, "--key", self.folder / f"{name}-provider.key", "--data", self.folder / f"{name}-p",
                                "--stake", "5.00", "--region", name, "--rest", rest, *endpoint,
                                log=self.folder / f"{name}-provider.log", env=PASS)
        if swallow:
            self.between.target = self.provider.url
        self.gateway = Service(t, "gateway", "--market", ledger.url, "--models", ROOT / "models", "--key",
                               self.folder / f"{name}-buyer.key", "--data", self.folder / f"{name}-g", "--regions", name,
                               "--settle-hold", 1, log=self.folder / f"{name}-gateway.log", env=PASS)

    def ask(self):
        return call("POST", self.gateway.url + "/v1/chat/completions", {
            "model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "temperature": 0,
            "max_tokens": 40})

    def swallowed(self):
        status, reply = self.ask()
        expect(status >= 500, f"an answer that was swallowed: {status} {reply}")
        expect_equal(self.between.swallowed, 1, "answers computed and kept back")
        expect_equal(call("GET", self.gateway.url + "/assay/receipts")[1]["data"], [], "receipts before the claim")

    def lease(self):
        (row,) = call("GET", self.gateway.url + "/assay/leases")[1]["data"]
        return self.ledger.get("leases/" + row["lease"])

    def claim_opened(self):
        return wait_for("the contested claim to be opened", lambda: (self.lease()["claim"] or {}).get("opened"), 40, 0.03)

    def row(self):
        rows = call("GET", self.gateway.url + "/assay/receipts")[1]["data"]
        return rows[0] if rows else {}

    def reaches(self, stage):
        return wait_for(f"{self.name}: a receipt that is {stage}, not {self.row()}",
                        lambda: self.row() if self.row().get("stage") == stage else None, 60)

    def demand(self):
        def found():
            for line in self.log():
                if line["operation"]["kind"] == "demand_delivery" and \
                        line["operation"]["message"]["buyer"] == self.buyer_address:
                    return line["id"]
        return wait_for(f"{self.name}: a demand", found, 30)

    def log(self):
        with urllib.request.urlopen(self.ledger.url + "/ledger/log", timeout=30) as reply:
            return [json.loads(line) for line in reply.read().decode().splitlines()]

    def provider_answer(self):
        """What the provider's own disk says it answered."""
        with sqlite3.connect(f"file:{self.folder}/{self.name}-p/provider.db?mode=ro", uri=True) as db:
            (blob,) = db.execute("SELECT answer FROM requests").fetchone()
        return [str(n) for (n,) in struct.iter_unpack("<I", blob)]

    def opening(self, row):
        return call("GET", f"{self.gateway.url}/assay/openings/{row['receipt']}")[1]

    def convicted(self, reason):
        row = self.reaches("refunded")
        expect(reason in row["reason"], row["reason"])
        account = self.ledger.account(self.provider_address)
        expect_equal((account["convictions"], account["stake"]), ("1", "0"), f"{self.name}: provider {account}")
        verdict = self.ledger.get("disputes/" + self.demand())
        expect_equal((verdict["about"], verdict["outcome"]), ("delivery", "provider_wrong"), str(verdict))
        expect_equal(int(verdict["slashed"]), STAKE, "slashed")
        expect(int(verdict["burned"]) >= STAKE // 2, str(verdict))
        # The contest's bond went to the provider, who did open its claim; all else is back, with the reward.
        expect_equal(int(self.ledger.account(self.buyer_address)["available"]),
                     20_000_000 - BOND + int(verdict["reward"]), "what the buyer has")

    def stop(self):
        for service in (self.gateway, self.provider):
            if service.process.poll() is None:
                service.stop(expect_code=None)
        if self.between:
            self.between.stop()


def made_to_deliver(deal):
    deal.swallowed()
    row = deal.reaches("settled")
    expect_equal((row["audit"], row["statement"]), ("match", "receipt"), str(row))
    opening = deal.opening(row)
    expect_equal(opening["answer"], deal.provider_answer(), "the answer that came over the ledger")
    expect(len(opening["answer"]) > 3, str(opening))
    verdict = deal.ledger.get("disputes/" + deal.demand())
    expect_equal((verdict["about"], verdict["outcome"], verdict["reason"]),
                 ("delivery", "provider_right", "the buyer has its answer"), str(verdict))
    # Sealed: neither the text's ids nor the secret are anywhere in the public log.
    log = json.dumps(deal.log())
    plain = b"".join(struct.pack("<I", int(n)) for n in opening["answer"]).hex()
    expect(plain not in log and opening["salt_secret"][2:] not in log, "the answer lies open in the log")
    # Paid for the answer, and both bonds: it showed its receipts and delivered.
    amount = round(float(row["amount"]) * 1_000_000)
    wait_for("the payment", lambda: int(deal.ledger.account(deal.provider_address)["available"]) == amount + 2 * BOND, 40)
    expect_equal(int(deal.ledger.account(deal.provider_address)["convictions"]), 0, "convictions")


def silent(deal):
    deal.swallowed()
    deal.claim_opened()
    deal.provider.kill()
    deal.convicted("did not deliver the answer in time")


def garbage(deal):
    deal.swallowed()
    deal.claim_opened()
    deal.provider.kill()
    demand = deal.demand()
    deal.t.cli("attack", "garbage-delivery", demand, "--market", deal.ledger.url, "--key",
               deal.folder / f"{deal.name}-provider.key", env=deal.ledger.env)
    deal.convicted("tokens delivered are not those signed for")


def by_hand(deal):
    """`assay ledger demand`, for an answer whose opening lost it."""
    t, folder, ledger = deal.t, deal.folder, deal.ledger
    status, reply = deal.ask()
    expect_equal(status, 200, str(reply))
    row = deal.reaches("settled")
    receipt, whole, lost = folder / "receipt.json", folder / "whole.json", folder / "lost.json"
    receipt.write_text(json.dumps(call("GET", f"{deal.gateway.url}/assay/receipts/{row['receipt']}")[1]))
    opening = deal.opening(row)
    lost.write_text(json.dumps(dict(opening, answer=[])))
    arguments = ["ledger", "demand", receipt, "--opening", lost, "--market", ledger.url, "--key"]
    stranger = t.cli(*arguments, folder / "host.key", env=ledger.env, code=1)
    expect("only the lease's buyer" in stranger.stderr, stranger.stderr)
    got = t.json(*arguments, folder / f"{deal.name}-buyer.key", "--out", whole, env=ledger.env)
    expect_equal((got["outcome"], got["tokens"]), ("delivered", len(opening["answer"])), str(got))
    expect_equal(json.loads(whole.read_text())["answer"], opening["answer"], "the answer")
    expect(t.json("audit", receipt, "--opening", whole, "--model", MODEL)["match"], "audit of what was delivered")
    again = t.json(*arguments, folder / f"{deal.name}-buyer.key", "--out", whole, env=ledger.env)
    expect_equal(again["outcome"], "delivered", "the same demand again, from the log")


def an_answer_signed_for_is_delivered_or_costs_the_stake(t):
    with Folder() as folder:
        ledger = Ledger(t, folder)
        deals, cases = [], (made_to_deliver, silent, garbage, by_hand)
        try:
            for case in cases:
                deals.append(Deal(t, ledger, case.__name__.replace("_", "-"), swallow=case is not by_hand,
                                  rest=3600 if case is by_hand else 1))
            with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
                started = time.monotonic()
                futures = [pool.submit(case, deal) for case, deal in zip(cases, deals)]
                problems = []
                for case, future in zip(cases, futures):
                    try:
                        future.result()
                        print(f"  {case.__name__}: {time.monotonic() - started:.0f} s", flush=True)
                    except Exception as error:
                        problems.append(f"{case.__name__}: {error}")
                expect(not problems, "; ".join(problems))
        finally:
            for deal in deals:
                deal.stop()
            ledger.service.stop()
        report = t.json("ledger", "verify", folder / "m" / "ledger.db")
        expect(report["ok"] and report["conserved"], str(report))


if __name__ == "__main__":
    Runner().run(an_answer_signed_for_is_delivered_or_costs_the_stake)
