"""The text is edited after it was computed: before the receipt is signed, or on the way to the buyer."""
import alone
from harness import MODEL, expect, expect_equal, http
from proxy import Proxy, events, no
from world import COMPUTE, Row, cheat_by_engine


def attack(world):
    rows = cheat_by_engine(world, "edit", [*COMPUTE, "edit"], "edited text, signed", by="full audit, dispute")
    seen = []

    def change(event):
        if event["type"] == "token":
            seen.append(event["tokens"])
            if len(seen) == 3:
                event["tokens"] = [str((int(event["tokens"][0]) + 1) % 256)]
        return event

    proxy = Proxy(before=lambda path, body: no() if path == "/v1/receipt" else None,
                  after=lambda path, text: events(text, change) if path == "/v1/infer" else text)
    provider = world.provider("edit-stream", ["provider", "--model", MODEL], "--endpoint", proxy.url)
    proxy.target = provider.url
    try:
        # The text was shown as it came (verify-before-stream would have waited); there is no receipt for it.
        world.ask("edit-stream")
        expect(len(seen) > 3, "nothing was edited")
        taken = [r for r in http("GET", world.buyer().url + "/assay/receipts")[1]["data"] if r["provider"] == provider.address]
        expect_equal(taken, [], "receipts that were accepted")
        seen.clear()
        world.ask("edit-stream", status=502, verification="verify-before-stream")
        leases = [r for r in http("GET", world.buyer().url + "/assay/leases")[1]["data"]
                  if r["provider"] == provider.address]
        expect_equal(world.charged(leases[0]["lease"])[0], 0, "paid")
    finally:
        proxy.stop()
        provider.kill()
    return rows + [Row("edited text, on its way to the buyer", "receipt check: another tape root", "refused", "unpaid")]


if __name__ == "__main__":
    alone.run(attack)
