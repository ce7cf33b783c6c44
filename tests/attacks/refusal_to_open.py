"""A cheat that opens nothing: no trace, no states, no move of a dispute, neither over HTTP nor on the ledger."""
import alone
from harness import MODEL, WORSE, expect, expect_equal
from proxy import Proxy, no
from world import Row, sampled

OPENINGS = ("/v1/trace", "/v1/states", "/v1/tensors", "/v1/dispute")


def attack(world):
    asked = []

    def refuse(path, body):
        if path not in OPENINGS:
            return None
        asked.append(path)
        return no("no")

    proxy = Proxy(before=refuse)
    provider = world.provider("closed", ["attack", "model-swap", "--serve", WORSE, "--claim", MODEL], "--endpoint", proxy.url)
    proxy.target = provider.url
    honest = Proxy(before=refuse)
    private = world.provider("private", ["provider", "--model", MODEL], "--endpoint", honest.url)
    honest.target = private.url
    try:
        world.ask("closed")
        provider.kill()
        row = world.row(provider.address, ("refunded", "withheld", "audited", "settled"))
        expect_equal((row["stage"], row["audit"]), ("refunded", "mismatch"), str(row))
        dispute = world.expect_convicted(row, provider.address)
        expect("no move in time" in dispute["reason"], dispute["reason"])
        expect("/v1/trace" in asked and "/v1/dispute" in asked, f"what was asked for: {asked}")
        one, two = sampled(world, world.files(row, "closed"), "closed", [0, 1, 2, 3])
        # A refusal proves nothing by itself: who computed right is paid although it opens nothing.
        world.ask("private")
        row = world.row(private.address, ("settled", "refunded", "withheld"))
        expect_equal((row["stage"], row["audit"]), ("settled", "match"), str(row))
    finally:
        for service in (provider, private):
            service.kill()
        for each in (proxy, honest):
            each.stop()
    return [Row("refusal to open", "full audit, dispute: deadline of a move", "caught", "stake 1.00, unpaid", one, two)]


if __name__ == "__main__":
    alone.run(attack)
