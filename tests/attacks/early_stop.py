"""The answer ends half-way: with a lie about a stop token, or as if the buyer had left."""
import alone
from harness import MODEL, expect, expect_equal
from world import COMPUTE, Row


def attack(world):
    liar = world.provider("stop-early", [*COMPUTE, "stop-early"])
    world.ask("stop-early", status=502)
    row = world.row(liar.address, ("refunded", "withheld", "audited", "settled"))
    expect_equal(row["stage"], "refunded", str(row))
    expect("stop" in row["reason"], row["reason"])
    world.expect_convicted(row, liar.address)
    liar.kill()

    # Truthful but short: what was delivered is right and is paid, the next provider goes on, and for a while the one
    # who stops comes last although it is the cheaper.
    short = world.provider("cancel-early", [*COMPUTE, "cancel-early"], prices=(10, 40))
    honest = world.provider("cancel-honest", ["provider", "--model", MODEL])
    both = {"regions": ["cancel-early", "cancel-honest"]}
    reply = world.ask("", provider=both)
    providers = [a["provider"] for a in [*reply["assay"].get("earlier", []), reply["assay"]]]
    expect_equal(providers, [short.address, honest.address], f"who answered: {reply}")
    again = world.ask("", provider=both)
    providers = [a["provider"] for a in [*again["assay"].get("earlier", []), again["assay"]]]
    expect_equal(providers, [honest.address], f"who is asked next: {again}")
    row = world.row(short.address, ("settled", "refunded"))
    expect_equal((row["stage"], row["audit"]), ("settled", "match"), str(row))
    paid = world.charged(row["lease"])[0]
    expect_equal(paid, round(float(row["amount"]) * 10**6), "paid for what was delivered, and no more")
    for provider in (short, honest):
        provider.kill()
    return [Row("early stop, signed as complete", "receipt check, proof about the finish", "caught", "stake 1.00, unpaid"),
            Row("early stop, truthfully signed", "failures count; the next one continues", "no lie",
                "paid for what it delivered; asked last")]


if __name__ == "__main__":
    alone.run(attack)
