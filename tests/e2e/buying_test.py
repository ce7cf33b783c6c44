"""What a buyer meets before and while buying: screening that explains itself, quotes, an auction whose record
anybody decides again, reputation from the log, a slow answer that costs less, a second provider for the first token. The
built binary and real processes."""
import json
import os
import shutil
import signal
import time
from decimal import Decimal

from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http, wait_for

PASS = {"ASSAY_PASSPHRASE": "buying"}


class Market:
    """A ledger, two providers (the dearer one bids lower in auctions), a buyer's gateway."""

    def __init__(self, t, folder):
        self.t, self.folder, self.services = t, folder, {}
        self.env = dict(os.environ, **PASS)
        self.key("host")
        self.log = self.start("log", "log", "serve", "--data", folder / "l", "--origin", "example.com/log").ready
        self.url = self.start("market", "market", "--data", folder / "m", "--key", folder / "host.key", "--log",
                              self.log["append_url"], "--log-ms", 200).url
        self.cheap = self.provider("cheap", "0.30", "0.60")
        self.dear = self.provider("dear", "0.40", "0.80", "--bid-discount", "50")
        self.funded("buyer", "20.00")
        self.gateway = self.buyer("g", "--settle-hold", 0, "--latency-reports", 1)

    def buyer(self, name, *more):
        return self.start(name, "gateway", "--market", self.url, "--models", ROOT / "models", "--key",
                          self.folder / "buyer.key", "--data", self.folder / name, *more).url

    def start(self, name, *arguments):
        service = Service(self.t, *arguments, log=self.folder / f"{name}.log", env=PASS)
        self.services[name] = service
        return service

    def key(self, name):
        path = self.folder / f"{name}.key"
        self.t.cli("keys", "new", "--out", path, env=self.env)
        return self.t.json("keys", "show", path, env=self.env)["address"]

    def funded(self, name, amount):
        address = self.key(name)
        self.t.cli("ledger", "deposit", "--market", self.url, "--key", self.folder / "host.key", "--to", address,
                   "--amount", amount, env=self.env)
        return address

    def provider(self, name, price_in, price_out, *more):
        address = self.funded(name, "5.00")
        self.start(name, "provider", "--model", MODEL, "--price-in", price_in, "--price-out", price_out, "--market", self.url,
                   "--key", self.folder / f"{name}.key", "--data", self.folder / f"{name}-p", "--stake", "5.00", *more)
        return address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for service in reversed(self.services.values()):
            service.stop()


def screening_explains_itself(m):
    offer = ["--market", m.url, "--model", MODEL.stem]
    fitting = m.t.json("screen", *offer)["fitting"]
    expect_equal([row["provider"] for row in fitting], [m.cheap, m.dear], "ranking")
    expect_equal(fitting[0]["latency"], "claimed", "latency nobody measured")

    refused = m.t.json("screen", *offer, "--max-price-out", "0.30", "--min-vram", 24576, code=1)
    expect_equal([row["provider"] for row in refused["refused"]], sorted([m.cheap, m.dear], key=str.lower), "refused")
    for row in refused["refused"]:
        expect_equal([reason["code"] for reason in row["reasons"]], ["vram", "price_out"], "reasons")
    change = refused["relaxation"]
    expect_equal((change["provider"], change["change"]),
                 (m.cheap, {"min_vram_mib": 0, "max_price": {"completion": "0.60"}}), "cheapest relaxation")
    text = m.t.cli("screen", *offer, "--max-price-out", "0.30", code=1).stdout
    expect("price out 0.60 > ceiling 0.30 per million" in text and f"to find {m.cheap}" in text, text)
    expect("raise the price ceiling out to 0.60" in text, text)
    unknown = m.t.cli("screen", "--market", m.url, "--model", "crow", code=1)
    nothing = unknown.stdout
    expect(f"nothing is offered as 'crow'; offered are {MODEL.stem}" in unknown.stderr, unknown.stderr)
    gateway = m.t.cli("screen", "--market", m.gateway, code=1).stderr
    expect(f"{m.gateway} is a gateway, not a market" in gateway, gateway)
    status, reply = http("GET", f"{m.gateway}/assay/screen?model={MODEL.stem}&max_price=1")
    expect_equal((status, reply["error"]["code"]), (400, "unknown_parameter"), "a parameter there is not")
    expect("max_price_out" in reply["error"]["message"], reply)
    status, reply = http("GET", f"{m.gateway}/assay/screen?model={MODEL.stem}&min_vram_gb=24&verification=tee")
    expect_equal((status, reply["fitting"]), (200, []), f"24 GB and evidence: {reply}")
    expect("does not offer model 'crow'" in nothing and "no change of these limits" in nothing, nothing)


def quotes_cost_nothing(m):
    job = ["--market", m.url, "--model", MODEL.stem, "--prompt-tokens", 200, "--max-tokens", 100]
    quote = m.t.json("quote", *job)
    expect_equal((quote["answer_most"], quote["most"], quote["audit_rate"]), ("0.00012", "0.00012", 1.0), "quote")
    hired = m.t.json("quote", *job, "--auditors", 2, "--audit-fee", "0.01", "--audit-rate", 0.5)
    expect_equal((hired["audits_expected"], hired["most"]), ("0.01", "0.02012"), "with hired auditors")
    twice = m.t.json("quote", *job, "--verification", "replicate:2")
    expect_equal(twice["answer_most"], "0.00028", "of two")
    expect_equal(len(twice["providers"]), 2, "replicas")
    three = m.t.cli("quote", *job, "--verification", "replicate:3", code=1).stdout
    expect("2 of 3 providers fit" in three and "use --verification replicate:2" in three, three)
    tee = m.t.cli("quote", *job, "--verification", "tee", code=1).stdout
    expect("shows no hardware evidence" in tee and "verify by audit instead of tee" in tee, tee)

    body = {"model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "max_tokens": 8}
    status, reply = http("POST", m.gateway + "/assay/quote", body)
    expect_equal(status, 200, f"quote of a request: {reply}")
    expect_equal(reply["providers"][0]["provider"], m.cheap, "who would answer")
    expect_equal(http("GET", m.gateway + "/assay/leases")[1]["data"], [], "leases after quotes")


def an_auction_can_be_decided_again(m):
    # The dearer one bids 0.20 and 0.40; the other its list price, which is what the winner is paid.
    won = m.t.json("job", "submit", "--gateway", m.gateway, "--model", MODEL.stem, "--message", "What is 27 + 48?",
                   "--max-tokens", 8, "--deadline", 5)
    auction = won["assay"]["auction"]
    expect_equal((auction["winner"], won["assay"]["provider"]), (m.dear, m.dear), "winner")
    expect_equal([bid["provider"] for bid in auction["bids"]], [m.dear, m.cheap], "bids")
    expect(float(auction["price_out"]) > 0.40, f"the second price: {auction}")
    (lease,) = http("GET", m.gateway + "/assay/leases")[1]["data"]
    terms = http("GET", f"{m.url}/ledger/leases/{lease['lease']}")[1]["terms"]
    expect_equal(int(terms["price_out"]) / 1e6, float(auction["price_out"]), "the lease's price")

    record = m.folder / "auction.json"
    record.write_text(json.dumps(http("GET", f"{m.gateway}/assay/auctions/{auction['id']}")[1]))
    checked = m.t.json("job", "verify", record, "--market", m.url)
    expect_equal((checked["ok"], checked["winner"]), (True, m.dear), "the record")
    # The same from the log, by the call's digest: once a lease came of it and the deadline is past.
    logged = ["job", "verify", auction["id"], "--log", m.log["url"], "--vkey", m.log["vkey"]]

    def in_log():
        run = m.t.cli(*logged, "--json", code=None)
        return run.returncode == 0 and json.loads(run.stdout)
    there = wait_for("the auction in the log", in_log)
    expect_equal((there["ok"], there["winner"]), (True, m.dear), "the record in the log")
    expect_equal(there["bids"], checked["bids"], "its bids")
    expect_equal(m.t.json("job", "verify", record, "--market", m.url, *logged[3:])["log_index"], there["log_index"], "compared")
    # Whoever bid finds its bid; whoever did not is not in it.
    m.t.cli(*logged, "--bidder", m.cheap)
    left_out = m.t.cli(*logged, "--bidder", m.key("nobody"), code=1).stdout
    expect("was left out" in left_out, left_out)
    m.t.cli("job", "verify", "0x" + "12" * 32, *logged[3:], code=1)
    # What the log has is not what somebody hands out.
    altered = json.loads(record.read_text())
    altered["bids"].pop(0 if altered["bids"][0]["bid"]["message"]["provider"] == m.dear else 1)
    record.write_text(json.dumps(altered))
    bad = m.t.cli("job", "verify", record, "--market", m.url, code=1).stdout
    expect("BAD" in bad and "the winner is" in bad, bad)
    other = m.t.cli("job", "verify", record, "--market", m.url, *logged[3:], code=1)
    expect("another record" in other.stdout + other.stderr, other.stdout + other.stderr)


def a_ceiling_keeps_the_winner(m):
    # 0.40 wins, and the next bid would be 0.60: what clears stops at the ceiling.
    said = m.t.cli("job", "submit", "--gateway", m.gateway, "--model", MODEL.stem, "--message", "What is 12 + 13?",
                   "--max-tokens", 8, "--deadline", 5, "--max-price-out", "0.80").stdout
    expect(f"winner   {m.dear}" in said and "answered by" not in said, said)
    won = m.t.json("job", "submit", "--gateway", m.gateway, "--model", MODEL.stem, "--message", "What is 12 + 14?",
                   "--max-tokens", 8, "--deadline", 5, "--max-price-out", "0.80")
    auction = won["assay"]["auction"]
    expect(float(auction["price_out"]) <= 0.80, f"the ceiling: {auction}")
    record = m.folder / "ceiling.json"
    record.write_text(json.dumps(http("GET", f"{m.gateway}/assay/auctions/{auction['id']}")[1]))
    checked = m.t.json("job", "verify", record, "--market", m.url)
    expect_equal((checked["ok"], checked["winner"], checked["ceilings"]), (True, m.dear, {"price_in": None, "price_out": "0.80"}),
                 "the record")
    expect("ceiling  0.80 out" in m.t.cli("job", "verify", record, "--market", m.url).stdout, "the ceiling shown")


def a_key_is_shown_to_the_gateway(m):
    ask = ["job", "submit", "--gateway", m.gateway, "--model", MODEL.stem, "--message", "What is 1 + 2?", "--max-tokens", 8]
    secret = m.t.json("gateway", "keys", "add", "--name", "ci", "--data", m.folder / "g")["secret"]
    refused = m.t.cli(*ask, code=1).stderr
    expect("--api-key-file" in refused, refused)
    (m.folder / "ci.txt").write_text(secret + "\n")
    m.t.cli(*ask, "--api-key-file", m.folder / "ci.txt")
    m.t.cli(*ask, env=dict(os.environ, ASSAY_API_KEY=secret))


def one_name_of_two_models(m):
    other = m.folder / "other"
    other.mkdir()
    shutil.copy(ROOT / "models/tern-worse-q8_0.gguf", other / MODEL.name)
    m.funded("worse", "5.00")
    m.start("worse", "provider", "--model", other / MODEL.name, "--price-in", "0.10", "--price-out", "0.10", "--market", m.url,
            "--key", m.folder / "worse.key", "--data", m.folder / "worse-p", "--stake", "5.00")
    for verb in ("screen", "quote"):
        run = m.t.cli(verb, "--market", m.url, "--model", MODEL.stem, "--json")
        expect(f"2 executions are offered as '{MODEL.stem}'" in run.stderr and "--execution" in run.stderr, run.stderr)
        named = json.loads(run.stdout)["executions"]
        expect_equal((len(named), min(row["offers"] for row in named)), (2, 1), f"executions: {named}")
    chosen = max(named, key=lambda row: row["offers"])["execution"]
    run = m.t.cli("screen", "--market", m.url, "--model", MODEL.stem, "--execution", chosen)
    expect("executions" not in run.stderr and m.cheap in run.stdout, run.stderr)


def reputation_comes_from_the_log(m):
    rows = m.t.json("reputation", m.url)["providers"]
    expect_equal([row["provider"] for row in rows], [m.dear], "leased from")
    expect_equal((rows[0]["proven"], rows[0]["audited_receipts"]), (0.0, 0), "nobody was hired to audit")
    offline = m.t.json("reputation", m.folder / "m")["providers"]
    expect_equal(offline[0]["good_milli"], rows[0]["good_milli"], "recomputed from the file")
    text = m.t.cli("reputation", m.url, m.dear).stdout
    expect("convicted    0 times" in text, text)
    m.t.cli("reputation", m.url, m.cheap, code=1)


def body_for(seed, **provider):
    return {"model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "max_tokens": 16,
            "temperature": 1, "seed": seed, "provider": provider}


def answered(gateway, body):
    status, reply = http("POST", gateway + "/v1/chat/completions", body)
    expect_equal(status, 200, f"answer: {reply}")
    return reply


# It promises a millisecond for 16 tokens of the prompt, and no machine keeps that.
def a_slow_answer_costs_less(m):
    late = m.provider("late", "100.00", "400.00", "--rebate", 20, "--first-token-ms", 1, "--per-token-ms", 1)
    gateway = m.buyer("g2", "--settle-hold", 0, "--rebate-margin", 0, "--audit-rate", 0)
    status, short = http("POST", gateway + "/v1/chat/completions", body_for(1, only=[late], min_rebate=30))
    expect_equal(status, 503, f"a rebate nobody promises: {short}")
    expect("rebate 20 % < 30 %" in short["error"]["message"], short)
    expect_equal(short["error"]["relaxation"]["change"], {"min_rebate": 20.0}, "relaxation")

    amount = Decimal(answered(gateway, body_for(1, only=[late], min_rebate=20))["assay"]["amount"])
    given = Decimal(int(amount * 200_000)) / 1_000_000  # a fifth, in whole micro-units
    (rebate,) = wait_for("the rebate", lambda: [r for r in http("GET", gateway + "/assay/rebates")[1]["data"]
                                               if r["state"] != "due"])
    expect_equal((rebate["state"], rebate["provider"], Decimal(rebate["amount"])), ("accepted", late, given), f"{rebate}")
    lease = wait_for("the payment", lambda: [x for x in http("GET", gateway + "/assay/leases")[1]["data"]
                                             if Decimal(x["settled"]) > 0])[0]
    expect_equal(Decimal(lease["settled"]), amount - given, "what is paid")
    row = m.t.json("gateway", "report", "--data", m.folder / "g2", "--by", "provider")["provider"][0]
    expect_equal((Decimal(row["settled"]), Decimal(row["rebated"])), (amount - given, given), "the report")
    return gateway


# A provider that has stopped accepts the connection and says nothing.
def a_hedge_answers(m, gateway):
    plain = answered(gateway, body_for(5, only=[m.dear]))
    expect_equal(plain["assay"]["provider"], m.dear, "asked alone")
    cheap = m.services["cheap"].process
    os.kill(cheap.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        hedged = answered(gateway, body_for(5, only=[m.cheap, m.dear], order=[m.cheap, m.dear], hedge_ms=300))
        took = time.monotonic() - began
    finally:
        os.kill(cheap.pid, signal.SIGCONT)
    expect_equal(hedged["choices"][0]["message"], plain["choices"][0]["message"], "the same text")
    expect_equal((hedged["assay"]["provider"], [x["provider"] for x in hedged["assay"]["earlier"]]), (m.dear, [m.cheap]), "who")
    expect(took < 10, f"the hedge took {took:.1f} s")
    quote = http("POST", gateway + "/assay/quote", body_for(5, hedge_ms=300))[1]
    expect_equal((quote["hedge_ms"], len(quote["providers"])), (300, 2), "a quote of two")


def latency_is_what_buyers_claim(m):
    # Not before four answers of one lease, and not before they are paid.
    before = m.t.json("reputation", m.url)["providers"]
    expect(all(row["latency_claimed_by_buyers"] is None for row in before), f"too early: {before}")
    body = {"model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "max_tokens": 4,
            "provider": {"only": [m.cheap]}}
    for _ in range(4):
        expect_equal(http("POST", m.gateway + "/v1/chat/completions", body)[0], 200, "an answer")

    def claimed():
        rows = m.t.json("reputation", m.url, m.cheap)["providers"]
        return rows[0]["latency_claimed_by_buyers"]
    latency = wait_for("a report", claimed)
    expect_equal((latency["buyers"], latency["answers"]), (1, 4), str(latency))
    expect(latency["first_token_ms"] > 0 and float(latency["weight"]) > 0, str(latency))
    text = m.t.cli("reputation", m.url, m.cheap).stdout
    expect("claimed by 1 buyers" in text and "not proven" in text, text)
    # Screening without measurements of its own: as the offer says, or slower where a buyer says so.
    (row,) = m.t.json("screen", "--market", m.url, "--model", MODEL.stem, "--only", m.cheap, "--reputation")["fitting"]
    (offer,) = m.t.json("screen", "--market", m.url, "--model", MODEL.stem, "--only", m.cheap)["fitting"]
    slower = {k: max(offer[k], latency[k]) for k in ("first_token_ms", "per_token_ms")}
    expect_equal({k: row[k] for k in slower}, slower, "the slower of both")
    is_slower = any(latency[k] > offer[k] for k in slower)
    expect_equal((offer["latency"], row["latency"]), ("claimed", "claimed by buyers" if is_slower else "claimed"), "labels")
    operations = [json.loads(line)["operation"] for line in http("GET", m.url + "/ledger/log?from=1")[1].splitlines()]
    operations = [json.loads(o) if isinstance(o, str) else o for o in operations]
    (report,) = [o["message"] for o in operations if o["kind"] == "report_latency"][:1]
    expect_equal(sorted(report), ["answers", "buyer", "first_token_ms", "lease", "per_token_ms", "since", "until"],
                 "what everybody is told")


def buying(t):
    with Folder() as folder, Market(t, folder) as m:
        screening_explains_itself(m)
        quotes_cost_nothing(m)
        an_auction_can_be_decided_again(m)
        a_ceiling_keeps_the_winner(m)
        reputation_comes_from_the_log(m)
        latency_is_what_buyers_claim(m)
        a_hedge_answers(m, a_slow_answer_costs_less(m))
        a_key_is_shown_to_the_gateway(m)
        one_name_of_two_models(m)


if __name__ == "__main__":
    Runner().run(buying)
