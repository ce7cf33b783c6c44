"""The receipt asks for more than price × tokens. It is signed, so it convicts by its figures alone."""
import alone
from deal import Deal, refusal
from harness import MODEL, expect, expect_equal
from proxy import Proxy, events, no
from world import Row


def attack(world):
    def greedy(event):
        if event["type"] == "receipt":
            message = dict(event["message"])
            message["amount"] = str(int(message["amount"]) + 1)
            made = world.signer("over-charge").sign("Receipt", **message)
            event = {"type": "receipt", "message": made["message"], "signature": made["signature"]}
        return event

    proxy = Proxy(before=lambda path, body: no() if path == "/v1/receipt" else None,
                  after=lambda path, text: events(text, greedy) if path == "/v1/infer" else text)
    provider = world.provider("over-charge", ["provider", "--model", MODEL], "--endpoint", proxy.url)
    proxy.target = provider.url
    try:
        world.ask("over-charge", status=200)  # the answer is right and complete; the bill is not
        row = world.row(provider.address, ("refunded", "withheld", "settled"))
        expect_equal(row["stage"], "refunded", str(row))
        expect("amount" in row["reason"], row["reason"])
        world.expect_convicted(row, provider.address)
    finally:
        proxy.stop()
        provider.kill()

    deal = Deal(world, "over-charge-claim")
    request = deal.request(1)
    dear = deal.receipt(request, amount="900000")
    claim = deal.claim([(request, dear)])
    before = world.ledger.account(deal.buyer.address)["available"]
    contest = deal.contest(claim)
    expect("not the price" in refusal(deal.open, contest, [(request, dear)]), "a claim cannot be opened with it")
    deal.expire(claim, before)
    return [Row("over-charge by one micro-unit", "receipt check, dispute by figures; claim opening", "caught",
                "stake 1.00, unpaid")]


if __name__ == "__main__":
    alone.run(attack)
