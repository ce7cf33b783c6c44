"""Grinding the audit draw: a provider that picks among many receipts, a buyer that would choose whom to spare."""
import alone
import json
from harness import MODEL, expect, expect_equal, http, wait_for
from protocol import audit_draw, audit_layers, audit_link, raw, sha
from world import Row

RATE, ASKED, GRINDS, REQUESTS = 0.3, 16, 64, 4000


def ground_rate():
    """A provider makes 64 receipts for each request (their bookkeeping differs, which is no contradiction) and signs
    the one that a link of its own guess spares most. The buyer's link decides."""
    drawn = 0
    for i in range(REQUESTS):
        guess, link = sha(f"guess/{i}".encode()), sha(f"link/{i}".encode())
        best = max((sha(f"{i}/{j}".encode()) for j in range(GRINDS)), key=lambda receipt: audit_draw(guess, receipt))
        drawn += audit_draw(link, best) < RATE * 2**32
    return drawn / REQUESTS


def attack(world):
    measured = ground_rate()
    sigma = (RATE * (1 - RATE) / REQUESTS) ** 0.5
    expect(abs(measured - RATE) < 3.3 * sigma, f"ground receipts are drawn at {measured}")
    # The buyer's side: what a real gateway drew follows from the chain it committed to before the first request.
    who = world.signer("drawing", fund="5.00")
    gateway = world.service("gateway", "--market", world.market.url, "--models", world.models, "--key", who.key, "--data",
                            world.folder / "drawing", "--settle-hold", 1, "--audit-rate", RATE)
    provider = world.provider("drawn", ["provider", "--model", MODEL])
    world.seen(gateway.url, provider.address)
    for i in range(ASKED):
        status, reply = http("POST", gateway.url + "/v1/completions", {
            "model": MODEL.stem, "prompt": [1, 300 + i], "max_tokens": 2, "provider": {"regions": ["drawn"]}})
        expect_equal(status, 200, str(reply))

    def rows():
        found = http("GET", gateway.url + "/assay/receipts")[1]["data"]
        return found if len(found) == ASKED and all(r["stage"] == "settled" for r in found) else None

    draws = []
    for row in wait_for("all to be settled", rows):
        status, opening = http("GET", f"{gateway.url}/assay/openings/{row['receipt']}")
        status, file = http("GET", f"{gateway.url}/assay/receipts/{row['receipt']}")
        link, sequence = raw(opening["audit_link"]), int(file["request"]["message"]["sequence"])
        expect_equal(audit_link(link, sequence, 0), raw(file["lease"]["message"]["audit_chain"]), "the link is the chain's")
        drawn = audit_draw(link, raw(row["receipt"])) < RATE * 2**32
        expect_equal(row["audit"], "match" if drawn else "not_drawn", f"draw of request {sequence}")
        draws.append(drawn)
    expect(0 < sum(draws) < ASKED, f"some are drawn, some not: {draws}")
    # Another link than the chain's is nobody's draw.
    files = []
    for kind, document in (("receipt", file), ("opening", opening)):
        files.append(world.folder / f"drawn-{kind}.json")
        files[-1].write_text(json.dumps(document))
    run = world.t.cli("audit", files[0], "--opening", files[1], "--model", MODEL, "--layers", 1, "--link",
                      "0x" + "11" * 32, code=1)
    expect("audit chain" in run.stderr, run.stderr)
    for count in (1, 2, 3):  # the layers that a real audit draws are those of the rule the rates are measured with
        audit = world.audit(files, "--layers", count)
        expect_equal((audit["drawn"], audit["drawn_by"]), (audit_layers(link, raw(row["receipt"]), 4, count), "lease"),
                     f"the draw of {count} layers")
        expect(audit["match"], str(audit))
    provider.kill()
    gateway.kill()
    return [Row("grinding the audit draw (64 receipts a request)", "hash chain in the lease",
                f"drawn {100 * measured:.1f} ± {196 * sigma:.1f} % at a rate of {100 * RATE:.0f} %", "nothing gained")]


if __name__ == "__main__":
    alone.run(attack)
