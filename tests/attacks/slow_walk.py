"""A cheat makes every move of its dispute late, on the ledger only, and hopes to get its money out."""
import alone
import json
import skipped_layer
import time
from deal import refusal
from harness import MODEL, expect, expect_equal, wait_for
from protocol import nonce
from proxy import Proxy, no, pause
from world import STAKE, Row, transformed


def attack(world):
    moves = []

    def late(path, body):
        if path == "/ledger/operations" and json.loads(body)["kind"] == "dispute_move":
            moves.append(time.monotonic())
            pause(2)
        return None

    ledger = Proxy(before=late)
    ledger.target = world.market.url
    endpoint = Proxy(before=lambda path, body: no() if path == "/v1/dispute" else None)
    # Of the depth that was sold: its moves open what it signed, so that the game goes on to its end.
    worse = transformed(world, "slow", skipped_layer.change)
    provider = world.provider("slow", ["attack", "model-swap", "--serve", worse, "--claim", MODEL], "--endpoint",
                              endpoint.url, market=ledger.url)
    endpoint.target = provider.url
    try:
        world.ask("slow")
        row = world.row(provider.address, ("disputed",))
        wait_for("the first moves", lambda: len(moves) >= 2, 60)
        key = world.signer("slow")
        close = key.sign("Close", account=key.address, lease=row["lease"])
        expect("dispute" in refusal(world.ledger.submit, "close", close), "the lease stays")
        unbond = key.sign("Unbond", account=key.address, amount=str(STAKE), nonce=nonce())
        expect("exposure" in refusal(world.ledger.submit, "unbond", unbond), "the stake stays")
        row = world.row(provider.address, ("refunded", "withheld", "audited", "settled"), timeout=200)
        expect_equal(row["stage"], "refunded", str(row))
        dispute = world.expect_convicted(row, provider.address)
        expect(4 <= int(dispute["moves"]) <= 64, f"{len(moves)} late moves: {dispute['moves']} in all; {dispute['reason']}")
    finally:
        provider.kill()
        ledger.stop()
        endpoint.stop()
    return [Row("slow-walking a dispute", "a deadline for every move, at most 64 moves; stake and claims wait", "caught",
                "stake 1.00, unpaid")]


if __name__ == "__main__":
    alone.run(attack)
