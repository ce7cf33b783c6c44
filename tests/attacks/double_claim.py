"""The same receipts are claimed twice: while the first claim is pending, after it was paid, and beside a settlement."""
import alone
from deal import Deal, refusal
from harness import expect, expect_equal, wait_for
from protocol import Refused
from world import Row


def attack(world):
    deal = Deal(world, "double")
    requests = [deal.request(i) for i in (1, 2)]
    leaves = [(q, deal.receipt(q)) for q in requests]
    owed = sum(int(r["message"]["amount"]) for _, r in leaves)
    # The buyer pays one of them cooperatively; the claim's total is cumulative, so that is not paid twice.
    first = int(leaves[0][1]["message"]["amount"])
    world.ledger.submit("settle", deal.buyer.sign("Settlement", lease=deal.id, cumulative=str(first)))
    claim = deal.claim(leaves)
    expect("pending" in refusal(deal.claim, leaves[:1]), "a second claim beside the first")

    def paid():
        try:
            deal.finalize(claim)
            return True
        except Refused:
            return False

    wait_for("the window to end", paid, 30, 0.3)
    expect_equal(int(deal.view()["paid"]), owed, "paid once")
    expect("not above" in refusal(deal.claim, leaves[:1]), "a receipt that was paid")
    deal.claim(leaves)  # the very same message is the same operation: its first outcome comes back, nothing else
    expect_equal((deal.view()["claim"], int(deal.view()["paid"])), (None, owed), "after the same claim again")
    refusal(deal.finalize, claim, by=deal.buyer)
    more = deal.claim(leaves, total=str(owed + 1))
    before = world.ledger.account(deal.buyer.address)["available"]
    contest = deal.contest(more)
    expect("add up to" in refusal(deal.open, contest, leaves), "more than the receipts add up to")
    deal.expire(more, before, paid=owed)
    return [Row("double claim", "cumulative totals; contested claim", "refused", "paid once; no more claims on this lease")]


if __name__ == "__main__":
    alone.run(attack)
