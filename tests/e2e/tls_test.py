"""Prompts go to strangers over TLS whose key the signed offer names: through a wire that somebody watches, and past
somebody who stands between with a certificate of his own."""
import os
import socket
import ssl
import subprocess
import threading

from harness import MODEL, ROOT, Folder, Runner, Service, expect, expect_equal, http as call

PASS = {"ASSAY_PASSPHRASE": "tls test"}


class Wire:
    """Forwards every connection to `target` and keeps what went over it; with a context it speaks TLS itself."""

    def __init__(self, context=None):
        self.seen, self.context, self.target = bytearray(), context, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
                self.seen += client.recv(1 << 16)  # a request that should not have come
                return client.close()
            server = socket.create_connection(self.target)
            back = threading.Thread(target=self.copy, args=(server, client), daemon=True)
            back.start()
            self.copy(client, server)
        except OSError:
            client.close()

    def copy(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                self.seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        self.listener.close()


class Market:
    def __init__(self, t, folder):
        self.t, self.folder, self.env = t, folder, dict(os.environ, **PASS)
        self.key("host")
        self.service = Service(t, "market", "--data", folder / "m", "--key", folder / "host.key", log=folder / "market.log",
                               env=PASS)

    def key(self, name):
        self.t.cli("keys", "new", "--out", self.folder / f"{name}.key", env=self.env)
        return self.t.json("keys", "show", self.folder / f"{name}.key", env=self.env)["address"]

    def funded(self, name):
        address = self.key(name)
        self.t.cli("ledger", "deposit", "--market", self.service.url, "--key", self.folder / "host.key", "--to", address,
                   "--amount", "10.00", env=self.env)

    def provider(self, name, *options):
        self.funded(name)
        return Service(self.t, "provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", "--market",
                       self.service.url, "--key", self.folder / f"{name}.key", "--data", self.folder / name, "--stake",
                       "5.00", "--region", name, *options, log=self.folder / f"{name}.log", env=PASS)

    def ask(self, region):
        """(status, reply) of one request by a gateway of its own that buys in that region only."""
        self.funded(f"buyer-{region}")
        gateway = Service(self.t, "gateway", "--market", self.service.url, "--models", ROOT / "models", "--key",
                          self.folder / f"buyer-{region}.key", "--data", self.folder / f"g-{region}", "--regions", region,
                          log=self.folder / f"g-{region}.log", env=PASS)
        try:
            return call("POST", gateway.url + "/v1/chat/completions", {
                "model": MODEL.stem, "messages": [{"role": "user", "content": "What is 27 + 48?"}], "temperature": 0,
                "max_tokens": 16})
        finally:
            gateway.stop()


def a_prompt_crosses_a_watched_wire_under_the_key_of_the_offer(t):
    with Folder() as folder:
        market, wire = Market(t, folder), Wire()
        provider = market.provider("watched", "--tls", "--endpoint", wire.url)
        expect(provider.url.startswith("https://"), f"it listens on {provider.url}")
        wire.target = ("127.0.0.1", int(provider.url.rsplit(":", 1)[1]))
        status, reply = market.ask("watched")
        expect_equal(status, 200, f"status of {reply}")
        expect(len(wire.seen) > 1000, f"{len(wire.seen)} bytes crossed the wire")
        for word in (b"HTTP/1.1", b"/v1/infer", b"token"):
            expect(word not in wire.seen, f"{word} could be read on the wire")
        provider.stop()
        wire.stop()
        market.service.stop()


def who_stands_between_with_another_key_sees_nothing(t):
    with Folder() as folder:
        cert, key = folder / "cert.pem", folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        market, wire = Market(t, folder), Wire(context)
        provider = market.provider("between", "--tls", "--endpoint", wire.url)
        status, reply = market.ask("between")
        expect(status >= 500, f"answered by somebody else: {status} {reply}")
        expect("shows another TLS key than it is known by" in str(reply), str(reply))
        expect_equal(bytes(wire.seen), b"", "what was sent to the wrong key")
        provider.stop()
        # A certificate from files is pinned too.
        named = market.provider("named", "--tls-cert", cert, "--tls-key", key)
        status, reply = market.ask("named")
        expect_equal(status, 200, f"status of {reply}")
        named.stop()
        wire.stop()
        market.service.stop()


def where_others_can_connect_an_address_for_them_is_needed(t):
    with Folder() as folder:
        market = Market(t, folder)
        market.funded("open")
        refused = t.cli("provider", "--model", MODEL, "--price-in", "0.30", "--price-out", "0.60", "--market",
                        market.service.url, "--key", folder / "open.key", "--data", folder / "open", "--stake", "5.00",
                        "--address", "0.0.0.0", code=1, env=dict(os.environ, **PASS))
        expect("--endpoint https://HOST:PORT" in refused.stderr, refused.stderr)
        market.service.stop()


if __name__ == "__main__":
    runner = Runner()
    runner.run(a_prompt_crosses_a_watched_wire_under_the_key_of_the_offer,
               who_stands_between_with_another_key_sees_nothing,
               where_others_can_connect_an_address_for_them_is_needed)
