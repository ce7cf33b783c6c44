"""The protocol as a party without our code sees it (spec/messages.md, spec/ledger.md, spec/trace.md): roots,
audit draws, and operations posted to a ledger over HTTP. Signing is `assay attack sign`."""
import hashlib
import hmac
import json
import secrets
import subprocess
import time

from harness import http

ZERO = "0x" + "00" * 32


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def raw(text):
    return bytes.fromhex(text[2:])


def text(data):
    return "0x" + data.hex()


def be(value, size):
    return value.to_bytes(size, "big")


def le(value, size):
    return value.to_bytes(size, "little")


def merkle_root(leaves):
    """RFC 6962."""
    def node(hashes):
        if len(hashes) == 1:
            return hashes[0]
        split = 1 << (len(hashes) - 1).bit_length() - 1
        return sha(b"\x01", node(hashes[:split]), node(hashes[split:]))

    return node([sha(b"\x00", leaf) for leaf in leaves]) if leaves else sha()


def chunks(values, size=256):
    return [values[i:i + size] for i in range(0, len(values), size)]


def salted_root(secret, label, tokens):
    return text(merkle_root([hmac.new(secret, label + le(c, 8), hashlib.sha256).digest()
                             + b"".join(le(t, 4) for t in part) for c, part in enumerate(chunks(tokens))]))


def sum_root(items):
    """Merkle-sum root and total of [(digest, amount)]."""
    def node(parts):
        if len(parts) == 1:
            return parts[0]
        split = 1 << (len(parts) - 1).bit_length() - 1
        (a, x), (b, y) = node(parts[:split]), node(parts[split:])
        return sha(b"\x03", a, be(x, 8), b, be(y, 8)), x + y

    root, total = node([(sha(b"\x02", raw(d), be(a, 8)), a) for d, a in items])
    return text(root), total


def audit_link(seed, length, index):
    for _ in range(length - index):
        seed = sha(b"assay/audit/v0", seed)
    return seed


def audit_draw(link, receipt):
    return int.from_bytes(sha(b"assay/draw/v0", link, receipt)[:4], "big")


def audit_layers(link, receipt, layers, count):
    places = list(range(layers))
    for i in range(min(count, layers)):
        r = int.from_bytes(sha(b"assay/layers/v0", link, receipt, be(i, 4))[:8], "big")
        j = i + r % (layers - i)
        places[i], places[j] = places[j], places[i]
    return sorted(places[:count])


def price(terms, prompt, answer):
    part = lambda tokens, each: -(-tokens * int(each) // 10**6)  # noqa: E731
    return part(prompt, terms["price_in"]) + part(answer, terms["price_out"])


class Signer:
    """Whoever has a key: signs anything."""

    def __init__(self, t, market, key, env):
        self.key = key
        self.process = subprocess.Popen([t.assay, "attack", "sign", "--market", market, "--key", str(key)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.address = json.loads(self.process.stdout.readline())["address"]

    def sign(self, kind, **fields):
        """A signed message, and its digest beside it."""
        self.process.stdin.write(json.dumps({"type": kind, "message": fields}) + "\n")
        self.process.stdin.flush()
        made = json.loads(self.process.stdout.readline())
        if "error" in made:
            raise AssertionError(f"{kind}: {made['error']}")
        return made

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def signed(made):
    return {"message": made["message"], "signature": made["signature"]}


class Refused(Exception):
    """The ledger, or whoever was asked, said no."""


class Ledger:
    def __init__(self, url):
        self.url = url

    def get(self, path):
        status, body = http("GET", f"{self.url}/ledger/{path}" if path else f"{self.url}/ledger")
        if status != 200:
            raise Refused(body["error"]["message"])
        return body

    def submit(self, kind, made, **beside):
        status, body = http("POST", f"{self.url}/ledger/operations", {"kind": kind, **signed(made), **beside})
        if status != 200:
            raise Refused(body["error"]["message"])
        return body

    def account(self, address):
        view = self.get(f"accounts/{address}")
        return {k: int(v) if isinstance(v, str) and v.isdigit() else v for k, v in view.items()}

    def lease(self, lease):
        return self.get(f"leases/{lease}")

    def dispute(self, dispute):
        return self.get(f"disputes/{dispute}")

    def totals(self):
        return {k: int(v) for k, v in self.get("totals").items() if k != "state"}

    def conserved(self):
        t = self.totals()
        held = sum(t[k] for k in ("available", "stake", "unbonding", "escrow", "bonds", "burned"))
        return held == t["deposited"] - t["withdrawn"]

    def log(self):
        status, body = http("GET", f"{self.url}/ledger/log?from=1")
        return [json.loads(line) for line in body.splitlines()] if isinstance(body, str) else [body]


def nonce():
    return str(secrets.randbits(63))


def now():
    return int(time.time())
