"""A challenger who disputes an honest receipt again and again, plays some games to the end and abandons the others."""
import alone
import json
from deal import refusal, statement
from harness import MODEL, expect, expect_equal, wait_for
from protocol import Refused, le, nonce, raw, sha, signed, text
from world import Row

OPEN_MAX = 8  # disputes of one challenger about one lease
SALT = 0xffffffff


class Challenger:
    def __init__(self, world, who, row, name):
        self.world, self.who, self.ledger, self.row = world, who, world.ledger, row
        receipt, opening = world.files(row, name)
        self.file, self.opening = json.loads(receipt.read_text()), json.loads(opening.read_text())

    def file_dispute(self):
        made = self.who.sign("Dispute", challenger=self.who.address, lease=self.row["lease"], subject=self.row["receipt"],
                             bond=str(self.world.bond), nonce=nonce())
        self.ledger.submit("commit_dispute", self.who.sign("CommitDispute", account=self.who.address,
                                                           commitment=text(sha(raw(made["digest"]))), nonce=nonce()))
        self.ledger.submit("file_dispute", made, request=self.file["request"], statement=statement(self.file["receipt"]),
                           execution=self.world.execution_id, program=self.world.identity["program"], transcript=[],
                           finish=None)
        return made["digest"]

    def move(self, dispute, payload):
        view = self.ledger.dispute(dispute)
        made = self.who.sign("Move", dispute=dispute, number=view["moves"], state=view["game"], payload=text(sha(payload)))
        self.ledger.submit("dispute_move", made, payload=text(payload))

    def play(self, dispute):
        """Down to the first cell, whose salt it calls wrong: the referee has the last word."""
        garbage = "no move is a payload like this"
        for choice in (0, 0, SALT):
            wait_for("the provider's move", lambda: self.ledger.dispute(dispute)["turn"] == "challenger", 30)
            refusal(self.move, dispute, garbage.encode())
            self.move(dispute, le(choice, 4))
        self.move(dispute, raw(self.opening["salt_secret"]))


def attack(world):
    provider = world.provider("disputed", ["provider", "--model", MODEL])
    world.ask("disputed", "Hi", max_tokens=6)
    row = world.row(provider.address, ("settled",))
    paid = world.charged(row["lease"])[0]
    who = world.signer("griefer", fund="2.00")
    griefer = Challenger(world, who, row, "griefer")
    before = {a: world.ledger.account(a) for a in (provider.address, who.address)}
    played = griefer.file_dispute()
    griefer.play(played)
    view = world.ledger.dispute(played)
    expect_equal((view["state"], view["outcome"]), ("decided", "provider_right"), str(view))
    abandoned = [griefer.file_dispute() for _ in range(OPEN_MAX)]
    expect("open disputes" in refusal(griefer.file_dispute), "one more than it may have open")

    def over():
        return all(world.ledger.dispute(d)["state"] == "decided" for d in abandoned)

    wait_for("the provider to end them all", over, 90, 0.5)
    for dispute in abandoned:
        expect_equal(world.ledger.dispute(dispute)["outcome"], "provider_right", str(world.ledger.dispute(dispute)))
    after = {a: world.ledger.account(a) for a in before}
    lost = (1 + OPEN_MAX) * world.bond
    expect_equal(before[who.address]["available"] - after[who.address]["available"], lost, "what it cost the challenger")
    expect_equal(after[provider.address]["available"] - before[provider.address]["available"], lost, "what the provider got")
    expect_equal((after[provider.address]["stake"], after[provider.address]["convictions"]),
                 (before[provider.address]["stake"], 0), "the provider's stake")
    expect_equal(world.charged(row["lease"])[0], paid, "what was paid stays paid")
    expect(world.ledger.conserved(), "money is not conserved")
    provider.kill()
    return [Row("a challenger who disputes everything", "referee, deadlines, a bond for each", "loses",
                f"{world.bond / 10**6:.2f} for each dispute, to the provider")]


if __name__ == "__main__":
    alone.run(attack)
