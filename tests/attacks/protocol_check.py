"""protocol.py against the specification's vectors: a catalogue that draws or sums otherwise would prove nothing."""
import json

from harness import ROOT, expect_equal
from protocol import audit_draw, audit_link, be, price, raw, salted_root, sha, sum_root, text


def same_as_the_vectors():
    vectors = json.loads((ROOT / "spec/vectors/messages/commitments.json").read_text())
    for v in vectors["token_roots"]:
        secret, first = raw(v["salt_secret"]), int(v["first_token"])
        tokens = list(range(first, first + int(v["count"])))
        expect_equal(text(sha(b"assay/salt/v0", secret)), v["salt_commitment"], "salt commitment")
        expect_equal(salted_root(secret, b"assay/prompt/v0", tokens), v["prompt_root"], f"prompt root of {len(tokens)}")
        expect_equal(salted_root(secret, b"assay/tape/v0", tokens), v["tape_root"], f"tape root of {len(tokens)}")
    for v in vectors["prices"]:
        if v["amount"] is not None:
            expect_equal(price(v, int(v["prompt"]), int(v["answer"])), int(v["amount"]), f"price {v}")
    for v in vectors["audit_links"]:
        link = audit_link(raw(v["seed"]), int(v["length"]), int(v["index"]))
        expect_equal(text(link), v["link"], "audit link")
        expect_equal(audit_draw(link, raw(v["receipt"])), int(v["draw"]), "draw")
    for v in vectors["merkle_sums"]:
        items = [(text(sha(be(i, 1))), 1000 + i) for i in range(int(v["count"]))]
        if items:
            expect_equal(sum_root(items), (v["root"], int(v["sum"])), f"sum root of {len(items)}")
