"""A provider asked directly by whoever pays by x402: no lease, no gateway. What comes with the answer is enough to compute it
again, and to find out one that is not the model's; whatever is repeated or killed, it is charged once."""
import json
import time

from crash_test import PASS, Market
from harness import MODEL, WORSE, Runner, Service, expect, expect_equal, http, wait_for
from x402_channels_test import ChannelShop
from x402_test import MINTED, Purchase, decoded, five_of_the_same, in_a, post, question

PAID = ["--x402-fee", "0.002", "--x402-patience", "2"]


class Counter(ChannelShop):
    """A market whose provider sells to strangers; its gateway does not."""

    def __init__(self, t, folder, chain):
        super().__init__(t, folder, chain)
        self.seller = t.json("keys", "show", folder / "alder.key", env=self.env)["address"]
        chain.enrich(self.seller)
        self.chat = self.url("provider") + "/v1/chat/completions"

    def arguments(self, name):
        out = Market.arguments(self, name)
        if name == "provider":
            out += ["--x402", self.dollars.at, "--x402-rpc", self.chain.url, "--x402-channels", "published"] + PAID
        return out


at_a_counter = in_a(Counter)


def papers(folder, name, answer):
    """The receipt and the opening that came with an answer, as files."""
    out = []
    for member in ("receipt_file", "opening"):
        path = folder / f"{name}.{member}.json"
        path.write_text(json.dumps(answer["assay"][member]))
        out.append(path)
    return out


@at_a_counter
def a_stranger_asks_a_provider_and_computes_the_answer_again(t, counter):
    body = question("What is 27 + 48?")
    status, text, headers = post(counter.chat, body)
    expect_equal(status, 402, f"without a payment: {text}")
    asked = decoded(headers, "PAYMENT-REQUIRED")
    price = int(asked["accepts"][0]["amount"])
    buying = Purchase(counter.chat, body)
    payment, reply = buying.paying(), buying.reply()
    expect_equal(reply.get("status"), 200, f"the client: {reply}")
    expect_equal(int(reply["settled"]["amount"]), price, "paid")
    expect_equal(counter.spent(), price, "spent")
    answer = json.loads(reply["text"])
    expect(answer["choices"][0]["message"]["content"], f"an empty answer: {answer}")
    expect_equal((reply["headers"]["x-assay-slashable"], answer["assay"]["slashable"]), ("no", False), "what is staked on it")
    expect_equal(reply["headers"]["x-assay-receipt"], answer["assay"]["receipt"], "receipt")
    # Whoever has the answer can check it: who signed, for what, and every bit of it.
    receipt, opening = papers(counter.folder, "honest", answer)
    found = t.json("verify", receipt, "--opening", opening, "--model", MODEL, "--require", "who,output")
    expect(found, "nothing was found")
    expect_equal(t.json("audit", receipt, "--opening", opening, "--model", MODEL)["match"], True, "an audit")
    sampled = t.json("audit", receipt, "--opening", opening, "--model", MODEL, "--layer", "0", "--provider", counter.url("provider"))
    expect_equal(sampled["match"], True, "a sampled audit, of states the provider serves")
    # Another answer under this receipt is not one.
    opened = json.loads(opening.read_text())
    opened["answer"][0] = opened["answer"][0] ^ 1 if isinstance(opened["answer"][0], int) else str(int(opened["answer"][0]) ^ 1)
    opening.write_text(json.dumps(opened))
    expect(t.cli("verify", receipt, "--opening", opening, code=None).returncode != 0, "a changed answer was verified")
    # The same again is the same, for nothing; for something else the payment is used.
    status, again, _ = post(counter.chat, body, payment)
    expect_equal((status, again), (200, reply["text"]), "the same request again")
    expect_equal(post(counter.chat, question("And 2 + 2?"), payment)[0], 409, "the payment for another request")
    expect_equal(counter.spent(), price, "spent in the end")
    # What is not spoken here is said, before anything is asked for.
    for status, wrong in ((404, body | {"model": "none"}), (400, body | {"tools": []}), (400, body | {"stream": True}),
                          (400, body | {"max_tokens": 0}), (400, body | {"messages": []}), (400, body | {"n": 2})):
        expect_equal(post(counter.chat, wrong)[0], status, f"status of {wrong}")
    # And text, by a channel.
    url = counter.url("provider") + "/v1/completions"
    counter.chat = url
    first, second = counter.buy(*({"body": {"model": MODEL.stem, "prompt": f"2{n} + 31 =", "max_tokens": 8, "temperature": 0}}
                                  for n in range(2)))
    for sold in (first, second):
        expect_equal(sold.get("status"), 200, f"by a channel: {sold}")
        made = json.loads(sold["text"])
        cost = round(float(made["assay"]["amount"]) * 1e6) + 2_000
        expect_equal(int(sold["settled"]["extra"]["chargedAmount"]), cost, "charged")
        receipt, opening = papers(counter.folder, "text", made)
        expect_equal(t.json("audit", receipt, "--opening", opening, "--model", MODEL)["match"], True, "an audit")
    # Those who lease are served as ever.
    status, _ = http("POST", counter.url("gateway") + "/v1/chat/completions", question("What is 3 + 4?"))
    expect_equal(status, 200, "through the gateway")


@at_a_counter
def a_provider_that_swaps_the_model_is_found_out(t, counter):
    key, host, market = counter.folder / "cheat.key", counter.folder / "host.key", counter.url("market")
    t.cli("keys", "new", "--out", key, env=counter.env)
    address = t.json("keys", "show", key, env=counter.env)["address"]
    t.cli("ledger", "deposit", "--market", market, "--key", host, "--to", address, "--amount", "1.00", env=counter.env)
    counter.chain.enrich(address)
    cheat = Service(t, "attack", "model-swap", "--serve", WORSE, "--claim", MODEL, "--price-in", "0.10", "--price-out", "0.20",
                    "--market", market, "--key", key, "--data", counter.folder / "cheat", "--stake", "1.00", "--x402",
                    counter.dollars.at, "--x402-rpc", counter.chain.url, log=counter.folder / "cheat.log", env=PASS)
    try:
        expect(cheat.url, f"the cheat did not start: {cheat.ready}")
        buying = Purchase(cheat.url + "/v1/chat/completions", question("What is 61 + 17?", max_tokens=24))
        buying.paying()
        reply = buying.reply()
        expect_equal(reply.get("status"), 200, f"the client: {reply}")
        receipt, opening = papers(counter.folder, "cheat", json.loads(reply["text"]))
        t.cli("verify", receipt, "--opening", opening)
        run = t.cli("audit", receipt, "--opening", opening, "--model", MODEL, "--json", code=None)
        expect_equal(json.loads(run.stdout)["match"], False, "an audit of another model's answer")
        expect(run.returncode != 0, "a swapped model passed")
    finally:
        cheat.stop(expect_code=None)


@at_a_counter
def kill_9_of_a_provider_neither_loses_nor_repeats_a_payment(t, counter):
    total = 0
    for number, at in enumerate((0.05, 0.2, 0.5)):
        body = question(f"Tell me story {number}.", max_tokens=120)
        buying = Purchase(counter.chat, body)
        payment = buying.paying()
        time.sleep(at)
        counter.kill("provider")
        buying.reply()
        counter.start("provider")

        def ask():
            status, text, headers = post(counter.chat, body, payment)
            return (text, decoded(headers, "PAYMENT-RESPONSE")) if status == 200 else None
        text, settled = wait_for("the same request to be answered", ask, timeout=60)
        total += int(settled["amount"])
        expect_equal(counter.spent(), total, "spent")
        expect_equal(ask(), (text, settled), "once more")
        receipt, opening = papers(counter.folder, f"killed{number}", json.loads(text))
        expect_equal(t.json("audit", receipt, "--opening", opening, "--model", MODEL)["match"], True, "an audit")
    reply = five_of_the_same(counter.chat, question("What is 30 + 31?", max_tokens=48))
    expect_equal(counter.spent(), total + int(reply["settled"]["amount"]), "spent in the end")
    expect(counter.dollars.balance(counter.payer) < MINTED, "nothing was paid")


if __name__ == "__main__":
    Runner().run(a_stranger_asks_a_provider_and_computes_the_answer_again, a_provider_that_swaps_the_model_is_found_out,
                 kill_9_of_a_provider_neither_loses_nor_repeats_a_payment)
