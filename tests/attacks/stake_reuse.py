"""One stake behind more than it can answer for: more leases, top-ups, or taking it out before the truth is known."""
import alone
from deal import Deal, refusal
from harness import expect, expect_equal
from protocol import nonce
from world import STAKE, Row


def attack(world):
    first = Deal(world, "reuse")
    provider = first.provider
    account = lambda: world.ledger.account(provider.address)  # noqa: E731
    limit = account()["exposure_limit"]
    expect_equal(limit, 3 * STAKE, "limit")
    deals = [first] + [Deal(world, f"reuse-{i}", provider=provider) for i in (1, 2)]
    expect_equal(account()["exposure"], limit, "exposure is at the limit")
    expect("exposure" in refusal(Deal, world, "reuse-3", provider=provider, escrow=1), "one lease more")
    top_up = first.buyer.sign("TopUp", buyer=first.buyer.address, lease=first.id, amount="1", nonce=nonce())
    expect("exposure" in refusal(world.ledger.submit, "top_up", top_up), "one unit more")
    unbond = lambda: provider.sign("Unbond", account=provider.address, amount=str(STAKE), nonce=nonce())  # noqa: E731
    expect("exposure" in refusal(world.ledger.submit, "unbond", unbond()), "out while it answers for leases")

    # It closes its leases, starts to take the stake out, and is convicted for an old receipt all the same.
    request = first.request(1)
    lie = first.receipt(request, amount="900000")
    for deal in deals:
        world.ledger.submit("close", provider.sign("Close", account=provider.address, lease=deal.id))
    world.ledger.submit("unbond", unbond())
    release = provider.sign("Release", account=provider.address, nonce=nonce())
    refusal(world.ledger.submit, "release", release)
    dispute = world.ledger.dispute(first.dispute(request, lie)["digest"])
    expect_equal((dispute["outcome"], int(dispute["slashed"])), ("provider_wrong", STAKE), str(dispute))
    expect_equal((account()["stake"], account()["unbonding"]), (0, []), "what is left")
    expect(world.ledger.conserved(), "money is not conserved")
    return [Row("stake reused over its exposure; early exit", "exposure limit; unbonding stays slashable", "refused",
                "stake 1.00, also while unbonding")]


if __name__ == "__main__":
    alone.run(attack)
