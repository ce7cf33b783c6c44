"""`assay audit --layers`: sampled audits against a running market, a file of which most bytes are garbage, and
providers that serve nonsense."""
import http.server
import json
import math
import struct
import threading
import urllib.request

from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http as call, wait_for

LAYERS = 4


class Market:
    """`assay up` with one answer of 64 tokens or more in it."""

    def __init__(self, t, folder):
        self.up = Service(t, "up", "--data", folder / "market", "--model", MODEL, "--models", ROOT / "models", "--port",
                          0, log=folder / "up.log", timeout=120)
        status, reply = call("POST", self.up.url + "/v1/chat/completions", {
            "model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "temperature": 0})
        expect_equal(status, 200, str(reply))
        row = wait_for("the settlement", self.settled)
        self.receipt, self.opening = folder / "receipt.json", folder / "opening.json"
        for path, kind in ((self.receipt, "receipts"), (self.opening, "openings")):
            status, text = call("GET", f"{self.up.url}/assay/{kind}/{row['receipt']}")
            expect_equal(status, 200, str(text))
            path.write_text(json.dumps(text))
        self.endpoint = json.loads(self.receipt.read_text())["offer"]["message"]["endpoint"]

    def settled(self):
        rows = call("GET", self.up.url + "/assay/receipts")[1]["data"]
        return rows[0] if rows and rows[0]["stage"] == "settled" else None

    def audit(self, t, *more, model=MODEL, code=0):
        return t.json("audit", self.receipt, "--opening", self.opening, "--model", model, *more, code=code)


class Proxy:
    """Between auditor and provider; `change` rewrites each line of the states."""

    def __init__(self, endpoint, change):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                request = urllib.request.Request(endpoint + self.path, data=body, method="POST",
                                                 headers={"content-type": "application/json"})
                with urllib.request.urlopen(request, timeout=60) as reply:
                    text = reply.read().decode()
                if self.path == "/v1/states":
                    text = "\n".join(change(line) for line in text.splitlines()) + "\n"
                self.send_response(200)
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def tensor_places(raw):
    """{name: (offset, bytes)} of a GGUF with tensors of F32 and Q8_0."""
    at = 24
    tensors, entries = struct.unpack_from("<QQ", raw, 8)

    def take(kind):
        nonlocal at
        (value,) = struct.unpack_from("<" + kind, raw, at)
        at += struct.calcsize("<" + kind)
        return value

    def text():
        nonlocal at
        size = take("Q")
        at += size
        return bytes(raw[at - size:at]).decode()

    def skip(kind):
        if kind == 8:
            text()
        elif kind == 9:
            item = take("I")
            for _ in range(take("Q")):
                skip(item)
        else:
            take("BbHhIifBxxQqd"[kind])

    for _ in range(entries):
        text()
        skip(take("I"))
    infos = []
    for _ in range(tensors):
        name = text()
        values = math.prod(take("Q") for _ in range(take("I")))
        kind, offset = take("I"), take("Q")
        infos.append((name, offset, {0: values * 4, 8: values // 32 * 34}[kind]))
    base = -(-at // 32) * 32
    return {name: (base + offset, size) for name, offset, size in infos}


def garbled(folder, keep):
    """A copy of the model in which the weights of all layers but `keep` are NaN."""
    raw = bytearray(MODEL.read_bytes())
    for name, (at, size) in tensor_places(raw).items():
        if name.startswith("blk.") and int(name.split(".")[1]) not in keep:
            raw[at:at + size] = b"\xff" * size
    path = folder / f"garbled-{'-'.join(map(str, keep))}.gguf"
    path.write_bytes(raw)
    return path


def sampled_audits_match_and_say_what_they_are_worth(t):
    with Folder() as folder:
        market = Market(t, folder)
        try:
            full = market.audit(t)
            expect(full["match"] and full["mode"] == "full", str(full))
            expect(0 < full["arithmetic_share"] <= 1, str(full))
            for k in (1, 2, 3, 4, 9):
                audit = market.audit(t, "--layers", k)
                expect_equal((audit["verdict"], audit["mode"], audit["drawn_by"]), ("match", "sampled", "lease"), str(audit))
                expect_equal(len(audit["drawn"]), min(k, LAYERS), "layers drawn")
                expect_equal(audit["power"], min(k, LAYERS) / LAYERS, "power claimed")
                expect_equal(audit["trace_root"], full["trace_root"], "root")
                expect_equal(audit["positions"], full["positions"], "positions")
            once, again = (market.audit(t, "--layers", 1)["drawn"] for _ in range(2))
            expect_equal(once, again, "the lease's draw is one")
            help_text = t.cli("audit", "--help").stdout
            expect("K/L, no more" in " ".join(help_text.split()), help_text)
            # Another link than the lease's is nobody's draw.
            wrong = t.cli("audit", market.receipt, "--opening", market.opening, "--model", MODEL, "--layers", 1, "--link",
                          "0x" + "11" * 32, code=1)
            expect("audit chain" in wrong.stderr, wrong.stderr)
            # Nothing but the drawn layers, embedding and head need be there.
            for layer in range(LAYERS):
                path = garbled(folder, [layer])
                expect(market.audit(t, "--layer", layer, model=path)["match"], f"layer {layer} alone")
            t.cli("audit", market.receipt, "--opening", market.opening, "--model", path, "--layer", 0, code=1)
            # The leaves of the weights root may come from anywhere.
            leaves = folder / "leaves.json"
            leaves.write_text(t.cli("model", "tensors", MODEL).stdout)
            expect(market.audit(t, "--layers", 2, "--tensors", leaves)["match"], "leaves from a file")
            leaves.write_text(t.cli("model", "tensors", ROOT / "models/tern-worse-q8_0.gguf").stdout)
            other = t.cli("audit", market.receipt, "--opening", market.opening, "--model", MODEL, "--layers", 1, "--tensors",
                          leaves, code=1)
            expect("leaves" in other.stderr, other.stderr)
        finally:
            market.up.stop()


def nonsense_is_no_verdict_and_a_state_is_kept(t):
    with Folder() as folder:
        market = Market(t, folder)

        def lie(line):
            if '"position":"7"' not in line:
                return line
            position = json.loads(line)
            position["states"][0] = position["states"][1]
            return json.dumps(position)

        try:
            state = folder / "opening.json.audit"
            for change, word in ((lie, "no verdict"),
                                 (lambda line: line[:40], "no verdict"),
                                 (lambda line: "" if '"position":"3"' in line else line, "no verdict"),
                                 (lambda line: line.replace('"leaves":["0x', '"leaves":["0xff', 1), "no verdict")):
                with Proxy(market.endpoint, change) as proxy:
                    audit = market.audit(t, "--layers", 1, "--provider", proxy.url, code=1)
                expect_equal(audit["verdict"], "unanswered", str(audit))
                expect(word in audit["reason"] and "audit in full" in audit["reason"], audit["reason"])
                expect(state.exists(), "the state of an audit without a verdict is kept")
                expect_equal(state.stat().st_mode & 0o77, 0, "who may read the state")
            # A state that was cut off goes on; somebody else's is refused by name.
            state.write_bytes(state.read_bytes() + b"torn")
            expect(market.audit(t, "--layers", 1)["match"], "after the crash")
            expect(not state.exists(), "a verdict needs no state")
            state.write_bytes(b"something else that is here by accident, and long enough" * 3)
            refused = t.cli("audit", market.receipt, "--opening", market.opening, "--model", MODEL, "--layers", 1, code=1)
            expect("another audit" in refused.stderr and str(state) in refused.stderr, refused.stderr)
            state.unlink()
            gone = t.cli("audit", market.receipt, "--opening", market.opening, "--model", MODEL, "--layers", 1, "--provider",
                         "http://127.0.0.1:1", code=1)
            expect("unreachable" in gone.stderr and len(gone.stderr.splitlines()) == 1, gone.stderr)
        finally:
            market.up.stop()


if __name__ == "__main__":
    Runner().run(sampled_audits_match_and_say_what_they_are_worth, nonsense_is_no_verdict_and_a_state_is_kept)
