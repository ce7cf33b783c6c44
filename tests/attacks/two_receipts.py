"""Two different receipts, or a progress and a receipt, for one request and count."""
import alone
from deal import PROMPT, Deal, refusal
from harness import expect, expect_equal
from protocol import ZERO, price, salted_root, sha, text
from world import STAKE, Row


def attack(world):
    for name in ("receipts", "progress"):
        deal = Deal(world, f"two-{name}")
        request = deal.request(1)
        first = deal.receipt(request)
        if name == "receipts":
            second = deal.receipt(request, trace_root=text(sha(b"another story")))
        else:
            second = deal.provider.sign("Progress", request=request["digest"], count="4",
                                        tape_root=salted_root(request["secret"], b"assay/tape/v0", [7, 7, 7, 7]),
                                        trace_root=first["message"]["trace_root"], logprobs_root=ZERO,
                                        amount=str(price(deal.terms, len(PROMPT), 4)))
        same = deal.receipt(request, key_sequence="9")
        expect("do not contradict" in refusal(deal.report, request, first, same), "bookkeeping is no contradiction")
        escrow = int(deal.view()["escrow"])
        deal.claim([(request, first)])
        report = deal.report(request, first, second)
        dispute = world.ledger.dispute(report["digest"])
        expect_equal((dispute["outcome"], int(dispute["slashed"])), ("provider_wrong", STAKE), str(dispute))
        expect_equal(int(dispute["escrow_refunded"]), escrow, "escrow back")
        view = deal.view()
        expect_equal((view["state"], view["claim"], view["paid"]), ("convicted", None, "0"), str(view))
    expect(world.ledger.conserved(), "money is not conserved")
    return [Row("two receipts for one request", "equivocation", "caught", "stake 1.00, claim void")]


if __name__ == "__main__":
    alone.run(attack)
