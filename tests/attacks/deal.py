"""A lease between a buyer and a provider of which the test holds both keys: what they sign is up to it."""
import secrets

from harness import expect, expect_equal, wait_for
from protocol import ZERO, Refused, now, nonce, price, raw, salted_root, sha, signed, sum_root, text

PROMPT = list(range(100, 110))


def no_stops():
    return text(sha())


class Deal:
    def __init__(self, world, name, escrow=1_000_000, payout=None, buyer=None, provider=None, terms=None):
        self.world, self.ledger = world, world.ledger
        self.buyer = buyer or world.signer(f"{name}-buyer", fund="5.00")
        self.provider = provider or world.staked(f"{name}-provider")
        model = world.identity
        self.offer = self.provider.sign(
            "Offer", provider=self.provider.address, payout=payout or self.provider.address, sequence="1",
            endpoint="http://127.0.0.1:1", region=name, hardware="none", vram_mib="0", slots="1", first_token_ms="0",
            per_token_ms="0", rebate_ppm="0", tls_key=ZERO, evidence=ZERO, expires=str(now() + 3600),
            models=[{"name": "tern", "weights_root": model["weights_root"], "program_hash": model["program_hash"],
                     "canon": str(model["canon"]), "file_alias": ZERO, "quantization": "Q8_0", "price_in": "100000000",
                     "price_out": "400000000", "context": "512"}])
        self.lease = self.buyer.sign("Lease", **{
            "buyer": self.buyer.address, "provider": self.provider.address, "payout": payout or self.provider.address,
            "offer": self.offer["digest"], "execution": world.execution, "price_in": "100000000",
            "price_out": "400000000", "escrow": str(escrow), "audit_chain": text(sha(b"chain")), "disclosure": "1",
            "window": str(world.window_s), "expires": str(now() + 600), "nonce": nonce(), **(terms or {})})
        self.id = self.lease["digest"]
        self.ledger.submit("open_lease", self.lease, offer=signed(self.offer))

    @property
    def terms(self):
        return self.lease["message"]

    def view(self):
        return self.ledger.lease(self.id)

    def request(self, sequence, signer=None, max_tokens=8, **other):
        secret = secrets.token_bytes(32)
        made = (signer or self.buyer).sign("Request", **{
            "lease": self.id, "sequence": str(sequence), "execution": self.world.execution,
            "prompt_root": salted_root(secret, b"assay/prompt/v0", PROMPT), "prompt_count": str(len(PROMPT)),
            "continuation": "0", "logit_bias": [], "repetition_penalty_bits": str(0x3f800000),
            "presence_penalty_bits": "0", "frequency_penalty_bits": "0", "temperature_bits": "0", "constraint": ZERO, "top_k": "0",
            "top_p_bits": str(0x3f800000), "min_p_bits": "0", "seed": "0", "max_tokens": str(max_tokens), "logprobs": "0",
            "stop_root": no_stops(), "salt_commitment": text(sha(b"assay/salt/v0", secret)),
            "cap": str(price(self.terms, len(PROMPT), max_tokens)), "expires": str(now() + 300), **other})
        made["secret"] = secret
        return made

    def receipt(self, request, count=4, signer=None, **other):
        answer = list(range(200, 200 + count))
        return (signer or self.provider).sign("Receipt", **{
            "request": request["digest"], "count": str(count), "finish": "1" if count == 8 else "3",
            "tape_root": salted_root(request["secret"], b"assay/tape/v0", answer),
            "trace_root": text(sha(b"trace", request["secret"])), "logprobs_root": ZERO,
            "amount": str(price(self.terms, len(PROMPT), count)), "key_sequence": "1", "evidence": ZERO, **other})

    def claim(self, leaves, **other):
        """leaves: [(request, receipt)]. The claim, pending."""
        root, total = sum_root([(r["digest"], int(r["message"]["amount"])) for _, r in leaves])
        made = self.provider.sign("Claim", **{"lease": self.id, "root": root, "total": str(total),
                                              "count": str(len(leaves)), **other})
        self.ledger.submit("claim", made)
        return made

    def contest(self, claim):
        made = self.buyer.sign("Dispute", challenger=self.buyer.address, lease=self.id, subject=claim["digest"],
                               bond=str(self.world.bond), nonce=nonce())
        self.ledger.submit("contest_claim", made)
        return made

    def open(self, contest, leaves):
        made = self.provider.sign("Answer", account=self.provider.address, contest=contest["digest"])
        self.ledger.submit("open_claim", made,
                           leaves=[{"request": signed(q), "receipt": signed(r)} for q, r in leaves])

    def finalize(self, claim, by=None):
        by = by or self.provider
        self.ledger.submit("finalize", by.sign("Finalize", account=by.address, claim=claim["digest"]))

    def expire(self, claim, before, paid=0):
        """A contested claim that cannot be opened: after its window it ends unpaid, and the bond is back."""
        def ended():
            try:
                self.finalize(claim, by=self.buyer)
                return True
            except Refused:
                return False

        wait_for("the contested claim's window to end", ended, 30, 0.3)
        view = self.view()
        expect_equal((view["claim"], view["may_claim"], int(view["paid"])), (None, False, paid), "the claim ended unpaid")
        expect_equal(self.ledger.account(self.buyer.address)["available"], before, "the buyer's money, bond included")
        expect(self.ledger.conserved(), "money is not conserved")

    def dispute(self, request, receipt, challenger=None, transcript=(), bond=None, program="0x", finish=None):
        """Commits and files; the dispute's signed message."""
        challenger = challenger or self.buyer
        made = challenger.sign("Dispute", challenger=challenger.address, lease=self.id, subject=receipt["digest"],
                               bond=str(bond or self.world.bond), nonce=nonce())
        commitment = raw(made["digest"])
        if finish is not None:
            commitment += sha(raw(finish))
        self.commit(challenger, commitment)
        self.ledger.submit("file_dispute", made, request=signed(request), statement=statement(receipt),
                           execution=self.world.execution_id, program=program, transcript=list(transcript),
                           finish=finish)
        return made

    def commit(self, challenger, what):
        self.ledger.submit("commit_dispute", challenger.sign("CommitDispute", account=challenger.address,
                                                             commitment=text(sha(what)), nonce=nonce()))

    def report(self, request, first, second, challenger=None):
        challenger = challenger or self.buyer
        made = challenger.sign("Equivocation", challenger=challenger.address, lease=self.id, first=first["digest"],
                               second=second["digest"])
        self.commit(challenger, raw(made["digest"]))
        self.ledger.submit("report_equivocation", made, request=signed(request), first=statement(first),
                           second=statement(second))
        return made


def statement(made):
    kind = "receipt" if "finish" in made["message"] else "progress"
    return {"kind": kind, **signed(made)}


def refusal(act, *arguments, **named):
    """The ledger's words; an attack that it takes fails the test."""
    try:
        act(*arguments, **named)
    except Refused as reason:
        return str(reason)
    raise AssertionError("the ledger took it")
