"""Paying by x402: the public npm client buys from a gateway on anvil; whatever is repeated, killed or not mined in time, an
authorization is charged once, and only for an answer that its payer can have."""
import base64
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request

from crash_test import PASS, Market
from evm_test import Chain, ChainMarket
from harness import MODEL, NODE, ROOT, Folder, Runner, Service, expect, expect_equal, http, wait_for

PAYER = "0x" + "2a" * 32
CHAIN_ID = 31337
MINTED = 1_000_000
CLIENT = ROOT / "tests/peers/x402_client.mjs"


def selector(chain, signature):
    return chain.ask("web3_sha3", "0x" + signature.encode().hex())[:10]


class Dollars:
    """The devnet's stablecoin on anvil, deployed by one of its accounts unless it is there."""

    def __init__(self, chain, at=None):
        self.chain, self.account, self.at = chain, chain.ask("eth_accounts")[0], at
        if at is None:
            code = json.loads((ROOT / "contracts/artifacts.json").read_text())["contracts"]["TestDollar"]
            self.at = self.send(None, code + f"{6:064x}")["contractAddress"]

    def send(self, to, data):
        call = {"from": self.account, "data": data, "gas": "0x4c4b40", **({"to": to} if to else {})}
        tx = self.chain.ask("eth_sendTransaction", call)
        receipt = wait_for("a receipt", lambda: self.chain.ask("eth_getTransactionReceipt", tx))
        expect_equal(receipt["status"], "0x1", "status of a transaction")
        return receipt

    def mint(self, to, amount):
        self.send(self.at, selector(self.chain, "mint(address,uint256)") + f"{int(to, 16):064x}{amount:064x}")

    def balance(self, of):
        data = selector(self.chain, "balanceOf(address)") + f"{int(of, 16):064x}"
        return int(self.chain.ask("eth_call", {"to": self.at, "data": data}, "latest"), 16)


def payer_address():
    code = f"import {{ privateKeyToAddress }} from 'viem/accounts'; console.log(privateKeyToAddress('{PAYER}'))"
    return subprocess.run([NODE, "--input-type=module", "-e", code], cwd=ROOT / "tests/peers", check=True,
                          capture_output=True, text=True, timeout=60).stdout.strip()


class Purchase:
    """The npm client in a process of its own."""

    def __init__(self, url, body, identifier=None):
        self.process = subprocess.Popen([NODE, CLIENT], cwd=ROOT / "tests/peers", stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps({"url": url, "body": body, "key": PAYER, "network": f"eip155:{CHAIN_ID}",
                                             **({"identifier": identifier} if identifier else {})}))
        self.process.stdin.close()

    def paying(self):
        line = self.process.stdout.readline()
        expect(line, f"the client did not pay: {line or self.process.stderr.read()}")
        said = json.loads(line)
        expect("paying" in said, f"the client was not asked to pay: {said}")
        return said["paying"]

    def reply(self, timeout=90):
        self.process.wait(timeout)
        line, errors = self.process.stdout.readline(), self.process.stderr.read()
        self.drop()
        return json.loads(line) if line else {"error": errors}

    def drop(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()
        self.process.stderr.close()


def five_of_the_same(chat, body):
    """Four more with the payment of a purchase that is being answered: computed once, charged once. What it got."""
    buying, answers = Purchase(chat, body), []
    payment = buying.paying()
    threads = [threading.Thread(target=lambda: answers.append(post(chat, body, payment))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    reply = buying.reply()
    expect_equal([reply.get("status")] + [a[0] for a in answers], [200] * 5, f"five of the same: {reply} {answers}")
    expect_equal({a[1] for a in answers}, {reply["text"]}, "answers")
    return reply


def post(url, body, payment=None, headers=None, timeout=90):
    """(status, text, headers); the payment is a PAYMENT-SIGNATURE as the client sent it."""
    request = urllib.request.Request(url, data=json.dumps(body, separators=(",", ":")).encode(), method="POST", headers={
        "content-type": "application/json", **({"PAYMENT-SIGNATURE": payment} if payment else {}), **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def decoded(headers, name):
    return json.loads(base64.b64decode(headers[name]))


def question(text, max_tokens=16, **more):
    return {"model": MODEL.stem, "messages": [{"role": "user", "content": text}], "temperature": 0,
            "max_tokens": max_tokens, **more}


class Shop(Market):
    """A market on an embedded ledger, whose gateway sells by x402 on anvil."""

    def __init__(self, t, folder, chain):
        self.chain = chain
        self.dollars = Dollars(self.chain)
        self.payer = payer_address()
        self.dollars.mint(self.payer, MINTED)
        super().__init__(t, folder)
        self.seller = t.json("keys", "show", folder / "buyer.key", env=self.env)["address"]
        self.chain.enrich(self.seller)
        self.chat = self.url("gateway") + "/v1/chat/completions"

    def arguments(self, name):
        out = super().arguments(name)
        if name == "gateway":
            out += ["--x402", self.dollars.at, "--x402-rpc", self.chain.url, "--x402-fee", "0.002", "--x402-patience", "2"]
        return out

    def spent(self):
        spent = MINTED - self.dollars.balance(self.payer)
        expect_equal(self.dollars.balance(self.seller), spent, "what came in")
        return spent

    def automine(self, on):
        self.chain.ask("evm_setAutomine", on)

    def finish(self):
        self.stop()
        reverted = [r["transactionHash"] for n in range(1, int(self.chain.ask("eth_blockNumber"), 16) + 1)
                    for r in self.chain.ask("eth_getBlockReceipts", hex(n)) if r["status"] != "0x1"]
        self.chain.stop()
        expect_equal(reverted, [], "transactions that reverted")
        self.t.cli("ledger", "verify", self.folder / "m" / "ledger.db")


def in_a(kind):
    """A test (t, shop) in a shop of this kind of its own; it is closed and looked over in the end."""
    def decorated(test):
        def run(t):
            with Folder() as folder:
                chain, shop = Chain(folder), None
                try:
                    shop = kind(t, folder, chain)
                    test(t, shop)
                except BaseException:
                    if shop is not None:
                        shop.stop()
                    chain.stop()
                    raise
                shop.finish()
        run.__name__ = test.__name__
        return run
    return decorated


in_a_shop = in_a(Shop)


@in_a_shop
def the_public_client_pays_for_an_answer(t, shop):
    body = question("What is 27 + 48?")
    status, text, headers = post(shop.chat, body)
    expect_equal(status, 402, f"without a payment: {text}")
    told = json.loads(text)["error"]["message"]
    expect("this costs 0." in told and "payment-required" in told and "API key of this gateway" in told, told)
    asked = decoded(headers, "PAYMENT-REQUIRED")
    expect_equal(asked["x402Version"], 2, "version")
    price = int(asked["accepts"][0]["amount"])
    expect(price > 2_000, f"price {price}")
    expect_equal(shop.spent(), 0, "spent by asking")
    buying = Purchase(shop.chat, body)
    payment, reply = buying.paying(), buying.reply()
    expect_equal(reply.get("status"), 200, f"the client: {reply}")
    answer = json.loads(reply["text"])
    expect(answer["choices"][0]["message"]["content"], "an empty answer")
    expect("x-assay-receipt" in reply["headers"], f"no receipt among {reply['headers']}")
    expect(reply["settled"]["success"] and int(reply["settled"]["amount"]) == price, f"settled: {reply['settled']}")
    receipt = shop.chain.ask("eth_getTransactionReceipt", reply["settled"]["transaction"])
    expect_equal(receipt["status"], "0x1", "the payment's transaction")
    expect_equal(shop.spent(), price, "spent")
    # Once more, as it was: the same answer, and no money.
    status, text, headers = post(shop.chat, body, payment)
    expect_equal((status, text), (200, reply["text"]), "the same request again")
    expect_equal(decoded(headers, "PAYMENT-RESPONSE"), reply["settled"] | {"x402Version": 2}, "its payment")
    expect_equal(post(shop.chat, question("And 2 + 2?"), payment)[0], 409, "the payment for another request")
    # A stream is sent once it is complete and paid.
    buying = Purchase(shop.chat, question("What is 11 + 12?", stream=True))
    buying.paying()
    reply = buying.reply()
    expect_equal(reply.get("status"), 200, f"a stream: {reply}")
    expect("text/event-stream" in reply["type"] and reply["text"].rstrip().endswith("[DONE]"), f"a stream: {reply}")
    total = price + int(reply["settled"]["amount"])
    expect_equal(shop.spent(), total, "spent")
    # What is wrong is said, and costs nothing: a payment for less, a broken one, a model that is not there.
    expect_equal(post(shop.chat, question("What is 1 + 1?", max_tokens=400), payment)[0], 409, "a used payment")
    expect_equal(post(shop.chat, body, "bm90IGpzb24=")[0], 400, "a payment that is not JSON")
    expect_equal(post(shop.chat, question("?") | {"model": "none"})[0], 404, "an unknown model")
    # Everything else wants a key, and a key's holder is not asked for money.
    expect_equal(http("GET", shop.url("gateway") + "/v1/models")[0], 200, "what is for sale")
    for path in ("/assay/receipts", "/assay/payments", "/v1/files"):
        expect_equal(http("GET", shop.url("gateway") + path)[0], 401, f"{path} without a key")
    key = t.json("gateway", "keys", "add", "--name", "owner", "--data", shop.folder / "g")["secret"]
    bearer = {"authorization": f"Bearer {key}"}
    expect_equal(post(shop.chat, question("What is 3 + 4?"), headers=bearer)[0], 200, "with a key")
    payments = http("GET", shop.url("gateway") + "/assay/payments", headers=bearer)[1]["data"]
    expect_equal([p["state"] for p in payments], ["settled", "settled"], "payments")
    expect_equal(shop.spent(), total, "spent in the end")


@in_a_shop
def one_authorization_or_identifier_is_charged_once(t, shop):
    body, name = question("What is 20 + 22?"), "pay_0123456789abcdef"
    replies, payments = [], []
    for _ in range(2):  # the client signs anew each time, under the same identifier
        buying = Purchase(shop.chat, body, name)
        payments.append(buying.paying())
        replies.append(buying.reply())
    expect_equal([r.get("status") for r in replies], [200, 200], f"replies: {replies}")
    expect(payments[0] != payments[1], "the client signed the same authorization twice")
    expect_equal(replies[1]["text"], replies[0]["text"], "the answer under one identifier")
    expect_equal(replies[1]["settled"], replies[0]["settled"], "the payment under one identifier")
    price = int(replies[0]["settled"]["amount"])
    expect_equal(shop.spent(), price, "spent")
    other = Purchase(shop.chat, question("What is 20 + 23?"), name)
    other.paying()
    expect_equal(other.reply().get("status"), 409, "the identifier for another request")
    # One authorization, sent by many at once while it is being worked for.
    shop.kill("provider")
    buying = Purchase(shop.chat, question("What is 30 + 31?"))
    wait_for("the client to end", lambda: buying.process.poll() is not None)
    buying.drop()  # no provider: whatever it was told, it is not charged
    shop.start("provider")
    wait_for("offers", lambda: post(shop.chat, question("What is 30 + 31?"))[0] == 402)
    reply = five_of_the_same(shop.chat, question("What is 30 + 31?", max_tokens=48))
    expect_equal(shop.spent(), price + int(reply["settled"]["amount"]), "spent")


@in_a_shop
def kill_9_neither_loses_nor_repeats_a_payment(t, shop):
    def again(body, payment):
        def ask():
            status, text, headers = post(shop.chat, body, payment)
            return (text, decoded(headers, "PAYMENT-RESPONSE")) if status == 200 else None
        return wait_for("the same request to be answered", ask, timeout=60)

    # In the middle of the work: not charged, and the same payment gets the answer. Nothing is mined, should it be quick.
    shop.automine(False)
    body = question("Tell me a long story about numbers.", max_tokens=300)
    buying = Purchase(shop.chat, body)
    payment = buying.paying()
    time.sleep(0.15)
    shop.kill("gateway")
    buying.reply()
    expect_equal(shop.spent(), 0, "spent for work that was not done")
    shop.automine(True)
    shop.start("gateway")
    shop.chain.ask("evm_mine")
    text, settled = again(body, payment)
    price = int(settled["amount"])
    expect_equal(shop.spent(), price, "spent")
    expect_equal(json.loads(text)["usage"]["completion_tokens"] > 0, True, "an answer")

    # Between answer and settlement, the chain standing still: the next process settles it, asked or not.
    shop.automine(False)
    body = question("What is 40 + 41?")
    buying = Purchase(shop.chat, body)
    payment = buying.paying()
    wait_for("a transaction on its way", lambda: int(shop.chain.ask("txpool_status")["pending"], 16) == 1)
    shop.kill("gateway")
    buying.reply()
    shop.start("gateway")
    # Not known yet: said so, under the transaction's hash, and nothing else is asked for.
    status, text, headers = post(shop.chat, body, payment)
    expect_equal((status, json.loads(text)["error"]["code"]), (503, "settlement_unknown"), "while it is not mined")
    expect("PAYMENT-REQUIRED" not in headers, "asked for another payment while one is on its way")
    unknown = decoded(headers, "PAYMENT-RESPONSE")
    expect_equal(shop.spent(), price, "spent while nothing is mined")
    shop.chain.ask("evm_mine")
    shop.automine(True)
    expect_equal(shop.spent(), price + price_of(unknown, shop), "spent once mined")
    text, settled = again(body, payment)
    expect_equal(settled["transaction"], unknown["transaction"], "the payment's transaction")
    price += int(settled["amount"])
    # Killed when nobody will ask again: it is settled all the same, once.
    key = t.json("gateway", "keys", "add", "--name", "owner", "--data", shop.folder / "g")["secret"]
    shop.automine(False)
    buying = Purchase(shop.chat, question("What is 50 + 51?"))
    buying.paying()
    wait_for("a transaction on its way", lambda: int(shop.chain.ask("txpool_status")["pending"], 16) == 1)
    shop.kill("gateway")
    buying.reply()
    shop.automine(True)
    shop.chain.ask("evm_mine")
    shop.start("gateway")

    def states():
        listed = http("GET", shop.url("gateway") + "/assay/payments", headers={"authorization": f"Bearer {key}"})[1]
        return [p["state"] for p in listed["data"]]
    wait_for("the payment to be noticed", lambda: states() == ["settled"] * 3)
    expect(shop.spent() > price, "the third payment did not come in")


@in_a_shop
def a_gateway_buys_from_a_seller_once(t, shop):
    carol = shop.folder / "carol.key"
    t.cli("keys", "new", "--out", carol, env=shop.env)
    address = t.json("keys", "show", carol, env=shop.env)["address"]
    shop.dollars.mint(address, MINTED)

    def start():
        return Service(t, "gateway", "--market", shop.url("market"), "--models", ROOT / "models", "--key", carol, "--data",
                       shop.folder / "c", "--pay-x402", f"{MODEL.stem}={shop.url('gateway')}", "--pay-x402-token",
                       shop.dollars.at, "--x402-rpc", shop.chain.url, log=shop.folder / "carol.log", env=PASS)

    def ask(text, key):
        return post(carols.url + "/v1/chat/completions", question(text) | {"model": f"x402/{MODEL.stem}"},
                    headers={"idempotency-key": key})

    carols = start()
    try:
        status, text, headers = ask("What is 12 + 13?", "one")
        expect_equal(status, 200, f"from a seller: {text}")
        expect_equal(headers["x-assay-verified"], "no", "whether it was verified")
        price = MINTED - shop.dollars.balance(address)
        expect(price > 2_000, f"paid {price}")
        expect_equal(ask("What is 12 + 13?", "one")[:2], (200, text), "the same once more")
        expect_equal(ask("What is 12 + 14?", "one")[0], 409, "the same key for something else")
        expect_equal(MINTED - shop.dollars.balance(address), price, "paid in the end")
        # Killed when it had authorized the seller, and the seller's transaction was on its way.
        shop.automine(False)
        asking = threading.Thread(target=lambda: _quietly(lambda: ask("What is 22 + 33?", "two")))
        asking.start()
        wait_for("a transaction on its way", lambda: int(shop.chain.ask("txpool_status")["pending"], 16) == 1)
        carols.kill()
        asking.join(60)
        shop.chain.ask("evm_mine")
        shop.automine(True)
        carols = start()
        status, text, _ = ask("What is 22 + 33?", "two")
        expect_equal(status, 200, f"after a crash: {text}")
        paid = MINTED - shop.dollars.balance(address)
        expect_equal(ask("What is 22 + 33?", "two")[:2], (200, text), "and once more")
        expect_equal(MINTED - shop.dollars.balance(address), paid, "paid in the end")
        expect_equal(shop.dollars.balance(shop.seller), paid, "what came in")
        expect(price < paid < 2 * price + 1_000, f"paid {paid}, the first was {price}")
    finally:
        carols.stop(expect_code=None)


def _quietly(ask):
    try:
        ask()
    except OSError:
        pass


def price_of(settled, shop):
    """What the transaction moves, by its input."""
    data = shop.chain.ask("eth_getTransactionByHash", settled["transaction"])["input"]
    return int(data[10 + 128:10 + 192], 16)


def a_gateway_on_a_chain_takes_payments_on_it(t):
    """The market's own token, and one queue of transactions for leases and payments."""
    class OnChain(ChainMarket):
        def arguments(self, name):
            more = ["--x402", self.deployed["token"], "--x402-pay-to", self.payer_to] if name == "gateway" else []
            return super().arguments(name) + more

    with Folder() as folder:
        chain = Chain(folder)
        try:
            OnChain.payer_to = "0x" + "5e" * 20
            market = OnChain(t, folder, chain)
            dollars, payer = Dollars(chain, market.deployed["token"]), payer_address()
            dollars.mint(payer, MINTED)
            for n in range(2):
                buying = Purchase(market.url("gateway") + "/v1/chat/completions", question(f"What is 6{n} + 7?"))
                buying.paying()
                reply = buying.reply()
                expect_equal(reply.get("status"), 200, f"the client: {reply}")
            expect_equal(dollars.balance(OnChain.payer_to), MINTED - dollars.balance(payer), "what came in")
            expect(dollars.balance(OnChain.payer_to) > 0, "nothing came in")
        except BaseException:
            chain.stop()
            raise
        market.finish()


if __name__ == "__main__":
    Runner().run(the_public_client_pays_for_an_answer, one_authorization_or_identifier_is_charged_once,
                 kill_9_neither_loses_nor_repeats_a_payment, a_gateway_buys_from_a_seller_once,
                 a_gateway_on_a_chain_takes_payments_on_it)
