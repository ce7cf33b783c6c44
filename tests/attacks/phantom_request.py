"""A claim bills a request that the buyer never signed. The buyer's gateway sees that the claim is above the receipts
it knows and demands the leaves."""
import alone
import json
from deal import refusal
from harness import MODEL, expect, expect_equal, wait_for
from protocol import ZERO, signed, sum_root
from world import Row


def attack(world):
    provider = world.provider("phantom", ["provider", "--model", MODEL])
    world.ask("phantom")
    row = world.row(provider.address, ("settled",))
    provider.kill()
    lease, paid = row["lease"], world.charged(row["lease"])[0]
    receipt_file = json.loads(world.files(row, "phantom")[0].read_text())
    key = world.signer("phantom")
    real = (receipt_file["request"], {**receipt_file["receipt"], "digest": row["receipt"]})
    phantom = key.sign("Request", **{**real[0]["message"], "sequence": "2"})
    receipt = key.sign("Receipt", **{**real[1]["message"], "request": phantom["digest"], "key_sequence": "2"})
    leaves = [real, (phantom, receipt)]
    root, total = sum_root([(r["digest"], int(r["message"]["amount"])) for _, r in leaves])
    expect(total > paid, "a claim for more than was paid")
    claim = key.sign("Claim", lease=lease, root=root, total=str(total), count="2")
    world.ledger.submit("claim", claim)
    wait_for("the gateway to contest the claim", lambda: world.ledger.lease(lease)["claim"]["contest"] != ZERO)
    contest = world.ledger.lease(lease)["claim"]["contest"]
    answer = key.sign("Answer", account=key.address, contest=contest)
    why = refusal(world.ledger.submit, "open_claim", answer,
                  leaves=[{"request": signed(q), "receipt": signed(r)} for q, r in leaves])
    expect("request" in why and "sign" in why, why)
    wait_for("the gateway to end the claim", lambda: world.ledger.lease(lease)["claim"] is None)
    view = world.ledger.lease(lease)
    expect_equal((view["may_claim"], int(view["paid"])), (False, paid), "the claim ended unpaid")
    expect(world.ledger.conserved(), "money is not conserved")
    return [Row("phantom request", "contested claim: every request is signed by the buyer", "refused",
                "claim void; no more claims on this lease")]


if __name__ == "__main__":
    alone.run(attack)
