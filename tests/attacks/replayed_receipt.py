"""A receipt used twice: replayed for another request, copied from another provider, signed again, or brought from
another ledger."""
import alone
from deal import Deal, refusal
from harness import MODEL, expect, expect_equal
from protocol import Signer
from proxy import Proxy, events, no
from world import ENV, Row


def attack(world):
    first, dropped = [], []

    def replay(event):
        if event["type"] == "receipt":
            if first:
                dropped.append(event)
                return first[0]
            first.append(event)
        return event

    proxy = Proxy(before=lambda path, body: no() if first and path == "/v1/receipt" else None,
                  after=lambda path, text: events(text, replay) if path == "/v1/infer" else text)
    provider = world.provider("replayed", ["provider", "--model", MODEL], "--endpoint", proxy.url)
    proxy.target = provider.url
    try:
        world.ask("replayed")
        row = world.row(provider.address, ("settled",))
        amount = round(float(row["amount"]) * 10**6)
        world.ask("replayed")  # the same answer at the same price, under the first one's receipt
        expect(dropped and dropped[0] != first[0], "no receipt was replaced")
        expect_equal(world.charged(row["lease"])[0], amount, "paid, for the first one only")
        filed = [r["receipt"] for r in world.rows(provider.address)]
        expect_equal(filed, [row["receipt"]], "receipts that the buyer took from this provider")
    finally:
        proxy.stop()
        provider.kill()

    mine, theirs = Deal(world, "replay"), Deal(world, "replay-other")
    one, two, other = mine.request(1), mine.request(2), theirs.request(2)
    receipt, honest = mine.receipt(one), theirs.receipt(other)
    again = mine.provider.sign("Receipt", **honest["message"])
    elsewhere = world.service("market", "--data", world.folder / "elsewhere", "--key", world.key("host"))
    stranger = Signer(world.t, elsewhere.url, mine.provider.key, ENV)
    foreign = stranger.sign("Receipt", **{**receipt["message"], "request": two["digest"]})
    stranger.stop()
    attempts = {"answers another request": [(one, receipt), (two, receipt)],
                "belongs to another lease": [(one, receipt), (other, honest)],
                "another lease": [(one, receipt), (other, again)],
                "sign": [(one, receipt), (two, foreign)]}
    before = world.ledger.account(mine.buyer.address)["available"]
    claim = mine.claim(attempts["answers another request"])
    contest = mine.contest(claim)
    for words, leaves in attempts.items():
        why = refusal(mine.open, contest, leaves)
        expect(words in why, f"'{words}' is not in: {why}")
    mine.expire(claim, before)
    return [Row("replayed, copied or re-signed receipt; another ledger's",
                "receipt check; claim opening: request, lease, signature, domain", "refused", "claim void, unpaid")]


if __name__ == "__main__":
    alone.run(attack)
