"""A receipt turns out to be audited, so the provider leaves it out of its claim: it was slashable from its signature."""
import alone
from deal import Deal
from harness import expect, expect_equal, wait_for
from protocol import Refused
from world import STAKE, Row


def attack(world):
    deal = Deal(world, "dropped")
    good, audited = deal.request(1), deal.request(2)
    lie = deal.receipt(audited)
    deal.claim([(good, deal.receipt(good))])
    escrow = int(deal.view()["escrow"])
    dispute = deal.dispute(audited, lie, program=world.identity["program"])

    def timed_out():
        try:
            world.ledger.submit("timeout", deal.buyer.sign("Timeout", account=deal.buyer.address, dispute=dispute["digest"]))
            return True
        except Refused:
            return False

    wait_for("the provider's deadline", timed_out, 30, 0.3)
    view = world.ledger.dispute(dispute["digest"])
    expect_equal((view["outcome"], int(view["slashed"]), int(view["escrow_refunded"])), ("provider_wrong", STAKE, escrow),
                 str(view))
    lease = deal.view()
    expect_equal((lease["state"], lease["claim"], lease["paid"]), ("convicted", None, "0"), str(lease))
    expect(world.ledger.conserved(), "money is not conserved")
    return [Row("dropping the audited receipt from a claim", "dispute: slashable from signature", "caught",
                "stake 1.00, claim void")]


if __name__ == "__main__":
    alone.run(attack)
