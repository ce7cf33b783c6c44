"""A claim with a missing, an extra or an overlapping leaf, or with a larger sum."""
import alone
from deal import Deal, refusal
from harness import expect
from world import Row


def attack(world):
    ends = []

    def claimed(name, leaves, attempts, **other):
        deal = Deal(world, f"leaves-{name}")
        requests = [deal.request(i) for i in (1, 2, 3)]
        all_leaves = [(q, deal.receipt(q)) for q in requests]
        pick = lambda places: [all_leaves[i] for i in places]  # noqa: E731
        total = {"total": str(sum(int(r["message"]["amount"]) for _, r in pick(leaves)) + 1)} if other else {}
        before = world.ledger.account(deal.buyer.address)["available"]
        claim = deal.claim(pick(leaves), **total)
        contest = deal.contest(claim)
        for places, words in attempts:
            why = refusal(deal.open, contest, pick(places))
            expect(words in why, f"{name} {places}: '{words}' is not in: {why}")
        ends.append((deal, claim, before))

    claimed("missing", [0, 1], [([0], "2 receipts, 1 were shown")])
    claimed("extra", [0, 1], [([0, 1, 2], "2 receipts, 3 were shown"), ([0, 2], "root")])
    claimed("overlapping", [0, 0], [([0, 0], "each once, in order"), ([0, 1], "root")])
    claimed("disordered", [1, 0], [([1, 0], "each once, in order"), ([0, 1], "root")])
    claimed("sum", [0, 1], [([0, 1], "add up to")], more=True)
    for deal, claim, before in ends:
        deal.expire(claim, before)
    return [Row("claim with a missing, extra or overlapping leaf, or a larger sum",
                "contested claim: count, order, Merkle-sum root", "refused", "claim void; no more claims on this lease")]


if __name__ == "__main__":
    alone.run(attack)
