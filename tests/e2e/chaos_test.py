"""Providers that crash, hang, lie, lag and cut connections, and some that do their work: every request is answered with the
right bytes or refused in words before its deadline; who worked is paid to the micro-unit, who lied loses its stake.
ASSAY_CHAOS=requests,providers,pause chooses the size (a client waits up to `pause` seconds between two requests);
`make soak` runs 10000 requests over 20 providers."""
import collections
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import threading
import time

from harness import MODEL, ROOT, WORSE, Folder, Runner, Service, expect, expect_equal, http as call, wait_for

PASS = {"ASSAY_PASSPHRASE": "chaos test"}
STAKE = 5_000_000
DEADLINE_S = 90     # of a request: an answer or words, by then
AT_ONCE = 6         # clients
TOKENS = 24
# One of each, again and again; the ones left over are steady.
ROLES = ("steady", "crash", "hang", "lie", "lag", "cut", "steady")
# Trouble is cheap, so that it is asked first.
PRICES = {"lie": "0.10", "crash": "0.20", "hang": "0.21", "cut": "0.22", "lag": "0.23", "steady": "0.30"}
QUESTIONS = [f"What is {a} + {b}?" for a in range(11, 61, 7) for b in range(17, 77, 15)]


class Line:
    """The network between a gateway and a provider, byte by byte: late, or cut in the middle."""

    def __init__(self, chance, late_s=0.0, cut=0.0):
        self.chance, self.late_s, self.cut, self.target = chance, late_s, cut, None
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                client.close()
                continue
            for source, sink, late in ((client, server, 0), (server, client, self.late_s)):
                threading.Thread(target=self.copy, args=(source, sink, late), daemon=True).start()

    def copy(self, source, sink, late):
        try:
            while data := source.recv(4096):
                if late:
                    time.sleep(self.chance.uniform(0, late))
                if self.chance.random() < self.cut:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):  # whatever was still on its way is lost
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.close()


class Provider:
    def __init__(self, market, name, role):
        self.market, self.name, self.role, self.port = market, name, role, 0
        self.address = market.funded(name, "5.00")
        self.line = None
        if role == "lag":
            self.line = Line(market.chance, late_s=0.15)
        elif role == "cut":
            self.line = Line(market.chance, cut=0.05)
        self.start()

    def start(self):
        m = self.market
        verb = ["attack", "model-swap", "--serve", WORSE, "--claim", MODEL] if self.role == "lie" else \
            ["provider", "--model", MODEL]
        self.service = Service(
            m.t, *verb, "--price-in", PRICES[self.role], "--price-out", "0.60", "--market", m.url, "--key",
            m.folder / f"{self.name}.key", "--data", m.folder / self.name, "--threads", 1, "--kv-memory", 64, "--port",
            self.port, *(["--stake", "5.00"] if self.port == 0 else []),
            *(["--endpoint", self.line.url] if self.line else []), log=m.folder / f"{self.name}.log", env=PASS)
        self.port = int(self.service.url.rsplit(":", 1)[1])
        if self.line:
            self.line.target = ("127.0.0.1", self.port)

    def disturb(self):
        """One moment of its trouble."""
        if self.role == "crash":
            self.service.kill()
            time.sleep(self.market.chance.uniform(0.2, 2))
            self.start()
        elif self.role == "hang":
            os.kill(self.service.process.pid, signal.SIGSTOP)
            time.sleep(self.market.chance.uniform(0.5, 4))
            os.kill(self.service.process.pid, signal.SIGCONT)

    def signed(self):
        """Sum of the receipts in its own database."""
        with sqlite3.connect(f"file:{self.market.folder}/{self.name}/provider.db?mode=ro", uri=True) as db:
            return db.execute("SELECT coalesce(sum(amount), 0) FROM requests WHERE receipt IS NOT NULL").fetchone()[0]

    def stop(self):
        if self.line:
            self.line.stop()
        self.service.stop(expect_code=None, timeout=60)


class Market:
    def __init__(self, t, folder, chance):
        self.t, self.folder, self.chance, self.env = t, folder, chance, dict(os.environ, **PASS)
        self.key("host")
        self.service = Service(t, "market", "--data", folder / "m", "--key", folder / "host.key", "--window-min", 12,
                               "--move-deadline", 6, log=folder / "market.log", env=PASS)
        self.url = self.service.url

    def key(self, name):
        self.t.cli("keys", "new", "--out", self.folder / f"{name}.key", "--cost", 1, env=self.env)
        return self.t.json("keys", "show", self.folder / f"{name}.key", env=self.env)["address"]

    def funded(self, name, amount):
        address = self.key(name)
        self.t.cli("ledger", "deposit", "--market", self.url, "--key", self.folder / "host.key", "--to", address,
                   "--amount", amount, env=self.env)
        return address

    def gateway(self, escrow):
        self.buyer = self.funded("buyer", "500.00")
        self.front = Service(self.t, "gateway", "--market", self.url, "--models", ROOT / "models", "--key",
                             self.folder / "buyer.key", "--data", self.folder / "g", "--verify-before-stream",
                             "--settle-hold", 1, "--escrow", escrow, log=self.folder / "gateway.log", env=PASS)

    def account(self, address):
        return call("GET", f"{self.url}/ledger/accounts/{address}")[1]

    def records(self):
        with sqlite3.connect(f"file:{self.folder}/g/gateway.db?mode=ro", uri=True) as db:
            return db.execute("SELECT hex(l.provider), r.stage, r.amount, r.audit FROM requests r JOIN leases l ON r.lease = l.id"
                              ).fetchall()


def ask(gateway, question, stream):
    """(text, None) or (None, the error's words): never neither."""
    host = gateway.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=DEADLINE_S)
    body = json.dumps({"model": MODEL.stem, "messages": [{"role": "user", "content": question}], "temperature": 0,
                       "max_tokens": TOKENS, "stream": stream})
    try:
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        reply = connection.getresponse()
        text = reply.read().decode()
    finally:
        connection.close()
    if reply.status != 200:
        return None, json.loads(text)["error"]["message"]
    if not stream:
        return json.loads(text)["choices"][0]["message"]["content"], None
    said, ended = "", False
    for line in text.splitlines():
        if line == "data: [DONE]":
            ended = True
        elif line.startswith("data: "):
            event = json.loads(line[6:])
            if "error" in event:
                return None, event["error"]["message"]
            said += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    expect(ended, f"a stream that ended without an end: {text[-300:]}")
    return said, None


def everybody_who_works_is_paid_and_every_request_ends(t):
    requests, count, pause = map(float, os.environ.get("ASSAY_CHAOS", "150,7,1.0").split(","))
    requests, count = int(requests), int(count)
    seed = int(os.environ.get("ASSAY_SEED", time.time_ns() % 1_000_000))
    print(f"  {requests} requests, {count} providers, seed {seed} (ASSAY_SEED repeats it)", flush=True)
    chance = random.Random(seed)
    with Folder() as folder:
        market = Market(t, folder, chance)
        providers = [Provider(market, "p0", "steady")]
        market.gateway("0.20")
        expected = {question: ask(market.front, question, False)[0] for question in QUESTIONS}
        expect(all(expected.values()), "undisturbed answers")
        providers += [Provider(market, f"p{i}", ROLES[i % len(ROLES)]) for i in range(1, count)]

        done, lock, outcomes, longest = threading.Event(), threading.Lock(), collections.Counter(), [0.0]
        left, wrong, words = list(range(requests)), [], collections.Counter()

        def client(chance):
            while True:
                with lock:
                    if not left:
                        return
                    left.pop()
                time.sleep(chance.uniform(0, pause))
                question, start = chance.choice(QUESTIONS), time.monotonic()
                try:
                    text, error = ask(market.front, question, chance.random() < 0.5)
                except Exception as e:  # a time-out of the client is what must not be
                    text, error = None, f"BROKEN {type(e).__name__}: {e}"
                with lock:
                    longest[0] = max(longest[0], time.monotonic() - start)
                    outcomes["answered" if error is None else "broken" if error.startswith("BROKEN") else "refused"] += 1
                    if error is not None:
                        words[error[:300]] += 1
                    elif text != expected[question]:
                        wrong.append((question, text, expected[question]))

        def trouble(provider, chance):
            while not done.wait(chance.uniform(0.5, 3)):
                provider.disturb()

        clients = [threading.Thread(target=client, args=(random.Random(chance.random()),)) for _ in range(AT_ONCE)]
        troubles = [threading.Thread(target=trouble, args=(p, random.Random(chance.random()))) for p in providers
                    if p.role in ("crash", "hang")]
        started = time.monotonic()
        for thread in clients + troubles:
            thread.start()
        for thread in clients:
            thread.join()
        took = time.monotonic() - started
        done.set()
        for thread in troubles:
            thread.join()
        print(f"  {dict(outcomes)} in {took:.0f} s, the longest {longest[0]:.1f} s; refusals {dict(words)}", flush=True)
        expect_equal(wrong, [], "wrong answers")
        expect_equal(outcomes["broken"], 0, f"requests without an end: {words}")
        expect(outcomes["answered"] >= 0.995 * requests, f"answered {outcomes['answered']} of {requests}: {words}")

        def open_records():
            # "signed": a call that came to nothing, for which nothing is owed.
            return [r for r in market.records() if r[1] in ("receipted", "audited", "mismatch", "disputed", "demanded")]
        wait_for(f"every receipt to be paid or disputed: {collections.Counter(r[1] for r in market.records())}",
                 lambda: not open_records(), 240, 0.5)
        by_provider, role = collections.defaultdict(int), {p.address.lower()[2:]: p.role for p in providers}
        served = collections.Counter((role[r[0].lower()], r[1]) for r in market.records())
        print("  " + ", ".join(f"{n} of {who}: {stage}" for (who, stage), n in sorted(served.items())), flush=True)
        for provider, stage, amount, _ in market.records():
            if stage == "settled":
                by_provider["0x" + provider.lower()] += amount
        for p in providers:
            account = market.account(p.address)
            if p.role == "lie":
                expect_equal(account["stake"], "0", f"stake of {p.name}, which lied")
                expect(int(account["convictions"]) >= 1, f"convictions of {p.name}: {account}")
                continue
            expect_equal((account["convictions"], account["stake"]), ("0", str(STAKE)), f"{p.name} ({p.role})")
            expect_equal(int(account["available"]), by_provider[p.address.lower()], f"paid to {p.name} ({p.role})")
            expect(p.signed() >= by_provider[p.address.lower()], f"{p.name} was paid more than it signed for")
        market.front.stop(timeout=60)
        for p in providers:
            p.stop()
        market.service.stop()
        verified = t.cli("ledger", "verify", folder / "m", code=None)
        expect_equal(verified.returncode, 0, f"ledger verify: {verified.stdout} {verified.stderr}")


if __name__ == "__main__":
    Runner().run(everybody_who_works_is_paid_and_every_request_ends)
