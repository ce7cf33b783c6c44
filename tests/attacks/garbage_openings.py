"""A cheat that answers every question about its states with garbage: other roots, torn lines, moves that are none."""
import alone
import json
from harness import MODEL, WORSE, expect, expect_equal
from proxy import Proxy
from world import Row, sampled


def garble(path, text):
    if path == "/v1/trace":
        reply = json.loads(text)
        reply["position_roots"].reverse()
        return json.dumps(reply)
    if path == "/v1/states":
        return "\n".join(line[:60] for line in text.splitlines()) + "\n"
    if path == "/v1/tensors":
        return json.dumps({"leaves": ["0x" + "77" * 32] * 9})
    if path == "/v1/dispute":
        move = json.loads(text)
        move["payload"] = "0x" + "00" * 64
        return json.dumps(move)
    return text


def attack(world):
    asked = []

    def after(path, text):
        asked.append(path)
        return garble(path, text)

    proxy = Proxy(after=after)
    provider = world.provider("garbage", ["attack", "model-swap", "--serve", WORSE, "--claim", MODEL], "--endpoint", proxy.url)
    proxy.target = provider.url
    try:
        world.ask("garbage")
        row = world.row(provider.address, ("refunded", "withheld", "audited", "settled"))
        expect_equal((row["stage"], row["audit"]), ("refunded", "mismatch"), str(row))
        world.expect_convicted(row, provider.address)
        expect("/v1/trace" in asked and "/v1/dispute" in asked, f"what was asked for: {asked}")
        one, two = sampled(world, world.files(row, "garbage"), "garbage", [0, 1, 2, 3])
    finally:
        provider.kill()
        proxy.stop()
    return [Row("garbage openings", "roots, then full audit and dispute on the ledger", "caught", "stake 1.00, unpaid", one,
                two)]


if __name__ == "__main__":
    alone.run(attack)
