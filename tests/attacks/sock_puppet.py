"""Before somebody else convicts it, a provider convicts itself through a sock puppet that is its own buyer and
challenger, to save what it can of the stake."""
import alone
from deal import Deal
from harness import expect, expect_equal
from world import STAKE, Row


def attack(world):
    kept = []
    for settled in (False, True):
        deal = Deal(world, f"puppet-{int(settled)}")
        sides = (deal.buyer.address, deal.provider.address)

        def wealth():
            accounts = [world.ledger.account(a) for a in sides]
            return sum(a["available"] + a["stake"] + sum(int(u["amount"]) for u in a["unbonding"]) for a in accounts)

        before = wealth() + int(deal.view()["escrow"])
        request = deal.request(1)
        lie = deal.receipt(request, amount="900000")
        if settled:  # paid first, the puppet is "made whole" out of the slash
            world.ledger.submit("settle", deal.buyer.sign("Settlement", lease=deal.id, cumulative="900000"))
        dispute = world.ledger.dispute(deal.dispute(request, lie)["digest"])
        expect_equal(dispute["outcome"], "provider_wrong", str(dispute))
        burned = int(dispute["burned"])
        expect(burned * 2 >= STAKE, f"less than half is burned: {dispute}")
        expect_equal(before - wealth(), burned, "what both lost together is what was burned")
        kept.append(STAKE - burned)
    expect(world.ledger.conserved(), "money is not conserved")
    return [Row("self-slashing through a sock puppet", "the burn", "caught",
                f"{(STAKE - max(kept)) / 10**6:.2f} of 1.00 burned, whatever it does")]


if __name__ == "__main__":
    alone.run(attack)
